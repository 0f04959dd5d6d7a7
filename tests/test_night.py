"""Whole nights through the real flow on folders of real digits."""

import json
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from flows.nightly import nightly
from tenarai.catalogue import open_catalogue
from tenarai.dataset import load_snapshot
from tenarai.errors import SettingsError, SourceError, StoreError, StoreVersionError, UnusualChangesError
from tenarai.evaluate.champions import promote_by_hand
from tenarai.locale import from_json
from tenarai.prepare import NORMALISER_VERSION
from tenarai.settings import Settings, TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import fill, picture, save

QUICK = TrainingSettings(recipe="mlp", max_epochs=12, patience=3, folds=2)
PROJECT = Path(__file__).resolve().parents[1]


def run_night(folder, store, training=QUICK, **given):
    state = nightly(source=f"folder:{folder}", store=str(store), training=training, return_state=True, **given)
    return state.result()


def report_of(store):
    run = (Path(store) / "reports/latest").read_text().strip()
    return json.loads((Path(store) / "reports" / run / "report.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("night")


@pytest.fixture
def collection(place):
    shutil.rmtree(place / "folder", ignore_errors=True)
    return make_collection(place / "folder")


def make_collection(folder):
    fill(folder, num_each=8)
    fill(folder, num_each=1, labels="47", first=50, under="misread")
    save(folder / "inbox" / "what is this.png", picture(1700))
    return folder


@pytest.fixture
def store(place):
    shutil.rmtree(place / "store", ignore_errors=True)
    return place / "store"


@pytest.fixture(scope="module")
def first_night(prefect, place, tmp_path_factory):
    """The outcome of a first night, and copies of the collection and the store as it left them."""
    kept = tmp_path_factory.mktemp("kept")
    outcome = run_night(make_collection(place / "folder"), place / "store")
    for name in ("folder", "store"):
        shutil.move(place / name, kept / name)
    return outcome, kept


@pytest.fixture
def night_before(first_night, collection, store):
    """Collection and store are those after a first night, whose outcome this is."""
    outcome, kept = first_night
    for place in (collection, store):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(kept / place.name, place)
    return outcome


def test_a_first_night_ends_with_a_verdict_and_a_report_that_is_complete(prefect, night_before, collection, store):
    outcome = night_before
    assert outcome.verdict in {"promoted", "kept"}
    report = report_of(store)
    assert report["verdict"] == outcome.verdict
    assert report["frozen"]["num_images"] == 83
    assert report["frozen"]["rejections"] == []
    assert report["evaluation"]["challenger_score"]["num_images"] > 0
    outcomes = [item["status"] for item in report["evaluation"]["disputed"]]
    assert (outcomes.count("won"), outcomes.count("lost")) == (
        report["evaluation"]["pairs"]["won"],
        report["evaluation"]["pairs"]["lost"],
    )
    assert {case["label"] for case in report["evaluation"]["regression"]} == {"4", "7"}
    with open_catalogue(f"sqlite:///{store / 'catalogue.sqlite'}") as catalogue:
        (kept,) = catalogue.nights(f"folder:{collection}")
    assert {story["label"] for story in kept["stories"].values()} == {"4", "7"}
    assert set(report["seconds"]) >= {"sync", "prepare", "freeze", "train", "evaluate", "decide"}
    assert Path(outcome.report).read_bytes().lstrip().lower().startswith(b"<!doctype html>")


def test_the_steps_run_in_place_without_a_server(collection, store, monkeypatch):
    from flows.nightly import in_place, run_steps
    from tenarai.night import open_night

    def refuse(*_, **__):
        raise AssertionError("a plain night asked for a Prefect server")

    monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer.start", refuse)
    night = open_night(Settings(source=f"folder:{collection}", store=str(store)), training=QUICK)
    assert run_steps(night, in_place).verdict in {"promoted", "kept"}
    assert report_of(store)["run"] == night.run


def test_a_second_night_without_anything_new_trains_nothing(prefect, night_before, collection, store):
    before = {path: path.stat().st_mtime_ns for path in (store / "models").rglob("*")}
    assert run_night(collection, store).verdict == "nothing new"
    assert {path: path.stat().st_mtime_ns for path in (store / "models").rglob("*")} == before
    assert report_of(store)["challenger"] == ""


def test_a_quiet_night_still_shows_the_regression_set_and_its_life(prefect, night_before, collection, store):
    first = {case["path"]: case for case in report_of(store)["evaluation"]["regression"]}
    run_night(collection, store)
    for case in report_of(store)["evaluation"]["regression"]:
        before = first[case["path"]]
        assert case["challenger"] is None
        assert case["champion"] in (before["champion"], before["challenger"])
    assert len(report_of(store)["evaluation"]["regression"]) == 2


def swap(folder, one, other):
    """Exchange two label folders, as somebody might who took the one for the other."""
    (folder / one).rename(folder / "aside")
    (folder / other).rename(folder / one)
    (folder / "aside").rename(folder / other)


def test_a_relapse_is_kept_out_by_the_gate_and_reported_when_a_person_lets_it_in(prefect, tmp_path, store):
    folder = fill(tmp_path / "folder", num_each=8)
    fill(folder, num_each=1, labels="4", first=50, under="misread")
    run_night(folder, store)
    (case,) = report_of(store)["evaluation"]["regression"]
    assert case["story"]["state"] == "fixed"

    swap(folder / "digits", "4", "9")
    outcome = run_night(folder, store)
    swapped = report_of(store)
    (case,) = swapped["evaluation"]["regression"]
    assert (outcome.verdict, case["status"], case["champion"]["label"]) == ("kept", "newly misread", "4")
    assert "the new model would misread misread/4/" in from_json(swapped["reason"])
    assert case["story"]["state"] == "fixed"  # the champion still reads it
    promote_by_hand(Settings(store=str(store)), swapped["challenger"], why="to see it go wrong")

    swap(folder / "digits", "4", "9")
    poor = TrainingSettings(recipe="mlp", max_epochs=1, folds=2)
    assert run_night(folder, store, poor).verdict == "kept"
    report = report_of(store)
    (case,) = report["evaluation"]["regression"]
    assert case["champion"]["label"] != "4"
    assert (case["story"]["state"], case["story"]["model"]) == ("relapsed", swapped["challenger"])
    page = (store / "reports" / report["run"] / "report.html").read_text()
    assert "relapsed" in page


def test_one_new_image_makes_a_new_night(prefect, night_before, collection, store):
    save(collection / "digits" / "3" / "new.png", picture(1500))
    assert run_night(collection, store).verdict in {"promoted", "kept"}


def test_moving_a_file_from_the_inbox_to_a_label_folder_labels_it(prefect, night_before, collection, store):
    (collection / "inbox" / "what is this.png").rename(collection / "digits" / "5" / "what is this.png")
    assert run_night(collection, store).verdict in {"promoted", "kept"}
    report = report_of(store)
    assert report["inbox"] == []
    assert [(item["path"], item["label"]) for item in report["filed"]] == [("digits/5/what is this.png", "5")]
    assert report["filed"][0]["was_read_as"]  # by the champion of the night before
    page = (Path(store) / "reports/latest").read_text().strip()
    assert "Thank you for filing 1 image" in (Path(store) / "reports" / page / "report.html").read_text()


def test_what_is_misread_is_explained_by_training_images(prefect, collection, store):
    save(collection / "misread" / "3" / "upside down.png", picture(4)[::-1])
    run_night(collection, store)
    report = report_of(store)
    snapshot = load_snapshot(open_store(str(store)), report["snapshot"])
    trained_on = set(snapshot.sha256[snapshot.rows("train")].tolist())
    assert report["explanations"]
    for explained in report["explanations"]:
        assert {sha256 for sha256, _label in explained["nearest"]} <= trained_on


def test_a_run_is_called_by_its_verdict_and_its_date_and_its_state_says_how_it_ended(
    prefect, night_before, collection, store
):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    first, second = night_before, run_night(collection, store)
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=100)
    states = {run.name: run.state.name for run in runs if run.state.is_completed()}
    for outcome in (first, second):
        day = datetime.fromisoformat(report_of(store)["created"])
        name = f"{outcome.verdict.capitalize()} · {day.day} {day:%b}"
        assert states[name].startswith(f"Completed: {outcome.verdict}")


def test_reports_go_by_the_clock_that_is_set(prefect, collection, store, monkeypatch):
    monkeypatch.setenv("TENARAI_TIMEZONE", "Asia/Tokyo")
    run_night(collection, store)
    assert report_of(store)["created"].endswith("+09:00")
    monkeypatch.setenv("TENARAI_TIMEZONE", "Mars/Olympus")
    with pytest.raises(SettingsError, match="time zone .* is unknown"):
        run_night(collection, store)


def test_a_forced_night_trains_another_challenger(prefect, night_before, collection, store):
    first = report_of(store)["challenger"]
    assert run_night(collection, store, force=True).verdict in {"promoted", "kept"}
    assert report_of(store)["challenger"] not in {"", first}


def test_the_regression_set_is_never_trained_on(prefect, night_before, collection, store):
    snapshot = load_snapshot(open_store(str(store)), report_of(store)["snapshot"])
    misread = {path.name for path in (collection / "misread").rglob("*.png")}
    regression = set(snapshot.sha256[snapshot.rows("regression")].tolist())
    assert len(regression) == len(misread) == 2
    assert not regression & set(snapshot.sha256[snapshot.rows("train")].tolist())


def test_the_same_image_reads_the_same_by_training_path_command_and_keras_file(
    prefect, night_before, collection, store
):
    import keras

    from tenarai.evaluate.read import read_files
    from tenarai.prepare import read_digit
    from tenarai.settings import Settings

    model = report_of(store)["challenger"]
    files = sorted((collection / "digits" / "4").glob("*.png"))
    by_command = [r.reading for r in read_files(files, Settings(store=str(store)), model=model)]
    digits = np.stack([read_digit(file.read_bytes()) for file in files])
    network = keras.saving.load_model(store / "models" / model / "model.keras", safe_mode=True)
    labels = json.loads((store / "models" / model / "model.json").read_text())["labels"]
    by_file = network.predict(digits, verbose=0)
    assert [reading.label for reading in by_command] == [labels[k] for k in by_file.argmax(axis=1)]
    np.testing.assert_allclose([r.confidence for r in by_command], by_file.max(axis=1), atol=1e-5)


def test_a_digit_on_white_paper_and_its_negative_read_the_same(tmp_path):
    from tenarai.evaluate.read import read_files
    from tenarai.settings import Settings

    files = []
    for number in range(0, 40, 4):
        files.append(save(tmp_path / f"{number}.png", picture(number)))
        files.append(save(tmp_path / f"{number}-inverted.png", picture(number, inverted=True)))
    readings = [r.reading for r in read_files(files, Settings(store=str(tmp_path / "none")))]
    for dark, light in zip(readings[::2], readings[1::2], strict=True):
        assert dark.label == light.label
        assert dark.confidence == pytest.approx(light.confidence, abs=0.02)


def test_a_folder_of_label_folders_is_understood_without_digits_in_its_path(prefect, tmp_path, store):
    fill(tmp_path / "folder", num_each=6, under=".")
    assert run_night(tmp_path / "folder", store).verdict in {"promoted", "kept"}
    assert report_of(store)["frozen"]["num_images"] == 60


def test_unusable_files_are_rejected_with_their_reasons_and_the_night_goes_on(prefect, collection, store):
    bad = collection / "digits" / "1"
    (bad / "empty.png").write_bytes(b"")
    (bad / "letter.png").write_text("Dear diary")
    (bad / "half.jpg").write_bytes(save(bad / "whole.jpg", picture(1)).read_bytes()[:600])
    save(bad / "blank.png", np.full((90, 90), 250, np.uint8))
    run_night(collection, store)
    reasons = {
        item["path"].rsplit("/", 1)[-1]: from_json(item["reason"]) for item in report_of(store)["frozen"]["rejections"]
    }
    assert set(reasons) == {"empty.png", "letter.png", "half.jpg", "blank.png"}
    assert "empty" in reasons["empty.png"]
    assert "not an image" in reasons["letter.png"]
    assert "truncated" in reasons["half.jpg"]
    assert "blank" in reasons["blank.png"]


def test_an_unreadable_source_is_one_clear_message(prefect, tmp_path, store):
    with pytest.raises(SourceError, match="nowhere"):
        run_night(tmp_path / "nowhere", store)


def test_an_empty_folder_is_one_clear_message(prefect, tmp_path, store):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="digits/"):
        run_night(tmp_path / "empty", store)


