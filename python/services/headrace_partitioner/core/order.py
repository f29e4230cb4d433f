"""Catchments in an order in which neighbours stand together: up the river before down.

Cutting the order in two cuts those edges whose upper end stands before the cut and whose lower end
behind it. They are the least where of several branches the one is written first that itself needs
most: this is the order in which an expression is computed with the fewest registers (R. Sethi and
J. D. Ullman, The generation of optimal code for arithmetic expressions, J. ACM 17, 1970, 715-728;
A. P. Ershov, 1958). On a drainage network the number needed is its Horton-Strahler order (P.
Flajolet, J. C. Raoult, J. Vuillemin, Theor. Comput. Sci. 9, 1979, 99-125): no cut costs more edges
than the order of the main river, 10 on Earth, however many catchments there are. (Where three
branches meet at once it may be one more for each above two.)
"""

from dataclasses import dataclass

from headrace_partitioner.core.drainage import NOWHERE, Drainage


@dataclass(frozen=True, slots=True)
class Order:
    """`catchments`: all of them, in order. `open[p]`: the edges that a cut behind p cuts.

    `open` has one entry more than there are catchments: p is 0 to n.
    """

    catchments: tuple[int, ...]
    open: tuple[int, ...]


def order_of(drainage: Drainage) -> Order:
    """Order the catchments; takes O(n log n) for n of them."""
    count = len(drainage.ids)
    above: list[list[int]] = [[] for _ in drainage.below]
    for node, below in enumerate(drainage.below):
        if below != NOWHERE:
            above[below].append(node)
    _neediest_first(drainage, above)
    found: list[int] = []
    opens = [0]
    now = 0
    for node in _upstream_first(drainage, above):
        now += (drainage.below[node] != NOWHERE) - len(above[node])
        if node < count:
            found.append(node)
            opens.append(now)
        else:  # an outlet goes with the catchment before it
            opens[-1] = now
    return Order(tuple(found), tuple(opens))


def _neediest_first(drainage: Drainage, above: list[list[int]]) -> None:
    """Sort the branches of each node by what they need, then by weight, then by number."""
    weights = [*drainage.weights, *(0 for _ in drainage.outlets)]
    needs = [1] * len(above)
    left = [len(branches) for branches in above]
    ready = [node for node, number in enumerate(left) if not number]
    while ready:
        node = ready.pop()
        branches = above[node]
        if branches:
            branches.sort(key=lambda each: (-needs[each], -weights[each], each))
            needs[node] = max(needs[each] + place for place, each in enumerate(branches))
            weights[node] += sum(weights[each] for each in branches)
        below = drainage.below[node]
        if below != NOWHERE:
            left[below] -= 1
            if not left[below]:
                ready.append(below)


def _upstream_first(drainage: Drainage, above: list[list[int]]) -> list[int]:
    """Each node behind all that flow to it, branch by branch."""
    stack = [node for node, below in enumerate(drainage.below) if below == NOWHERE]
    found: list[int] = []
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(above[node])
    found.reverse()  # downstream first and the last branch first, turned round
    return found
