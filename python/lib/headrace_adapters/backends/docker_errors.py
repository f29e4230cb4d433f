"""What the container engine's adapters raise besides our usual errors."""

from headrace_model.errors import HeadraceError


class Gone(HeadraceError):
    """The container or image is not there (any more)."""

    code = "CONTAINER_GONE"


class RegistryAway(HeadraceError):
    """A registry did not give an image for a while; another attempt may get it."""

    code = "REGISTRY_AWAY"
