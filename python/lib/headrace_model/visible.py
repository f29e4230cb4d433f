"""Who may see what, as the keys of readers.

What somebody owns or shares stands under one key a reader; a user looks under their own keys. An
index by these keys never touches what others keep to themselves, however much that is.
"""

from collections.abc import Iterable

from headrace_model.people import EVERYONE, Share, User, named_as

Readers = frozenset[str]

_OWNER = "owner:"
_MAKER = "maker:"


def readers_of(owner: str, shared: Iterable[Share], *, made: bool = False) -> Readers:
    """The keys under which a thing stands: of its owner, and of all it is shared with; and where
    a job of the owner `made` it, of its maker.
    """
    maker = (f"{_MAKER}{owner}",) if made else ()
    return frozenset((f"{_OWNER}{owner}", *maker, *(share.who for share in shared)))


def maker_key(owner: str) -> Readers:
    """The key under which somebody finds what their own jobs made, and nothing else."""
    return frozenset((f"{_MAKER}{owner}",))


def reader_keys(user: User) -> Readers:
    """The keys under which a user finds what they own, and what is shared with them.

    An admin's keys are no more than these: seeing everything is no reason to use it.
    """
    return named_as(user.name, user.groups) | {f"{_OWNER}{user.name}", EVERYONE}


def own_first(readers: Readers) -> list[str]:
    """The keys in order: what one owns, what groups and single users share, what all may see."""
    return sorted(readers, key=lambda key: (key == EVERYONE, not key.startswith(_OWNER), key))
