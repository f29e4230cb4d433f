"""Which networks of attempts the cluster agent removes."""

from headrace_cluster.core.networks import over
from headrace_model.ids import JobId
from headrace_model.service import AttemptNetwork, Service, service_name

ONE = AttemptNetwork(JobId("0000000000000001"), 1, "n1")
TWO = AttemptNetwork(JobId("0000000000000001"), 11, "n2")


def service(of: AttemptNetwork, rank: int) -> Service:
    return Service("s", service_name(of.job, of.attempt, rank), "node1", "epoch")


def test_what_no_node_has_a_record_of_goes() -> None:
    assert over([ONE, TWO], [], [], any_lost=False) == [ONE, TWO]
    assert over([ONE, TWO], [], [ONE.run], any_lost=False) == [TWO]


def test_a_service_keeps_its_network() -> None:
    assert over([ONE, TWO], [service(TWO, 12)], [], any_lost=False) == [ONE]
    assert over([ONE, TWO], [service(ONE, 0)], [], any_lost=False) == [TWO]


def test_while_a_node_is_lost_all_stay_since_its_workers_may_live() -> None:
    assert over([ONE, TWO], [], [], any_lost=True) == []
