"""What clients put into the store themselves, as the seal finds it."""

import asyncio
from hashlib import file_digest
from pathlib import Path

from headrace_data.errors import WrongChecksum
from headrace_model.dataset import Item


async def check_uploaded(item: Item, file: Path) -> None:
    """Hash a copy of an item that nobody hashed yet; raises `WrongChecksum`."""
    found = await asyncio.to_thread(_digest, file)
    if found != item.sha256:
        raise WrongChecksum(
            f"what its client put into the store for {item.path!r} has SHA-256 {found}, not "
            f"{item.sha256} as was said; it was removed",
            hint="the file changed while it was sent: upload it again, then seal",
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
