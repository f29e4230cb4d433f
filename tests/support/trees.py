"""Drainage trees of any size, for tests and benchmarks: the same seed gives the same tree."""

from random import Random


def drainage_tree(
    count: int, seed: int = 1
) -> tuple[dict[str, str], dict[str, str], dict[str, float]]:
    """Catchments, nexuses and areas (km2) of a river in which no more than two meet at a nexus.

    It grows from its outlet, cat-1, mostly at its youngest ends, so that it has long arms as
    rivers have. Ids are given as it grows; the catchments stand in the order of their ids.
    """
    rng = Random(seed)  # noqa: S311 - chance of a test must be the same each time
    ends = [1, 1]
    below = {1: 0}
    for number in range(2, count + 1):
        oldest = max(0, len(ends) - 400) if rng.random() < 0.9 else 0
        at = rng.randrange(oldest, len(ends))
        below[number] = ends[at]
        ends[at] = ends[-1]
        ends[-1:] = [number, number]
    catchments = {f"cat-{number}": f"nex-{to}" for number, to in below.items()}
    nexuses = {f"nex-{to}": f"wb-{to}" for to in sorted(set(below.values()))}
    areas = {id_: rng.lognormvariate(2, 0.6) for id_ in catchments}
    return catchments, nexuses, areas
