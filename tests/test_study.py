"""The article's experiment: what is held out, what is kept, what is found, and how it is shown."""

import json
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from tenarai.cli.main import main
from tenarai.cli.studies import show_table
from tenarai.errors import ImageError, SettingsError
from tenarai.locale import translate
from tenarai.settings import Settings, StudySettings
from tenarai.store import open_store
from tenarai.study import name_study
from tenarai.study.data import DARK, GREY, INVERTED, NORMALISED, RAW, SQUEEZED, MisreadImage, StudyData, load_data
from tenarai.study.experiment import Experiment, ResultCache, train_all
from tenarai.study.findings import Spread, find_best, make_study
from tenarai.study.plan import (
    NO_AUGMENTATION,
    SWITCHES,
    Result,
    Trial,
    list_trials,
    make_plan,
    train_as_in_a_night,
)
from tenarai.study.report import render_html, render_markdown, write_report
from tenarai.study.tables import find_headline, make_tables
from tests.browser import chromium, listen
from tests.collections_of_digits import fill, picture, save

DIGITS = tuple("0123456789")
ENVIRONMENT = {"keras": "3", "base": "base-1"}
WAYS = (NORMALISED, SQUEEZED, DARK, RAW, GREY, INVERTED)


def data_of(per_label, *, labels=DIGITS, copies=1, misread=None):
    """Images of noise; `copies` neighbouring ones form a near-duplicate group."""
    number = per_label * len(labels)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (number, 28, 28), dtype=np.uint8)
    readings = {way: pixels.copy() for way in WAYS}
    targets = np.repeat(np.arange(len(labels)), per_label)
    groups = np.array([f"g{n // copies:03}" for n in range(number)])
    return StudyData(labels, targets, groups, readings, 1, misread)


def misread_of(label="4", name="four.png"):
    return MisreadImage(name, "ab" * 32, label, dict.fromkeys(WAYS, np.eye(28, dtype=np.uint8)))


# ---- what is held out


def test_five_seeds_hold_every_image_out_once():
    data = data_of(7)
    held_out = np.concatenate([data.draw(seed, 0)[1] for seed in range(5)])
    assert sorted(held_out) == list(range(70))
    for seed in range(5):
        assert len(np.intersect1d(*data.draw(seed, 0))) == 0


@pytest.mark.parametrize("per_label", [0, 1, 3])
def test_near_duplicates_never_lie_on_both_sides_of_a_draw(per_label):
    data = data_of(12, copies=3)
    for seed in range(5):
        train, held_out = data.draw(seed, per_label)
        assert len(train)
        assert len(held_out)
        assert not set(data.groups[train]) & set(data.groups[held_out])


