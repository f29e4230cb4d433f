"""A restore of `headrace local` that was cut off."""

from pathlib import Path

import pytest

from headrace_local.backup import finish_restore
from headrace_local.folders import find_home, prepare
from headrace_model.errors import Conflict


async def test_services_do_not_start_on_a_restore_that_was_cut_off(state_dir: Path) -> None:
    home = find_home(state_dir)
    prepare(home)
    await finish_restore(home)  # nothing was restored
    part = home.redis / "appendonly.aof.part"
    part.touch()
    with pytest.raises(Conflict) as refused:
        await finish_restore(home)
    assert str(part) in refused.value.hint
