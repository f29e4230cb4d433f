"""Kinds: placeholders, the command kind's expansion, the registry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_kinds.base import Target, output_folder
from headrace_kinds.command import CommandKind, environment_key
from headrace_kinds.placeholders import check_template, names_in, render
from headrace_kinds.registry import all_kinds, kind_named
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import PathInput, Requirement
from headrace_model.spec import ArraySpec, Environment, JobSpec, OutputSpec

TARGET = Target(python="3.11", platform="linux_x86_64")
FORCING = Requirement(
    "forcing",
    Category.FORCING,
    "PRMS_NETCDF",
    Domain.of({Index.DATA_ID: Discrete(frozenset("a"))}),
)


def job(*command: str, **parts: object) -> JobSpec:
    return JobSpec(kind="command", name="test", command=command, **parts)  # type: ignore[arg-type]


def test_placeholders_are_replaced_and_doubled_braces_are_braces() -> None:
    text = render(
        "--in={forcing}/x --json={{a: {output}}} ${{HOME}}", {"forcing": "/f", "output": "/o"}
    )
    assert text == "--in=/f/x --json={a: /o} ${HOME}"


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    assert render("{item}", {"item": "{output}{{"}) == "{output}{{"


@given(st.text())
def test_any_text_passes_when_its_braces_are_doubled(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}ab ", max_size=12))
def test_a_template_that_passes_the_check_can_be_rendered(template: str) -> None:
    try:
        check_template(template, ("a", "b"))
    except InvalidSpec:
        with pytest.raises(InvalidSpec):
            render(template, {"a": "1", "b": "2"})
    else:
        assert set(names_in(template)) <= {"a", "b"}
        render(template, {"a": "1", "b": "2"})


def test_an_unknown_placeholder_names_the_known_ones() -> None:
    (wrong,) = CommandKind().check(job("run", "{forcng}", inputs=(FORCING,)))
    assert wrong.path == "command[1]"
    assert "did you mean forcing? known are {output}, {forcing}" in wrong.reason


def test_all_wrong_placeholders_are_told_at_once() -> None:
    spec = job("run", "{a}", "{", env=(("A", "{b}"),))
    assert [each.path for each in CommandKind().check(spec)] == [
        "command[1]",
        "command[2]",
        "env.A",
    ]


def test_a_local_path_counts_as_an_input() -> None:
    assert CommandKind().check(job("run", "{extra}", inputs=(PathInput("extra", "./x"),))) == ()


@pytest.mark.parametrize(
    ("array", "known"),
    [
        (ArraySpec(), ()),
        (ArraySpec(count=2), ("index",)),
        (ArraySpec(items=("a",)), ("index", "item")),
        (ArraySpec(matrix=(("x", ("1",)), ("y", ("2",)))), ("index", "x", "y")),
    ],
)
def test_the_placeholders_of_a_task_depend_on_its_array(
    array: ArraySpec, known: tuple[str, ...]
) -> None:
    for name in ("index", "item", "x", "y"):
        wrong = CommandKind().check(job("run", f"{{{name}}}", array=array))
        assert bool(wrong) == (name not in known)


def test_a_command_is_needed() -> None:
    assert [each.path for each in CommandKind().check(job())] == ["command"]
    assert [each.path for each in CommandKind().check(job(""))] == ["command[0]"]


def test_a_command_expands_to_its_inputs_its_worker_and_its_outputs() -> None:
    output = OutputSpec("flow", Category.OUTPUT, "CSV", Domain())
    spec = job("run", "{forcing}", inputs=(FORCING,), outputs=(output,), env=(("A", "{output}"),))
    expansion = CommandKind().expand(spec, TARGET)
    assert expansion.requirements == (FORCING,)
    assert expansion.worker.command == ("run", "{forcing}")
    assert expansion.worker.env == (("A", "{output}"),)
    assert expansion.outputs == (output,)


def test_an_environment_is_one_more_requirement() -> None:
    spec = job("run", inputs=(FORCING,), environment=Environment(("numpy==2.1.0",)))
    implicit = CommandKind().expand(spec, TARGET).requirements[1]
    key = environment_key(("numpy==2.1.0",), "3.11", "linux_x86_64")
    assert (implicit.name, implicit.category, implicit.format) == (
        "environment",
        Category.CONFIG,
        "PIP_LOCK",
    )
    assert implicit.domain == Domain.of({Index.DATA_ID: Discrete(frozenset({key}))})


def test_an_environments_key_tells_contents_apart_and_nothing_else() -> None:
    key = environment_key(("a==1", "b==2"), "3.11", "linux_x86_64")
    assert key == environment_key(("b==2 ", "a==1", "a==1"), "3.11", "linux_x86_64")
    others = {
        environment_key(("a==1",), "3.11", "linux_x86_64"),
        environment_key(("a==1", "b==2"), "3.12", "linux_x86_64"),
        environment_key(("a==1", "b==2"), "3.11", "linux_aarch64"),
        environment_key(("a==1b==2",), "3.11", "linux_x86_64"),
    }
    assert len(others | {key}) == 5


def test_an_environments_key_is_the_same_in_every_process() -> None:
    # The order of a set changes with the process: only a fixed value shows that ours does not.
    assert environment_key(tuple("hgfedcba"), "3.11", "linux_x86_64") == (
        "5a90f6b2b3feb140728f1c9a86e8b053fd4cdd67aaa23d1b9bc056511c20d4be"
    )


def test_one_output_lies_in_the_root_and_several_in_folders_of_their_names() -> None:
    one = OutputSpec("flow", Category.OUTPUT, "CSV", Domain())
    two = OutputSpec("state", Category.OUTPUT, "CSV", Domain())
    assert output_folder((one,), "flow") == ""
    assert [output_folder((one, two), name) for name in ("flow", "state")] == ["flow", "state"]
    with pytest.raises(KeyError):
        output_folder((one,), "state")


def test_every_kind_is_found_by_its_name_with_dashes_or_underscores() -> None:
    for name in all_kinds():
        assert kind_named(name).name == kind_named(name.replace("-", "_")).name == name


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(InvalidSpec, match="'comand' is not a kind; did you mean command"):
        kind_named("comand")
    with pytest.raises(InvalidSpec, match=r"known are .*command"):
        kind_named("quux")


def test_the_tasks_of_a_matrix_are_all_combinations_each_once() -> None:
    array = ArraySpec(matrix=(("a", ("1", "2")), ("b", ("x", "y", "z"))))
    points = [array.values_of(at) for at in range(array.tasks)]
    assert array.tasks == 6
    assert [(each["index"], each["a"], each["b"]) for each in points[:4]] == [
        ("0", "1", "x"), ("1", "1", "y"), ("2", "1", "z"), ("3", "2", "x"),
    ]  # fmt: skip
    assert len({(each["a"], each["b"]) for each in points}) == 6
    with pytest.raises(IndexError):
        array.values_of(6)
