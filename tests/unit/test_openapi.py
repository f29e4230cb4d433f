"""The table of operations is what the services serve, and the document made of it is one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from headrace_data.main import build as build_data
from headrace_data.settings import Settings as DataSettings
from headrace_model.errors import InvalidInput
from headrace_request.api.live import WS
from headrace_request.core.desire import DesireVerb
from headrace_request.main import build as build_request
from headrace_request.settings import Settings as RequestSettings
from headrace_wire.answers import DatasetPatch, JobFile
from headrace_wire.datasets import read_change
from headrace_wire.jobfile import load_jobfile
from headrace_wire.openapi import JSON, Operation, document
from headrace_wire.operations.lineage import LINEAGES
from headrace_wire.operations.table import OPERATIONS, TAGS
from headrace_wire.people import UserChange
from headrace_wire.schema import from_plain

_DOCUMENT = document(OPERATIONS, TAGS, "1.2.3")
_WITH_BODY = [each for each in OPERATIONS if each.body and each.body.media == JSON]
_PASSED_ON = ("/api/v1/datasets", "/api/v1/secrets")
# A socket, which OpenAPI has no words for (docs/websocket.md), and what only leads to /docs.
_IN_NO_TABLE = {("GET", WS), ("GET", "/")}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, web.Application]:
    """The services that serve the public API, wired as in production and not started."""
    folder = tmp_path_factory.mktemp("services")
    (folder / "internal").write_text("i" * 40)
    common: dict[str, Any] = {
        "state_dir": folder,
        "redis_url": "redis://127.0.0.1:1",
        "internal_token_file": folder / "internal",
        "listen": "unix:nowhere",
    }
    data = DataSettings(store=str(folder / "store"), **common)
    found = {
        "request": build_request(RequestSettings(**common)).app,
        "data": build_data(data).app,
    }
    return {name: app for name, app in found.items() if app is not None}


def _bare(path: str) -> str:
    """A path without the names of its parameters: the table's differ from the routes'."""
    return re.sub(r"\{\w+\}", "{}", path)


def _served(app: web.Application) -> Iterator[tuple[str, str]]:
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        verbs = list(DesireVerb) if path.endswith(":{verb}") else [""]
        for verb in verbs:
            yield route.method, _bare(path.replace("{verb}", verb))


def _rows(*, passed_on: bool) -> set[tuple[str, str]]:
    return {
        (each.method, _bare(each.path))
        for each in OPERATIONS
        if (each.path.startswith(_PASSED_ON) and each not in LINEAGES) is passed_on
    }


def test_each_route_of_the_request_service_has_a_row_and_each_row_a_route(
    apps: dict[str, web.Application],
) -> None:
    # aiohttp answers HEAD wherever it answers GET; `*` is what is passed on to the data service.
    served = {each for each in _served(apps["request"]) if each[0] not in ("HEAD", "*")}
    assert served - _IN_NO_TABLE == _rows(passed_on=False)


def test_each_route_that_is_passed_on_has_a_row_and_each_row_a_route(
    apps: dict[str, web.Application],
) -> None:
    served = {each for each in _served(apps["data"]) if each[1].startswith("/api/")}
    assert served == _rows(passed_on=True)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_the_request_service_answers_each_row(
    operation: Operation, apps: dict[str, web.Application]
) -> None:
    request = make_mocked_request(operation.method, re.sub(r"\{\w+\}", "0" * 16, operation.path))
    found = await apps["request"].router.resolve(request)
    assert found.http_exception is None


def test_the_document_is_openapi() -> None:
    schemathesis.openapi.from_dict(_DOCUMENT).validate()
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)
    assert {each.tag for each in OPERATIONS} == set(TAGS)


def test_each_schema_is_one_that_is_used_and_each_reference_leads_to_one() -> None:
    schemas = _DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    used = {each.removeprefix("#/components/schemas/") for each in _references(_DOCUMENT)}
    assert used == set(schemas)


def _references(plain: Any) -> Iterator[str]:
    match plain:
        case dict():
            for key, value in plain.items():
                if key == "$ref":
                    yield value
                else:
                    yield from _references(value)
        case list():
            for each in plain:
                yield from _references(each)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_parameters_of_each_path_are_explained(operation: Operation) -> None:
    named = {each.name for each in operation.parameters if each.where == "path"}
    assert named == set(re.findall(r"\{(\w+)\}", operation.path))


def _validator(operation: Operation) -> jsonschema.Draft202012Validator:
    body = _DOCUMENT["paths"][operation.path][operation.method.lower()]["requestBody"]
    schema = body["content"][JSON]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": _DOCUMENT["components"]})


@pytest.mark.parametrize("operation", _WITH_BODY, ids=lambda each: each.name)
def test_each_example_holds_to_its_schema_and_is_read(operation: Operation) -> None:
    assert operation.body is not None
    shape, example = operation.body.shape, operation.body.example
    assert example
    _validator(operation).validate(example)
    if shape is DatasetPatch:
        read_change(example)
    elif shape in (JobFile, JobFile | tuple[JobFile, ...]):
        load_jobfile(example)
    else:
        from_plain(shape, example)


@pytest.mark.parametrize("operation", _WITH_BODY, ids=lambda each: each.name)
def test_an_unknown_key_in_a_body_is_against_its_schema(operation: Operation) -> None:
    assert operation.body is not None
    wrong = {**operation.body.example, "nobody-knows-it": 1}
    assert not _validator(operation).is_valid(wrong)


@pytest.mark.parametrize("value", [0, 1, "yes", "true"])
def test_nothing_is_taken_for_true_or_false_that_only_looks_like_it(value: object) -> None:
    with pytest.raises(InvalidInput, match="disabled"):
        from_plain(UserChange, {"disabled": value})


def test_the_page_brings_all_it_needs() -> None:
    folder = Path(build_request.__code__.co_filename).parent / "page"
    page = (folder / "page.html").read_text()
    assert "//" not in page
    assert re.findall(r'(?:href|src)="/docs/([^"]+)"', page) == ["page.css", "page.js"]
    script = (folder / "page.js").read_text()
    for word in ("innerHTML", "insertAdjacentHTML", "localStorage", "sessionStorage", "cookie"):
        assert word not in script
