"""A minute of the soak, always the same: each errand once, while each victim is struck once."""

from pathlib import Path

from tests.support.faults import VICTIMS, Kill, Pause
from tests.support.soak.blows import Blow, PowerCut
from tests.support.soak.errands import ERRANDS
from tests.support.soak.run import SHORT, Soak
from tests.support.soak.stores import directory_store

_BLOWS = (
    *(Blow(0.2, (Kill(victim),), 0.0, measured=True) for victim in VICTIMS),
    Blow(0.2, (Pause("redis"), Kill("monitor")), 1.0, measured=False),
    Blow(0.2, (Pause("agent"), Kill("data")), 0.5, measured=False),
    Blow(0.2, (PowerCut(),), 0.0, measured=True),
)


async def test_every_errand_is_done_once_while_every_process_is_killed(run_root: Path) -> None:
    with directory_store(run_root / "soak" / "store") as store:
        soak = Soak(run_root / "soak", "smoke", SHORT, store)
        await soak.run(ERRANDS, _BLOWS)
    assert not soak.figures.harms, "\n".join(f"{harm}: {it}" for harm, it in soak.figures.harms)
