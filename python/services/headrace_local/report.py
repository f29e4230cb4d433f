"""What `headrace local status` tells."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from headrace_local import jobs, processes, workers
from headrace_local.config import Config
from headrace_local.health import is_ready
from headrace_local.layout import Home
from headrace_model.errors import HeadraceError
from headrace_model.units import rough_size

PROCESSES = ("supervisor", "redis", "services", "nest")
_BLOCK_BYTES = 512  # the unit of st_blocks, stat(2)


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """One process; `pid` and `uptime_s` are None while it is stopped."""

    name: str
    pid: int | None
    uptime_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A home as it is now. `jobs` is None where Redis does not answer.

    `maintenance`: who keeps new work away, and why.
    """

    home: Path
    url: str
    gui: str
    ready: bool
    processes: tuple[ProcessReport, ...]
    workers: tuple[str, ...] | None
    jobs: dict[str, int] | None
    maintenance: str | None
    used_bytes: int
    free_bytes: int

    @property
    def running(self) -> bool:
        """Tell whether all processes run."""
        return all(process.pid is not None for process in self.processes)

    def document(self) -> dict[str, object]:
        """The report as JSON and YAML show it."""
        return {
            "home": str(self.home),
            "url": self.url,
            "gui": self.gui,
            "ready": self.ready,
            "running": self.running,
            "processes": [
                {"name": each.name, "pid": each.pid, "uptime_s": each.uptime_s}
                for each in self.processes
            ],
            "workers": None if self.workers is None else list(self.workers),
            "jobs": self.jobs,
            "maintenance": self.maintenance,
            "disk": {"used_bytes": self.used_bytes, "free_bytes": self.free_bytes},
        }

    def text(self) -> str:
        """The report for people."""
        state = "up" if self.ready else "not ready" if self.running else "down"
        lines = [f"Headrace   {state}  {self.url}"]
        lines.append(f"browser    {self.gui}  (`headrace local gui` signs you in)")
        if self.maintenance:
            lines.append(f"           {self.maintenance}")
        lines.append(f"folder     {self.home}")
        disk = f"{rough_size(self.used_bytes)} used, {rough_size(self.free_bytes)} free"
        lines.append(f"disk       {disk}")
        for each in self.processes:
            how = "stopped"
            if each.pid is not None and each.uptime_s is not None:
                how = f"running, pid {each.pid}, up {_span(each.uptime_s)}"
            lines.append(f"{each.name:<10} {how}")
        if self.workers is None:
            lines.append("workers    unknown: the container engine does not answer")
        else:
            lines.append(f"workers    {len(self.workers)}")
        if self.jobs is None:
            lines.append("jobs       unknown: Redis does not answer")
        else:
            by_status = [f"{count} {status}" for status, count in sorted(self.jobs.items())]
            lines.append(f"jobs       {', '.join(by_status) or 'none'}")
        return "\n".join(lines)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def make(home: Home, config: Config) -> Report:
    """Look at everything."""
    found = {each.name: each for each in processes.find(home.id, *PROCESSES)}
    for nest in processes.find_nests(home.id):
        found["nest"] = nest
    return Report(
        home=home.root,
        url=config.url,
        gui=config.gui_url,
        ready="services" in found and is_ready(home, config),
        processes=tuple(_process(name, found.get(name)) for name in PROCESSES),
        workers=_workers(home),
        jobs=_jobs(home) if "redis" in found else None,
        maintenance=_maintenance(home) if "redis" in found else None,
        used_bytes=_used_bytes(home.root),
        free_bytes=shutil.disk_usage(home.root).free,
    )


def _process(name: str, found: processes.Found | None) -> ProcessReport:
    if found is None:
        return ProcessReport(name, None, None)
    return ProcessReport(name, found.pid, round(found.uptime_s, 1))


def _workers(home: Home) -> tuple[str, ...] | None:
    try:
        return tuple(workers.living(home))
    except HeadraceError:  # the engine does not answer
        return None


def _jobs(home: Home) -> dict[str, int] | None:
    try:
        return {str(status): count for status, count in jobs.counts(home).items() if count}
    except HeadraceError:
        return None


def _maintenance(home: Home) -> str | None:
    try:
        said = jobs.maintenance(home)
    except HeadraceError:
        return None
    return said.sentence if said else None


def _used_bytes(root: Path) -> int:
    """What the files below a folder take, each once; what vanishes meanwhile is left out."""
    total = 0
    seen: set[int] = set()
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                stat = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if stat.st_ino not in seen:  # the cache is linked into the folders of attempts
                seen.add(stat.st_ino)
                total += stat.st_blocks * _BLOCK_BYTES
    return total
