"""What a node's wishes ask of the swarm: a pure function of what is wished and what is there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from headrace_model.service import (
    Member,
    Progress,
    Service,
    ServiceRefusal,
    ServiceTask,
    ServiceWish,
    Wished,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a node's agent says of its engine: its id in the swarm, and what it calls the folder
    of the agent's files."""

    node: str
    member: str
    state_source: str


@dataclass(slots=True)
class Plan:
    """What is to be done for one node."""

    create: list[tuple[ServiceWish, str]] = field(default_factory=list)  # with the machine's id
    remove: list[Service] = field(default_factory=list)
    refuse: list[tuple[str, ServiceRefusal]] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)


def plan(
    claim: Claim,
    members: Collection[Member],
    wished: Sequence[Wished],
    services: Mapping[str, Service],
    epoch: str,
    ended: Collection[str],
) -> Plan:
    """What one node needs. `services`: those of it, by name; `ended`: the ids of those whose
    worker has ended.

    A service is made while its attempt is to be launched, and stays as long as it is wished for.
    One that was made for another Redis may be of an attempt that an admin still decides about:
    it is left alone while its worker lives. Until it is removed no other can have its name.
    """
    made = Plan()
    unfit = misfit(claim, members)
    here = {
        name for name, service in services.items() if service.epoch == epoch or service.id in ended
    }
    for each in wished:
        if each.wish is None:
            if not each.refused:
                made.refuse.append((each.name, _UNREADABLE))
        elif each.over:
            made.drop.append(each.name)
        elif each.may_start and not each.refused and each.name not in here:
            if wrong := unfit or _wrong_with(each.wish, claim):
                made.refuse.append((each.name, wrong))
            else:
                made.create.append((each.wish, claim.member))
    needed = {each.name for each in wished} - set(made.drop)
    made.remove = [
        service
        for name, service in services.items()
        if (name not in needed if service.epoch == epoch else service.id in ended)
    ]
    return made


_UNREADABLE = ServiceRefusal(
    "the cluster agent can't read what the node's agent wishes: are both of one version?",
    retryable=False,
)


def misfit(claim: Claim, members: Collection[Member]) -> ServiceRefusal | None:
    """Why nothing can be made for a node; None: all is well with it."""
    member = next((each for each in members if each.id == claim.member), None)
    if not claim.member:
        said = f"the agent of node {claim.node} tells no machine of the swarm"
    elif member is None:
        said = f"node {claim.node} is no machine of the swarm (it says {claim.member})"
    elif member.host.partition(".")[0].lower() != claim.node:
        said = f"node {claim.node} says it is {claim.member}, but that machine is {member.host}"
    else:
        return None
    return ServiceRefusal(said, retryable=True)


def _wrong_with(wish: ServiceWish, claim: Claim) -> ServiceRefusal | None:
    """Workers of a node see files of its agent and nothing else of a machine."""
    folder = f"{claim.state_source}/"
    for mount in wish.mounts:
        if not mount.source.startswith(folder) or ".." in mount.source.split("/"):
            return ServiceRefusal(
                f"the worker was to see {mount.source}, which is no file of its node's agent",
                retryable=False,
            )
    return None


def refusal_of(task: ServiceTask, node: str, waited_s: float, patience_s: float) -> (
    ServiceRefusal | None
):  # fmt: skip
    """Why the worker of a wished service does not run; None: it does, or it may still.

    `waited_s`: how long the task has been as it is. Of one that ended the node's agent tells more,
    where it can.
    """
    match task.progress:
        case Progress.REFUSED:
            return ServiceRefusal(_sentence(task.message, node), retryable=True)
        case Progress.WAITS if waited_s > patience_s:
            why = f": {task.message}" if task.message else ""
            return ServiceRefusal(
                f"the swarm does not start it on node {node}{why}", retryable=True
            )
        case Progress.ENDED if waited_s > patience_s:
            return ServiceRefusal(
                f"it ended on node {node}, and its agent did not see how", retryable=True
            )
        case _:
            return None


def _sentence(message: str, node: str) -> str:
    """What a machine said of a container that it can't make, in words of the job's owner."""
    if "No such image" in message:
        return f"its image is no longer on node {node}"
    if "bind source path does not exist" in message:
        return f"its folder is no longer on node {node}"
    return f"node {node} can't make its container: {message}"
