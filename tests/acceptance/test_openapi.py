"""The answers of a real `headrace local` are what its OpenAPI document says."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import jsonschema

from headrace_wire.batch import BatchFile, encode_batch
from tests.acceptance.conftest import PLACE, Answer, Headrace, until, waits_for

_DATA = b"time,flow\n1980-01-01,1.5\n1980-01-02,2.5\n"
_SHA256 = sha256(_DATA).hexdigest()


class _Asker:
    """Asks, and holds each answer to the document. `missing`: what no answer has shown yet."""

    def __init__(self, headrace: Headrace) -> None:
        self._headrace = headrace
        self._document = headrace.ask("GET", "//openapi.json", token=None).json
        self.missing = set(_promises(self._document))
        _close(self._document["components"]["schemas"])

    def ask(
        self,
        method: str,
        path: str,
        status: int,
        body: Any = None,
        /,
        *,
        query: str = "",
        shown: str = "",
        headers: Mapping[str, str] | None = None,
        **names: str,
    ) -> Any:
        """Ask at a path of the document, with `names` in it; gives the JSON of the answer."""
        whole = path if path in self._document["paths"] else f"/api/v1{path}"
        target = whole.format_map({key: quote(name) for key, name in names.items()})
        asked = f"/{target}{query}"
        answer = self._headrace.ask(method, asked, body, token=shown, headers=headers)
        assert answer.status == status, (method, asked, answer)
        operation = self._document["paths"][whole][method.lower()]
        self._check(f"{method} {whole} {status}", operation["responses"][str(status)], answer)
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.json if is_json and answer.body else None

    def _check(self, what: str, said: Mapping[str, Any], answer: Answer) -> None:
        shown = {name.lower() for name in said.get("headers", {})} & set(answer.headers)
        self.missing -= {what, *(f"{what} {name}" for name in shown)}
        content = said.get("content")
        if content is None:
            assert answer.body == b"", what
            return
        media = answer.headers["content-type"].partition(";")[0]
        assert media in content or "*/*" in content, (what, media)
        if media.endswith("json"):
            schema = content[media]["schema"] | {"components": self._document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json)


def _promises(document: Mapping[str, Any]) -> Iterator[str]:
    """Every good answer of the document, and every header of one."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if int(status) < 400:
                    what = f"{method.upper()} {path} {status}"
                    yield what
                    yield from (f"{what} {name.lower()}" for name in answer.get("headers", {}))


def _close(schemas: Mapping[str, Any]) -> None:
    """Let no answer have a key that the document does not tell."""
    for schema in schemas.values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)


def _job(*command: str, **keys: Any) -> dict[str, Any]:
    small = {"cpus": "100m", "memory": "64MiB"}
    return {"headrace": 1, "kind": "command", "command": [*command], "resources": small, **keys}


def _jobs(headrace: Headrace, asker: _Asker) -> None:
    one = "/jobs/{job}"
    made = {"text": {"format": "GENERIC"}}
    writes = _job("sh", "-c", "echo done | tee {output}/a.txt", outputs=made)
    job = asker.ask("POST", "/jobs", 201, writes)["id"]
    gate = headrace.gate()
    waits, later = [
        each["id"]
        for each in asker.ask(
            "POST",
            "/jobs",
            201,
            [_job(*waits_for(gate)), _job("true", start_not_before="2999-01-01T00:00Z")],
        )["jobs"]
    ]
    asker.ask("POST", "/jobs:validate", 200, writes)
    asker.ask("POST", "/jobs:plan", 200, writes)
    headrace.until(job, "COMPLETED")
    headrace.until(waits, "RUNNING")
    asker.ask("GET", "/jobs", 200, query="?limit=2&status=CLOSED,RUNNING&q=")
    for each in (job, waits, later):
        asker.ask("GET", one, 200, job=each)
        for part in ("history", "why", "when", "outputs"):
            asker.ask("GET", f"{one}/{part}", 200, job=each)
    asker.ask("GET", one, 200, query="?after_version=1&wait=30", job=job)
    asker.ask("GET", f"{one}/logs", 200, query="?stream=out&offset=1", job=job)
    asker.ask("GET", f"{one}/lineage", 200, job=job)
    asker.ask("GET", f"{one}/progress", 200, job=job)
    asker.ask("GET", f"{one}/usage", 200, query="?attempt=1&since=2000-01-01", job=job)
    asker.ask("GET", f"{one}/usage", 200, query="?rank=0", job=waits)
    many = _job("sh", "-c", "exit {index}", array={"count": 2}, retry={"limit": 0})
    tasks = asker.ask("POST", "/jobs", 201, many)["id"]
    until(lambda: headrace.job(tasks)["status"].startswith("CLOSED"), "the tasks to end")
    asker.ask("GET", one, 200, job=tasks)
    asker.ask("GET", f"{one}/tasks", 200, query="?state=failed", job=tasks)
    asker.ask("GET", "/nodes", 200)
    asker.ask("GET", "/cluster/series", 200)
    for verb in ("hold", "release"):
        asker.ask("POST", f"{one}:{verb}", 200, job=later)
    share = {"who": "everyone", "level": "write"}
    asker.ask("POST", f"{one}:share", 200, share, job=waits)
    asker.ask("POST", f"{one}:unshare", 200, share, job=waits)
    asker.ask("POST", f"{one}:stop", 200, job=waits)
    headrace.until(waits, "STOPPED")
    asker.ask("POST", f"{one}:restart", 200, job=waits)
    for each in (waits, later):
        asker.ask("POST", f"{one}:cancel", 200, job=each)
    asker.ask("POST", f"{one}:cancel", 409, job=job)
    headrace.until(asker.ask("POST", f"{one}:retry", 201, job=job)["id"], "COMPLETED")


