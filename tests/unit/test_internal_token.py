"""The token that services show each other, and how a new one takes its place."""

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from headrace_model.errors import InvalidInput, Unauthorized
from headrace_service.http import InternalToken

OLD, NEW = "o" * 32, "n" * 64


def _token(folder: Path, *lines: str) -> InternalToken:
    file = folder / "internal.token"
    file.write_text("".join(f"{line}\n" for line in lines))
    return InternalToken(file)


async def test_all_lines_are_taken_and_the_first_is_shown(tmp_path: Path) -> None:
    both, old, new = _token(tmp_path, OLD, NEW), _token(tmp_path, OLD), _token(tmp_path, NEW)
    assert both.headers == old.headers
    for shown in (old, new):
        await both.check(make_mocked_request("GET", "/", headers=shown.headers))
    with pytest.raises(Unauthorized):
        await old.check(make_mocked_request("GET", "/", headers=new.headers))
    with pytest.raises(Unauthorized):
        await both.check(make_mocked_request("GET", "/"))


@pytest.mark.parametrize("lines", [[], ["short"], [OLD, "short"]])
def test_a_file_without_a_token_is_refused(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(InvalidInput, match="no internal token"):
        _token(tmp_path, *lines)
