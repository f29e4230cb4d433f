"""One-time codes: how a user of this machine signs in without a password.

Whoever may read the folder may have a token anyhow: the code only brings it to the browser, so
that it stands in no URL and no history. A code is good once, and for ten minutes.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from secrets import choice, token_hex
from typing import Final

GOOD_FOR_S: Final = 600.0
_LETTERS: Final = "23456789abcdefghjkmnpqrstvwxyz"  # none that are taken for one another
_GROUPS, _GROUP = 4, 4  # 78 bits
_USED: Final = ".used"


def make_code(folder: Path, token: str) -> str:
    """Leave a new code that stands for a token, and remove those that are over.

    `folder` has mode 0700 and is there.
    """
    for old in folder.iterdir():
        with suppress(FileNotFoundError):
            if _age_s(old) > GOOD_FOR_S:
                old.unlink()
    code = "-".join("".join(choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    path = folder / _name(code)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "w", encoding="utf-8") as file:
        file.write(token)
    return code


def claim_code(folder: Path, code: str) -> str | None:
    """The token that a code stands for; None where it is unknown, used or over. Only once."""
    path = folder / _name(code)
    mine = path.with_name(f"{path.name}.{token_hex(4)}{_USED}")
    try:
        path.rename(mine)  # of two who claim one code one succeeds
    except FileNotFoundError:
        return None
    try:
        return mine.read_text(encoding="utf-8") if _age_s(mine) <= GOOD_FOR_S else None
    finally:
        mine.unlink()


def _name(code: str) -> str:
    """The file's name does not tell the code; how somebody typed it does not matter."""
    typed = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(typed.encode()).hexdigest()


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
