"""Workers as services of a Docker Swarm: how one is described, and what the swarm tells of it.

Pure. Formats: Docker Engine API 1.41, `ServiceCreate`, `ServiceList`, `TaskList`, `NodeList`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from headrace_adapters.backends.containers import PIDS, PREFIX, environment_of
from headrace_model.service import Member, Progress, Service, ServiceTask, ServiceWish

_NODE: Final = f"{PREFIX}node"
_EPOCH: Final = f"{PREFIX}epoch"
_OWNER: Final = f"{PREFIX}cluster"
_TMP_MODE: Final = 0o1777
_PROGRESS: Final = {
    **dict.fromkeys(("new", "allocated", "pending", "assigned"), Progress.WAITS),
    **dict.fromkeys(("accepted", "preparing", "ready", "starting"), Progress.WAITS),
    "rejected": Progress.REFUSED,
    "running": Progress.RUNS,
}


def owner_label(owner: str) -> str:
    """The label filter of all that is ours."""
    return f"{_OWNER}={owner}"


def labels_of(owner: str, wish: ServiceWish, node: str, epoch: str) -> dict[str, str]:
    """The labels of a service."""
    return {
        _OWNER: owner,
        _NODE: node,
        _EPOCH: epoch,
        f"{PREFIX}job": wish.job,
        f"{PREFIX}attempt": str(wish.attempt),
        f"{PREFIX}rank": str(wish.rank),
    }


def one_run() -> dict[str, Any]:
    """One task, which is done when it has run."""
    return {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}


def task_template(wish: ServiceWish, member: str) -> dict[str, Any]:
    """What `create_service` is asked for a worker on one machine: the same that a container of
    the backend docker has (`containers.worker_settings`), as far as a swarm knows it."""
    limits = {"NanoCPUs": wish.millicpus * 1_000_000, "Pids": PIDS}
    if wish.memory_bytes is not None:
        limits["MemoryBytes"] = wish.memory_bytes
    env = {name: str(value) for name, value in wish.env.items()}
    return {
        "ContainerSpec": {
            "Image": wish.image,
            "Args": list(wish.argv),  # to the entrypoint of the image, if it has one
            "Env": [_plain(each) for each in environment_of(env)],
            "Dir": wish.cwd,
            "User": wish.user,
            "Labels": {name: str(value) for name, value in wish.labels.items()},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": _plain(mount.source),
                    "Target": _plain(mount.target),
                    "ReadOnly": mount.read_only,
                }
                for mount in wish.mounts
            ]
            + [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"Mode": _TMP_MODE}}],  # noqa: S108 - inside
            "ReadOnly": True,
            "Init": True,
            "CapabilityDrop": ["ALL"],
        },
        "Resources": {"Limits": limits},
        "RestartPolicy": {"Condition": "none"},
        "Placement": {"Constraints": [f"node.id=={member}"]},
        # Named, because an engine may be set to a driver whose logs can't be read again whole.
        "LogDriver": {"Name": "json-file", "Options": {}},
    }


def _plain(text: str) -> str:
    """A text that the swarm, which takes environment and mounts for Go templates, leaves as is."""
    return text.replace("{{", '{{"{{"}}')


def member_of(found: Mapping[str, Any]) -> Member:
    """Read an entry of the list of machines."""
    return Member(
        id=found["ID"],
        # One that has never spoken to a manager has no description.
        host=(found.get("Description") or {}).get("Hostname", ""),
        ready=found["Status"]["State"] == "ready",
    )


def service_of(found: Mapping[str, Any]) -> Service:
    """Read an entry of the list of services."""
    spec = found["Spec"]
    return Service(
        id=found["ID"],
        name=spec["Name"],
        node=spec["Labels"].get(_NODE, ""),
        epoch=spec["Labels"].get(_EPOCH, ""),
    )


def newest_tasks(found: Iterable[Mapping[str, Any]]) -> tuple[ServiceTask, ...]:
    """Read a list of tasks: of each service the newest one."""
    newest = {each["ServiceID"]: each for each in sorted(found, key=lambda one: one["CreatedAt"])}
    return tuple(
        ServiceTask(
            service=service,
            progress=_PROGRESS.get(task["Status"]["State"], Progress.ENDED),
            message=task["Status"].get("Err") or task["Status"].get("Message") or "",
        )
        for service, task in newest.items()
    )
