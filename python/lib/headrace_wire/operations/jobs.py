"""Jobs and nodes."""

from collections.abc import Mapping
from typing import Any, Final

from headrace_model.array import TaskState
from headrace_model.people import Act
from headrace_model.series import Resolution
from headrace_wire.answers import (
    AcceptedJobs,
    CheckedJob,
    History,
    JobFile,
    JobPage,
    Nodes,
    OutputsView,
)
from headrace_wire.api import AcceptedView, DiscardRequest, JobView, LabelChange, TaskPage
from headrace_wire.logsearch import MOST_TEXT
from headrace_wire.openapi import Content, Operation
from headrace_wire.operations.parameters import CURSOR, FLAG, JOB, KEY, ROOT, asked, named, whole
from headrace_wire.people import ShareRequest
from headrace_wire.progress import ProgressView
from headrace_wire.series import SeriesView
from headrace_wire.usage import UsageView
from headrace_wire.why import PlanView, WhenView, WhyView

_ONE: Final = ROOT + "/jobs/{job}"
_EXAMPLE: Final[Mapping[str, Any]] = {
    "headrace": 1,
    "kind": "command",
    "name": "hello",
    "command": ["echo", "hello"],
    "resources": {"cpus": "100m", "memory": "64MiB"},
}
_FILE: Final = Content(JobFile, example=_EXAMPLE, about="A job file as JSON")
_SHOWN: Final = {200: Content(JobView, headers={"ETag": "The job's version"})}


_NODE: Final = named("node", "The name of a node")


def _verb(verb: str, summary: str) -> Operation:
    return Operation(
        "POST", f"{_ONE}:{verb}", "jobs", summary, _SHOWN, Act.STEER_JOB,
        parameters=(JOB,), errors=(404, 409), about="A repeat is success.",
    )  # fmt: skip


def _node_verb(verb: str, summary: str, about: str) -> Operation:
    return Operation(
        "POST", f"{ROOT}/nodes/{{node}}:{verb}", "nodes", summary, {200: Content(Nodes)},
        Act.MANAGE_NODES, parameters=(_NODE,), errors=(404, 409),
        about=f"{about} A repeat is success; the answer lists all nodes.",
    )  # fmt: skip


def _share(verb: str, summary: str) -> Operation:
    body = Content(ShareRequest, example={"who": "group:hydrology", "level": "read"})
    return Operation(
        "POST", f"{_ONE}:{verb}", "jobs", summary, _SHOWN, Act.SHARE_JOB,
        parameters=(JOB,), body=body, errors=(404,),
    )  # fmt: skip


_LOGS: Final = Operation(
    "GET", f"{_ONE}/logs", "jobs", "Stream what a worker writes",
    {200: Content(media="text/plain", headers={"X-Headrace-Attempt": "Whose log it is"})},
    Act.SEE_JOB,
    parameters=(
        JOB,
        asked("stream", "Which; both merges lines as they come",
              {"type": "string", "enum": ["out", "err", "both"], "default": "both"}),
        asked("rank", "Which worker of a gang", whole(0, 10_000, 0)),
        asked("task", "Which task of an array, from its newest attempt on", whole(0, 2**31)),
        asked("attempt", "Which attempt; the newest one by default", whole(1, 2**31)),
        asked("offset", "From which byte on", whole(0, 2**53, 0)),
        asked("follow", "Go on until the job (with `attempt`: that attempt) ends", FLAG),
        asked("search", "Only lines that hold this text, of all ranks and tasks if none is named",
              {"type": "string", "minLength": 1, "maxLength": MOST_TEXT}),
    ),
    errors=(404,),
    about="With `search` each line is JSON: `{attempt, rank, stream, line, text}`, of an array "
          "with `task` too, and last of all `{end, found, cut, unread}`.",
)  # fmt: skip

