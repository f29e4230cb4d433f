"""What is launched: a worker or a task, on the node itself or inside an image."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Protocol

from headrace_agent.core import parallel
from headrace_agent.core.command import (
    INSIDE,
    Folders,
    argv,
    environment,
    inherited_by_process,
    inherited_inside,
    of_task,
    placeholders,
    task_environment,
)
from headrace_agent.core.tasks import TaskRun
from headrace_agent.environments import BuiltEnvironment
from headrace_agent.folders import AttemptFolder
from headrace_kinds.base import WorkerTemplate
from headrace_model.errors import Forbidden, HeadraceError, NotFound
from headrace_model.spec import JobSpec
from headrace_model.work import Work
from headrace_model.worker import Inside, Mount, TaskLaunch, WorkerKey, WorkerLaunch


class ImageUnusable(HeadraceError):
    """The image of a job can't be had; a second try can't help."""

    code = "IMAGE_UNUSABLE"


class Images(Protocol):
    """The images on this node."""

    async def ensure_image(self, name: str) -> str:
        """Pull an image unless it is there; returns its id. Raises `NotFound` where there is none,
        `Forbidden` where its registry gives it not to this node, another `HeadraceError` where a
        later attempt may get it."""


@dataclass(frozen=True, slots=True)
class Containers:
    """What workers in images need, on a node whose workers are containers."""

    images: Images
    worker_image: str  # of jobs that name none
    names: Mapping[str, str]  # what some names of images stand for on this node


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker has around it; `inside` None: the node itself."""

    folders: Folders
    inherited: Mapping[str, str]
    inside: Inside | None


async def image_of(spec: JobSpec, there: Containers | None) -> str:
    """The id of the image that workers run in, pulled where it was missing; empty: in none."""
    if there is None:
        return ""
    name = spec.image or there.worker_image
    try:
        return await there.images.ensure_image(there.names.get(name, name))
    except (NotFound, Forbidden) as error:
        raise ImageUnusable(error.message, hint=error.hint) from error


def place_of(
    folder: AttemptFolder, work: Work, spec: JobSpec, image: str, built: BuiltEnvironment | None
) -> Place:
    """Where the workers of an attempt run; an empty `image`: on the node itself."""
    secrets, checkpoint = bool(spec.secrets), spec.checkpoint is not None
    programs = [built.programs] if built else []
    if not image:
        programs.append(str(Path(sys.executable).parent))
        inherited = inherited_by_process(os.environ, programs)
        if spec.parallel:
            where, root = str(folder.parallel), os.getuid() == 0
            inherited |= parallel.environment(work, spec, where, image=False, root=root)
        return Place(folder.folders(secrets=secrets, checkpoint=checkpoint), inherited, None)
    inherited = inherited_inside(os.environ, programs)
    mounts = folder.mounts(secrets=secrets, checkpoint=checkpoint)
    if built:
        mounts = (*mounts, Mount(str(built.folder), built.place))
    if spec.parallel:
        inherited |= parallel.environment(work, spec, parallel.INSIDE, image=True, root=False)
        mounts = (*mounts, Mount(str(folder.parallel), parallel.INSIDE))
    spread = parallel.is_spread(work, spec)
    if spread:
        mounts = (*mounts, Mount(str(folder.parallel / "passwd"), "/etc/passwd"))
    share = work.resources or spec.resources.amount
    return Place(
        folders=replace(
            INSIDE,
            secrets=INSIDE.secrets if secrets else None,
            checkpoint=INSIDE.checkpoint if checkpoint else None,
        ),
        inherited=inherited,
        inside=Inside(image, mounts, share.millicpus, work.ranks if spread else 1),
    )


def parallel_files(work: Work, spec: JobSpec, user: tuple[int, int] | None) -> Mapping[str, str]:
    """The files of a worker's `parallel` folder, by name; `user`: whom it runs as."""
    if spec.parallel is None:
        return {}
    told = parallel.files(work, spec, user or (os.getuid(), os.getgid()), INSIDE.home)
    if parallel.is_spread(work, spec):
        kept = resources.files("headrace_agent") / "parallel"
        told |= {name: (kept / name).read_text() for name in parallel.FILES}
    return told


def worker_launch(folder: AttemptFolder, work: Work, spec: JobSpec, place: Place) -> WorkerLaunch:
    """The worker of this node's share."""
    template = WorkerTemplate(spec.command, spec.env)
    values = placeholders(place.folders, tuple(each.name for each in spec.inputs))
    command = argv(template, values)
    return WorkerLaunch(
        key=WorkerKey(work.job, work.attempt, work.rank),
        argv=parallel.spread_argv(command) if parallel.is_spread(work, spec) else command,
        env=environment(template, work, place.folders, values, place.inherited),
        cwd=place.folders.work,
        stdout=str(folder.logs / f"{work.rank}.out"),
        stderr=str(folder.logs / f"{work.rank}.err"),
        memory_bytes=work.resources.memory_bytes if work.resources else None,
        exclusive=spec.limits.exclusive,
        inside=place.inside,
    )


def shared_launch(folder: AttemptFolder, work: Work, spec: JobSpec, place: Place) -> WorkerLaunch:
    """What all tasks of an array share; each may use what the array asks for one."""
    plain = replace(spec, command=(), env=())  # what holds placeholders is each task's own
    amount = spec.resources.amount
    return replace(
        worker_launch(folder, replace(work, resources=amount), plain, place),
        stdout=str(folder.logs / str(work.rank)),
        memory_bytes=amount.memory_bytes,
        inside=place.inside and replace(place.inside, millicpus=amount.millicpus),
    )


def task_launch(work: Work, spec: JobSpec, place: Place, run: TaskRun) -> TaskLaunch:
    """One task: what of its command and environment is its own."""
    folders, own = of_task(place.folders, spec, run)
    template = WorkerTemplate(spec.command, spec.env)
    values = placeholders(folders, tuple(each.name for each in spec.inputs)) | own
    return TaskLaunch(
        WorkerKey(work.job, work.attempt, work.rank, run.lease, run.index),
        argv(template, values),
        task_environment(template, spec, folders, values, run),
    )
