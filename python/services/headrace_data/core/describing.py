"""What a dataset is when it is sealed: what was declared and what its files hold, merged."""

from headrace_data.errors import DomainMismatch
from headrace_model.dataset import Dataset
from headrace_model.domain import (
    ALL,
    Continuous,
    Discrete,
    Domain,
    Index,
    Restriction,
    contains,
    describe,
    lacking,
)
from headrace_model.errors import Conflict

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


def check_described(sealed: Dataset, format_: str | None, domain: Domain | None) -> None:
    """Refuse what a seal says of a dataset that is SEALED already, unless it says so itself.

    Raises `Conflict`.
    """
    other = format_ not in (None, GENERIC, sealed.format)
    if domain is not None:
        other = other or any(
            (has := sealed.domain.get(index)) is None or not contains(has, said)
            for index, said in domain.restrictions
        )
    if other:
        raise Conflict(
            f"dataset {sealed.title} is SEALED, and is described otherwise than you ask",
            hint=f"`headrace dataset info {sealed.title}` shows how; a new version may differ",
        )


def united_domain(parts: list[Domain]) -> Domain:
    """What files from several nodes cover together, claiming nothing that none of them has.

    Where the parts differ in one index they are united; where they differ in more, or one says
    nothing of an index, the indexes that differ are left out.
    """
    whole = parts[0] if parts else Domain()
    # Tasks by the ten thousand differ in one index: what they say of it is united at once,
    # as a union with each of them would copy the whole each time.
    grows: Index | None = None
    beside: list[Restriction] = []
    for part in parts[1:]:
        differing = _differing(whole, part)
        if not differing:
            continue
        index, said = differing[0], part.get(differing[0])
        if said is not None and len(differing) == 1 and index in whole and grows in (None, index):
            grows = index
            beside.append(said)
        else:
            whole, grows, beside = _joined(_grown(whole, grows, beside), part), None, []
    return _grown(whole, grows, beside)


def _differing(one: Domain, other: Domain) -> list[Index]:
    return [index for index in {*one, *other} if one.get(index) != other.get(index)]


def _grown(whole: Domain, grows: Index | None, beside: list[Restriction]) -> Domain:
    """The union of a domain with others that differ from it in one index."""
    if grows is None:
        return whole
    said = [each for index, each in whole.restrictions if index is grows] + beside
    if any(each is ALL for each in said):
        return whole.replacing(grows, ALL)
    names = [each.values for each in said if isinstance(each, Discrete)]
    spans = [pair for each in said if isinstance(each, Continuous) for pair in each.intervals]
    return whole.replacing(
        grows, Continuous.of(spans) if spans else Discrete(frozenset().union(*names))
    )


def _joined(whole: Domain, part: Domain) -> Domain:
    united = whole.unite(part)
    if united is not None:
        return united
    return Domain.of(
        {index: have for index, have in whole.restrictions if part.get(index) == have}
    )


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
