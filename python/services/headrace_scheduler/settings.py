"""Settings of the scheduler."""

from dataclasses import dataclass

from headrace_service.settings import CommonSettings


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the scheduler needs to know: nothing of its own yet."""
