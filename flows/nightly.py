"""The nightly flow: sync → cut sheets → prepare → freeze → train → examine → decide → read inbox → publish, send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from tasks import stages
from tasks.send import send_night
from tenarai.night import Night, begin_night, name_tonight
from tenarai.orchestration.fan_out import order_nights
from tenarai.report.outcome import Outcome
from tenarai.settings import EvaluationSettings, GateSettings, Settings, TrainingSettings


def spend_night(night: Night, *, as_task: Callable[[Any], Any] = lambda stage: stage) -> Outcome:
    """The stages of a night in their order, alone on its store.

    Args:
        night: What to work on.
        as_task: Gives the Prefect task of a stage. Default: the plain functions run, and no server is needed.
    """
    with night.alone():
        synced = as_task(stages.sync_night)(night)
        as_task(stages.cut_night)(night)
        as_task(stages.prepare_night)(night)
        frozen = as_task(stages.freeze_night)(night)
        challenger = stages.train_challenger(night, frozen)
        examined = as_task(stages.examine_night)(night, frozen, challenger)
        decision = as_task(stages.decide_night)(night, frozen, examined)
        inbox = as_task(stages.read_inbox)(night)
        outcome = as_task(stages.publish_night)(night, synced, frozen, examined, decision, inbox)
        return as_task(send_night)(night, outcome)  # type: ignore[no-any-return]


@flow(name="nightly", flow_run_name=name_tonight, timeout_seconds=6 * 3600, retries=0)
def nightly(
    source: str = "",
    store: str = "",
    collection: str = "",
    force: bool = False,
    allow_mass_deletion: bool = False,
    training: TrainingSettings = TrainingSettings(),
    evaluation: EvaluationSettings = EvaluationSettings(),
    gate: GateSettings = GateSettings(),
) -> State[Outcome] | State[None]:
    """One night: learn from what is new, sit the exam, hand in a report.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set on the worker (TENARAI_SOURCE).
        store: Where everything is kept: a path, s3://… or gs://…. Empty: as set on the worker (TENARAI_STORE).
        collection: Name of one of many (TENARAI_COLLECTIONS), instead of source and store. Empty, with both empty, too,
            where there are many: order a night for each.
        force: Train even when nothing is new, with another seed.
        allow_mass_deletion: Believe it, this once, when more than a fifth of the files vanished from the source.
        training: How the challenger is trained.
        exam: What the models are examined on.
        gate: When a challenger becomes champion.
    """
    if not (source or store or collection) and Settings().collections:
        forms = {"training": training, "evaluation": evaluation, "gate": gate}
        told = {name: form.model_dump(mode="json") for name, form in forms.items()}
        flags = {"force": force, "allow_mass_deletion": allow_mass_deletion}
        return Completed(message=order_nights({**flags, **told}, str(flow_run.id)))
    night = begin_night(
        source,
        store,
        collection=collection,
        force=force,
        allow_mass_deletion=allow_mass_deletion,
        training=training,
        evaluation=evaluation,
        gate=gate,
        run_id=str(flow_run.id or ""),
    )
    outcome = spend_night(night, as_task=stages.TASKS.__getitem__)
    return Completed(name=outcome.state, message=outcome.message, data=outcome)
