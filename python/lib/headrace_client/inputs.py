"""Inputs that are local paths: uploaded before the job is sent, once for the same content."""

import asyncio
from functools import partial
from pathlib import Path

from headrace_client.datasets import Datasets
from headrace_client.localfiles import content_hash, files_below, hash_of
from headrace_client.transfers import Moved, say_nothing
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import PathInput, Requirement
from headrace_model.spec import JobSpec

# Not 16, as ids of jobs have: every sixteenth name would look like one, and be refused.
_HASH_LETTERS = 20
_NAME_LETTERS = 128


async def upload_inputs(
    datasets: Datasets, spec: JobSpec, folder: Path, moved: Moved = say_nothing
) -> JobSpec:
    """Upload the path inputs of a spec and give the spec that asks for the datasets instead.

    Relative paths count from `folder`, that of the job file. The dataset is named after job,
    input and content: the same content is not sent twice.
    """
    for each in spec.path_inputs:
        spec = spec.with_requirement(await _upload(datasets, spec.name, each, folder, moved))
    return spec


def with_stand_ins(spec: JobSpec) -> JobSpec:
    """Give the spec that asks for datasets that are not there in the place of its path inputs: to
    plan it without an upload."""
    for each in spec.path_inputs:
        domain = Domain.of({Index.DATA_ID: Discrete(frozenset({f"{spec.name}-{each.name}"}))})
        spec = spec.with_requirement(Requirement(each.name, Category.CONFIG, None, domain))
    return spec


def source_of(folder: Path, path: str) -> Path:
    """Where a path input lies; a relative path counts from `folder`."""
    return folder / Path(path).expanduser()


async def _upload(
    datasets: Datasets, job: str, given: PathInput, folder: Path, moved: Moved
) -> Requirement:
    source = await asyncio.to_thread(source_of, folder, given.path)
    files = await asyncio.to_thread(files_below, source)
    hashes = [(each.item, await hash_of(each.path)) for each in files]
    ending = f"-{content_hash(hashes)[:_HASH_LETTERS]}"
    name = f"{job}-{given.name}"[: _NAME_LETTERS - len(ending)].rstrip(".-_") + ending
    domain = Domain.of({Index.DATA_ID: Discrete(frozenset({name}))})
    await datasets.upload_once(
        name,
        files,
        {
            "category": Category.CONFIG,
            "domain": domain.to_plain(),
            "description": f"input {given.name} of job {job}, uploaded with it",
        },
        partial(_of_input, moved, given.name),
    )
    return Requirement(given.name, Category.CONFIG, None, domain)


def _of_input(moved: Moved, name: str, item: str, at_bytes: int, size_bytes: int) -> None:
    """Tell files of several inputs apart."""
    moved(f"{name}/{item}", at_bytes, size_bytes)