def _datasets(asker: _Asker) -> None:
    one = "/datasets/{dataset}"
    item = f"{one}/items/{{path}}"
    fabric = token_hex(6)
    name = f"data-{fabric}"
    domain = {"HYDROFABRIC_DATA_ID": fabric}
    wanted = {"category": "OBSERVATION", "domain": domain}
    new = {"name": name, "expires_in": "30d", **wanted}
    key = {"Idempotency-Key": fabric}
    digest = {"X-Content-SHA256": _SHA256}
    asker.ask("POST", "/datasets", 201, new, headers=key)
    asker.ask("POST", "/datasets", 200, new, headers=key)
    file = {"dataset": name, "path": "flow é/1.csv"}
    half = {**digest, "Content-Range": f"bytes 0-9/{len(_DATA)}"}
    asker.ask("PUT", item, 202, _DATA[:10], headers=half, **file)
    asker.ask("HEAD", item, 200, headers=digest, **file)
    asker.ask("PUT", item, 201, _DATA, headers=digest, **file)
    asker.ask("PUT", item, 200, _DATA, headers=digest, **file)
    asker.ask("PUT", item, 201, _DATA, headers=digest, dataset=name, path="wrong.csv")
    asker.ask("DELETE", item, 204, dataset=name, path="wrong.csv")
    batch = encode_batch([BatchFile(file["path"], _SHA256, _DATA)])
    asker.ask("POST", f"{one}:upload", 200, batch, dataset=name)
    large = {"path": "large", "size_bytes": 9, "sha256": _SHA256}
    asker.ask("POST", f"{one}:direct-upload", 200, large, dataset=name)
    large = {"path": file["path"], "size_bytes": len(_DATA), "sha256": _SHA256}
    asker.ask("POST", f"{one}:direct-upload", 200, large, dataset=name)
    asker.ask("POST", f"{one}:direct-download", 200, {"path": file["path"]}, dataset=name)
    asker.ask("POST", "/datasets:match", 200, wanted)
    beside = {"name": f"{name}-beside", "category": "OBSERVATION"}
    asker.ask("POST", "/datasets", 201, beside)
    asker.ask("POST", f"{one}:import", 200, {"source": str(PLACE)}, dataset=beside["name"])
    asker.ask("POST", f"{one}:seal", 200, {}, dataset=name)
    asker.ask("POST", f"{one}:seal", 200, dataset=name)
    asker.ask("HEAD", item, 200, **file)
    asker.ask("GET", item, 200, **file)
    asker.ask("POST", f"{one}:download", 200, {"paths": [file["path"]]}, dataset=name)
    asker.ask("GET", item, 206, headers={"Range": "bytes=5-"}, **file)
    asker.ask("GET", item, 416, headers={"Range": "bytes=500-"}, **file)
    asker.ask("GET", item, 304, headers={"If-None-Match": f'"{_SHA256}"'}, **file)
    asker.ask("GET", f"{one}/items", 200, query="?limit=1", dataset=name)
    asker.ask("GET", "/datasets", 200, query=f"?name={name}&category=&state=SEALED")
    covers = quote(json.dumps(domain))
    assert asker.ask("GET", "/datasets", 200, query=f"?domain={covers}&since=2020-01-01")[
        "datasets"
    ]
    asker.ask("POST", "/datasets:match", 200, wanted)
    asker.ask("PATCH", one, 200, {"description": "x", "expires_in": None}, dataset=name)
    asker.ask("PATCH", one, 200, {"tags": ["rain"], "name": f"{name}-wet"}, dataset=name)
    name, new["name"] = f"{name}-wet", f"{name}-wet"
    asker.ask("POST", "/datasets", 201, {**new, "version": "new"})
    taken = {"dataset": f"{name}@1", "paths": [file["path"]]}
    asker.ask("POST", f"{one}:take", 200, taken, dataset=name)
    asker.ask("GET", f"{one}/versions", 200, dataset=name)
    share = {"who": "group:hydrology"}
    asker.ask("POST", f"{one}:share", 200, share, dataset=f"{name}@1")
    asker.ask("POST", f"{one}:unshare", 200, share, dataset=f"{name}@1")
    asker.ask("GET", one, 200, dataset=name)
    asker.ask("GET", f"{one}/lineage", 200, dataset=name)
    asker.ask("DELETE", one, 200, dataset=name)
    asker.ask("GET", "/datasets", 200, query="?state=DELETED")
    asker.ask("POST", "/datasets:sweep", 200, {"dry_run": True})
    asker.ask("POST", f"{one}:undelete", 200, {}, dataset=name)
    asker.ask("DELETE", one, 204, dataset=f"{name}@2", query="?now=true")


