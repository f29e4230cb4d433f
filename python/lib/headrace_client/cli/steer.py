"""Steering and sharing jobs: the commands that take several at a time."""

import click

from headrace_client.api import AsyncClient
from headrace_client.cli.base import Outcomes, jobs_argument, output_option, run_each
from headrace_client.cli.sharing import asked_shares, shares_text, with_option, write_option
from headrace_client.cli.show import rows, show, step
from headrace_wire.api import JobView

_JOB = "0123456789abcdef"
_VERBS = {
    "stop": ("Stop jobs. A stopped job can be restarted.", _JOB),
    "restart": ("Restart stopped jobs, as a further attempt.", _JOB),
    "cancel": ("Cancel jobs, for good.", f"{_JOB} 0123456789abcdeg"),
    "hold": ("Hold jobs back that have no nodes yet.", _JOB),
    "release": ("Release held jobs.", _JOB),
}


def add_steering(group: click.Group) -> None:
    """Add the commands to the group `jobs`."""
    for verb, (sentence, example) in _VERBS.items():
        text = f"{sentence}\n\n    \b\n    Example: headrace jobs {verb} {example}\n"
        group.add_command(_steer(verb, text))
    group.add_command(share)
    group.add_command(unshare)


def _steer(verb: str, text: str) -> click.Command:
    def command(jobs: tuple[str, ...], form: str) -> None:
        _show_steered(form, run_each(jobs, lambda client, job: client.desire(job, verb)))

    return click.command(name=verb, help=text)(jobs_argument(output_option(command)))


@click.command(name="share")
@jobs_argument
@with_option
@write_option
@output_option
def share(jobs: tuple[str, ...], who: tuple[str, ...], writing: bool, form: str) -> None:
    """Share jobs: those people see them, their logs and outputs; with --write they steer them.

    \b
    Example: headrace jobs share 0123456789abcdef --with user:bob --with group:models
    """
    shares = asked_shares(who, writing)

    async def one(client: AsyncClient, job: str) -> JobView:
        for each in shares:
            view = await client.share(job, each.who, each.level)
        return view

    _show_shared(form, run_each(jobs, one))


@click.command(name="unshare")
@jobs_argument
@with_option
@output_option
def unshare(jobs: tuple[str, ...], who: tuple[str, ...], form: str) -> None:
    """Take shares of jobs back; success where there are none.

    \b
    Example: headrace jobs unshare 0123456789abcdef --with everyone
    """
    shares = asked_shares(who)

    async def one(client: AsyncClient, job: str) -> JobView:
        for each in shares:
            view = await client.unshare(job, each.who)
        return view

    _show_shared(form, run_each(jobs, one))


def _show_shared(form: str, outcomes: Outcomes[JobView]) -> None:
    lines = [(view.id, view.name[:40], shares_text(view.shared)) for view in outcomes.done]
    if outcomes.done:
        show(form, outcomes.done, lambda: rows(("ID", "NAME", "SHARED"), lines, ""))
    outcomes.raise_wrong()


def _show_steered(form: str, outcomes: Outcomes[JobView]) -> None:
    views = outcomes.done
    lines = [(view.id, view.name[:40], status_text(view)) for view in views]
    if views or not outcomes.wrong:
        show(form, views, lambda: rows(("ID", "NAME", "STATUS"), lines, ""))
    outcomes.raise_wrong()


def status_text(view: JobView) -> str:
    """The step that a job is in, and what was asked of it besides."""
    wish = "" if view.status.closed or view.desired == "RUN" else f" ({view.desired})"
    return step(view.status) + wish