def test_every_label_is_trained_on_and_held_out_in_fair_shares():
    train, held_out = data_of(20).draw(3, 0)
    assert set(np.bincount(train // 20)) <= {15, 16, 17}
    assert len(held_out) == 40


def test_more_samples_include_the_fewer_ones():
    data = data_of(20)
    few, more = (set(data.pick(np.arange(200), number, 2)) for number in (2, 5))
    assert few < more
    assert len(few) == 20
    assert len(more) == 50


def test_with_one_image_a_label_all_are_trained_on_and_none_is_held_out():
    train, held_out = data_of(1).draw(0, 0)
    assert len(train) == 10
    assert not len(held_out)


def test_the_article_trains_on_one_image_per_label_however_many_there_are():
    data = data_of(20)
    lines = [line for line in make_plan(StudySettings(seeds=2), data) if line.part == "article"]
    assert lines
    for trial in (trial for line in lines for trial in line.trials):
        train, held_out = data.draw(trial.seed, trial.draw)
        assert (len(train), len(held_out)) == (10, 190)


def test_every_trial_is_listed_once_though_parts_share_some():
    plan = make_plan(StudySettings(epochs=(5, 40)), data_of(20))
    trials = list_trials(plan)
    planned = [trial for line in plan for trial in line.trials]
    assert len(trials) == len(set(trials))
    assert set(planned) == set(trials)
    assert len(planned) > len(trials)


# ---- the source


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("study"), num_each=4, labels="0147")
    fill(folder, num_each=1, labels="147", first=20, under="misread")
    return folder


def gather(folder, **misread):
    return load_data(Settings(source=f"folder:{folder}"), lambda line: None, **misread)


def test_images_of_the_regression_set_are_left_out_however_the_folder_is_written(folder):
    data = gather(f"{folder}/")
    assert data.labels == ("0", "1", "4", "7")
    assert list(np.bincount(data.targets)) == [4, 4, 4, 4]


def test_a_misread_image_that_lies_in_the_source_is_not_trained_on(folder):
    image = next((folder / "digits" / "4").iterdir())
    data = gather(folder, image=image, label="4")
    assert list(np.bincount(data.targets)) == [4, 4, 3, 4]
    assert data.misread.label == "4"


def test_each_way_of_reading_is_what_it_says(folder):
    data = gather(folder)
    ink = {name: data.readings[name].astype(float).mean() for name in (NORMALISED, SQUEEZED, DARK, GREY, INVERTED)}
    assert ink[GREY] > 128 > ink[INVERTED]  # dark ink on light paper as it came; inverted, ink is light
    assert ink[SQUEEZED] < 128
    assert np.array_equal(data.readings[DARK], data.readings[NORMALISED])  # all of these are written in dark ink


def test_a_misread_image_without_its_label_or_without_a_picture_is_one_clear_message(folder, tmp_path):
    with pytest.raises(SettingsError, match="--label"):
        gather(folder, image=save(tmp_path / "four.png", picture(4)))
    with pytest.raises(SettingsError, match="cannot be read"):
        gather(folder, image=tmp_path / "missing.png", label="4")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="not an image"):
        gather(folder, image=tmp_path / "bad.png", label="4")


# ---- what is kept


