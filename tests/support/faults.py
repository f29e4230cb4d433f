"""What tests do to the processes of a `Stack`: each fault is a class with two moments."""

from dataclasses import dataclass

from tests.support.stack import Stack

SERVICES = ("request", "data", "scheduler", "monitor", "agent")
VICTIMS = (*SERVICES, "redis", "nest", "all")
"""`all` is Redis and every service with all its replicas, and not the nest: workers survive."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL; the stack starts what died again, as a container platform would."""

    victim: str

    def strike(self, stack: Stack) -> tuple[str, ...]:
        """Kill; returns the names of the processes."""
        names = aim(stack, self.victim)
        stack.kill9(*names)
        return names

    def heal(self, stack: Stack) -> None:
        """Nothing: the stack does it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP: connections stay open, nothing answers, clocks run on; then SIGCONT."""

    victim: str

    def strike(self, stack: Stack) -> tuple[str, ...]:
        """Stop; returns the names of the processes."""
        names = aim(stack, self.victim)
        for name in names:
            stack.pause(name)
        return names

    def heal(self, stack: Stack) -> None:
        """Continue whatever of the victim is still there."""
        for name in replicas(self.victim):
            if stack.alive(name):
                stack.resume(name)


Fault = Kill | Pause


def aim(stack: Stack, victim: str) -> tuple[str, ...]:
    """The processes that a victim's name means now: of a role with replicas the leader."""
    if victim in ("scheduler", "monitor"):
        return (stack.leader(victim) or f"{victim}-1",)
    return replicas(victim)


def replicas(victim: str) -> tuple[str, ...]:
    """All processes that a victim's name may mean."""
    match victim:
        case "scheduler" | "monitor":
            return (f"{victim}-1", f"{victim}-2")
        case "all":
            return tuple(name for name in Stack.names if name != "nest")
        case _:
            return (victim,)
