"""What the agents found becomes the same datasets however often it is decided, or a refusal."""

import re
from dataclasses import replace

import pytest

from headrace_data.core.collecting import Refused, manifests, part_fact
from headrace_data.core.keys import output_key
from headrace_model.array import OutputPart, Span
from headrace_model.dataset import Category, Manifest, Origin
from headrace_model.domain import Domain, Index
from headrace_model.ids import DatasetId, JobId, NodeId, check_name
from headrace_model.job import Ask, Job
from headrace_model.outputs import output_name
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Paradigm, Resources
from headrace_model.spec import OutputSpec
from headrace_model.status import Desired, Status
from headrace_model.work import CollectedItem, CollectedOutput, Fact, FactKind

JOB = JobId("01k3m5p7q9r1s3t5")
ONE, TWO = NodeId("one"), NodeId("two")
SHA = "a" * 64


def _job() -> Job:
    return Job(
        id=JOB, owner="ann", name="run", kind="command", spec="", version=3, attempt=2,
        status=Status.AWAITING_COLLECTION, desired=Desired.RUN, retries=1, priority=50, rank=0.0,
        created_ms=1, entered_ms=77, ask=Ask(Resources(1, 1), Paradigm.SINGLE_NODE, "process"),
        needs=frozenset(), after=(), parents=(), origin=None, request_id="", allocation=None,
        cause=None, exit_code=None, detail="", fulfilments="", outputs="",
    )  # fmt: skip


def _output(format_: str = "CSV", **domain: object) -> OutputSpec:
    return OutputSpec("flow", Category.OUTPUT, format_, Domain.from_plain(domain))


def _fact(node: NodeId, *paths: str, format_: str = "", **domain: object) -> Fact:
    key = output_key(JOB, 2, "flow", SHA)
    items = tuple(CollectedItem(path, 1, SHA, key) for path in paths)
    found = CollectedOutput("flow", items, format_, domain)
    return Fact(node, JOB, 2, FactKind.COLLECTED, outputs=(found,))


def _one(output: OutputSpec, *facts: Fact) -> Manifest:
    met = (Fulfilment("f", (DatasetId("b"), DatasetId("a")), Index.TIME, ""),)
    (manifest,) = manifests(_job(), [output], facts, met)
    assert manifests(_job(), [output], facts, met)[0].canonical_bytes == manifest.canonical_bytes
    return manifest


def test_a_dataset_tells_where_it_comes_from() -> None:
    dataset = _one(_output(DATA_ID="x"), _fact(ONE, "q")).dataset
    assert dataset.name == f"run-flow-{JOB}"
    assert dataset.origin == Origin(JOB, 2)
    assert dataset.derived_from == ("a", "b")
    assert (dataset.created_ms, dataset.owner, dataset.output) == (77, "ann", "flow")


def test_nodes_that_differ_in_one_index_are_united() -> None:
    manifest = _one(
        _output(),
        _fact(ONE, "1", GAUGE_ID="g1", DATA_ID="d"),
        _fact(TWO, "2", GAUGE_ID="g2", DATA_ID="d"),
    )
    assert manifest.dataset.domain == Domain.from_plain({"GAUGE_ID": ["g1", "g2"], "DATA_ID": "d"})
    assert [item.path for item in manifest.items] == ["1", "2"]


def test_nodes_that_differ_in_more_claim_only_what_all_have() -> None:
    manifest = _one(
        _output(),
        _fact(ONE, "1", GAUGE_ID="g1", DATA_ID="d1"),
        _fact(TWO, "2", GAUGE_ID="g2", DATA_ID="d2"),
    )
    assert manifest.dataset.domain == Domain()


@pytest.mark.parametrize(
    ("output", "facts", "sentence"),
    [
        (_output(), (_fact(ONE),), "'flow' has no file; nothing was written"),
        (_output(), (_fact(ONE, "q"), _fact(TWO, "q")), "nodes one and two both wrote 'q'"),
        (_output("CSV"), (_fact(ONE, "q", format_="NETCDF"),), "are NETCDF, not CSV"),
        (_output(GAUGE_ID="g"), (_fact(ONE, "q", GAUGE_ID="h"),), "declared as g"),
        (_output(), (_fact(ONE, "../q"),), "can't be the path of an item"),
        (_output(), (_fact(ONE, "a", "a/b"),), "can't be an item and the folder"),
        (_output(), (_fact(ONE, "q", TIME="soon"),), "TIME is a pair"),
    ],
)
def test_what_can_not_be_sealed_is_refused(
    output: OutputSpec, facts: tuple[Fact, ...], sentence: str
) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        _one(output, *facts)


def test_an_item_that_lies_elsewhere_is_refused() -> None:
    item = CollectedItem("q", 1, SHA, output_key(JOB, 1, "flow", SHA))
    fact = Fact(ONE, JOB, 2, FactKind.COLLECTED, outputs=(CollectedOutput("flow", (item,), ""),))
    with pytest.raises(Refused, match="not put where it was granted"):
        _one(_output(), fact)


@pytest.mark.parametrize(("job", "output"), [("r" * 128, "flow"), ("r", "o" * 128), ("r.", "o")])
def test_names_of_outputs_are_always_names(job: str, output: str) -> None:
    name = output_name(job, output, JOB)
    assert check_name(name, "dataset").endswith(f"-{JOB}")


def test_long_names_of_two_outputs_stay_two() -> None:
    long = "o" * 127
    assert output_name("r", long + "1", JOB) != output_name("r", long + "2", JOB)


ARRAY = replace(_job(), ask=replace(_job().ask, tasks=10))


def _part(spans: tuple[Span, ...], *paths: str, **domain: object) -> Fact:
    key = output_key(JOB, 1, "flow", SHA)  # whichever attempt it was
    items = tuple(CollectedItem(path, 1, SHA, key) for path in paths)
    found = CollectedOutput("flow", items, "CSV", domain)
    return part_fact(ARRAY, ONE, OutputPart("d", spans), [found])


def test_the_parts_of_an_array_make_one_dataset_of_the_tasks_that_each_counts_for() -> None:
    (manifest,) = manifests(
        ARRAY,
        [_output()],
        [
            _part(((0, 2), (4, 5)), "0/a", "1/a", "3/late", "4/b/c", GAUGE_ID="g1"),
            _part(((3, 4),), "3/a", "9/late", GAUGE_ID="g2"),
            _part(((5, 6),), "6/late", "x/strange"),  # none of its files counts
        ],
        (),
    )
    assert [item.path for item in manifest.items] == ["0/a", "1/a", "3/a", "4/b/c"]
    assert manifest.dataset.domain == Domain.from_plain({"GAUGE_ID": ["g1", "g2"]})
    assert manifest.dataset.id == f"{JOB}.1.flow", "of the first attempt, which later ones add to"
    assert manifest.dataset.origin == Origin(JOB, 2)


def test_an_array_without_any_file_is_refused() -> None:
    with pytest.raises(Refused, match="has no file"):
        manifests(ARRAY, [_output()], [_part(((0, 9),))], ())
