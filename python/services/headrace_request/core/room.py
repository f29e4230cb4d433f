"""Whether there is room for new work; what runs is never refused."""

from dataclasses import dataclass

from headrace_model.units import rough_size


@dataclass(frozen=True, slots=True)
class Filling:
    """How full something is. `limit_bytes` 0: it has no limit."""

    used_bytes: int
    limit_bytes: int

    def reached(self, percent: int) -> bool:
        """Tell whether at least `percent` of the limit is used."""
        return self.limit_bytes > 0 and self.used_bytes * 100 >= self.limit_bytes * percent


@dataclass(frozen=True, slots=True)
class Watermarks:
    """From where on no new work is taken.

    A disk is full only when, besides the percentage, less than `disk_spare_bytes` is free: the
    disks of large machines and of laptops stand at 80 % for years with plenty of room left.
    """

    memory_percent: int
    disk_percent: int
    disk_spare_bytes: int


@dataclass(frozen=True, slots=True)
class Full:
    """Why no new work is taken, and what to do."""

    sentence: str
    next_step: str


def full(memory: Filling, disk: Filling, marks: Watermarks) -> Full | None:
    """Tell why no new work can be taken, or None."""
    if memory.reached(marks.memory_percent):
        return Full(
            f"Redis uses {rough_size(memory.used_bytes)} of {rough_size(memory.limit_bytes)}; "
            f"from {marks.memory_percent} % on no new job is taken",
            "wait for jobs to finish, or give Redis more memory",
        )
    free_bytes = disk.limit_bytes - disk.used_bytes
    if disk.reached(marks.disk_percent) and free_bytes < marks.disk_spare_bytes:
        return Full(
            f"the disk has only {rough_size(max(free_bytes, 0))} of "
            f"{rough_size(disk.limit_bytes)} free; no new job is taken",
            "delete datasets that nobody needs, or add disk space",
        )
    return None
