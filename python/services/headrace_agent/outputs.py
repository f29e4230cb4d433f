"""What workers wrote, from the folders of an attempt into the store.

The outputs of an ordinary attempt are collected when it is over. Those of a task go to the store
before the task is reported as done, so that what is done stays done when its node is lost: many
tasks together, as one *part*, a document in the store that describes the files of each output.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from headrace_agent.collect import BadOutput, FoundFile, find_files, send_file
from headrace_agent.core.tasks import TaskRun
from headrace_agent.data_client import DataClient, OutputGrant
from headrace_agent.folders import AttemptFolder
from headrace_agent.grants import Grant
from headrace_agent.transfers import Transfers
from headrace_kinds.base import output_folder
from headrace_model.errors import HeadraceError
from headrace_model.spec import JobSpec, OutputSpec
from headrace_model.work import CollectedItem, CollectedOutput, Work
from headrace_service.threads import finish
from headrace_wire.records import encode_outputs

# (folder, format, folders inside; none: all of it) → (format, plain domain); raises
# `HeadraceError` for what can't be read.
Detect: TypeAlias = Callable[
    [Path, str | None, Sequence[str]], Awaitable[tuple[str, dict[str, object]]]
]
_GRANTS_AT_ONCE = 500
_GENERIC = "GENERIC"


class _Ask(Protocol):
    """Asks where files go."""

    def __call__(
        self, work: Work, files: Sequence[tuple[str, FoundFile]], upload: str = "", /
    ) -> Awaitable[list[OutputGrant]]: ...


@dataclass(frozen=True, slots=True)
class _File:
    """A file below the output root, and its path in the dataset."""

    found: FoundFile  # by its path below the root
    path: str


@dataclass(slots=True)
class TaskOutputs:
    """Of ended tasks: the part that each is in, and those whose files can't be kept."""

    parts: dict[TaskRun, str] = field(default_factory=dict)
    refused: dict[TaskRun, str] = field(default_factory=dict)


