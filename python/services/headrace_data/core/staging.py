"""Where the items of fulfilments lie beside a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace_model.dataset import Dataset, Item, Manifest
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment


@dataclass(frozen=True, slots=True)
class Staged:
    """One requirement: its items, each with its path below the requirement's folder.

    `datasets`: whose they are, as (dataset, so many of the items that follow).
    """

    name: str
    items: tuple[tuple[str, Item], ...]
    datasets: tuple[tuple[DatasetId, int], ...]


def layout(
    fulfilments: Sequence[Fulfilment], manifests: Mapping[DatasetId, Manifest]
) -> tuple[Staged, ...]:
    """One dataset lies in the folder itself; of a union each in a folder of the dataset's name,
    with its version where two have the same name.
    """
    return tuple(
        Staged(
            each.requirement,
            tuple(
                (f"{prefix}{item.path}", item)
                for prefix, manifest in _parts(each, manifests)
                for item in manifest.items
            ),
            tuple((one, len(manifests[one].items)) for one in each.datasets),
        )
        for each in fulfilments
    )


def _parts(
    fulfilment: Fulfilment, manifests: Mapping[DatasetId, Manifest]
) -> list[tuple[str, Manifest]]:
    parts = [manifests[one] for one in fulfilment.datasets]
    if len(parts) == 1:
        return [("", parts[0])]
    names = [part.dataset.name for part in parts]
    return [(f"{_folder(part.dataset, names)}/", part) for part in parts]


def _folder(dataset: Dataset, names: Sequence[str]) -> str:
    twice = names.count(dataset.name) > 1
    return f"{dataset.name}@{dataset.version}" if twice else dataset.name
