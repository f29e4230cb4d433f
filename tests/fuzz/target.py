"""One process that fuzzes one format: NAME, options of libFuzzer, a folder for its corpus."""

import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["headrace_formats"]):
    from headrace_formats.base import HEAD_BYTES
    from headrace_formats.registry import format_named

from tests.support.format_reading import detected, file_name, read_as
from tests.support.format_samples import SAMPLES
from tests.support.parquet_samples import write_flows

_MOST_BYTES = 1 << 14  # of a seed: larger ones make each turn slow


def main() -> None:
    """Lay the seeds into the folder, and fuzz."""
    name, *options, folder = sys.argv[1:]
    of = format_named(name)
    seeds = Path(folder)
    if name in SAMPLES:
        (seeds / "sample").write_bytes(SAMPLES[name][1])
    else:
        write_flows(seeds / "sample")
    samples = os.environ.get("HEADRACE_SAMPLES")
    real = Path(samples).rglob("*") if samples else ()
    corpus = Path(__file__).parent.parent / "corpus" / "formats"
    for number, path in enumerate([*corpus.glob("*"), *real]):
        if path.is_file() and path.stat().st_size <= _MOST_BYTES:
            data = path.read_bytes()
            if of.sniff(data[:HEAD_BYTES]):
                (seeds / str(number)).write_bytes(data)

    def once(data: bytes) -> None:
        read_as(of, data)
        detected(data, file_name(of))

    atheris.Setup([sys.argv[0], *options, folder], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