def _promised(headrace: Headrace, asker: _Asker) -> None:
    """A requirement that the output of a live job will meet."""
    gate, fabric = headrace.gate(), token_hex(6)
    output = {"format": "GENERIC", "domain": {"HYDROFABRIC_DATA_ID": fabric}}
    job = headrace.submit(*waits_for(gate), outputs={"flow": output})
    headrace.until(job, "RUNNING")
    wanted = {"category": "OUTPUT", "domain": {"HYDROFABRIC_DATA_ID": fabric}}
    found = asker.ask("POST", "/datasets:match", 200, wanted)
    assert found["result"] == "promised", found
    headrace.ask("POST", f"/jobs/{job}:cancel")


def _people(asker: _Asker) -> None:
    name, group, password = f"u{token_hex(4)}", f"g{token_hex(4)}", "a long password"
    asker.ask("POST", "/groups", 201, {"name": group})
    asker.ask("POST", "/users", 201, {"name": name, "groups": [group]})
    asker.ask("GET", "/users", 200)
    asker.ask("GET", "/users/{user}", 200, user=name)
    asker.ask("PATCH", "/users/{user}", 200, {"role": "viewer"}, user=name)
    asker.ask("PUT", "/users/{user}/password", 200, {}, user=name)
    asker.ask("PUT", "/users/{user}/password", 200, {"new": password}, user=name)
    asker.ask("GET", "/groups", 200)
    member = "/groups/{group}/members/{user}"
    asker.ask("PATCH", "/groups/{group}", 200, {"quota": "10TiB"}, group=group)
    for method in ("PUT", "DELETE"):
        asker.ask(method, member, 204, group=group, user=name)
    asker.ask("DELETE", "/groups/{group}", 204, group=group)
    made = asker.ask("POST", "/login", 201, {"user": name, "password": password})
    asker.ask("GET", "/me", 200, shown=made["token"])
    asker.ask("GET", "/me", 200)
    asker.ask("GET", "/tokens", 200, query=f"?user={name}")
    token = asker.ask("POST", "/tokens", 201, {"label": "x", "expires_in": "1h"})
    asker.ask("DELETE", "/tokens/{token}", 204, token=token["id"])
    asker.ask("POST", "/logout", 204, shown=made["token"])
    hook = asker.ask("POST", "/webhooks", 201, {"url": "https://example.org/hook"})
    asker.ask("GET", "/webhooks", 200)
    asker.ask("DELETE", "/webhooks/{webhook}", 204, webhook=hook["id"])
    asker.ask("PUT", "/secrets/{secret}", 200, {"value": "x"}, secret=name)
    asker.ask("GET", "/secrets", 200)
    asker.ask("DELETE", "/secrets/{secret}", 204, secret=name)


def _service(asker: _Asker) -> None:
    for verb in ("drain", "undrain"):
        asker.ask("POST", f"/nodes/{{node}}:{verb}", 200, node="local")
    asker.ask("POST", "/nodes/{node}:confirm-lost", 200, node="lost")
    asker.ask("POST", "/nodes/{node}:label", 200, {"set": {"rack": "r7"}}, node="local")
    asker.ask("POST", "/nodes/{node}:remove", 200, node="gone")
    asker.ask("POST", "/nodes/{node}:discard", 200, {}, node="local")
    asker.ask("PUT", "/maintenance", 200, {"on": True, "why": "new disks"})
    asker.ask("GET", "/maintenance", 200)
    asker.ask("POST", "/jobs", 503, _job("true"))
    asker.ask("PUT", "/maintenance", 200, {"on": False})
    for path in ("/health/live", "/health/ready", "/metrics"):
        asker.ask("GET", path, 200)
    for path in ("/openapi.json", "/docs", "/docs/{file}", "/schemas/job.json"):
        asker.ask("GET", path, 200, file="page.js")
        asker.ask("GET", path, 304, headers={"If-None-Match": "*"}, file="page.js")


def test_each_answer_is_what_the_document_says(headrace: Headrace) -> None:
    asker = _Asker(headrace)
    _jobs(headrace, asker)
    _datasets(asker)
    _promised(headrace, asker)
    _people(asker)
    headrace.lose_a_node("lost")
    _service(asker)
    assert asker.missing == set()
