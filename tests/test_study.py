"""The article's experiment: what is held out, what is kept, what can be told from it, and how it is shown."""

import json
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flows.study import name_study, train_plan
from tenarai.cli.main import main
from tenarai.errors import ImageError, SettingsError
from tenarai.evaluate import wilson_score
from tenarai.report import escape, page_style
from tenarai.settings import Settings, StudySettings
from tenarai.store import open_store
from tenarai.study import Cell, Findings, Material, Notebook, Outcome, Progress, Question, build_report, make_plan
from tenarai.study.extrapolate import forecast
from tenarai.study.gather import gather_material
from tenarai.study.material import DARK, GREY, INVERTED, NORMALISED, SQUEEZED
from tenarai.study.plan import SCHEDULE, SWITCHES, plain
from tenarai.study.sentences import answer_question, percent
from tenarai.study.tables import as_text, make_tables
from tests.collections_of_digits import fill, picture, save

DIGITS = tuple("0123456789")
ENVIRONMENT = {"keras": "3", "base": "base-1"}


def material_of(per_label, *, labels=DIGITS, copies=1, question=None):
    """Pictures of noise; `copies` neighbouring ones form a near-duplicate group."""
    number = per_label * len(labels)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (number, 28, 28), dtype=np.uint8)
    pictures = {name: pixels.copy() for name in (NORMALISED, SQUEEZED, DARK, GREY)}
    targets = np.repeat(np.arange(len(labels)), per_label)
    groups = np.array([f"g{n // copies:03}" for n in range(number)])
    return Material(labels, targets, groups, pictures, 1, question)


def question_of(label="4", name="four.png"):
    digit = np.zeros((28, 28), dtype=np.uint8)
    return Question(name, "ab" * 32, label, dict.fromkeys((NORMALISED, SQUEEZED, DARK, GREY), digit))


# ---- what is held out


def test_five_seeds_hold_every_image_out_once():
    material = material_of(7)
    held_out = np.concatenate([material.draw(seed, 0)[1] for seed in range(5)])
    assert sorted(held_out) == list(range(70))
    for seed in range(5):
        assert len(np.intersect1d(*material.draw(seed, 0))) == 0


@pytest.mark.parametrize("per_label", [0, 1, 3])
def test_near_duplicates_never_lie_on_both_sides_of_a_draw(per_label):
    material = material_of(12, copies=3)
    for seed in range(5):
        train, held_out = material.draw(seed, per_label)
        assert len(train)
        assert len(held_out)
        assert not set(material.groups[train]) & set(material.groups[held_out])


def test_every_label_is_trained_on_and_held_out_in_fair_shares():
    train, held_out = material_of(20).draw(3, 0)
    assert set(np.bincount(train // 20)) <= {15, 16, 17}
    assert len(held_out) == 40


def test_more_samples_include_the_fewer_ones():
    material = material_of(20)
    few, more = (set(material.pick(np.arange(200), number, 2)) for number in (2, 5))
    assert few < more
    assert len(few) == 20
    assert len(more) == 50


def test_with_one_image_a_label_all_are_trained_on_and_none_is_held_out():
    train, held_out = material_of(1).draw(0, 0)
    assert len(train) == 10
    assert not len(held_out)


def test_the_article_trains_on_one_image_a_label_however_many_there_are():
    material = material_of(20)
    cells = make_plan(StudySettings(seeds=2), material).article.values()
    for cell in (cell for line in cells for cell in line):
        train, held_out = material.draw(cell.seed, cell.draw)
        assert (len(train), len(held_out)) == (10, 190)


def test_the_schedules_are_those_of_the_recipes():
    from tenarai.model.recipes import RECIPES

    assert {name: recipe.epochs_without_split for name, recipe in RECIPES.items()} == SCHEDULE


def test_every_cell_is_planned_once_though_parts_share_some():
    plan = make_plan(StudySettings(epochs=(5, 40)), material_of(20))
    cells = plan.cells()
    assert len(cells) == len(set(cells))
    listed = [cell for part in (plan.samples, plan.switches) for line in part.values() for cell in line]
    assert set(listed) <= set(cells)
    assert len(listed) > len(set(listed))


# ---- the source


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("study"), num_each=4, labels="0147")
    fill(folder, num_each=1, labels="147", first=20, under="misread")
    return folder


def gather(folder, **question):
    return gather_material(Settings(source=f"folder:{folder}"), lambda line: None, **question)


def test_images_of_the_regression_set_are_left_out(folder):
    material = gather(folder)
    assert material.labels == ("0", "1", "4", "7")
    assert list(np.bincount(material.targets)) == [4, 4, 4, 4]


def test_a_question_that_lies_in_the_source_is_not_trained_on(folder):
    image = next((folder / "digits" / "4").iterdir())
    material = gather(folder, image=image, label="4")
    assert list(np.bincount(material.targets)) == [4, 4, 3, 4]
    assert material.question.label == "4"


def test_each_way_of_reading_is_what_it_says(folder):
    material = gather(folder)
    ink = {name: material.read(name).astype(float).mean() for name in (NORMALISED, SQUEEZED, DARK, GREY, INVERTED)}
    assert ink[GREY] > 128 > ink[INVERTED]  # dark ink on light paper as it came; inverted, ink is light
    assert ink[SQUEEZED] < 128
    assert np.array_equal(material.read(DARK), material.read(NORMALISED))  # all of these are written in dark ink


def test_a_question_without_its_label_or_without_a_picture_is_one_clear_message(folder, tmp_path):
    with pytest.raises(SettingsError, match="--label"):
        gather(folder, image=save(tmp_path / "four.png", picture(4)))
    with pytest.raises(SettingsError, match="cannot be read"):
        gather(folder, image=tmp_path / "missing.png", label="4")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="not an image"):
        gather(folder, image=tmp_path / "bad.png", label="4")


