"""Why an attempt ended other than well."""

from enum import StrEnum


class Cause(StrEnum):
    """The cause of an attempt's end; it stands in the attempt's record and in `retry.on`."""

    EXIT_CODE = "EXIT_CODE"  # a worker left with a code other than 0
    OOM = "OOM"  # a worker was killed for using more memory than it asked for
    TIME_LIMIT = "TIME_LIMIT"  # it ran longer than `limits.time`
    NODE_LOST = "NODE_LOST"  # a node of the allocation no longer answers
    ATTEMPT_LOST = "ATTEMPT_LOST"  # the node answers, but what held the workers died
    NOT_STARTED = "NOT_STARTED"  # the backend could not start a worker
    STAGING = "STAGING"  # data could not be put beside the node
    COLLECTION = "COLLECTION"  # the output could not be collected, checked or sealed
    TASKS = "TASKS"  # tasks of an array failed, each after its own retries
    PREREQUISITE = "PREREQUISITE"  # a job in `after` did not complete
    STOPPED = "STOPPED"  # a person asked for STOP
    CANCELED = "CANCELED"  # a person asked for CANCEL


# A person's wish and a failed prerequisite would come back unchanged, and failed tasks have had
# their retries: another attempt can't help them.
RETRYABLE = frozenset(Cause) - {
    Cause.TASKS,
    Cause.PREREQUISITE,
    Cause.STOPPED,
    Cause.CANCELED,
}

# Ends that are no fault of the job: what is retried when a job file says nothing. NOT_STARTED is
# not among them: most often the program does not exist, and would not the next time.
NOT_THE_JOBS_FAULT = frozenset({Cause.NODE_LOST, Cause.ATTEMPT_LOST, Cause.STAGING})
