"""What a dataset is when it is sealed: what was declared and what its files hold, merged."""

from headrace_data.errors import DomainMismatch
from headrace_model.domain import (
    ALL,
    Discrete,
    Domain,
    Index,
    Restriction,
    contains,
    describe,
    lacking,
)

GENERIC = "GENERIC"  # the format of files that no reader knows


def merged_format(declared: str | None, detected: str | None) -> str:
    """The format to seal; raises `DomainMismatch` where both are known and differ."""
    if declared in (None, GENERIC):
        return detected or GENERIC
    if detected not in (None, "", GENERIC, declared):
        raise DomainMismatch(
            f"the files are {detected}, not {declared} as declared",
            hint=f"declare {detected}, or put other files into the dataset",
        )
    return str(declared)


def merged_domain(declared: Domain, detected: Domain) -> Domain:
    """What both name must agree: all that was declared must be in the files. The files' own
    restriction is kept then; what the files don't tell is taken from the declaration.

    Raises `DomainMismatch`, which names the first index that doesn't agree.
    """
    restrictions = dict(detected.restrictions)
    for index, said in declared.restrictions:
        found = restrictions.get(index)
        if found is None:
            restrictions[index] = said
        elif not contains(found, said):
            raise _mismatch(index, said, found)
    return Domain.of(restrictions)


def united_domain(parts: list[Domain]) -> Domain:
    """What files from several nodes cover together, claiming nothing that none of them has.

    Where the parts differ in one index they are united; where they differ in more, or one says
    nothing of an index, the indexes that differ are left out.
    """
    whole = parts[0] if parts else Domain()
    for part in parts[1:]:
        joined = whole.unite(part)
        if joined is None:
            joined = Domain.of(
                {index: have for index, have in whole.restrictions if part.get(index) == have}
            )
        whole = joined
    return whole


def fabric_ids(domain: Domain) -> frozenset[str] | None:
    """The catchment ids that a hydrofabric lists; None if the domain lists none."""
    ids = domain.get(Index.CATCHMENT_ID)
    return ids.values if isinstance(ids, Discrete) else None


def _mismatch(index: Index, said: Restriction, found: Restriction) -> DomainMismatch:
    lack = lacking(said, found)
    text = f"{index} was declared as {describe(said)}, but the files hold {describe(found)}"
    if lack is not None and lack is not ALL:
        text += f": {describe(lack)} is missing"
    return DomainMismatch(
        text,
        hint=f"leave {index} out of the declaration (it is read from the files), or complete them",
    )
