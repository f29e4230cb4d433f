"""Plug-ins of third parties: objects that entry points of a group name."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TypeVar

from headrace_model.errors import InvalidInput

T = TypeVar("T")


def loaded(
    group: str, of: type[T], what: str, error: type[InvalidInput]
) -> Iterator[tuple[str, T]]:
    """Load the plug-ins of a group in the order of their names, each with what messages call it.

    Raises `error` for one that can't be used: leaving it out in silence would change what is
    found without it.
    """
    for point in sorted(entry_points(group=group), key=lambda each: each.name):
        title = f"the {what} plug-in {point.value}"
        try:
            plugin = point.load()
        except Exception as failure:  # a stranger's module may raise anything
            raise error(
                f"{title} can't be loaded: {failure!r}", hint="repair or uninstall it"
            ) from failure
        if not isinstance(plugin, of):
            raise error(f"{title} is not a {of.__module__}.{of.__name__}")
        yield title, plugin
