"""The third-party kind of examples/kind, as pip would install it."""

import shutil
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "kind"
JOB = EXAMPLE / "exceedance.yaml"


def with_example(site: Path) -> Path:
    """Lay it into a folder of packages, with the entry points that it declares."""
    shutil.copytree(
        EXAMPLE / "exceedance",
        site / "exceedance",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    info = site / "headrace_exceedance-1.0.0.dist-info"
    info.mkdir()
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: headrace-exceedance\nVersion: 1\n"
    )
    return site