@pytest.mark.parametrize(("labels", "num_each", "message"), [("4", 8, "only one label"), ("01", 1, "too few images")])
def test_too_little_to_train_on_completes_reads_the_inbox_and_says_what_is_missing(
    prefect, tmp_path, store, labels, num_each, message
):
    folder = fill(tmp_path / "folder", num_each=num_each, labels=labels)
    save(folder / "inbox" / "first.png", picture(0))
    outcome = run_night(folder, store)
    assert outcome.verdict == "nothing new"
    assert message in outcome.message
    assert "add images" in outcome.message
    assert report_of(store)["inbox"][0]["champion"]["label"] == "0"
    fill(folder, num_each=8)
    assert run_night(folder, store).verdict in {"promoted", "kept"}


def test_a_stopped_night_changes_nothing_and_its_report_names_the_setting(tmp_path, store):
    from flows.nightly import in_place, run_steps
    from tenarai.night import open_night

    def night():
        return run_steps(open_night(Settings(source=f"folder:{folder}", store=str(store))), in_place).verdict

    folder = fill(tmp_path / "folder", num_each=6, labels="4")
    save(folder / "inbox" / "first.png", picture(0))
    assert night() == "nothing new"
    (folder / "digits").rename(folder / "digits (1)")
    with pytest.raises(UnusualChangesError, match="--accept-changes"):
        night()
    report = report_of(store)
    assert report["verdict"] == "stopped"
    assert "--accept-changes" in str(report["reason"])
    assert "digits (1)/" in str(report["reason"])
    assert report["inbox"][0]["champion"]["label"] == "0"
    (folder / "digits (1)").rename(folder / "digits")
    assert night() == "nothing new"
    assert report_of(store)["verdict"] == "nothing new"


