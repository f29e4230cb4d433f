"""The hydrofabrics that are known: which catchments ALL of a fabric means, to whom.

A fabric tells its ids only to those who may see the dataset that lists them. Of several datasets
of one name the newest counts, one's own before what others share.
"""

from collections import ChainMap
from collections.abc import Iterator

from headrace_data.core.describing import fabric_ids
from headrace_data.core.entry import FABRIC_INDEXES, Fabrics
from headrace_model.dataset import Category, Dataset
from headrace_model.domain import Discrete, Index
from headrace_model.ids import DatasetId
from headrace_model.visible import Readers, own_first, readers_of

_Name = tuple[Index, str]


class KnownFabrics:
    """Fabrics by the key of the reader. Not safe across threads."""

    def __init__(self) -> None:
        self._known: dict[DatasetId, Dataset] = {}
        self._ids: dict[str, dict[_Name, frozenset[str]]] = {}

    def learn(self, dataset: Dataset) -> None:
        """Learn the ids of a fabric; a dataset that lists none is passed over."""
        if dataset.category is Category.HYDROFABRIC and any(_names(dataset)):
            self._known[dataset.id] = dataset
            self._again(dataset)

    def forget(self, dataset: DatasetId) -> None:
        """Forget what a dataset told; one that told nothing is already forgotten."""
        known = self._known.pop(dataset, None)
        if known is not None:
            self._again(known)

    def seen_by(self, readers: Readers) -> Fabrics:
        """The fabrics that somebody may see."""
        found = [self._ids[key] for key in own_first(readers) if key in self._ids]
        return ChainMap(*found)

    def _again(self, changed: Dataset) -> None:
        """Choose anew under every name and reader of a dataset: fabrics are few."""
        for reader in readers_of(changed.owner, changed.shared):
            for name, _ in _names(changed):
                told = [
                    (each.created_ms, each.version, each.id, ids)
                    for each in self._known.values()
                    if reader in readers_of(each.owner, each.shared)
                    for other, ids in _names(each)
                    if other == name
                ]
                if told:
                    newest = max(told, key=lambda each: each[:3])
                    self._ids.setdefault(reader, {})[name] = newest[3]
                    continue
                left = self._ids.get(reader, {})
                left.pop(name, None)
                if not left:
                    self._ids.pop(reader, None)


def _names(dataset: Dataset) -> Iterator[tuple[_Name, frozenset[str]]]:
    """Each name of the one fabric that a dataset lists, with the ids of its catchments."""
    ids = fabric_ids(dataset.domain)
    for index in FABRIC_INDEXES:
        named = dataset.domain.get(index)
        if ids and isinstance(named, Discrete) and len(named.values) == 1:
            (name,) = named.values
            yield (index, name), ids
