"""The support bundle of a deployed stack, for `control-stack.sh main support`, which runs this in
the service image: there is no Headrace on the machine of who deploys.

`redis` prints the ledger and what Redis says of itself, from inside the stack, as a line of JSON.
`bundle URL` reads a tar from standard input and writes the archive to standard output. In it are:

```
texts/<name>      what the swarm tells
redis             what `redis` printed, or why it did not
secrets/<name>    the deployment's secrets, of which the archive holds none
ca.crt            whom to trust at URL; or not there
```
"""

import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from headrace_adapters.redis.connection import Redis
from headrace_client.connection import Connection
from headrace_local.support import bundle, collect
from headrace_local.support.redact import words_in

_PASSWORD: Final = Path("/run/secrets/redis_admin")


def _of_redis() -> str:
    """Each document of Redis as a text, by name, as JSON."""
    url = os.environ["HEADRACE_REDIS_URL"]
    texts = collect.of_redis(
        lambda: Redis(url, password_file=_PASSWORD, patience_s=collect.PATIENCE_S)
    )
    return json.dumps({name: collect.text_of(make) for name, make in texts.items()})


def write(given: Mapping[str, str], url: str, out: BinaryIO) -> None:
    """Write the archive of what was given: texts by the names above. Raises OSError."""
    with tempfile.NamedTemporaryFile("w") as ca_file:
        ca_file.write(given.get("ca.crt", ""))
        ca_file.flush()
        server = Connection(
            url, given["secrets/admin_token"].strip(), ca_file.name if "ca.crt" in given else None
        )
        texts: dict[str, collect.Text] = {"about.json": collect.about}
        texts |= collect.of_server(server)
        for name, text in (_read(given["redis"]) | _below("texts/", given)).items():
            texts[name] = partial(str, text)
        secrets = _below("secrets/", given).values()
        bundle.write(out, texts, set[str]().union(*map(words_in, secrets)))


def _read(said: str) -> dict[str, str]:
    """What `redis` printed, by name; what is no such thing is kept as it is."""
    try:
        return {str(name): str(text) for name, text in json.loads(said).items()}
    except (ValueError, AttributeError):
        return {"redis.txt": said}


def _below(prefix: str, given: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(prefix): text for name, text in given.items() if name.startswith(prefix)
    }


def _members(source: BinaryIO) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            if file := tar.extractfile(member):
                found[member.name.removeprefix("./")] = file.read().decode(errors="replace")
    return found


def main(arguments: Sequence[str]) -> int:
    """Do one of the two; raises what is in the way: who called shows it."""
    match arguments:
        case ["redis"]:
            sys.stdout.write(f"{_of_redis()}\n")
        case ["bundle", url]:
            write(_members(sys.stdin.buffer), url, sys.stdout.buffer)
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
