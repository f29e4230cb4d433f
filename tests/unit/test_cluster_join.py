"""Who is let in: the machine that the swarm knows by that name, if it has no credentials yet."""

import pytest

from headrace_cluster.core.join import refuse_join
from headrace_model.errors import InvalidInput
from headrace_model.node import JoinRequest
from headrace_model.service import Member

MINE, OTHER = "a" * 64, "b" * 64
MEMBERS = (
    Member("id1", "Node1.example.org", True),
    Member("id2", "node2", True),
    Member("id3", "node3", False),
    Member("id4", "twin", True),
    Member("id5", "twin.example.org", True),
)


@pytest.mark.parametrize(
    ("node", "member", "known", "why"),
    [
        ("node1", "id1", None, None),
        ("node1.example.org", "id1", None, None),
        ("node2", "id2", [OTHER, MINE], None),  # a repeat
        ("node2", "id2", [OTHER], "has credentials"),
        ("node2", "id2", [], "has credentials"),
        ("node2", "id1", None, "is not the machine 'id1'"),
        ("node9", "id1", None, "is not the machine"),
        ("node2", "", None, "is not the machine"),
        ("node3", "id3", None, "is not ready"),
        ("twin", "id4", None, "2 machines"),
    ],
)
def test_a_machine_is_let_in_only_as_what_the_swarm_knows_it(
    node: str, member: str, known: list[str] | None, why: str | None
) -> None:
    said = refuse_join(JoinRequest(node, member, MINE), MEMBERS, known)
    assert (said is None) if why is None else why in str(said)


@pytest.mark.parametrize(
    ("node", "digest"), [("*", MINE), ("a b", MINE), ("", MINE), ("n", "x" * 64), ("n", "A" * 64)]
)
def test_a_request_without_sense_is_none(node: str, digest: str) -> None:
    with pytest.raises(InvalidInput):
        JoinRequest(node, "id1", digest)