def result_of(trial, data, *, share=0.8):
    """What a training might give."""
    train, held_out = data.draw(trial.seed, trial.draw)
    right = "".join("1" if (number * 7 + trial.seed) % 100 < 100 * share else "0" for number in range(len(held_out)))
    falling = [round(2 / (1 + epoch), 4) for epoch in range(max(1, trial.epochs))]
    rising = [round(1 - loss / 2, 4) for loss in falling]
    history = {"loss": falling, "accuracy": rising}
    if right and not trial.stopping:
        history |= {"val_loss": falling, "val_accuracy": rising}
    return Result(
        num_train=(trial.samples or len(train) // len(data.labels)) * len(data.labels),
        history=history,
        right=right,
        right_as_article=right if trial.recipe == "article" else "",
        answer="4" if trial.asks else "",
        confidence=0.9 if trial.asks else 0.0,
        seconds=30.0,
    )


def test_what_was_kept_is_found_again_for_the_same_images_and_versions_only(tmp_path):
    store, data, trial = open_store(str(tmp_path)), data_of(5), train_as_in_a_night("mlp")
    result = result_of(trial, data)
    ResultCache(store, data, ENVIRONMENT).keep(trial, result)
    assert ResultCache(store, data, ENVIRONMENT).find(trial) == result
    assert ResultCache(store, data, ENVIRONMENT, ignore=True).find(trial) is None
    assert ResultCache(store, data, ENVIRONMENT).find(replace(trial, seed=1)) is None
    assert ResultCache(store, data_of(6), ENVIRONMENT).find(trial) is None
    assert ResultCache(store, data, {**ENVIRONMENT, "keras": "4"}).find(trial) is None


def test_only_trials_that_ask_depend_on_the_misread_image(tmp_path):
    store = open_store(str(tmp_path))
    ours, theirs = (ResultCache(store, data_of(5, misread=misread_of(label)), ENVIRONMENT) for label in "45")
    assert ours.key(train_as_in_a_night("mlp")) == theirs.key(train_as_in_a_night("mlp"))
    assert ours.key(train_as_in_a_night("mlp", asks=True)) != theirs.key(train_as_in_a_night("mlp", asks=True))


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b'{"result": {"num_train": 3}}', b"\xff"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    store, trial = open_store(str(tmp_path)), train_as_in_a_night("mlp")
    cache = ResultCache(store, data_of(5), ENVIRONMENT)
    store.write(content, "studies", "trials", f"{cache.key(trial)}.json")
    assert cache.find(trial) is None


def test_ctrl_c_keeps_what_is_done_and_a_second_start_resumes(tmp_path, monkeypatch):
    data = data_of(20)
    trials = list_trials(make_plan(StudySettings(parts=("article",), seeds=2), data))
    cache = ResultCache(open_store(str(tmp_path)), data, ENVIRONMENT)
    trained, lines = [], []

    def train(todo, data, workers):
        for number, trial in enumerate(todo):
            if number == 5 and len(todo) == 12:
                raise KeyboardInterrupt
            trained.append(trial)
            yield trial, result_of(trial, data)

    monkeypatch.setattr("tenarai.study.experiment._train", train)
    with pytest.raises(KeyboardInterrupt):
        train_all(trials, data, cache, lines.append, workers=1)
    lines.clear()
    results = train_all(trials, data, cache, lines.append, workers=1)
    assert lines[0] == "5 of 12 trainings were done before"
    assert lines[-1].startswith("7 of 7: ")
    assert lines[-1].endswith("0 min left")
    assert sorted(map(str, trained)) == sorted(map(str, trials))
    assert set(results) == set(trials)


def test_the_time_left_follows_from_what_is_done(tmp_path, monkeypatch):
    data, lines = data_of(20), []
    monkeypatch.setattr("tenarai.study.experiment._train", lambda todo, *_: ((t, result_of(t, data)) for t in todo))
    cache = ResultCache(open_store(str(tmp_path)), data, ENVIRONMENT)
    train_all([train_as_in_a_night("mlp", seed=seed) for seed in range(9)], data, cache, lines.append, workers=2)
    assert lines[0].endswith("seed 0: held-out accuracy 85.0%, 2 min left")  # eight of 30 s on two cores
    assert lines[5].endswith("1 min left")


# ---- what was found


def find(form, data, change=lambda trial, result: result):
    plan = make_plan(form, data)
    results = {trial: change(trial, result_of(trial, data)) for trial in list_trials(plan)}
    return make_study(plan, results, data, form, "folder:/digits", ENVIRONMENT)


def table_of(study, part):
    return next(table for table in make_tables(study) if table.part == part)


def test_over_fitting_begins_where_the_held_out_loss_turns():
    def turn(trial, result):
        if "val_loss" not in result.history:
            return result
        turned = [abs(epoch - 12 - trial.seed) / 10 + 0.5 for epoch in range(result.epochs)]
        return replace(result, history={**result.history, "val_loss": turned})

    study = find(StudySettings(parts=("epochs",), recipes=("mlp",), seeds=3), data_of(20), turn)
    assert find_best(study.curves["mlp"]) == (Spread(14, 13, 15), True)
    assert table_of(study, "epochs").sentences == ("mlp: over-fitting begins after epoch 14 (seeds: 13 to 15).",)


def test_a_loss_that_still_falls_is_not_called_over_fitting():
    study = find(StudySettings(parts=("epochs",), recipes=("mlp",)), data_of(20))
    assert not find_best(study.curves["mlp"])[1]
    assert "no over-fitting yet" in table_of(study, "epochs").sentences[0]


def test_a_training_accuracy_never_stands_without_the_held_out_one():
    study = find(StudySettings(), data_of(20))
    for row in study.part("article") + study.part("epochs"):
        assert row.training
        assert row.held_out
    for part in ("article", "epochs"):
        head = table_of(study, part).head
        assert "training accuracy" in head
        assert {"held-out accuracy", "others, read as trained"} & set(head)


def test_every_share_says_on_how_many_images_it_rests():
    study = find(StudySettings(), data_of(20))
    rows = [row for part in ("epochs", "samples", "switches") for row in study.part(part)]
    assert {row.num_held_out for row in rows} == {200}
    assert all(row.held_out.lowest <= row.held_out.middle <= row.held_out.highest for row in rows)


def test_each_number_of_epochs_is_evaluated_at_its_own_epoch():
    study = find(StudySettings(parts=("epochs",), recipes=("mlp",), epochs=(5, 40), seeds=1), data_of(20))
    fixed = [row for row in study.part("epochs") if row.line.what == "fixed"]
    assert [row.epochs.middle for row in fixed] == [5, 40]
    assert [row.loss.middle for row in fixed] == [0.4, 0.05]


def test_switches_are_compared_image_by_image():
    def spoil(trial, result):
        return replace(result, right=result.right.replace("1", "0", 3)) if trial.reading == INVERTED else result

    study = find(StudySettings(parts=("switches",), recipes=("cnn",), seeds=2), data_of(20), spoil)
    assert [row.line.what for row in study.part("switches")] == list(SWITCHES)
    table = table_of(study, "switches")
    compared = {name.removeprefix("cnn: "): tuple(cells) for name, _range, *cells in table.rows}
    assert compared["read as in the article"] == ("−7.5", "0 / 6")
    assert compared[NO_AUGMENTATION] == ("–", "0 / 0")
    assert table.sentences == ("Most is lost with “read as in the article”: −7.5 points (cnn).",)


def test_with_one_image_per_label_the_report_says_that_there_are_no_others():
    study = find(StudySettings(), data_of(1))
    assert all(row.held_out is None for row in study.part("article"))
    assert not study.part("samples")
    assert not study.part("switches")
    assert "no others to evaluate it on" in find_headline(make_tables(study))
    assert "–" in table_of(study, "article").rows[0]


def test_the_answer_says_what_is_read_and_what_makes_it_right():
    def misread(trial, result):
        wrong = trial.asks and trial.recipe == "article" and trial.reading == RAW
        return replace(result, answer="5") if wrong else result

    data = data_of(20, misread=misread_of())
    study = find(StudySettings(seeds=2), data, misread)
    said = table_of(study, "question").sentences
    assert said[0] == (
        "This 4 is read as 5 by the article's network, 40 epochs. Every seed is right with: the same reading for both."
    )
    assert said[1] == "With the article's network, 200 epochs, 0/2 seeds are right."
    assert said[2] == "The base model reads 4 (90.0\u00a0%)."
    nowhere = find(StudySettings(seeds=2), data, lambda trial, result: replace(result, answer="5"))
    assert "Nothing that was tried is right" in table_of(nowhere, "question").sentences[0]


# ---- how it is shown


@pytest.fixture(scope="module")
def shown():
    evil = "<script>alert(1)</script>"
    data = data_of(20, labels=("4", "5", evil), misread=misread_of(name=f"{evil}.png"))
    study = find(StudySettings(seeds=2), data)
    return study, make_tables(study), data


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_report_is_one_file_without_script_or_outside_resource_and_names_are_escaped(shown, language):
    page = render_html(*shown, language)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert f'lang="{language}"' in page
    for table in shown[1]:
        assert translate(table.title, language) in unescape(page)
    assert page == render_html(*shown, language)


def test_the_markdown_is_plain_and_has_every_table(shown):
    study, tables, _ = shown
    text = render_markdown(study, tables, "en")
    assert len(text.encode()) < 500_000
    assert "<script" not in text
    assert text.count("\n## ") == len(tables) - 1
    assert text.startswith("## ")


def test_the_json_holds_what_the_tables_show(shown, tmp_path):
    study, tables, data = shown
    write_report(open_store(str(tmp_path)), "x", study, tables, data, "en")
    found = json.loads((tmp_path / "studies" / "x" / "study.json").read_text())
    shares = [row["training"]["middle"] for row in found["rows"] if row["part"] == "epochs"]
    assert [f"{100 * share:.1f}\u00a0%" for share in shares] == [row[2] for row in table_of(study, "epochs").rows]
    assert found["seeds"] == 2


@pytest.mark.parametrize("part", ["article", "epochs", "samples", "switches"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_table_fits_eighty_columns_in_the_terminal(capsys, monkeypatch, part, language):
    monkeypatch.setenv("COLUMNS", "80")
    study = find(StudySettings(seeds=1), data_of(20, labels=("四", "五")))
    table = table_of(study, part)
    show_table(replace(table, note=""), language)
    shown = capsys.readouterr().out.splitlines()
    found = (f"* {translate(sentence, language)}" for sentence in table.sentences)
    columns = set(shown) - {translate(table.title, language), *found}
    assert max(map(cell_len, columns)) <= 80
    words = {word for line in columns for word in line.split()}
    assert {word for row in table.rows for cell in row for word in translate(cell, language).split()} <= words


def test_the_same_images_and_form_name_the_same_study():
    names = {name_study(form, data_of(5)) for form in (StudySettings(), StudySettings(seeds=5), StudySettings(seeds=4))}
    assert len(names) == 2


@pytest.mark.ui
@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_fits_a_phone(shown, tmp_path, language):
    (tmp_path / "report.html").write_text(render_html(*shown, language), encoding="utf-8")
    with chromium() as browser:
        for width in (320, 390, 1280):
            page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme="dark")
            complaints, requests = listen(page)
            page.goto(f"file://{tmp_path}/report.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("figure svg").first.bounding_box()["width"] >= 250
            cells = page.locator("tbody td:first-child").all()
            assert min(cell.bounding_box()["width"] for cell in cells) >= 100
            assert complaints == []
            assert len(requests) == 1


# ---- as a person types it


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENARAI_STORE", raising=False)
    monkeypatch.delenv("TENARAI_SOURCE", raising=False)
    return lambda *arguments: CliRunner().invoke(main, ["study", *map(str, arguments)])


def test_a_small_study_is_made_resumed_and_gives_the_same_bytes_again(run, folder, tmp_path):
    asked = ("--source", f"folder:{folder}", "--store", tmp_path / "store", "--workers", 1)
    asked += ("--parts", "article", "--epochs", "2,6", "--seeds", 1)
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "6 of 6: article" in done.output
    assert "The article's table" in done.output
    report = tmp_path / done.output.rsplit("report: ", 1)[1].strip()
    numbers, page = report.with_name("study.json").read_bytes(), report.read_bytes()
    again = run(*asked)
    assert "6 of 6 trainings were done before" in again.output
    assert report.with_name("study.json").read_bytes() == numbers
    assert report.read_bytes() == page
    report.with_name("study.json").unlink()
    retrained = run(*asked, "--retrain")
    assert "done before" not in retrained.output
    assert report.with_name("study.json").read_bytes() == numbers


@pytest.mark.parametrize(
    "wrong", [("--epochs", "five"), ("--epochs", "0"), ("--recipes", "magic"), ("--parts", ""), ("--seeds", "0")]
)
def test_wrong_usage_exits_with_two(run, wrong):
    assert run(*wrong).exit_code == 2


def test_every_kind_of_trial_can_be_trained(folder):
    image = next((folder / "misread" / "4").iterdir())
    data = gather(folder, image=image, label="4")
    experiment = Experiment(data)
    assert experiment.run(train_as_in_a_night("base", asks=True)).answer == "4"
    assert sorted(data.similar) == list(range(16))
    assert experiment.run(Trial("mlp", epochs=2, draw=1, asks=True)).num_train == 4  # one of each label
    stopped = experiment.run(train_as_in_a_night("transfer", epochs=3, stopping=True))
    assert 1 <= stopped.epochs <= 3
    assert "val_loss" not in stopped.history
    squeezed = experiment.run(train_as_in_a_night("transfer", epochs=2, reading=SQUEEZED, augmented=False))
    assert set(squeezed.right) <= {"0", "1"}
    assert len(squeezed.history["val_accuracy"]) == 2


def test_a_run_from_the_prefect_ui_publishes_the_report_and_says_the_answer_in_its_state(
    prefect, folder, tmp_path, monkeypatch
):
    from prefect.artifacts import Artifact

    from flows.study import study

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    form = StudySettings(parts=("article",), epochs=(2,), seeds=1)
    state = study(source=f"folder:{folder}", store=str(tmp_path / "store"), form=form, return_state=True)
    assert state.is_completed()
    assert state.message.startswith("On one image per label, the article's network reads")
    artifact = Artifact.get("study")
    assert artifact.type == "markdown"
    assert "## The article" in artifact.data
    assert Path(state.result()).read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_processes_give_the_same_numbers_as_this_one(folder, tmp_path):
    data = gather(folder)
    trials = [train_as_in_a_night("mlp", epochs=3, seed=seed) for seed in range(3)]
    caches = [ResultCache(open_store(str(tmp_path / name)), data, {}) for name in ("here", "there")]
    here, there = (train_all(trials, data, cache, print, workers=n) for n, cache in enumerate(caches, 1))
    for trial in trials:
        assert there[trial].right == here[trial].right
        np.testing.assert_allclose(there[trial].history["loss"], here[trial].history["loss"], atol=1e-4)