class Outputs:
    """Finds, describes and sends what the workers of one attempt wrote."""

    def __init__(
        self,
        folder: AttemptFolder,
        data: DataClient,
        transfers: Transfers,
        detect: Detect,
        limit_items: int,
    ) -> None:
        self._folder = folder
        self._data = data
        self._transfers = transfers
        self._detect = detect
        self._limit_items = limit_items
        self._sent: dict[tuple[str, FoundFile], str] = {}

    async def collect(self, work: Work, spec: JobSpec) -> tuple[CollectedOutput, ...]:
        """Bring all outputs of an ordinary attempt; raises `BadOutput` for what can't be kept."""
        return tuple([await self._collect_one(work, spec, each) for each in spec.outputs])

    async def _collect_one(self, work: Work, spec: JobSpec, output: OutputSpec) -> CollectedOutput:
        inner = output_folder(spec.outputs, output.name)
        files = await self._find(inner, "")
        return await self._bring(work, output, files, (inner,) if inner else ())

    async def collect_tasks(
        self, work: Work, spec: JobSpec, runs: Sequence[TaskRun]
    ) -> TaskOutputs:
        """Bring the outputs of tasks, those of one lease as one part.

        A task whose files can't be kept is refused alone.
        """
        told = TaskOutputs()
        good: dict[int, dict[TaskRun, dict[str, list[_File]]]] = {}
        for run in runs:
            try:
                files = {
                    output.name: await self._find(
                        f"{run.name}/{output_folder(spec.outputs, output.name)}".rstrip("/"),
                        f"{run.index}/",
                    )
                    for output in spec.outputs
                }
            except BadOutput as error:
                told.refused[run] = error.message
                continue
            good.setdefault(run.lease, {})[run] = files
        for found in good.values():
            await self._bring_part(work, spec, found, told)
        return told

    async def _bring_part(
        self,
        work: Work,
        spec: JobSpec,
        found: dict[TaskRun, dict[str, list[_File]]],
        told: TaskOutputs,
    ) -> None:
        outputs = []
        try:
            for output in spec.outputs:
                inner = output_folder(spec.outputs, output.name)
                wrote = [run for run, files in found.items() if files[output.name]]
                files = [file for run in wrote for file in found[run][output.name]]
                folders = [f"{run.name}/{inner}".rstrip("/") for run in wrote]
                outputs.append(await self._bring(work, output, files, folders))
        except BadOutput as error:
            runs = list(found)
            if len(runs) == 1:
                told.refused[runs[0]] = error.message
                return
            # One of them is to blame: halve until it is found, and keep the others.
            for some in (runs[: len(runs) // 2], runs[len(runs) // 2 :]):
                await self._bring_part(work, spec, {run: found[run] for run in some}, told)
            return
        digest = await self._send_part(work, spec, tuple(outputs))
        told.parts.update(dict.fromkeys(found, digest))

    async def _send_part(
        self, work: Work, spec: JobSpec, outputs: tuple[CollectedOutput, ...]
    ) -> str:
        """Put the document beside the files of the first output, named by its contents too."""
        data = encode_outputs(outputs).encode()
        digest = hashlib.sha256(data).hexdigest()
        path = await finish(self._folder.write_part, digest, data)
        try:
            part = _File(FoundFile(path.name, len(data), digest), path.name)
            await self._send(work, path.parent, spec.outputs[0].name, [part])
        finally:
            await finish(path.unlink)
        return digest

    async def _find(self, inside: str, prefix: str) -> list[_File]:
        root = self._folder.output / inside if inside else self._folder.output
        found = await finish(find_files, root, self._limit_items)
        below = f"{inside}/" if inside else ""
        return [_File(replace(each, path=below + each.path), prefix + each.path) for each in found]

    async def _bring(
        self, work: Work, output: OutputSpec, files: list[_File], inside: Sequence[str]
    ) -> CollectedOutput:
        """Describe files and send them; those in the folders `inside` (none: all there are)."""
        if not files:
            return CollectedOutput(output.name, (), output.format or "EMPTY")
        # Described before anything is uploaded: what can't be kept costs no transfer.
        try:
            format_, domain = await self._describe(output, inside)
        except HeadraceError as error:
            if error.retryable:
                raise
            raise BadOutput(f"output {output.name!r}: {error.message}", hint=error.hint) from None
        items = await self._send(work, self._folder.output, output.name, files)
        return CollectedOutput(output.name, items, format_, domain)

    async def _describe(
        self, output: OutputSpec, inside: Sequence[str]
    ) -> tuple[str, dict[str, object]]:
        if output.format == _GENERIC:  # nothing is read of it: no process has to be started
            return output.format, {}
        return await self._detect(self._folder.output, output.format, inside)

    async def keep_partials(self, work: Work, spec: JobSpec, limit_bytes: int) -> str:
        """Bring what a failed attempt had written, to be looked at; tells what was left out.

        Smaller files first, up to `limit_bytes` together.
        """
        self._sent.clear()  # by the keys of whole outputs
        left, out = limit_bytes, []
        for output in spec.outputs:
            try:
                found = await self._find(output_folder(spec.outputs, output.name), "")
            except BadOutput as error:
                out.append(error.message)
                continue
            files = []
            for file in sorted(found, key=lambda file: file.found.size_bytes):
                if file.found.size_bytes > left:
                    break
                left -= file.found.size_bytes
                files.append(file)
            if len(files) < len(found):
                out.append(f"of {output.name!r} {len(found) - len(files):,} files are too large")
            for start in range(0, len(files), _GRANTS_AT_ONCE):
                some = files[start : start + _GRANTS_AT_ONCE]
                await self._send(work, self._folder.output, output.name, some, self._data.partials)
                named = [(output.name, replace(file.found, path=file.path)) for file in some]
                await self._data.keep_partials(work, named)
        return "; ".join(out)

    async def _send(
        self,
        work: Work,
        root: Path,
        output: str,
        files: Sequence[_File],
        ask: _Ask | None = None,
    ) -> tuple[CollectedItem, ...]:
        """Put files of an output; those that an earlier try put are not sent again."""
        ask = ask or self._data.outputs
        # In turns: grants of 100,000 files at once would be no longer valid when they are used.
        for start in range(0, len(files), _GRANTS_AT_ONCE):
            turn = [
                file
                for file in files[start : start + _GRANTS_AT_ONCE]
                if (output, file.found) not in self._sent
            ]
            asked = [(output, replace(file.found, path=file.path)) for file in turn]
            grants = await ask(work, asked)
            for file, named, granted in zip(turn, asked, grants, strict=True):

                async def renew(old: Grant, named: tuple[str, FoundFile] = named) -> Grant:
                    return (await ask(work, [named], old.upload))[0].grant

                await send_file(root, file.found, granted.grant, renew, self._transfers)
                self._sent[output, file.found] = granted.key
        return tuple(
            CollectedItem(
                file.path,
                file.found.size_bytes,
                file.found.sha256,
                self._sent[output, file.found],
            )
            for file in files
        )

    def forget(self, runs: Sequence[TaskRun]) -> None:
        """Drop what is remembered of sent files of tasks that are reported."""
        names = {run.name for run in runs}
        for output, found in list(self._sent):
            if found.path.partition("/")[0] in names:
                del self._sent[output, found]
