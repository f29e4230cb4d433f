"""Why an attempt ended other than well, and what that means to a user."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """The cause of an attempt's end; it stands in the attempt's record and in `retry.on`."""

    EXIT_CODE = "EXIT_CODE"  # a worker left with a code other than 0
    OOM = "OOM"  # a worker was killed for using more memory than it asked for
    TIME_LIMIT = "TIME_LIMIT"  # it ran longer than `limits.time`
    NODE_LOST = "NODE_LOST"  # a node of the allocation no longer answers
    ATTEMPT_LOST = "ATTEMPT_LOST"  # the node answers, but what held the workers died
    RESTORED = "RESTORED"  # Redis was restored from a backup, and the node has it no more
    NOT_STARTED = "NOT_STARTED"  # the backend could not start a worker
    STAGING = "STAGING"  # data could not be put beside the node
    COLLECTION = "COLLECTION"  # the output could not be collected, checked or sealed
    POISON = "POISON"  # one node after the other was lost while it ran there
    TASKS = "TASKS"  # tasks of an array failed, each after its own retries
    PREREQUISITE = "PREREQUISITE"  # a job in `after` did not complete
    DEADLINE = "DEADLINE"  # it could not end by its deadline any more, and did not start
    STOPPED = "STOPPED"  # a person asked for STOP
    CANCELED = "CANCELED"  # a person asked for CANCEL


# A person's wish and a failed prerequisite would come back unchanged, failed tasks have had their
# retries, and a job that nodes are lost with is kept from more of them: another attempt can't help
# them, or must not be. After a restore there always is another one.
RETRYABLE = frozenset(Cause) - {
    Cause.RESTORED,
    Cause.POISON,
    Cause.TASKS,
    Cause.PREREQUISITE,
    Cause.DEADLINE,
    Cause.STOPPED,
    Cause.CANCELED,
}

# Ends that are no fault of the job. NOT_STARTED is not among them: most often the program does not
# exist, and would not the next time.
NOT_THE_JOBS_FAULT = frozenset({Cause.NODE_LOST, Cause.ATTEMPT_LOST, Cause.STAGING})

# What is retried when a job file says nothing: also what more memory may help.
RETRIED_BY_DEFAULT = NOT_THE_JOBS_FAULT | {Cause.OOM}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A cause for people: what happened, and what to do. `{job}` stands for the job's id."""

    what: str
    next_step: str


MEANINGS: Final[Mapping[Cause, Meaning]] = {
    Cause.EXIT_CODE: Meaning(
        "the command ended by itself with a code other than 0, or a signal ended it",
        "read what it wrote: `headrace jobs logs {job}`",
    ),
    Cause.OOM: Meaning(
        "a worker used more memory than the job asked for, and was killed",
        "ask for more: `resources.memory` in the job file, or `--set resources.memory=…`; "
        "`retry.memory_limit` lets further attempts ask more by themselves",
    ),
    Cause.TIME_LIMIT: Meaning(
        "it ran longer than its `limits.time`, and was stopped",
        "give it more time: `limits.time` in the job file, or find out what it waits for: "
        "`headrace jobs logs {job}`",
    ),
    Cause.NODE_LOST: Meaning(
        "a machine that it ran on no longer answers",
        "no fault of the job: run it again, `headrace jobs retry {job}`; `headrace nodes list` "
        "shows the machines",
    ),
    Cause.ATTEMPT_LOST: Meaning(
        "its machine answers, but what watched over its workers there had died",
        "no fault of the job: run it again, `headrace jobs retry {job}`",
    ),
    Cause.RESTORED: Meaning(
        "Redis was restored from a backup, and its machine had this attempt no more",
        "nothing: another attempt follows by itself",
    ),
    Cause.NOT_STARTED: Meaning(
        "a worker could not be started: its program or image is not there or can't be run",
        "correct `command`, `image` or `secrets` in the job file; the detail says which",
    ),
    Cause.STAGING: Meaning(
        "its inputs or its software environment could not be put on the machine",
        "see that its datasets are whole (`headrace dataset items NAME`); the detail says which",
    ),
    Cause.COLLECTION: Meaning(
        "it ended well, but its output could not be collected, checked or sealed",
        "have the command write into {{output}} what `outputs` in the job file declares",
    ),
    Cause.POISON: Meaning(
        "one machine after the other was lost while it ran there, so it is not tried again",
        "find out whether it is what ends them (memory, disk, devices): `headrace jobs history "
        "{job}` names them, `headrace jobs retry {job}` tries it once more",
    ),
    Cause.TASKS: Meaning(
        "tasks of the array failed, each after its own retries",
        "see which, and why: `headrace jobs tasks {job} --state failed`",
    ),
    Cause.PREREQUISITE: Meaning(
        "a job in its `after` did not complete, so it never began",
        "mend that one first; `headrace jobs info {job}` names it",
    ),
    Cause.DEADLINE: Meaning(
        "it waited until it could not end by its `deadline` any more, and did not start",
        "submit it with a later `deadline`, or a shorter `limits.time`; how long it waited tells "
        "`headrace jobs history {job}`",
    ),
    Cause.STOPPED: Meaning("somebody stopped it", "let it go on: `headrace jobs restart {job}`"),
    Cause.CANCELED: Meaning(
        "somebody canceled it", "run it anew, as another job: `headrace jobs retry {job}`"
    ),
}
"""Every cause has one: whoever shows a cause to people takes the words from here."""


def next_step(cause: Cause, job: str) -> str:
    """What the user of a job that ended so may do."""
    return MEANINGS[cause].next_step.format(job=job)
