"""The steps of a night as Prefect sees them: what depends on what, and what is tried again."""

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run

from flows.nightly import run_steps
from tasks.sync import sync
from tenarai.errors import SourceError, StoreError
from tenarai.night import open_night
from tenarai.settings import Settings, TrainingSettings
from tests.collections_of_digits import fill

QUICK = TrainingSettings(recipe="mlp", max_epochs=2, patience=1, folds=2)
STEPS = ["sync", "prepare", "cut", "freeze", "train", "evaluate", "decide", "inbox", "report", "send"]


@pytest.fixture
def night(tmp_path):
    folder = fill(tmp_path / "folder", num_each=5, labels="47")
    return open_night(Settings(source=f"folder:{folder}", store=str(tmp_path / "store")), training=QUICK)


def test_the_run_graph_shows_each_step_and_what_it_depends_on(prefect, night):
    @flow
    def whole():
        run_steps(night)
        return str(flow_run.id)

    mine = FlowRunFilter(id=FlowRunFilterId(any_=[whole()]))
    with get_client(sync_client=True) as client:
        runs = sorted(client.read_task_runs(flow_run_filter=mine), key=lambda run: run.start_time)
    assert [run.name.split("-")[0] for run in runs] == STEPS
    names = {run.id: run.name.split("-")[0] for run in runs}
    edges = {
        (names[parent.id], names[run.id])
        for run in runs
        for parents in run.task_inputs.values()
        for parent in parents
        if parent.input_type == "task_run"
    }
    assert {
        ("freeze", "train"),
        ("freeze", "evaluate"),
        ("train", "evaluate"),
        ("evaluate", "decide"),
        ("sync", "report"),
        ("decide", "report"),
        ("inbox", "report"),
        ("report", "send"),
    } <= edges


@pytest.mark.parametrize(
    ("fault", "tries"),
    [(ConnectionResetError("the line is down"), 3), (SourceError("no such folder"), 1), (ValueError("a bug"), 1)],
)
def test_a_passing_fault_of_the_sync_is_tried_again_and_no_other(prefect, night, monkeypatch, fault, tries):
    count = 0

    def fail(*args, **options):
        nonlocal count
        count += 1
        raise fault

    monkeypatch.setattr("tasks.sync.open_source", fail)

    @flow
    def syncing():
        sync.with_options(retry_delay_seconds=0)(night)

    with pytest.raises(type(fault)):
        syncing()
    assert count == tries


def test_a_night_that_cannot_hold_its_store_runs_no_step(night):
    ran = []
    with night.lock(), pytest.raises(StoreError):
        run_steps(night, lambda step, *args: ran.append(step))
    assert ran == []