JOBS: Final = (
    Operation(
        "POST", f"{ROOT}/jobs", "jobs", "Submit a job, or a list of up to 1,000",
        {201: Content(AcceptedView | AcceptedJobs, about="Taken, and kept on disk",
                      headers={"Location": "Where the job is shown (of one job)"})},
        Act.SUBMIT_JOB, parameters=(KEY,), errors=(404, 409),
        body=Content(JobFile | tuple[JobFile, ...], example=_EXAMPLE),
        about="Of a list with a wrong job none is taken.",
    ),
    Operation(
        "POST", f"{ROOT}/jobs:validate", "jobs", "Check a job as a submit would",
        {200: Content(CheckedJob)}, Act.SUBMIT_JOB, body=_FILE, errors=(404,),
    ),
    Operation(
        "POST", f"{ROOT}/jobs:plan", "jobs", "Tell what a submit would lead to",
        {200: Content(PlanView)}, Act.SUBMIT_JOB, body=_FILE, errors=(404,),
        parameters=(
            asked("uploads", "Inputs that are sent before a submit: names, with commas"),
        ),
        about="Nothing is made or changed. Refused is what a submit would be refused.",
    ),
    Operation(
        "GET", f"{ROOT}/jobs", "jobs", "List jobs, the last that moved first",
        {200: Content(JobPage)}, Act.SEE_JOB,
        parameters=(
            asked("status", "Whole statuses, phases (`CLOSED`) or steps (`RUNNING`), any case, "
                  "several with commas"),
            asked("kind", "Of which kind"),
            asked("owner", "Whose"),
            asked("q", "Part of the name or id"),
            asked("since", "Moved at or after this time (ISO 8601)"),
            asked("limit", "At most how many; a page may hold fewer", whole(1, 1000, 100)),
            CURSOR,
        ),
    ),
    Operation(
        "GET", _ONE, "jobs", "Show a job, with its job file", _SHOWN, Act.SEE_JOB,
        parameters=(
            JOB,
            asked("after_version", "Answer as soon as the version is above", whole(0, 2**53)),
            asked("wait", "At most how many seconds later", whole(0, 30)),
        ),
        errors=(404,),
    ),
    Operation(
        "GET", f"{_ONE}/tasks", "jobs", "List the tasks of an array",
        {200: Content(TaskPage)}, Act.SEE_JOB,
        parameters=(
            JOB,
            asked("state", "Only those in this state, any case",
                  {"type": "string", "enum": [state.lower() for state in TaskState]}),
            asked("limit", "At most how many", whole(1, 1000, 100)),
            CURSOR,
        ),
        errors=(404,),
    ),
    Operation(
        "GET", f"{_ONE}/history", "jobs", "Show what happened to a job, and how long it was where",
        {200: Content(History)}, Act.SEE_JOB, parameters=(JOB,), errors=(404,),
    ),
    Operation(
        "GET", f"{_ONE}/why", "jobs", "Tell why a job is where it is, and what to do",
        {200: Content(WhyView)}, Act.SEE_JOB, parameters=(JOB,), errors=(404,),
    ),
    Operation(
        "GET", f"{_ONE}/when", "jobs", "Tell when a job starts, with a range",
        {200: Content(WhenView)}, Act.SEE_JOB, parameters=(JOB,), errors=(404,),
        about="From a forecast that is kept up while it is asked for; `made` tells its time.",
    ),
    Operation(
        "GET", f"{_ONE}/outputs", "jobs", "Name the datasets that a job has made",
        {200: Content(OutputsView)}, Act.SEE_JOB, parameters=(JOB,), errors=(404,),
    ),
    _LOGS,
    Operation(
        "GET", f"{_ONE}/usage", "jobs", "Show what a job's workers use, or used",
        {200: Content(UsageView)}, Act.SEE_JOB,
        parameters=(
            JOB,
            asked("attempt", "Which attempt; the newest one by default", whole(1, 2**31)),
            asked("rank", "Which worker of a gang alone; else the first 32", whole(0, 10_000)),
            asked("since", "Only samples after this time (ISO 8601); sums are of all"),
        ),
        errors=(404,),
    ),
    Operation(
        "GET", f"{_ONE}/progress", "jobs", "Tell how far a job is, as what it writes tells it",
        {200: Content(ProgressView)}, Act.SEE_JOB,
        parameters=(
            JOB, asked("attempt", "Which attempt; the newest one by default", whole(1, 2**31)),
        ),
        errors=(404,),
    ),
    _verb("stop", "Stop a job; it can be restarted"),
    _verb("restart", "Begin a stopped job anew"),
    _verb("cancel", "End a job for good"),
    _verb("hold", "Keep a job from starting"),
    _verb("release", "Let a held job start"),
    Operation(
        "POST", f"{_ONE}:retry", "jobs", "Submit the job file of a closed job as a new job",
        {201: Content(AcceptedView)}, Act.SUBMIT_JOB, parameters=(JOB, KEY), errors=(404, 409),
    ),
    _share("share", "Let somebody else see a job, or steer it too"),
    _share("unshare", "Take a share back"),
    Operation(
        "GET", f"{ROOT}/nodes", "nodes", "List the nodes", {200: Content(Nodes)}, Act.SEE_NODES,
        about="`free` is null while a node takes no work.",
    ),
    Operation(
        "GET", f"{ROOT}/cluster/series", "nodes", "Show what the cluster was like lately",
        {200: Content(SeriesView)}, Act.SEE_NODES,
        parameters=(
            asked("step", "How far apart: 10s for an hour, 1m for a day, 15m for two weeks",
                  {"type": "string", "enum": list(Resolution), "default": Resolution.SECONDS}),
            asked("since", "Only points after this time (ISO 8601)"),
        ),
    ),
    _node_verb("drain", "Keep new work from a node",
               "It runs what it has, and is DRAINED until `undrain`."),
    _node_verb("undrain", "Let new work come to a node again", "A lost one waits for its agent."),
    _node_verb("confirm-lost", "Say that a lost node is gone with its workers",
               "Exclusive jobs that wait for it may then run again. Only one that is LOST, and "
               "for this loss alone."),
    Operation(
        "POST", f"{ROOT}/nodes/{{node}}:label", "nodes", "Give a node labels, or take some away",
        {200: Content(Nodes)}, Act.MANAGE_NODES, parameters=(_NODE,), errors=(404,),
        body=Content(LabelChange, example={"set": {"rack": "r7"}, "remove": ["spare"]}),
        about="They stay with the node while it is known. A repeat is success; the answer lists "
              "all nodes.",
    ),
    _node_verb("remove", "Forget a node that is gone",
               "Only one that is LOST and holds nothing; an agent that comes back joins anew."),
    Operation(
        "POST", f"{ROOT}/nodes/{{node}}:discard", "nodes",
        "End and remove attempts that a node keeps in quarantine", {200: Content(Nodes)},
        Act.MANAGE_NODES, parameters=(_NODE,), errors=(404,),
        body=Content(DiscardRequest, example={"attempts": ["01j9z3k8p6q4m2v7.1"]}, required=False),
        about="After a restore: what a restored Redis does not know. Without a body all of them.",
    ),
)  # fmt: skip