def test_an_inbox_alone_is_read_by_the_base_model(prefect, tmp_path, store):
    save(tmp_path / "folder" / "inbox" / "first.png", picture(0))
    assert run_night(tmp_path / "folder", store).verdict == "nothing new"
    assert report_of(store)["inbox"][0]["champion"]["label"] == "0"


def test_a_store_from_a_newer_version_is_left_alone(prefect, collection, store):
    store.mkdir()
    (store / "store.json").write_text('{"version": 99}')
    with pytest.raises(StoreVersionError, match="another version"):
        run_night(collection, store)
    assert [path.name for path in store.iterdir()] == ["store.json"]


def test_a_disk_that_fills_up_while_a_model_is_kept_leaves_the_old_champion(
    prefect, night_before, collection, store, monkeypatch
):
    save(collection / "digits" / "3" / "new.png", picture(1500))
    before = (store / "champion.json").read_bytes() if (store / "champion.json").exists() else None
    write = type(open_store(str(store))).write

    def write_until_models(self, data, *parts):
        if parts[0] == "models":
            raise StoreError("the disk is full", fix="free space")
        write(self, data, *parts)

    monkeypatch.setattr("tenarai.store.Store.write", write_until_models)
    with pytest.raises(StoreError, match="disk is full"):
        run_night(collection, store)
    monkeypatch.undo()
    after = (store / "champion.json").read_bytes() if (store / "champion.json").exists() else None
    assert after == before
    assert run_night(collection, store).verdict in {"promoted", "kept"}


