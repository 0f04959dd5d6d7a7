"""The nightly flow.

sync ─▶ prepare ─▶ cut ─▶ freeze ─▶ train ─▶ evaluate ─▶ decide ─▶ inbox ─▶ report ─▶ send
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar

from prefect import Task, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from tasks.cut import cut
from tasks.decide import decide
from tasks.evaluate import evaluate
from tasks.freeze import freeze
from tasks.inbox import read_inbox
from tasks.prepare import prepare
from tasks.report import publish_report
from tasks.send import send_report
from tasks.sync import sync
from tasks.train import train
from tenarai.errors import TenaraiError, UnusualChangesError
from tenarai.locale import _
from tenarai.night import Night, open_night
from tenarai.orchestration.runs import NIGHTLY, explain_failure, fail_run, name_run, settings_of_run
from tenarai.records import Decision, Outcome, SyncResult
from tenarai.settings import EvaluationSettings, GateSettings, TrainingSettings

log = logging.getLogger("tenarai.night")

P = ParamSpec("P")
R = TypeVar("R")


class Runner(Protocol):
    """Runs a step."""

    def __call__(self, step: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it with its arguments."""


def as_task(step: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step as a Prefect task."""
    return step(*args, **kwargs)


def in_place(step: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a step as a plain function, without a server."""
    return step.fn(*args, **kwargs)


@flow(name="nightly", timeout_seconds=6 * 3600, on_failure=[explain_failure], on_crashed=[explain_failure])
def nightly(
    source: str = "",
    store: str = "",
    force: bool = False,
    accept_changes: bool = False,
    training: TrainingSettings = TrainingSettings(),
    evaluation: EvaluationSettings = EvaluationSettings(),
    gate: GateSettings = GateSettings(),
) -> State[Outcome]:
    """Train on what is new, evaluate it, and publish a report.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set for the worker.
        store: Where everything is kept: a path, s3://… or gs://…. Empty: as set for the worker.
        force: Train even when nothing is new, with another seed.
        accept_changes: Accept, this once, changes of the source that look like an accident.
        training: How the challenger is trained.
        evaluation: What champion and challenger are evaluated on.
        gate: When a challenger becomes champion.
    """
    try:
        night = open_night(
            settings_of_run(source=source, store=store),
            run_id=str(flow_run.id or ""),
            force=force,
            accept_changes=accept_changes,
            training=training,
            evaluation=evaluation,
            gate=gate,
        )
        name_run(NIGHTLY, datetime.fromisoformat(night.created))
        outcome = run_steps(night)
    except TenaraiError as error:
        return fail_run(error)
    return Completed(name=outcome.state, message=str(outcome.message), data=outcome)


def run_steps(night: Night, run: Runner = as_task) -> Outcome:
    """Run the steps of a night in their order, alone on its store.

    Args:
        night: The context.
        run: Runs each step as a Prefect task, or in place where there is no server.

    Raises:
        StoreBusyError: Another night works on the store.
        TenaraiError: A step failed.
    """
    with night.lock():
        try:
            synced = run(sync, night)
        except UnusualChangesError as error:
            try:
                report_stop(night, error, run)
            except Exception:
                log.exception(_("the report of the stopped night could not be written"))
            raise
        run(prepare, night)
        run(cut, night)
        frozen = run(freeze, night)
        challenger = run(train, night, frozen)
        evaluation = run(evaluate, night, frozen, challenger)
        decision = run(decide, night, frozen, evaluation)
        inbox = run(read_inbox, night)
        outcome = run(publish_report, night, synced, frozen, evaluation, decision, inbox)
        return run(send_report, night, outcome)


def report_stop(night: Night, error: UnusualChangesError, run: Runner) -> None:
    """Publish a report of a night that stopped, so that nobody takes yesterday's for today's."""
    what = _("{what} ({received})", what=error.what, received=error.received) if error.received else error.what
    decision = Decision("stopped", "unusual changes", {"what": what, "fix": error.fix})
    frozen = run(freeze, night)
    if frozen.is_new:  # it is left to the next night
        frozen = replace(frozen, is_new=False, fingerprint="")
    evaluation = run(evaluate, night, frozen, "")
    outcome = run(publish_report, night, SyncResult(), frozen, evaluation, decision, run(read_inbox, night))
    run(send_report, night, outcome)
