"""Jobs, datasets and nodes as notebooks show them. Whatever people or workers wrote is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from headrace_model.units import rough_size
from headrace_wire.api import JobView, NodeView, ResourcesView, TasksView, TaskView


def job_html(job: JobView) -> str:
    """One job."""
    return _pairs(
        [
            ("job", f"{job.id} {job.name}"),
            ("kind", job.kind),
            ("owner", job.owner),
            ("status", job.status),
            ("since", job.entered),
            ("cause", job.cause or ""),
            ("detail", job.detail),
            ("exit code", job.exit_code),
            ("attempt", job.attempt),
            ("tasks", _counts(job.tasks)),
            ("outputs", ", ".join(job.outputs)),
        ]
    )


def jobs_html(jobs: Sequence[JobView]) -> str:
    """A list of jobs."""
    heads = ("id", "name", "status", "since", "attempt", "cause", "owner")
    rows = [(j.id, j.name, j.status, j.entered, j.attempt, j.cause, j.owner) for j in jobs]
    return _table(heads, rows)


def tasks_html(tasks: Sequence[TaskView]) -> str:
    """Tasks of an array."""
    heads = ("index", "state", "failures", "cause", "exit code", "detail")
    rows = [(t.index, t.state, t.failures, t.cause, t.exit_code, t.detail) for t in tasks]
    return _table(heads, rows)


def dataset_html(dataset: Mapping[str, Any]) -> str:
    """One dataset."""
    named = ("title", "id", "category", "format", "state", "owner", "description")
    return _pairs(
        [
            *((name, dataset.get(name)) for name in named),
            ("domain", "\n".join(f"{k}: {v}" for k, v in (dataset.get("domain") or {}).items())),
            ("files", dataset.get("item_count")),
            ("size", _size(dataset.get("size_bytes"))),
        ]
    )


def datasets_html(datasets: Sequence[Mapping[str, Any]]) -> str:
    """A list of datasets."""
    heads = ("dataset", "category", "format", "state", "files", "size", "owner")
    named = ("title", "category", "format", "state", "item_count", "size_bytes", "owner")
    rows = [[d.get(name) for name in named] for d in datasets]
    for row in rows:
        row[5] = _size(row[5])
    return _table(heads, rows)


def outputs_html(outputs: Mapping[str, Mapping[str, Any]]) -> str:
    """The datasets that a job made, by output."""
    rows = [
        (name, d.get("title"), d.get("format"), d.get("item_count"), _size(d.get("size_bytes")))
        for name, d in outputs.items()
    ]
    return _table(("output", "dataset", "format", "files", "size"), rows)


def nodes_html(nodes: Sequence[NodeView]) -> str:
    """A list of nodes."""
    heads = ("node", "state", "capacity", "free", "backends", "jobs")
    rows = [
        (n.id, n.state, _amount(n.capacity), _amount(n.free), " ".join(n.backends), len(n.jobs))
        for n in nodes
    ]
    return _table(heads, rows)


def _counts(tasks: TasksView | None) -> str:
    return f"{tasks.done:,} of {tasks.total:,} done, {tasks.failed:,} failed" if tasks else ""


def _amount(view: ResourcesView | None) -> str:
    return f"{view.cpus:g} CPU, {rough_size(view.memory)}" if view else ""


def _size(size_bytes: object) -> str:
    return rough_size(size_bytes) if isinstance(size_bytes, int) else ""


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return escape(text).replace("\n", "<br>")


def _pairs(pairs: Sequence[tuple[str, object]]) -> str:
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    rows = (f"<tr><th>{_cell(name)}</th><td>{_cell(value)}</td></tr>" for name, value in shown)
    return f"<table>{''.join(rows)}</table>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{_cell(each)}</th>" for each in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
