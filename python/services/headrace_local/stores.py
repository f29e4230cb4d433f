"""The object store of a home: which one, and whether it can be used."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from headrace_local.config import Config
from headrace_local.environ import environ_for
from headrace_local.layout import Home
from headrace_model.errors import Conflict, InvalidInput, Unavailable
from headrace_service.settings import read

_SCHEME: Final = "s3://"
_PATIENCE_S: Final = 3.0


def choose(home: Home, config: Config, store: str | None, credentials: Path | None) -> Config:
    """The configuration with the store that was asked for, None leaving what there is.

    A home keeps its first store: what its catalogue knows lies there. Raises `Conflict`,
    `InvalidInput`.
    """
    wanted = config.store if store is None else store.rstrip("/")
    if store is not None and not wanted.startswith(_SCHEME):
        raise InvalidInput(
            f"the store {store!r} is not s3://[host:port/]bucket[/prefix]",
            hint="leave --store out: objects then lie in the state folder",
        )
    if wanted != config.store and home.config.exists():
        raise Conflict(
            f"the data of this Headrace lie in {config.store or home.store}: it can't change to "
            f"{wanted}",
            hint="HEADRACE_HOME names another folder, for a Headrace with another store",
        )
    file = config.store_credentials if credentials is None else str(credentials)
    if wanted and not file:
        raise InvalidInput(
            f"the store {wanted} needs credentials",
            hint='--store-credentials FILE, with {"access_key": "…", "secret_key": "…"} in it',
        )
    if file and not wanted:
        raise InvalidInput("--store-credentials needs --store s3://…")
    return dataclasses.replace(config, store=wanted, store_credentials=file)


def try_out(home: Home, config: Config, say: Callable[[str], None]) -> None:
    """Look whether an S3 store can be used. Raises `InvalidInput` that says what is wrong.

    One that does not answer is refused (`Unavailable`) at the first start of a home; later it may
    well come back, and what needs none works without it.
    """
    if not config.store:
        return
    # Here, because it brings the libraries of a whole service.
    from headrace_data.main import make_store
    from headrace_data.settings import Settings

    settings = read(Settings, environ_for(home, config, "data"))

    async def check() -> None:
        store = make_store(dataclasses.replace(settings, store_patience_s=_PATIENCE_S))
        try:
            await store.check()
        finally:
            await store.close()

    try:
        asyncio.run(check())
    except Unavailable as error:
        if not home.config.exists():
            raise
        say(f"{error.message}: what needs datasets waits for it")
