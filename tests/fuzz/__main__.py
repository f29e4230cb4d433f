"""Feeds every format damaged files, guided by what they reach in its code, until one does harm.

A harm is any error that is not the format's own, more than 10 s for a file of 64 KiB, or more than
2 GiB of memory. Seeds are the small files of tests/support/format_samples.py, the corpus of
tests/corpus/formats and, where HEADRACE_SAMPLES names them, the real samples. What does harm is
kept in the folder that --keep names: mend it, make a small file of your own that shows it, and put
that into tests/corpus/formats, which tests/unit/test_formats_corpus.py replays.

Needs atheris, which no test needs: pip install atheris (Linux, Python 3.11).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_MOST_BYTES = 1 << 16
_CORPUS = Path(__file__).parent.parent / "corpus" / "formats"


def main() -> None:
    """Fuzz the formats one after the other, each in a process of its own, which may crash."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", nargs="*", help="all that are read in the own process")
    parser.add_argument("--seconds", type=int, default=60, help="for each format (60)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="what did harm")
    given = parser.parse_args()
    from tests.support.format_samples import SAMPLES

    names = given.format or [*sorted(SAMPLES), "T_ROUTE_PARQUET"]
    given.keep.mkdir(parents=True, exist_ok=True)
    harmed = [name for name in names if not _fuzz(name, given.seconds, given.keep)]
    sys.exit(f"harm was done: {', '.join(harmed)}; see {given.keep}" if harmed else 0)


def _fuzz(name: str, seconds: int, keep: Path) -> bool:
    with TemporaryDirectory() as folder:
        options = [
            f"-max_total_time={seconds}",
            f"-artifact_prefix={keep}/{name}-",
            f"-max_len={_MOST_BYTES}",
            *("-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.target", name, *options, folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    runs = [line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed" in line]
    print(f"{name}: {runs[0] if runs else '?'} files, exit code {done.returncode}")
    if done.returncode:
        print(done.stdout[-6000:])
    return done.returncode == 0


if __name__ == "__main__":
    main()
