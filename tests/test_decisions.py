"""The exam's counting and the gate: pure functions, checked against numbers worked out elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenarai.errors import ModelError, StoreError
from tenarai.evaluate import promotions
from tenarai.evaluate.compare import count_confusion, pair_up
from tenarai.evaluate.predictions import to_predictions
from tenarai.evaluate.regression import judge_regression, new_stories, tell_stories
from tenarai.model.bundle import base_info
from tenarai.records import CaseStory, Evaluation, Image, PairedCounts, Prediction, Role, Score
from tenarai.store import open_store

# ---- counting


def test_wilsons_interval_is_that_of_the_textbook():
    score = Score.of(81, 263)  # Newcombe (1998), table I
    assert score.low == pytest.approx(0.2553, abs=1e-4)
    assert score.high == pytest.approx(0.3662, abs=1e-4)


@given(st.integers(0, 400), st.integers(0, 400))
def test_an_interval_holds_its_share_and_stays_between_nothing_and_everything(right, more):
    score = Score.of(right, right + more)
    assert 0 <= score.low <= score.accuracy + 1e-9
    assert score.high <= 1
    if score.num_images:
        assert score.accuracy <= score.high + 1e-9


def test_pairs_are_counted_image_by_image():
    champion = np.array([1, 1, 0, 0, 1], bool)
    challenger = np.array([1, 0, 1, 0, 0], bool)
    assert pair_up(champion, challenger) == PairedCounts(won=1, lost=2, both_right=1, both_wrong=1)


def test_a_reading_is_the_most_probable_label_and_unsure_below_the_threshold():
    readings = to_predictions(np.array([[0.2, 0.8], [0.6, 0.4]], np.float32), ("a", "b"), 0.7)
    assert [(r.label, r.unsure) for r in readings] == [("b", False), ("a", True)]


def test_a_reading_outside_the_labels_counts_in_no_column():
    counts = count_confusion(np.array(["1", "2", "2"]), np.array(["1", "1", "x"]), ("1", "2"))
    assert counts == ((1, 0), (1, 0))


@pytest.mark.parametrize(
    ("before", "now", "status"),
    [("5", "4", "fixed"), ("4", "5", "newly misread"), ("5", "9", "still misread"), ("4", "4", "read")],
)
def test_each_regression_image_is_judged_by_what_both_read(before, now, status):
    image = Image("folder:x", "a", "misread/4/a.png", Role.MISREAD, "4", "a" * 64, 1)
    cases = judge_regression([image], [Prediction(before, 0.9, False)], [Prediction(now, 0.9, False)])
    assert cases[0].status == status


def test_a_misread_images_name_tells_what_it_was_read_as_if_that_is_a_label():
    good = Prediction("4", 0.9, False)
    images = [
        Image("s", name, f"misread/4/{name}", Role.MISREAD, "4", name[0] * 64, 1)
        for name in ("a_as_5.png", "b as seen.png", "c.png")
    ]
    cases = judge_regression(images, [good] * 3, None, ("4", "5"))
    assert [case.was_read_as for case in cases] == ["5", "", ""]


def test_what_the_champion_knows_by_heart_is_no_loss_to_a_challenger_that_never_saw_it():
    image = Image("s", "a", "misread/4/a.png", Role.MISREAD, "4", "a" * 64, 1)
    good, bad = Prediction("4", 0.9, False), Prediction("5", 0.9, False)
    for now, status in ((bad, "still misread"), (good, "read")):
        (case,) = judge_regression([image], [good], [now], trained_on={"a" * 64})
        assert case.status == status


def test_what_needs_attention_comes_first():
    images = [Image("s", n, f"misread/4/{n}.png", Role.MISREAD, "4", n * 64, 1) for n in "abc"]
    good, bad = Prediction("4", 0.9, False), Prediction("5", 0.9, False)
    cases = judge_regression(images, [good, bad, good], [good, good, bad])
    assert [c.status for c in cases] == ["newly misread", "fixed", "read"]


# ---- the life of a regression image


def live(*nights):
    """Each night `(champion reads, challenger reads, promoted)`, told over the records of the ones before."""
    records, told = [], None
    for number, (before, now, promoted) in enumerate(nights, 1):
        image = Image("s", "a", "misread/4/a.png", Role.MISREAD, "4", "a" * 64, 1)
        cases = judge_regression([image], [Prediction(before, 0.9, False)], now and [Prediction(now, 0.9, False)])
        run = f"n{number}"
        evaluation = Evaluation(f"champion {number}", f"challenger {number}", regression=cases)
        (told,) = tell_stories(evaluation, records, run, promoted=promoted)
        records.append({"run": run, "stories": new_stories([told], run)})
    return told.story


def test_a_misread_image_is_open_since_the_first_night_until_a_champion_reads_it():
    assert live(("5", "4", False), ("5", "4", False)) == CaseStory("open", "n1", "champion 1")


def test_an_image_is_fixed_by_the_model_that_was_promoted_and_stays_so():
    nights = ("5", "9", False), ("5", "4", True), ("4", "4", False), ("4", None, False)
    assert live(*nights) == CaseStory("fixed", "n2", "challenger 2")


def test_a_relapse_is_told_whatever_brought_it_and_remembered_until_it_is_mended():
    nights = [("5", "4", True), ("4", "5", True), ("5", "5", False)]
    assert live(*nights) == CaseStory("relapsed", "n2", "challenger 2")
    assert live(*nights, ("5", "4", True)).state == "fixed"
    assert live(("5", "4", True), ("9", None, False)) == CaseStory("relapsed", "n2", "champion 2")


@given(st.lists(st.tuples(st.sampled_from("45"), st.sampled_from("45"), st.booleans()), min_size=2, max_size=12))
def test_every_planted_relapse_is_reported(nights):
    was_fixed = any((now if promoted else before) == "4" for before, now, promoted in nights)
    assert live(*nights, ("5", "5", False)).state == ("relapsed" if was_fixed else "open")


def test_an_image_that_was_filed_anew_under_another_label_begins_another_life():
    record = {"stories": {"a" * 64: {"label": "9", "state": "fixed", "since": "n1", "model": "m"}}}
    cases = judge_regression(
        [Image("s", "a", "misread/4/a.png", Role.MISREAD, "4", "a" * 64, 1)], [Prediction("9", 0.9, False)], None
    )
    (told,) = tell_stories(Evaluation("c", regression=cases), [record], "n2", promoted=False)
    assert told.story == CaseStory("open", "n2", "c")


# ---- the title


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def test_before_anyone_is_crowned_there_is_no_champion_and_nothing_to_roll_back(store):
    assert promotions.champion(store) is None
    with pytest.raises(ModelError, match="base model"):
        promotions.roll_back(store, to=None, why="", by="me")


def test_rolling_back_puts_the_champion_before_this_one_back_and_twice_goes_two_back(store):
    for model in ("m-1", "m-2", "m-3"):
        promotions.promote(store, model, why="better", by="gate")
    assert promotions.roll_back(store, to=None, why="odd fours", by="me").model == "m-2"
    assert promotions.roll_back(store, to=None, why="", by="me").model == "m-1"
    assert promotions.roll_back(store, to=None, why="", by="me").model == base_info().id
    assert [promotion.action for promotion in promotions.history(store)][-1] == "rolled back"


def test_a_model_that_was_never_champion_cannot_be_put_back(store):
    promotions.promote(store, "m-1", why="better", by="gate")
    with pytest.raises(ModelError, match="tenarai models"):
        promotions.roll_back(store, to="m-9", why="", by="me")
    assert promotions.champion(store).model == "m-1"


@pytest.mark.parametrize("change", [lambda data: b"[]", lambda data: b"", lambda data: data.replace(b"m-1", b"m-2")])
def test_a_damaged_history_is_one_clear_message(store, change):
    promotions.promote(store, "m-1", why="better", by="gate")
    store.write(change(store.read("champion.json")), "champion.json")
    with pytest.raises(StoreError, match="damaged.*tenarai check --repair"):
        promotions.champion(store)


def test_a_missing_history_stops_the_night_instead_of_making_the_base_champion(store):
    promotions.begin_history(store)
    assert promotions.champion(store) is None
    store.write(b"{}", "models", "m-1", "model.json")
    store.remove("champion.json")
    promotions.begin_history(store)
    with pytest.raises(StoreError, match=r"champion\.json.*tenarai check --repair"):
        promotions.champion(store)