def test_a_store_of_an_older_normaliser_is_prepared_again_and_its_champion_does_not_read(
    prefect, night_before, collection, store
):
    old = report_of(store)["challenger"]
    promote_by_hand(Settings(store=str(store)), old, why="to have one")
    with sqlite3.connect(store / "catalogue.sqlite") as catalogue:
        catalogue.execute("UPDATE digits SET normaliser = normaliser - 1, pixels = zeroblob(784)")
    place, record = open_store(str(store)), ("models", old, "model.json")
    place.write_json({**place.read_json(*record), "normaliser": NORMALISER_VERSION - 1}, *record)
    save(collection / "digits" / "3" / "new.png", picture(1500))
    assert run_night(collection, store).verdict in {"promoted", "kept"}
    report = report_of(store)
    snapshot = load_snapshot(open_store(str(store)), report["snapshot"])
    assert snapshot.info.normaliser == NORMALISER_VERSION
    assert (snapshot.pixels.max(axis=(1, 2)) > 0).all()
    assert "compared with the base model" in json.dumps(report)


def test_a_quiet_night_never_imports_keras(prefect, night_before, collection, store):
    code = (
        "import sys; from flows.nightly import nightly\n"
        f"state = nightly(source='folder:{collection}', store='{store}', training={QUICK!r}, return_state=True)\n"
        "print(state.result().verdict, 'keras' in sys.modules or 'tensorflow' in sys.modules)\n"
    ).replace("TrainingSettings(", "__import__('tenarai.settings').settings.TrainingSettings(")
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=prefect, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["nothing new False"], done.stderr[-2000:]
