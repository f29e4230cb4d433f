"""What a worker runs and with which environment: a pure function of the job and its folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headrace_agent.core.tasks import TaskRun
from headrace_kinds.base import WorkerTemplate
from headrace_kinds.placeholders import render
from headrace_model.spec import JobSpec
from headrace_model.work import Work

# What a worker gets of the agent's own environment: where programs are found, the language, and
# what package installers need to reach their index. Everything else stays with the agent.
PASSED_ON: Final = frozenset(
    {
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LANG",
        "LC_ALL",
        "NO_PROXY",
        "PATH",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "TZ",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
)
_PIP = "PIP_"

# What a worker in an image gets of it: nothing that names a file of the node, or that the image
# knows better.
PASSED_INSIDE: Final = frozenset(
    {
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "PIP_DEFAULT_TIMEOUT",
        "PIP_EXTRA_INDEX_URL",
        "PIP_INDEX_URL",
        "PIP_TRUSTED_HOST",
        "TZ",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
)
_PATH_INSIDE: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where an attempt lives on its node."""

    datasets: str
    output: str
    work: str
    tmp: str
    home: str
    job_file: str
    secrets: str | None = None  # of a job that names any
    checkpoint: str | None = None  # of a job that keeps one


INSIDE: Final = Folders(
    datasets="/headrace/datasets",
    output="/headrace/output",
    work="/headrace/work",
    tmp="/tmp",  # noqa: S108 - inside a container, which shares it with nobody
    home="/headrace/home",
    job_file="/headrace/job.json",
    secrets="/headrace/secrets",
    checkpoint="/headrace/checkpoint",
)
"""Where a worker in an image finds them."""
ENVIRONMENT_INSIDE: Final = "/headrace/environment"


def inherited_by_process(environ: Mapping[str, str], programs: Sequence[str]) -> dict[str, str]:
    """What a worker process has of the agent's environment; `programs` come first on its PATH."""
    passed = {
        name: value
        for name, value in environ.items()
        if name in PASSED_ON or name.startswith(_PIP)
    }
    path = passed.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {**passed, "PATH": ":".join((*programs, path))}


def inherited_inside(environ: Mapping[str, str], programs: Sequence[str]) -> dict[str, str]:
    """What a worker in an image has of the agent's environment; without `programs` its PATH is
    the image's own."""
    passed = {name: value for name, value in environ.items() if name in PASSED_INSIDE}
    return {**passed, "PATH": ":".join((*programs, _PATH_INSIDE))} if programs else passed


def placeholders(folders: Folders, inputs: tuple[str, ...]) -> dict[str, str]:
    """What the placeholders of command and environment stand for on this node."""
    values = {name: f"{folders.datasets}/{name}" for name in inputs} | {"output": folders.output}
    own = {"secrets": folders.secrets, "checkpoint": folders.checkpoint}
    return values | {name: folder for name, folder in own.items() if folder}


def of_task(folders: Folders, spec: JobSpec, run: TaskRun) -> tuple[Folders, dict[str, str]]:
    """The folders of one run of a task, and what its own placeholders stand for.

    Where nothing is kept the tasks share one output folder: to make one for each has its price.
    """
    if spec.outputs:
        folders = replace(folders, output=f"{folders.output}/{run.name}")
    return folders, spec.array.values_of(run.index)


def task_environment(
    template: WorkerTemplate,
    spec: JobSpec,
    folders: Folders,
    values: Mapping[str, str],
    run: TaskRun,
) -> dict[str, str]:
    """What of a task's environment is not that of all workers of its attempt."""
    return {
        **{name: render(value, values) for name, value in template.env},
        "HEADRACE_OUTPUT": folders.output,
        "HEADRACE_TASK": str(run.index),
        "HEADRACE_TASKS": str(spec.array.tasks),
    }


def argv(template: WorkerTemplate, values: Mapping[str, str]) -> tuple[str, ...]:
    """The command with its placeholders filled in."""
    return tuple(render(word, values) for word in template.command)


def environment(
    template: WorkerTemplate,
    work: Work,
    folders: Folders,
    values: Mapping[str, str],
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment of a worker.

    The job's own variables win, except for the HEADRACE_ ones, which a job file can't set.
    """
    gpus = work.resources.gpus if work.resources else 0
    return {
        **inherited,
        "HOME": folders.home,
        "TMPDIR": folders.tmp,
        **{name: render(value, values) for name, value in template.env},
        "HEADRACE_ATTEMPT": str(work.attempt),
        "HEADRACE_DATASETS": folders.datasets,
        "HEADRACE_JOB": work.job,
        "HEADRACE_JOB_FILE": folders.job_file,
        "HEADRACE_NODE": work.node,
        "HEADRACE_OUTPUT": folders.output,
        "HEADRACE_RANK": str(work.rank),
        "HEADRACE_RANKS": str(work.ranks),
        **({"HEADRACE_GPUS": str(gpus)} if gpus else {}),
        # The folder alone: what stands in an environment, every child and core dump shows.
        **({"HEADRACE_SECRETS": folders.secrets} if folders.secrets else {}),
        **({"HEADRACE_CHECKPOINT": folders.checkpoint} if folders.checkpoint else {}),
    }
