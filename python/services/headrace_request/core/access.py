"""Who may see and do what: the one place that decides."""

from dataclasses import dataclass
from enum import StrEnum


class UserRole(StrEnum):
    """What a user may do. An ADMIN sees and does everything."""

    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A known user, as a token named them."""

    name: str
    role: UserRole


def may_see(user: User, owner: str) -> bool:
    """Tell whether the user may see, and act on, what `owner` owns."""
    return user.role is UserRole.ADMIN or user.name == owner
