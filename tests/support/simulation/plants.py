"""Bugs to plant, in memory only: each must be found within some seeds."""

from collections.abc import Callable
from dataclasses import dataclass


def _same(_: str, source: str) -> str:
    return source


@dataclass(frozen=True, slots=True)
class Plant:
    """How the product is changed. `within`: seeds in which it must be found."""

    about: str = "nothing is planted"
    change_script: Callable[[str, str], str] = _same
    sweep_s: float = 2.0
    fsync: str = "always"
    within: int = 0
    found_by: str = ""
    """What the sentence that tells of it holds."""


def _exchanged(old: str, new: str, only: str = "") -> Callable[[str, str], str]:
    def change(name: str, source: str) -> str:
        if only and name != only:
            return source
        if source.count(old) != 1:
            raise AssertionError(f"{name} has no single {old!r} to plant a bug at")
        return source.replace(old, new)

    return change


NOTHING = Plant()
PLANTS = {
    "no-fence": Plant(
        "scripts take what a former leader writes",
        _exchanged("  if not term then return end", "  if true then return end"),
        within=100,
        found_by="of term",
    ),
    "ack-before-fsync": Plant(
        "Redis answers before what it wrote is on the disk",
        fsync="no",
        within=50,
        found_by="commits were answered",
    ),
    "double-free": Plant(
        "a share that comes back is added to the free line twice",
        _exchanged(
            "room[1], room[2] = room[1] + cpus, room[2] + memory",
            "room[1], room[2] = room[1] + 2 * cpus, room[2] + 2 * memory",
            only="transition",
        ),
        within=20,
        found_by="are not",
    ),
    "pieces-kept": Plant(
        "GPUs and licences that come back are not added to the free line",
        _exchanged("add_pieces(room[3], counted, 1)", "", only="transition"),
        within=20,
        found_by="are not",
    ),
    "former-agent": Plant(
        "scripts take what a former agent of a node says",
        _exchanged("'incarnation') ~= incarnation then", "'incarnation') == 0 then"),
        within=100,
        found_by="a former agent",
    ),
    "lost-wake-up": Plant(
        "some hints are never written, and nobody sweeps",
        _exchanged(
            "local function hint(...)\n",
            "local function hint(...)\n"
            "  if tonumber(redis.call('GET', 'hr:commits') or '0') % 4 == 3 then return end\n",
        ),
        sweep_s=1e9,
        within=20,
        found_by="after the last fault",
    ),
}
