"""The job file: what it means, what is refused and how, and that nothing is lost on the way."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_model.cause import RETRIED_BY_DEFAULT, RETRYABLE, Cause
from headrace_model.dataset import Category
from headrace_model.domain import ALL, Discrete, Domain, Index
from headrace_model.errors import InvalidInput, InvalidSpec
from headrace_model.ids import JobId
from headrace_model.requirement import PathInput, Requirement
from headrace_model.resources import Constraints, Paradigm, Resources
from headrace_model.spec import (
    ArraySpec,
    Checkpoint,
    Environment,
    FileSpec,
    JobSpec,
    Limits,
    OutputSpec,
    Parallel,
    ResourceSpec,
    Retry,
    Signal,
    Warn,
)
from headrace_model.units import MAX_DURATION_MS, MAX_MILLICPUS, MAX_SIZE_BYTES
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, dump_text, load_jobfile, load_jobtext
from headrace_wire.jsonschema import job_json_schema

GOLDEN = files("headrace_wire") / "golden"
EXAMPLE = (GOLDEN / "jobfile-1.yaml").read_text()
SMALL = {"headrace": 1, "kind": "command", "command": ["true"]}


def read_file(name: str) -> bytes:
    return {"run_prms.py": b"print('Delaware')\n", "sub/x.py": b"", "big": bytes(2**20 + 1)}[name]


def problems(source: str | dict[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(InvalidJobFile) as caught:
        load_jobfile(source, **options)
    return {each.path: each.message for each in caught.value.problems}


def problem(**keys: Any) -> dict[str, str]:
    return problems(SMALL | keys)


def test_the_example_of_the_design_gives_the_golden_canonical_form() -> None:
    spec = load_jobfile(EXAMPLE, read_file=read_file)
    assert dump(spec) == json.loads((GOLDEN / "jobfile-1.json").read_text())


def test_the_golden_canonical_form_is_still_read() -> None:
    golden = (GOLDEN / "jobfile-1.json").read_text()
    assert load_jobtext(golden) == load_jobfile(EXAMPLE, read_file=read_file)


def test_the_example_means_what_the_design_says() -> None:
    spec = load_jobfile(EXAMPLE, read_file=read_file)
    assert spec.resources == ResourceSpec(Resources(2000, 4 * 2**30), Paradigm.SINGLE_NODE)
    assert spec.limits == Limits(time_ms=1_800_000, grace_ms=10_000, exclusive=False)
    assert spec.retry == Retry(1, frozenset({Cause.NODE_LOST, Cause.STAGING}))
    assert [each.name for each in spec.requirements] == ["forcing"]
    assert spec.path_inputs == (PathInput("extra", "./mine"),)
    assert spec.files[0].content == b"print('Delaware')\n"
    assert spec.tasks == 1


def test_what_a_file_leaves_out_has_a_default() -> None:
    spec = load_jobfile("headrace: 1\nkind: command\ncommand: [date]\n")
    assert spec == JobSpec(kind="command", name="command", command=("date",))
    assert spec.retry.on == RETRIED_BY_DEFAULT
    assert spec.limits.grace_ms == 10_000
    assert spec.priority == 50


def test_null_says_the_same_as_leaving_a_key_out() -> None:
    keys = dict.fromkeys(("image", "inputs", "env", "array", "limits", "start_not_before"))
    assert load_jobfile(SMALL | keys) == load_jobfile(SMALL)


def names() -> st.SearchStrategy[str]:
    reserved = {"output", "index", "item", "environment"}
    return st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,6}[a-z0-9])?", fullmatch=True).filter(
        lambda name: name not in reserved
    )


TEXT = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=["Cc", "Zl", "Zp"],
        exclude_characters="\ufeff\ufffe\uffff",
    ),
    max_size=12,
)
LITERAL = TEXT.map(lambda text: text.replace("{", "{{").replace("}", "}}"))
DOMAINS = st.dictionaries(
    st.sampled_from([each for each in Index if each is not Index.TIME]),
    st.just(ALL) | st.frozensets(names(), min_size=1, max_size=3).map(Discrete),
    max_size=3,
).map(Domain.of)
FORMATS = st.sampled_from(["CSV", "PRMS_NETCDF"])


def made_file(pair: tuple[str, bytes]) -> FileSpec:
    return FileSpec(pair[0], hashlib.sha256(pair[1]).hexdigest(), pair[1])


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    members = sorted(draw(st.lists(names(), unique=True, max_size=6)))
    cut = draw(st.integers(0, len(members)))
    inputs = [
        draw(
            st.builds(PathInput, st.just(name), TEXT.filter(bool))
            | st.builds(
                Requirement, st.just(name), st.sampled_from(Category), st.none() | FORMATS, DOMAINS
            )
        )
        for name in members[:cut]
    ]
    outputs = [
        draw(st.builds(OutputSpec, st.just(name), st.sampled_from(Category), FORMATS, DOMAINS))
        for name in members
    ]
    axes = sorted(draw(st.sets(names(), min_size=1, max_size=2)) - set(members))
    values = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
    array = draw(
        st.builds(ArraySpec, count=st.integers(1, 10**7)) | st.builds(ArraySpec, items=values)
    )
    if axes and draw(st.booleans()):
        array = ArraySpec(matrix=tuple((axis, draw(values)) for axis in axes))
    paradigm = draw(st.sampled_from(Paradigm))
    cpus = draw(st.integers(1, MAX_MILLICPUS))
    image = draw(st.none() | st.just("registry.example:5000/a/b:1.2@sha256:" + "0" * 64))
    parallel = None
    if not array.is_array and (image or paradigm is Paradigm.SINGLE_NODE) and cpus >= 1000:
        parallel = draw(st.none() | st.sampled_from(Parallel))
        cpus -= cpus % 1000 if parallel else 0
    pip = Environment(("numpy==2.1.0; python_version>='3.11'",))
    env = draw(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,4}", fullmatch=True), LITERAL))
    travelling = draw(
        st.lists(st.tuples(names(), st.binary(max_size=9)), unique_by=lambda p: p[0])
    )
    spread = parallel and paradigm is not Paradigm.SINGLE_NODE
    lonely = not (array.is_array or spread)
    limit_ms = draw(st.none() | st.integers(1, MAX_DURATION_MS))
    warn = None
    if lonely and limit_ms and limit_ms > 1 and draw(st.booleans()):
        warn = Warn(draw(st.sampled_from(Signal)), draw(st.integers(1, limit_ms - 1)))
    kept = st.builds(Checkpoint, st.sampled_from(Signal)) if lonely else st.none()
    memory = draw(st.integers(2**20, MAX_SIZE_BYTES))
    raised = st.none() if array.is_array else st.none() | st.integers(memory, MAX_SIZE_BYTES)
    return JobSpec(
        kind="command",
        name=draw(names()),
        image=image,
        environment=None if image else draw(st.none() | st.just(pip)),
        command=(
            "run",
            *draw(st.lists(LITERAL, max_size=3)),
            *(f"{{{n}}}" for n in members[:cut]),
        ),
        files=tuple(made_file(pair) for pair in travelling),
        env=tuple(sorted(env.items())),
        secrets=tuple(draw(st.lists(names(), unique=True, max_size=3))),
        resources=ResourceSpec(Resources(cpus, memory), paradigm),
        limits=Limits(
            limit_ms,
            draw(st.integers(0, MAX_DURATION_MS)),
            draw(st.booleans()),
            warn,
        ),
        retry=Retry(
            draw(st.integers(0, 100)),
            draw(st.frozensets(st.sampled_from(sorted(RETRYABLE)))),
            draw(raised),
        ),
        after=tuple(draw(st.lists(st.just(JobId("0123456789abcdef")), max_size=1))),
        start_not_before_ms=draw(st.none() | st.integers(-(10**12), 10**14)),
        deadline_ms=draw(st.none() | st.integers(-(10**12), 10**14)),
        priority=draw(st.integers(0, 100)),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        array=array,
        parallel=parallel,
        checkpoint=draw(st.none() | kept) if "checkpoint" not in members else None,
    )


@settings(max_examples=60, deadline=None)
@given(specs())
def test_a_spec_survives_being_written_and_read(spec: JobSpec) -> None:
    assert load_jobfile(dump(spec)) == spec
    text = dump_text(spec)
    assert load_jobtext(text) == spec
    assert load_jobfile(text) == spec
    assert dump_text(load_jobtext(text)) == text


@settings(max_examples=20, deadline=None)
@given(specs())
def test_what_headrace_writes_fits_the_schema_for_editors(spec: JobSpec) -> None:
    jsonschema.Draft202012Validator(job_json_schema()).validate(dump(spec))


def test_the_schema_for_editors_is_valid_and_takes_the_example() -> None:
    schema = job_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    plain = json.loads((GOLDEN / "jobfile-1.json").read_text())
    plain |= {"files": ["run_prms.py"], "start_not_before": None, "array": {"count": 1}}
    jsonschema.validate(plain, schema)
    plain["resources"]["memroy"] = "4GiB"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, schema)


def test_several_problems_are_told_together_with_their_lines() -> None:
    text = "headrace: 1\nkind: comand\nresources:\n  memroy: 4GiB\nlimits: {time: 30}\n"
    with pytest.raises(InvalidJobFile) as caught:
        load_jobfile(text)
    assert [(each.path, each.line) for each in caught.value.problems] == [
        ("kind", 2),
        ("resources.memroy", 4),
        ("limits.time", 5),
    ]
    assert str(caught.value) == (
        "3 problems:\n"
        "  kind: 'comand' is not a kind; did you mean command? (line 2)\n"
        "  resources.memroy: unknown key; did you mean memory? (line 4)\n"
        "  limits.time: '30' has no unit; write for example 30s or 30m (line 5)"
    )


@pytest.mark.parametrize(
    ("keys", "path", "reason"),
    [
        ({"kind": 5}, "kind", "'5' is not a kind"),
        ({"nmae": "x"}, "nmae", "did you mean name?"),
        ({"qqqqqq": 1}, "qqqqqq", "known are after, array"),
        ({"name": "Upper"}, "name", "can't be the name of a job"),
        ({"image": "a b"}, "image", "not the name of an image"),
        ({"image": "name@sha256:12"}, "image", "with all 64 digits"),
        ({"environment": {"pip": []}}, "environment.pip", "is empty"),
        ({"environment": {"pip": ["-r x"]}}, "environment.pip[0]", "options of pip"),
        ({"environment": {"pip": ["a\n-r x"]}}, "environment.pip[0]", "not a requirement"),
        ({"environment": {}}, "environment.pip", "this key is missing"),
        ({"image": "a", "environment": {"pip": ["a"]}}, "environment", "not both"),
        ({"command": "python run.py"}, "command", "a list is expected, for example [python"),
        ({"command": []}, "command", "this kind needs one"),
        ({"command": ["a", 1.10]}, "command[1]", 'in quotes, so that it stays as it is: "1.1"'),
        ({"command": ["a", True]}, "command[1]", 'the bool true: write it in quotes'),
        ({"command": ["a", None]}, "command[1]", "not null"),
        ({"command": ["a\0"]}, "command[0]", r"the control character '\x00'"),
        ({"command": ["a\x1b[1m"]}, "command[0]", "control character"),
        ({"command": ["a", "x" * 131_072]}, "command[1]", "at most 131,071"),
        ({"command": ["{frcing}"]}, "command[0]", "known are {output}"),
        ({"env": {"A": "\0"}}, "env.A", "control character"),
        ({"env": {"A": None}}, "env.A", "not null"),
        ({"env": {"1A": "x"}}, "env.1A", "not a digit first"),
        ({"env": {"HEADRACE_JOB": "x"}}, "env.HEADRACE_JOB", "set by Headrace itself"),
        ({"env": {"A": "{x}"}}, "env.A", "is not a placeholder here"),
        ({"secrets": ["../x"]}, "secrets[0]", "can't be the name of a secret"),
        ({"secrets": ["a", "a"]}, "secrets", "a stands twice"),
        ({"resources": []}, "resources", "a mapping is expected, for example {cpus: 2"),
        ({"resources": {"memory": 4}}, "resources.memory", "has no unit"),
        ({"resources": {"memory": "1KiB"}}, "resources.memory", "at least 1MiB"),
        ({"resources": {"cpus": 0}}, "resources.cpus", "at least 0.001"),
        ({"resources": {"cpus": True}}, "resources.cpus", "found the bool true"),
        ({"resources": {"cpus": 0.0001}}, "resources.cpus", "three decimals at most"),
        ({"resources": {"cpus": "2 CPUs"}}, "resources.cpus", "is not a number of CPUs"),
        ({"resources": {"paradigm": "FILL"}}, "resources.paradigm", "known are FILL_NODES"),
        ({"parallel": "pvm"}, "parallel", "known are mpi"),
        ({"parallel": True}, "parallel", "a word is expected, for example mpi"),
        ({"parallel": "mpi", "array": {"count": 2}}, "parallel", "array or parallel, not both"),
        (
            {"parallel": "mpi", "resources": {"cpus": 1.5}},
            "resources.cpus", "a rank has a CPU of its own",
        ),
        (
            {"parallel": "mpi", "resources": {"cpus": 2, "paradigm": "ROUND_ROBIN"}},
            "image", "takes an image with Open MPI",
        ),
        ({"limits": {"time": "0s"}}, "limits.time", "at least 1ms"),
        ({"limits": {"exclusive": 1}}, "limits.exclusive", "true or false is expected"),
        ({"retry": {"limit": True}}, "retry.limit", "a whole number is expected"),
        ({"retry": {"limit": 101}}, "retry.limit", "not from 0 to 100"),
        ({"retry": {"on": ["CANCELED"]}}, "retry.on[0]", "is not known here"),
        ({"retry": {"on": ["NODE_LOSS"]}}, "retry.on[0]", "did you mean NODE_LOST?"),
        ({"after": ["x"]}, "after[0]", "is not a job id"),
        ({"start_not_before": "soon"}, "start_not_before", "ISO 8601"),
        ({"priority": 101}, "priority", "not from 0 to 100"),
        ({"priority": "hihg"}, "priority", "did you mean high?"),
        ({"deadline": "soon"}, "deadline", "ISO 8601"),
        ({"priority": 1.0}, "priority", "a whole number is expected"),
        ({"inputs": []}, "inputs", "a mapping is expected"),
        ({"inputs": {"a.b": {"path": "x"}}}, "inputs.a.b", "'.' may not be in it"),
        ({"inputs": {"A": {"path": "x"}}}, "inputs.A", "can't be the name of a job's input"),
        ({"inputs": {"output": {"path": "x"}}}, "inputs.output", "a meaning of its own"),
        ({"inputs": {"a": {}}}, "inputs.a.domain", "this key is missing"),
        ({"inputs": {"a": {"path": "x", "format": "A"}}}, "inputs.a", "a path stands alone"),
        ({"inputs": {"a": {"path": ""}}}, "inputs.a", "can't be a path"),
        ({"outputs": {"a": {}}}, "outputs.a.format", "this key is missing"),
        ({"outputs": {"a": {"format": "csv"}}}, "outputs.a.format", "upper-case"),
        ({"array": {}}, "array", "exactly one of count, items and matrix"),
        ({"array": {"count": 2, "items": ["a"]}}, "array", "exactly one of"),
        ({"array": {"items": ["a"], "matrix": {"a": [1]}}}, "array", "exactly one of"),
        ({"array": {"count": 0}}, "array.count", "not from 1 to 10,000,000"),
        ({"array": {"items": []}}, "array.items", "is empty"),
        ({"array": {"matrix": {}}}, "array.matrix", "is empty"),
        ({"array": {"matrix": {"item": [1]}}}, "array.matrix.item", "a meaning of its own"),
        ({"array": {"matrix": {"a": [0.1]}}}, "array.matrix.a[0]", "write it in quotes"),
    ],
)  # fmt: skip
def test_a_wrong_value_says_where_and_why(keys: dict[str, Any], path: str, reason: str) -> None:
    found = problem(**keys)
    assert path in found
    assert reason in found[path]


def test_a_matrix_of_too_many_tasks_is_refused() -> None:
    axis = list(range(10_000))
    found = problem(array={"matrix": {"a": axis, "b": axis}})
    assert found == {"array": "comes to more than 10,000,000 tasks"}


def test_a_wrong_domain_names_each_wrong_index() -> None:
    domain = {"TIM": ["1979-01-01"], "TIME": ["x", "y"], "DATA_ID": "a"}
    found = problem(inputs={"a": {"category": "FORCING", "domain": domain}})
    assert set(found) == {"inputs.a.domain.TIM", "inputs.a.domain.TIME"}
    assert found["inputs.a.domain.TIM"] == "unknown index; did you mean TIME?"


def test_an_axis_and_an_input_of_one_name_are_refused() -> None:
    found = problem(inputs={"a": {"path": "x"}}, array={"matrix": {"a": [1]}})
    assert found == {"array.matrix.a": "{a} is already the input of that name"}


def test_a_file_needs_its_version_and_another_one_is_not_guessed_at() -> None:
    assert "headrace" in problems({"kind": "command", "command": ["a"]})
    with pytest.raises(InvalidSpec, match="version 2 of the job file is not known") as caught:
        load_jobfile({"headrace": 2, "new": "things"})
    assert caught.value.path == "headrace"


@pytest.mark.parametrize("source", ["", "[]", "text", "- a", "null"])
def test_a_file_that_is_no_mapping_is_refused(source: str) -> None:
    assert "a job file is a mapping" in problems(source)[""]


def test_a_sent_job_may_not_name_a_path_of_its_client() -> None:
    job = SMALL | {"inputs": {"extra": {"path": "./mine"}}}
    assert load_jobfile(job).path_inputs
    assert "upload it first" in problems(job, sent=True)["inputs.extra.path"]


def test_a_client_puts_a_requirement_in_the_place_of_a_path() -> None:
    spec = load_jobfile(SMALL | {"inputs": {"extra": {"path": "./mine"}}})
    domain = Domain.of({Index.DATA_ID: Discrete(frozenset({"mine-1"}))})
    ready = spec.with_requirement(Requirement("extra", Category.CONFIG, None, domain))
    assert load_jobtext(dump_text(ready)).requirements[0].domain == domain


def sent_file(name: str, content: bytes, sha256: str | None = None) -> dict[str, str]:
    return {
        "name": name,
        "sha256": sha256 or hashlib.sha256(content).hexdigest(),
        "content": base64.b64encode(content).decode(),
    }


def test_files_are_read_by_the_client_and_travel_with_the_job() -> None:
    spec = load_jobfile(SMALL | {"files": ["sub/x.py", "run_prms.py"]}, read_file=read_file)
    assert [each.name for each in spec.files] == ["sub/x.py", "run_prms.py"]
    assert load_jobtext(dump_text(spec)).files == spec.files


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "a//b", "", "a\\b"])
def test_a_file_outside_the_job_files_folder_is_refused_before_it_is_read(name: str) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return b""

    found = problems(SMALL | {"files": [name]}, read_file=read)
    assert "must lie below the job file's folder" in found["files[0]"]
    assert asked == []
    found = problems(SMALL | {"files": [sent_file(name, b"")]})
    assert "must lie below the job file's folder" in found["files[0]"]


def test_a_file_that_can_not_be_read_is_named() -> None:
    def read(name: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    found = problems(SMALL | {"files": ["x.py"], "priority": 101}, read_file=read)
    assert found["files[0]"] == "'x.py' can't be read: No such file or directory"
    assert "priority" in found


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("x.py", "sent with its name, sha256 and content"),
        ({"name": "x.py"}, "sent with its name, sha256 and content"),
        (sent_file("x.py", b"a", sha256="0" * 64), "sha256 does not fit the content"),
        (sent_file("x.py", b"a") | {"content": "§"}, "not valid base64"),
        (sent_file("x.py", b"a") | {"content": 5}, "are texts"),
        (sent_file("x.py", bytes(2**20 + 1)), "has 1,048,577 bytes; at most 1MiB"),
        (sent_file("x.py", bytes(2**21)), "has more than 1MiB"),
    ],
)
def test_a_file_that_was_sent_wrong_is_refused(sent: Any, reason: str) -> None:
    assert reason in problem(files=[sent])["files[0]"]


def test_files_may_not_be_too_much_together_or_in_each_others_way() -> None:
    found = problem(files=[sent_file(f"f{at}", bytes(2**20)) for at in range(5)])
    assert "at most 4MiB travels with a job" in found["files"]
    found = problem(files=[sent_file("a", b""), sent_file("a/b", b""), sent_file("a/b", b"")])
    assert found["files[0]"] == "'a' is also the folder of another file"
    assert found["files[2]"] == "'a/b' stands twice"


def test_a_file_too_large_to_travel_says_what_to_do() -> None:
    found = problems(SMALL | {"files": ["big"]}, read_file=read_file)
    assert "make it a dataset and name it in `inputs`" in found["files[0]"]


def test_an_error_stays_short_whatever_is_sent() -> None:
    keys = {f"key{at}\n{'x' * 1000}": 1 for at in range(5_000)}
    with pytest.raises(InvalidJobFile) as caught:
        load_jobfile(SMALL | keys)
    assert len(caught.value.problems) == 5_000
    assert len(str(caught.value)) < 10_000
    assert "and 4980 more" in str(caught.value)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*job_json_schema()["properties"], "x", "_schema"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
            max_leaves=5,
        ),
    )
)
def test_any_plain_value_is_a_job_or_a_clear_error(keys: dict[str, Any]) -> None:
    try:
        load_jobfile(SMALL | keys)
    except InvalidInput as error:
        assert error.message  # noqa: PT017 (either end is right; another error is not)


def test_what_a_job_may_not_ask_of_checkpoints_warnings_and_memory_is_told() -> None:
    warn = {"signal": "USR1", "before": "60s"}
    assert "`limits.time`, which is not given" in problem(limits={"warn": warn})["limits.warn"]
    late = problem(limits={"warn": warn, "time": "1m"})
    assert "is not less than `limits.time`" in late["limits.warn.before"]
    assert "limits.warn.signal" in problem(
        limits={"warn": warn | {"signal": "KILL"}, "time": "1h"}
    )
    many = problem(checkpoint={}, array={"count": 2}, retry={"memory_limit": "2GiB"})
    assert set(many) == {"checkpoint", "retry.memory_limit"}
    spread = {"parallel": "mpi", "image": "a/b:1", "resources": {"paradigm": "FILL_NODES"}}
    assert "ranks on several nodes" in problem(checkpoint={}, **spread)["checkpoint"]
    named = problem(checkpoint={}, inputs={"checkpoint": {"path": "x"}})
    assert "bears this name" in named["checkpoint"]
    assert (
        "is less than `resources.memory`"
        in problem(retry={"memory_limit": "2MiB"})["retry.memory_limit"]
    )
    assert (
        "{checkpoint} is not a placeholder" in problem(command=["a", "{checkpoint}"])["command[1]"]
    )
    assert load_jobfile(SMALL | {"command": ["a", "{checkpoint}"], "checkpoint": {}}).checkpoint


def test_pieces_and_constraints_are_read_and_written_and_left_out_where_there_are_none() -> None:
    pieces = {"gpus": 2, "generic": {"licence_x": 1, "none": 0}}
    where = {"labels": {"disk": "ssd"}, "whole_node": True, "spread": True}
    spec = load_jobfile(SMALL | {"resources": pieces | where})
    assert spec.resources.amount.generic == (("gpus", 2), ("licence_x", 1))
    assert spec.resources.constraints == Constraints((("disk", "ssd"),), True, True)
    assert load_jobtext(dump_text(spec)) == spec
    assert set(dump(load_jobfile(SMALL))["resources"]) == {"cpus", "memory", "paradigm"}


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"gpus": -1}, "not from 0"),
        ({"gpus": 1.5}, "a whole number is expected"),
        ({"generic": {"gpus": 1}}, "a key of their own, `gpus`"),
        ({"generic": {"a b": 1}}, "can't be the name of a generic resource"),
        ({"generic": 3}, "a mapping is expected"),
        ({"labels": {"Disk": "ssd"}}, "can't be the name of a label"),
        ({"labels": {"disk": "a b"}}, "can't be the value of a label"),
        ({"whole_node": 1}, "true or false is expected"),
    ],
)
def test_what_is_wrong_with_pieces_and_constraints_is_said(
    resources: dict[str, Any], says: str
) -> None:
    assert says in " ".join(problem(resources=resources).values())
