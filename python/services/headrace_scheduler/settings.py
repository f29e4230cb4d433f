"""Settings of the scheduler."""

from dataclasses import dataclass

from headrace_service.settings import CommonSettings, setting


@dataclass(frozen=True, slots=True)
class Settings(CommonSettings):
    """What the scheduler needs to know."""

    resources_file: str = setting(
        "A resources.yaml that says which nodes may be used, and how much of each; empty: all of "
        "all.",
        "",
    )
