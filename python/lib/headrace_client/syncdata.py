"""Datasets of the client that waits (sync.py): handles for one, for lists, for a job's outputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from headrace_client import html
from headrace_client.api import AsyncClient
from headrace_client.background import Background
from headrace_client.localfiles import files_at
from headrace_client.transferplan import Plan
from headrace_wire.api import JobView
from headrace_wire.lineage import DEPTH, NODES, LineageView

T = TypeVar("T")


class Listing(tuple[T, ...]):
    """Several things; a notebook shows them as a table."""

    __slots__ = ()
    _html: Callable[[Sequence[Any]], str]

    def _repr_html_(self) -> str:
        return type(self)._html(self)


class Dataset:
    """A dataset. `view` is what the server said of it (docs/rest.md)."""

    def __init__(self, background: Background, view: Mapping[str, Any]) -> None:
        self._background = background
        self.view = view

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.view["id"])

    @property
    def name(self) -> str:
        """Its name and version: `name@N`."""
        return f"{self.view['name']}@{self.view['version']}"

    def lineage(self, *, depth: int = DEPTH, limit: int = NODES) -> LineageView:
        """What it came from and what came of it, `depth` jobs each way, at most `limit` nodes."""
        return self._background.call(
            lambda client: client.datasets.lineage(self.id, depth=depth, limit=limit)
        )

    def items(self) -> tuple[Mapping[str, Any], ...]:
        """Its files: {path, size_bytes, sha256}."""

        async def read(client: AsyncClient) -> tuple[Mapping[str, Any], ...]:
            return tuple([item async for item in client.datasets.items(self.id)])

        return self._background.call(read)

    def upload(self, *paths: Path | str, exclude: Sequence[str] = ()) -> Plan:
        """Upload files, folders or patterns while it is OPEN; what is there already is not sent.

        Gives what was done. `exclude` leaves out what fits: `["*.tmp"]`. Items that nobody names
        stay. Raises `InvalidInput`: a path is nothing.
        """
        files = files_at(paths, exclude)
        return self._background.call(lambda client: client.datasets.upload(self.id, files))

    def plan_upload(self, *paths: Path | str, exclude: Sequence[str] = ()) -> Plan:
        """Tell what `upload` would send."""
        files = files_at(paths, exclude)
        return self._background.call(lambda client: client.datasets.plan_upload(self.id, files))

    def download(self, folder: Path | str, *items: str, exclude: Sequence[str] = ()) -> Path:
        """Download its files, or `items` (paths, folders or patterns), and give the folder.

        What is whole there is kept, and so is what is no item.
        """
        into = Path(folder).expanduser()
        self._background.call(
            lambda client: client.datasets.download(self.id, into, wanted=items, exclude=exclude)
        )
        return into

    def plan_download(self, folder: Path | str, *items: str, exclude: Sequence[str] = ()) -> Plan:
        """Tell what `download` would fetch."""
        into = Path(folder).expanduser()
        return self._background.call(
            lambda client: client.datasets.plan_download(self.id, into, items, exclude)
        )

    def read(self, item: str) -> Iterator[bytes]:
        """Yield the bytes of one item; at the end its SHA-256 is compared."""
        return self._background.iterate(lambda client: client.datasets.read(self.id, item))

    def __repr__(self) -> str:
        return f"<Dataset {self.name} {self.view.get('state')}>"

    def _repr_html_(self) -> str:
        return html.dataset_html(self.view)


class Datasets(Listing[Dataset]):
    """Datasets, as they were when they were listed."""

    __slots__ = ()

    @staticmethod
    def _html(datasets: Sequence[Dataset]) -> str:
        return html.datasets_html([dataset.view for dataset in datasets])


class Outputs(Mapping[str, Dataset]):
    """The datasets that a job made, by the names of its outputs. `job` is the job's view."""

    def __init__(self, job: JobView, datasets: Mapping[str, Dataset]) -> None:
        self.job = job
        self._datasets = datasets

    def __getitem__(self, output: str) -> Dataset:
        return self._datasets[output]

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def download(self, folder: Path | str) -> dict[str, Path]:
        """Download each output into a folder of its own below `folder`; gives these, by output."""
        into = Path(folder).expanduser()
        return {name: dataset.download(into / name) for name, dataset in self.items()}

    def __repr__(self) -> str:
        named = ", ".join(f"{output}: {dataset.name}" for output, dataset in self.items())
        return f"<Outputs of {self.job.id}: {named or 'none'}>"

    def _repr_html_(self) -> str:
        return html.outputs_html({name: dataset.view for name, dataset in self.items()})
