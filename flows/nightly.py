"""The nightly flow: sync → cut sheets → prepare → freeze → train → examine → decide → read the inbox → publish."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows import stages
from flows.night import begin_night, name_tonight
from flows.outcome import Outcome
from tasks.settings import ExamSettings, GateSettings, TrainingSettings


@flow(name="nightly", flow_run_name=name_tonight, timeout_seconds=6 * 3600, retries=0)
def nightly(
    source: str = "",
    store: str = "",
    force: bool = False,
    training: TrainingSettings = TrainingSettings(),
    exam: ExamSettings = ExamSettings(),
    gate: GateSettings = GateSettings(),
) -> State[Outcome]:
    """One night: learn from what is new, sit the exam, hand in a report.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set on the worker (TENARAI_SOURCE).
        store: Where everything is kept: a path, s3://… or gs://…. Empty: as set on the worker (TENARAI_STORE).
        force: Train even when nothing is new, with another seed.
        training: How the challenger is trained.
        exam: What the models are examined on.
        gate: When a challenger becomes champion.
    """
    night = begin_night(
        source, store, force=force, training=training, exam=exam, gate=gate, run_id=str(flow_run.id or "")
    )
    with night.alone():
        synced = stages.sync_source(night)
        stages.cut_sheets(night)
        stages.prepare_digits(night)
        frozen = stages.freeze_snapshot(night)
        challenger = stages.train_challenger(night, frozen)
        examined = stages.examine_models(night, frozen, challenger)
        decision = stages.decide_champion(night, frozen, examined)
        inbox = stages.read_unlabelled(night)
        outcome = stages.publish_report(night, synced, frozen, examined, decision, inbox)
    return Completed(name=outcome.state, message=outcome.message, data=outcome)
