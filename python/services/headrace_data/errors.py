"""The errors that only the data service raises.

HeadraceError (headrace_model)
├── InvalidInput
│   ├── DomainMismatch      what was declared is not what the files hold
│   └── WrongChecksum       the bytes that came are not the file that was announced
└── Conflict
    └── WrongOffset         a resumed upload doesn't begin where the kept part ends
"""

from headrace_model.errors import Conflict, InvalidInput


class DomainMismatch(InvalidInput):
    """What was declared is not what the files hold."""

    code = "DOMAIN_MISMATCH"


class WrongChecksum(InvalidInput):
    """The bytes that came are not the file that was announced."""

    code = "WRONG_CHECKSUM"


class WrongOffset(Conflict):
    """A resumed upload doesn't begin where the kept part ends; `offset` says where that is."""

    code = "WRONG_OFFSET"

    def __init__(self, message: str, *, offset: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.offset = offset
