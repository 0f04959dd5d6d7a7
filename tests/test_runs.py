"""What a run shows of itself: its name, how its training goes on, and how it failed."""

import base64
import logging
from datetime import datetime

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run
from prefect.states import Completed, Crashed

from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.orchestration.artifacts import TrainingView, draw_curves, list_fits
from tenarai.orchestration.runs import NIGHTLY, OneLine, explain_failure, fail_run, name_run
from tenarai.settings import TrainingSettings

MORNING = datetime.fromisoformat("2026-11-25T02:10:00+09:00")
ERROR = SourceError("folder <b>photos</b> is missing", expected="a folder", fix="mount the disk")


def artifacts(run_id):
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=mine)}


def read(run_id):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


@pytest.mark.parametrize(("typed", "shown"), [("", "Promoted · 25 Nov"), ("with new pens", "with new pens")])
def test_a_run_is_named_after_its_verdict_unless_a_person_named_it(prefect, typed, shown):
    @flow(flow_run_name=typed or None)
    def night():
        name_run(NIGHTLY, MORNING)
        name_run(_("Promoted"), MORNING)
        return flow_run.id

    run = read(night())
    assert run.name == shown
    assert run.tags == ["promoted"]


def fail(error):
    @task
    def sync():
        raise error

    @flow(on_failure=[explain_failure])
    def night():
        ids.append(flow_run.id)
        try:
            sync()
        except SourceError as error:
            return fail_run(error)
        return Completed()

    ids = []
    state = night(return_state=True)
    return ids[0], state


def test_an_expected_error_is_a_message_an_artifact_and_a_name(prefect):
    run_id, state = fail(ERROR)
    assert state.message == str(ERROR)
    assert state.is_failed()
    page = artifacts(run_id)["what-to-do"].data
    assert "mount the disk" in page.partition("What to do")[2]
    assert "<b>" not in page  # what a file is called is no markup
    assert read(run_id).name.startswith("Failed · ")
    assert read(run_id).tags == ["failed"]


def test_an_unexpected_error_still_gets_its_artifact(prefect):
    run_id, state = fail(ValueError("a bug"))
    assert state.is_failed()
    assert "a bug" in artifacts(run_id)["what-to-do"].data


def test_a_crash_is_named_and_explained_from_outside_the_run(prefect):
    @flow
    def night():
        return flow_run.id

    run = read(night())
    explain_failure(night, run, Crashed(message="exited with status -9"))
    assert "next night completes" in artifacts(run.id)["what-to-do"].data
    assert read(run.id).name.startswith("Crashed · ")


def test_the_log_has_an_expected_error_once_and_without_a_traceback(caplog):
    log = logging.getLogger("prefect.task_runs.test")
    log.addFilter(OneLine())
    with caplog.at_level(logging.INFO, logger=log.name):
        for error in (ERROR, ValueError("a bug")):
            try:
                raise error
            except Exception as caught:
                log.exception("Task run failed with exception: %r", caught, extra={"flow_run_id": str(type(error))})
                log.error("Finished in state Failed(%s)", caught, extra={"flow_run_id": str(type(error))})
    assert [record.getMessage() for record in caplog.records][:1] == [str(ERROR)]
    assert [bool(record.exc_info) for record in caplog.records] == [False, True, False]


# ---- training


def lines(fits=2, epochs=4):
    for fit in range(1, fits + 1):
        for epoch in range(epochs):
            yield _(
                "{fit}, epoch {epoch}: loss {loss}, accuracy {accuracy}, held out {held_out}",
                fit=_("{recipe}, fold {fold} of {folds}", recipe="mlp", fold=fit, folds=fits),
                epoch=epoch + 1,
                loss="0.500",
                accuracy="0.800",
                held_out=f"{0.5 + epoch / 10:.3f}",
            )


def test_a_training_is_watched_on_two_artifacts_that_change_in_place_and_logs_a_line_a_fit(prefect, caplog):
    @flow
    def night():
        view = TrainingView(logging.getLogger("tenarai.train"), TrainingSettings(folds=2, max_epochs=10))
        for line in lines():
            view(line)
        before = artifacts(flow_run.id)
        view.close()
        return flow_run.id, before

    with caplog.at_level(logging.INFO, logger="tenarai.train"):
        run_id, before = night()
    after = artifacts(run_id)
    assert set(after) == {"training", "progress"}
    assert before["progress"].data < after["progress"].data == 100
    assert before["training"].id == after["training"].id
    assert before["training"].data != after["training"].data
    logged = [record.getMessage() for record in caplog.records if record.name == "tenarai.train"]
    assert [line.partition(",")[2][:12] for line in logged] == [" fold 1 of 2", " fold 2 of 2"]


def test_a_training_outside_a_run_only_logs():
    view = TrainingView(logging.getLogger("tenarai.train"), TrainingSettings())
    for line in lines():
        view(line)
    view.close()


def test_curves_are_a_line_a_fit_and_a_row_a_fit():
    curves = {"fold 1": [0.5, 0.7, 0.9], "fold 2": [0.6]}
    svg = base64.b64decode(draw_curves(curves).partition(",")[2]).decode()
    assert svg.count("<polyline") == 2
    assert "50%" in svg
    assert list_fits(curves, "en").splitlines()[0] == "* fold 1 · epochs 3 · best 90.0% · now 90.0%"