# ---- what is kept


def outcome_of(cell, material, *, share=0.8, epochs=None):
    """What a training might give."""
    train, held_out = material.draw(cell.seed, cell.draw)
    right = "".join("1" if (number * 7 + cell.seed) % 100 < 100 * share else "0" for number in range(len(held_out)))
    length = epochs or max(1, cell.epochs)
    falling = [round(2 / (1 + epoch), 4) for epoch in range(length)]
    rising = [round(1 - loss / 2, 4) for loss in falling]
    history = {"loss": falling, "accuracy": rising}
    if right and not cell.stopping:
        history |= {"val_loss": falling, "val_accuracy": rising}
    return Outcome(
        num_train=(cell.samples or len(train) // len(material.labels)) * len(material.labels),
        epochs=length,
        history=history,
        right=right,
        article_right=right if cell.recipe == "article" else "",
        answer="4" if cell.asks else "",
        confidence=0.9 if cell.asks else 0.0,
        nearest=(3, 5) if cell.asks and cell.recipe == "base" else (),
        seconds=1.5,
    )


def test_what_was_kept_is_found_again_for_the_same_images_and_versions_only(tmp_path):
    store, material, cell = open_store(str(tmp_path)), material_of(5), plain("mlp")
    outcome = outcome_of(cell, material)
    Notebook(store, material, ENVIRONMENT).keep(cell, outcome)
    assert Notebook(store, material, ENVIRONMENT).find(cell) == outcome
    assert Notebook(store, material, ENVIRONMENT).find(replace(cell, seed=1)) is None
    assert Notebook(store, material_of(6), ENVIRONMENT).find(cell) is None
    assert Notebook(store, material, {**ENVIRONMENT, "keras": "4"}).find(cell) is None


def test_only_cells_that_ask_the_question_depend_on_it(tmp_path):
    store = open_store(str(tmp_path))
    ours, theirs = (Notebook(store, material_of(5, question=question_of(label)), ENVIRONMENT) for label in "45")
    assert ours.name(plain("mlp")) == theirs.name(plain("mlp"))
    assert ours.name(plain("mlp", asks=True)) != theirs.name(plain("mlp", asks=True))


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b'{"outcome": {"num_train": 3}}', b"\xff"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    store, cell = open_store(str(tmp_path)), plain("mlp")
    notebook = Notebook(store, material_of(5), ENVIRONMENT)
    store.write(content, "studies", "cells", f"{notebook.name(cell)}.json")
    assert notebook.find(cell) is None


def test_ctrl_c_keeps_what_is_done_and_a_second_start_goes_on_from_there(tmp_path, monkeypatch):
    material = material_of(20)
    plan = make_plan(StudySettings(parts=("article",), seeds=2), material)
    notebook = Notebook(open_store(str(tmp_path)), material, ENVIRONMENT)
    trained, lines = [], []

    def train(material, cells, on_done, *, workers):
        for number, cell in enumerate(cells):
            if number == 5 and not lines[0].startswith("5 of 12"):
                raise KeyboardInterrupt
            trained.append(cell)
            on_done(cell, outcome_of(cell, material))

    monkeypatch.setattr("flows.study.train_cells", train)
    with pytest.raises(KeyboardInterrupt):
        train_plan(plan, material, notebook, lines.append, workers=1, anew=False)
    lines.clear()
    outcomes = train_plan(plan, material, notebook, lines.append, workers=1, anew=False)
    assert lines[0] == "5 of 12 trainings were done before; going on with the other 7"
    assert sorted(map(str, trained)) == sorted(map(str, plan.cells()))
    assert set(outcomes) == set(plan.cells())


def test_the_time_left_is_reckoned_from_what_is_done_and_ends_with_the_last():
    cells = [plain("mlp", seed=seed) for seed in range(4)]
    progress = Progress(cells, workers=2)
    outcome = Outcome(160, 40, right="1110", seconds=20.0)
    assert progress.tell(cells[0], outcome).endswith("held out 75.0 %, about 30 s left")
    progress.tell(cells[1], outcome)
    progress.tell(cells[2], outcome)
    assert progress.tell(cells[3], outcome) == "4 of 4: mlp, 40 epochs, 160 images, seed 3, held out 75.0 %"


# ---- how many would be enough


def law(sizes, *, start=0.3, steepness=0.6, noise=0.0, seeds=5):
    rng = np.random.default_rng(1)
    return [[1 - start * size**-steepness + noise * rng.normal() for _ in range(seeds)] for size in sizes]


def test_a_number_that_reached_the_target_is_named_as_measured():
    found = forecast("mlp", [1, 2, 5], [[0.7], [0.96], [0.97]], 200, 0.95)
    assert (found.kind, found.needed) == ("measured", 2)


def test_a_target_that_was_reached_by_luck_and_lost_again_is_not_reached():
    assert forecast("mlp", [1, 2, 5], [[0.7], [0.96], [0.94]], 200, 0.95).kind != "measured"


def test_a_clean_law_is_extrapolated_with_its_bounds():
    sizes = [1, 2, 5, 10]
    found = forecast("mlp", sizes, law(sizes, noise=0.002), 400, 0.95)
    true = (0.3 / 0.05) ** (1 / 0.6)
    assert found.kind == "about"
    assert found.low <= true <= found.high
    assert found.low >= 10


def test_for_the_last_points_no_upper_bound_can_be_told():
    sizes = [1, 2, 5, 10]
    found = forecast("mlp", sizes, law(sizes, noise=0.002), 400, 0.98)
    assert found.kind == "at least"
    assert found.high is None


@pytest.mark.parametrize(
    ("sizes", "shares", "num_images", "why"),
    [
        ([1, 2], law([1, 2]), 400, "too few for a curve"),
        ([1, 2, 5], law([1, 2, 5]), 90, "too few to see"),
        ([1, 2, 5, 10], [*law([1, 2, 5]), [0.70] * 5], 400, "misses it"),
        ([1, 2, 5, 10], [[0.8] * 5] * 4, 400, "did not help"),
        ([1, 2, 5, 10], law([1, 2, 5, 10], steepness=0.1), 400, "beyond"),
    ],
)
def test_cannot_tell_is_an_answer_and_has_its_reason(sizes, shares, num_images, why):
    found = forecast("mlp", sizes, shares, num_images, 0.99)
    assert found.kind == "cannot tell"
    assert why in found.why


# ---- what was found


def find(form, material, change=lambda cell, outcome: outcome):
    plan = make_plan(form, material)
    outcomes = {cell: change(cell, outcome_of(cell, material)) for cell in plan.cells()}
    return Findings(material, plan, outcomes, wilson_score).study(form, "folder:/digits", ENVIRONMENT)


def test_the_epoch_where_the_held_out_loss_turns_is_where_over_fitting_begins():
    def turn(cell, outcome):
        if "val_loss" not in outcome.history:
            return outcome
        turned = [abs(epoch - 12 - cell.seed) / 10 + 0.5 for epoch in range(outcome.epochs)]
        return replace(outcome, history={**outcome.history, "val_loss": turned})

    study = find(StudySettings(parts=("epochs",), recipes=("mlp",), seeds=3), material_of(20), turn)
    learning = study.learning[0]
    assert (learning.best.median, learning.best.lowest, learning.best.highest) == (14, 13, 15)
    assert "Over-fitting begins after epoch 14 (seeds: 13 to 15)" in study.sentences["epochs"][0]


def test_a_loss_that_still_falls_is_not_called_over_fitting():
    study = find(StudySettings(parts=("epochs",), recipes=("mlp",)), material_of(20))
    assert not study.learning[0].overfits
    assert "no over-fitting yet" in study.sentences["epochs"][0]


def test_a_training_accuracy_never_stands_without_the_held_out_one():
    study = find(StudySettings(), material_of(20))
    for row in (*study.article, *study.epochs):
        assert row.training
        assert getattr(row, "held_out", None) or row.as_trained
    for table in make_tables(study):
        if "training" in table.head:
            assert {"held out", "others, read as trained"} & set(table.head)


def test_every_share_says_on_how_many_images_it_rests_and_lies_in_its_interval():
    study = find(StudySettings(), material_of(20))
    shares = [row.held_out for row in (*study.epochs, *study.samples, *study.switches)]
    assert {share.num_images for share in shares} == {200}
    for share in shares:
        assert share.low < share.mean < share.high
        assert share.lowest <= share.mean <= share.highest


def test_switches_are_compared_image_by_image():
    def spoil(cell, outcome):
        return replace(outcome, right=outcome.right.replace("1", "0", 3)) if cell.reading == INVERTED else outcome

    study = find(StudySettings(parts=("switches",), recipes=("cnn",), seeds=2), material_of(20), spoil)
    rows = {row.switch: row for row in study.switches}
    assert list(rows) == list(SWITCHES)
    assert (rows["the article's reading"].won, rows["the article's reading"].lost) == (0, 6)
    assert rows["the article's reading"].difference == pytest.approx(-6 / 80)
    assert rows["augmentation off"].difference == 0


def test_with_ten_images_the_training_accuracy_is_told_and_that_there_are_no_others():
    study = find(StudySettings(), material_of(1))
    assert all(row.as_trained is None for row in study.article)
    assert not study.samples
    assert not study.switches
    assert "no others to examine it on" in study.headline
    assert "–" in as_text(make_tables(study)[0])


def test_the_answer_says_what_is_read_what_mends_it_and_what_does_not():
    study = find(StudySettings(seeds=2), material_of(20, question=question_of()))
    tries = list(study.answer.tries)
    tries[1] = replace(tries[1], answers=(("5", 2),), num_right=0)
    tries[2] = replace(tries[2], answers=(("5", 1), ("9", 1)), num_right=0)
    said = answer_question("4", tries, study.answer.nearest)
    assert said.startswith(
        "This 4 is read as 5 by the article's network, 40 epochs; more epochs do not mend it (0 of 2"
    )
    assert (
        "every seed reads it right with one way of reading for both, as with 7 of the 7 things tried after it" in said
    )
    assert "none bears its label" in said
    assert f"the base model, which never saw this handwriting, reads 4 ({percent(0.9)})" in said
    none = [replace(row, answers=(("5", 2),), num_right=0) for row in tries]
    assert "nothing that was tried" in answer_question("4", none, ())


# ---- how it is shown


@pytest.fixture(scope="module")
def shown():
    evil = "<script>alert(1)</script>"
    material = material_of(20, labels=("4", "5", evil), question=question_of(name=f"{evil}.png"))
    form = StudySettings(seeds=2)
    study = find(form, material)
    return study, build_report(study, material, style=page_style(), escape=escape)


def test_the_report_is_one_file_without_script_or_outside_resource_and_names_are_escaped(shown):
    page = shown[1].files["report.html"].decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png") >= 5
    for table in make_tables(shown[0]):
        assert table.title in unescape(page)


def test_plots_come_as_png_and_svg_and_the_same_study_gives_the_same_bytes(shown):
    study, report = shown
    names = {"epochs", "samples", "switches", "question"}
    assert {name for name in report.files if name.endswith(".png")} == {f"{name}.png" for name in names}
    assert {name for name in report.files if name.endswith(".svg")} == {f"{name}.svg" for name in names}
    material = material_of(20, labels=study.labels, question=question_of(name=study.answer.image))
    assert build_report(study, material, style=page_style(), escape=escape).files == report.files


def test_the_markdown_is_small_plain_and_has_every_table(shown):
    text = shown[1].markdown
    assert len(text.encode()) < 500_000
    assert "<script" not in text
    assert text.count("![") == 4
    assert text.count("\n## ") == len(make_tables(shown[0]))


def test_the_json_holds_what_the_console_shows(shown):
    found = json.loads(shown[1].files["study.json"])
    table = next(table for table in make_tables(shown[0]) if table.part == "epochs")
    assert [percent(row["training"]["mean"]) for row in found["epochs"]] == [row[3] for row in table.rows]
    assert found["answer"]["tries"][0]["num_seeds"] == 2
    assert found["seeds"] == 2


def test_columns_of_a_table_stand_in_line():
    study = find(StudySettings(seeds=1), material_of(20, labels=("四", "五")))
    lines = as_text(make_tables(study)[0]).splitlines()[3:]
    assert len({len(line) for line in lines}) == 1


def test_the_same_images_and_form_name_the_same_study():
    names = {
        name_study(form, material_of(5)) for form in (StudySettings(), StudySettings(seeds=5), StudySettings(seeds=4))
    }
    assert len(names) == 2


# ---- as a person types it


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENARAI_STORE", raising=False)
    monkeypatch.delenv("TENARAI_SOURCE", raising=False)
    return lambda *arguments: CliRunner().invoke(main, ["study", *map(str, arguments)])


def test_a_small_study_is_made_resumed_and_gives_the_same_numbers_anew(run, folder, tmp_path):
    asked = ("--source", f"folder:{folder}", "--store", tmp_path / "store", "--workers", 1)
    asked += ("--parts", "article", "--epochs", "2,6", "--seeds", 1)
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "6 of 6: article" in done.output
    assert "The article's table" in done.output
    report = tmp_path / done.output.rsplit("report: ", 1)[1].strip()
    numbers = report.with_name("study.json").read_bytes()
    again = run(*asked)
    assert "6 of 6 trainings were done before; going on with the other 0" in again.output
    assert report.with_name("study.json").read_bytes() == numbers
    report.with_name("study.json").unlink()
    anew = run(*asked, "--anew")
    assert "done before" not in anew.output
    assert report.with_name("study.json").read_bytes() == numbers


@pytest.mark.parametrize(
    "wrong", [("--epochs", "five"), ("--epochs", "0"), ("--recipes", "magic"), ("--parts", ""), ("--seeds", "0")]
)
def test_wrong_usage_exits_with_two(run, wrong):
    assert run(*wrong).exit_code == 2


def test_every_kind_of_cell_can_be_trained(folder):
    from tenarai.study.experiment import Laboratory

    image = next((folder / "misread" / "4").iterdir())
    material = gather(folder, image=image, label="4")
    laboratory = Laboratory(material)
    asked = laboratory.run(plain("base", asks=True))
    assert asked.answer == "4"
    assert len(asked.nearest) == 5
    alike = laboratory.run(Cell("mlp", epochs=2, draw=1, extra="alike", asks=True))
    assert alike.num_train == 4 + 3  # one of each label, and the three other fours
    stopped = laboratory.run(plain("transfer", epochs=3, stopping=True))
    assert len(stopped.best_epochs) == 3
    assert "val_loss" not in stopped.history
    squeezed = laboratory.run(plain("transfer", epochs=2, reading=SQUEEZED, augmented=False))
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
    assert state.message.startswith("On one image a label the article's network reads")
    artifact = Artifact.get("study")
    assert artifact.type == "markdown"
    assert "## The article" in artifact.data
    assert Path(state.result()).read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_numbers_as_this_one(folder):
    from tenarai.study.experiment import train_cells

    material = gather(folder)
    cells = [plain("mlp", epochs=3, seed=seed) for seed in range(3)]
    here, there = {}, {}
    train_cells(material, cells, lambda cell, outcome: here.update({cell: outcome}), workers=1)
    train_cells(material, cells, lambda cell, outcome: there.update({cell: outcome}), workers=2)
    for cell in cells:
        assert there[cell].right == here[cell].right
        np.testing.assert_allclose(there[cell].history["loss"], here[cell].history["loss"], atol=1e-4)
