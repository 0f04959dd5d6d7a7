"""The gate, row by row, and the promise behind the word "better"."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tenarai.evaluate.gate import MARGIN, bound_loss, decide, exact_p, level_of, take_look
from tenarai.evaluate.promotions import LOOKS, promote, read_looks, roll_back, settle
from tenarai.records import Case, Evaluation, Look, PairedCounts, Prediction
from tenarai.settings import GateSettings
from tenarai.store import open_store

LOOK, LATE = (
    Look(1, level_of(1, 0.05), "b", "m", 100, "transfer"),
    Look(21, level_of(21, 0.05), "b", "m", 100, "transfer"),
)
GROWN, KEEP, BOLD = GateSettings(), GateSettings(when_unsure="keep"), GateSettings(when_unsure="promote")
OPEN = GateSettings(protect_regression_set=False)
LOSES, GUESS, FIXED = "loses", "guess", "fixed"


def regression(kinds):
    """Regression images that the challenger loses, that the champion only guessed, and that are fixed."""
    right, wrong = Prediction("4", 0.9, False), Prediction("5", 0.8, False)
    cases = {
        LOSES: Case("misread/4/a.png", "a", "4", right, wrong, "newly misread"),
        GUESS: Case("misread/4/a.png", "a", "4", Prediction("4", 0.49, True), wrong, "newly misread"),
        FIXED: Case("misread/4/a.png", "a", "4", wrong, right, "fixed"),
    }
    return tuple(cases[kind] for kind in kinds)


def compared(won, lost, images, learned=(100, 100), kinds=(), **given):
    pairs = PairedCounts(won, lost, images - won - lost, 0)
    given = {"champion": "b", "challenger": "m", "recipe": "transfer", "num_evidence": images} | given
    return Evaluation(pairs=pairs, regression=regression(kinds), num_learned=learned, **given)


# fmt: off
TABLE = [
    # won lost  of    learned       look   regression       settings  verdict
    # -- proof: 9 to 0 is the smallest that a look at 0.2 % can show
    (9,   0,    100,  (100, 100),   LOOK,  (),              GROWN,    "better"),
    (8,   0,    100,  (100, 100),   LOOK,  (),              GROWN,    "unsure"),
    (12,  1,    100,  (100, 100),   LOOK,  (),              GROWN,    "better"),
    (11,  1,    100,  (100, 100),   LOOK,  (),              GROWN,    "unsure"),
    (20,  5,    200,  (100, 100),   LOOK,  (),              GROWN,    "unsure"),
    (22,  5,    200,  (100, 100),   LOOK,  (),              GROWN,    "better"),
    (9,   0,    100,  (100, 100),   LOOK,  (),              KEEP,     "better"),
    (9,   0,    100,  (100, 100),   LOOK,  (),              BOLD,     "better"),
    # -- without a look nothing is proven, however clear it is
    (9,   0,    100,  (100, 100),   None,  (),              GROWN,    "unsure"),
    (40,  0,    100,  (100, 100),   None,  (),              GROWN,    "unsure"),
    (40,  0,    100,  (100, 100),   None,  (),              BOLD,     "bold"),
    # -- after twenty looks one costs more
    (7,   0,    100,  (100, 100),   LATE,  (),              GROWN,    "unsure"),
    (8,   0,    100,  (100, 100),   LATE,  (),              GROWN,    "better"),
    # -- the regression set protects, and is no evidence
    (20,  0,    100,  (100, 100),   LOOK,  (LOSES,),        GROWN,    "loses"),
    (20,  0,    100,  (100, 400),   LOOK,  (LOSES, LOSES),  GROWN,    "loses"),
    (20,  0,    100,  (100, 100),   LOOK,  (LOSES,),        OPEN,     "better"),
    (20,  0,    100,  (100, 100),   LOOK,  (GUESS,),        GROWN,    "better"),
    (20,  0,    100,  (100, 100),   LOOK,  (GUESS, LOSES),  GROWN,    "loses"),
    (10,  18,   200,  (100, 200),   LOOK,  (FIXED,) * 7,    GROWN,    "unsure"),
    (0,   0,    0,    (100, 100),   None,  (FIXED,) * 7,    GROWN,    "unsure"),
    (1,   1,    100,  (100, 100),   None,  (FIXED,),        BOLD,     "unsure"),
    # -- shown to be worse, whatever it learned from
    (0,   5,    100,  (100, 400),   LOOK,  (),              GROWN,    "worse"),
    (0,   5,    100,  (100, 400),   None,  (),              BOLD,     "worse"),
    (1,   7,    100,  (100, 400),   None,  (),              GROWN,    "worse"),
    (0,   4,    100,  (100, 100),   None,  (),              GROWN,    "unsure"),
    # -- a quarter more images, and at most 2 % worse
    (0,   0,    140,  (100, 125),   None,  (),              GROWN,    "grown"),
    (0,   0,    130,  (100, 125),   None,  (),              GROWN,    "unsure"),
    (0,   0,    140,  (100, 124),   None,  (),              GROWN,    "unsure"),
    (1,   1,    200,  (100, 125),   None,  (),              GROWN,    "grown"),
    (0,   1,    200,  (100, 125),   None,  (),              GROWN,    "unsure"),
    (0,   1,    300,  (100, 125),   None,  (),              GROWN,    "grown"),
    (8,   2,    100,  (100, 125),   None,  (),              GROWN,    "grown"),
    (4,   4,    100,  (100, 125),   None,  (),              GROWN,    "unsure"),
    (0,   0,    140,  (100, 125),   None,  (),              KEEP,     "unsure"),
    (0,   0,    140,  (100, 125),   None,  (),              BOLD,     "unsure"),
    # -- twice as many, and behind by at most one
    (0,   0,    10,   (100, 200),   None,  (),              GROWN,    "doubled"),
    (2,   3,    50,   (100, 200),   None,  (),              GROWN,    "doubled"),
    (2,   4,    50,   (100, 200),   None,  (),              GROWN,    "unsure"),
    (0,   0,    10,   (100, 199),   None,  (),              GROWN,    "unsure"),
    (0,   0,    0,    (0,   32),    None,  (),              GROWN,    "doubled"),
    (0,   0,    0,    (0,   31),    None,  (),              GROWN,    "unsure"),
    (0,   0,    10,   (100, 200),   None,  (),              KEEP,     "unsure"),
    # -- any that is ahead, where the settings say so
    (2,   1,    50,   (100, 100),   None,  (),              BOLD,     "bold"),
    (1,   1,    50,   (100, 400),   None,  (),              BOLD,     "unsure"),
    (0,   0,    0,    (100, 400),   None,  (),              BOLD,     "unsure"),
]
# fmt: on


@pytest.mark.parametrize(("won", "lost", "images", "learned", "look", "kinds", "settings", "cause"), TABLE)
def test_the_table_of_decisions(won, lost, images, learned, look, kinds, settings, cause):
    decision = decide(compared(won, lost, images, learned, kinds), settings, look)
    assert decision.cause == cause
    promoted = {"better", "grown", "doubled", "bold"}
    assert decision.verdict == ("promoted" if cause in promoted else "kept")
    assert "{" not in decision.reason


def test_the_first_model_for_labels_that_nobody_reads_is_promoted_without_a_test():
    assert decide(compared(1, 0, 2, is_first=True), GROWN, None).cause == "first"


def test_a_challenger_that_forgets_a_label_or_a_regression_image_is_never_promoted_by_itself():
    forgetful = replace(compared(30, 0, 200), forgotten=("4",))
    assert (decide(forgetful, BOLD, LOOK).verdict, decide(forgetful, BOLD, LOOK).cause) == ("kept", "forgets")
    assert decide(replace(forgetful, is_first=True), BOLD, LOOK).cause == "forgets"
    assert decide(compared(1, 0, 2, kinds=(LOSES,), is_first=True), GROWN, None).cause == "loses"


def test_a_reason_names_what_it_rests_on_and_what_it_promises():
    better = decide(compared(9, 0, 100), GROWN, LOOK)
    assert "won 9 and lost 0 of 100" in better.reason
    assert "at most 5%; this was look 1" in better.promise
    assert "at most 1.9% worse" in decide(compared(0, 0, 140, (100, 125)), GROWN, None).promise
    loses = decide(compared(9, 0, 100, kinds=(LOSES, LOSES)), GROWN, LOOK)
    assert "misread/4/a.png, which the champion reads, and 1 more: it reads 5" in loses.reason


# ---- looks


def test_the_levels_of_all_looks_sum_to_the_promise():
    levels = [level_of(number, 0.05) for number in range(1, 100_001)]
    assert levels[:20] == pytest.approx([0.002] * 20)
    assert 0.0499 < sum(levels) < 0.05
    assert sum(level_of(number, 0.01) for number in range(1, 1000)) < 0.01


def test_a_look_is_due_when_the_collection_has_grown_by_a_quarter_or_the_recipe_changed():
    first = take_look(compared(9, 0, 100), GROWN, ())
    assert (first.number, first.level) == (1, pytest.approx(0.002))
    again = {"challenger": "m-2"}
    assert take_look(compared(9, 0, 100, **again, num_evidence=124), GROWN, (first,)) is None
    assert take_look(compared(9, 0, 100, **again, num_evidence=125), GROWN, (first,)).number == 2
    assert take_look(compared(9, 0, 100, **again, recipe="cnn"), GROWN, (first,)).number == 2


def test_a_look_that_can_show_nothing_is_not_spent():
    assert take_look(compared(4, 4, 100), GROWN, ()) is None
    assert take_look(compared(5, 4, 100), GROWN, ()) is not None  # had it won all nine, that would have been shown
    assert take_look(compared(9, 0, 19), GROWN, ()) is None


def test_the_same_comparison_is_the_same_look():
    look = take_look(compared(9, 0, 100), GROWN, ())
    assert take_look(compared(9, 0, 100), GROWN, (look,)) == look
    assert take_look(compared(9, 0, 100, champion="other"), GROWN, (look,)) is None


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def test_a_look_is_counted_before_its_verdict_is_acted_on(store, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tenarai.evaluate.promotions.promote", die)
    with pytest.raises(KeyboardInterrupt):
        settle(store, [], compared(9, 0, 100), GROWN)
    assert [look.number for look in read_looks(store)] == [1]
    monkeypatch.undo()
    assert settle(store, [], compared(9, 0, 100), GROWN).cause == "better"  # the night goes on; no second look
    assert [look.number for look in read_looks(store)] == [1]


def test_looks_survive_promotions_rollbacks_and_forced_nights(store):
    settle(store, [], compared(9, 0, 100), GROWN)
    roll_back(store, to=None, why="odd fours", by="me")
    promote(store, "m-9", why="by hand", by="me")
    assert settle(store, [], compared(9, 0, 125, challenger="m-forced", champion="m-9"), GROWN).facts["look"] == 2
    assert [look.number for look in read_looks(store)] == [1, 2]
    store.write(b'[{"nonsense": 1}]', LOOKS)
    with pytest.raises(Exception, match="damaged"):
        read_looks(store)


def test_a_challenger_that_is_never_better_is_promoted_as_better_in_at_most_the_promised_share_of_lives():
    """Fair coins at every look of a life of fifty, in the smallest steps that a look may come in."""
    rng = np.random.default_rng(0)
    chance = 0.0
    for number in range(1, 51):
        differing = int(rng.integers(9, 60))
        level = level_of(number, 0.05)
        chance += (
            sum(comb(differing, w) for w in range(differing + 1) if exact_p(w, differing - w) <= level) / 2**differing
        )
    assert chance <= 0.05


# ---- the two statistics


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_p_is_the_binomials(won, lost):
    assert exact_p(won, lost) == pytest.approx(binom.sf(won - 1, won + lost, 0.5))


@pytest.mark.parametrize(("bound", "images"), [(0.01, 268), (0.02, 133), (0.03, 88), (0.05, 52)])
def test_with_nothing_won_or_lost_a_small_margin_needs_many_images(bound, images):
    assert bound_loss(PairedCounts(0, 0, images, 0)) <= bound < bound_loss(PairedCounts(0, 0, images - 2, 0))


@pytest.mark.parametrize(("won", "lost", "rest"), [(2, 21, 21), (3, 5, 92), (0, 1, 99), (12, 4, 200)])
def test_at_the_bound_the_score_statistic_is_that_of_95_percent(won, lost, rest):
    num = won + lost + rest
    gain = -bound_loss(PairedCounts(won, lost, rest, 0))
    shares = np.linspace(max(0, -gain), (1 - gain) / 2, 400_001)[1:-1]  # of lost images; won: that plus the gain
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = won * np.log(shares + gain) + lost * np.log(shares) + rest * np.log(1 - 2 * shares - gain)
    best = shares[np.nanargmax(likelihood)]
    z = (won - lost - num * gain) / np.sqrt(num * (2 * best + gain * (1 - gain)))
    assert z == pytest.approx(1.645, abs=0.01)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 200))
def test_the_bound_grows_with_losses_and_falls_with_wins(won, lost, rest):
    bound = bound_loss(PairedCounts(won, lost, rest, 0))
    assert bound_loss(PairedCounts(won, lost + 1, rest, 0)) > bound - 1e-6 or not won + lost + rest
    assert bound >= (lost - won) / max(won + lost + rest, 1) - 1e-6


def test_a_margin_holds_as_often_as_it_says():
    """Challengers that are truly 2 % worse pass the margin in about one comparison of twenty."""
    rng, num, passed = np.random.default_rng(1), 600, 0
    for _ in range(2000):
        lost, won, rest = rng.multinomial(num, [0.03, 0.03 - MARGIN, 0.97 - 0.03 + MARGIN])
        passed += bound_loss(PairedCounts(int(won), int(lost), int(rest), 0)) <= MARGIN
    assert 0.02 < passed / 2000 < 0.08
