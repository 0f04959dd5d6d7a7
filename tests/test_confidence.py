"""Sure predictions come with a bound that holds, and small collections are told what is missing."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from tenarai.model.confidence import DEFAULT_UNSURE_BELOW, chance_of_few, count_needed, find_threshold
from tenarai.settings import TrainingSettings


def calibrated(num, rng, lowest=0.3, power=1.0):
    """Predictions that are right as often as their confidence says."""
    targets = rng.integers(0, 10, num)
    confidence = lowest + (1 - lowest) * rng.random(num) ** power
    read = np.where(rng.random(num) < confidence, targets, (targets + 1) % 10)
    table = np.zeros((num, 10), np.float32)
    table[np.arange(num), read] = confidence
    return table, targets


@pytest.mark.parametrize(("bound", "needed"), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_so_many_predictions_without_an_error_show_a_bound(bound, needed):
    assert count_needed(0, bound) == needed
    assert beta.ppf(0.95, 1, needed) <= bound < beta.ppf(0.95, 1, needed - 1)  # Clopper and Pearson
    assert TrainingSettings().error_when_sure == 0.02


@pytest.mark.parametrize(("wrong", "num", "share"), [(0, 10, 0.1), (3, 200, 0.02), (17, 1000, 0.02), (40, 40, 0.5)])
def test_the_chance_of_few_errors_is_the_binomials(wrong, num, share):
    assert chance_of_few(wrong, num, share) == pytest.approx(binom.cdf(wrong, num, share))


def test_enough_predictions_reach_the_bound_and_the_note_says_so():
    table, targets = calibrated(2000, np.random.default_rng(1), power=0.02)
    threshold, note = find_threshold(table, targets, 0.02)
    kept = table.max(axis=1) >= threshold
    assert (table.argmax(axis=1) != targets)[kept].mean() <= 0.02
    assert f"sure of {kept.sum()} of 2000" in note
    assert note.endswith("at most 2% of sure predictions are wrong (95 % sure)")


@pytest.mark.parametrize(("num", "bound", "shown", "missing"), [(100, 0.02, 5, 49), (200, 0.01, 2, 99)])
def test_too_few_predictions_reach_the_next_bound_and_the_note_says_how_many_are_missing(num, bound, shown, missing):
    table = np.zeros((num, 10), np.float32)
    table[:, 3] = 0.97
    threshold, note = find_threshold(table, np.full(num, 3), bound)
    assert threshold == 0.5
    assert f"at most {shown}% of sure predictions are wrong (95 % sure)" in note
    assert f"to show {bound:.0%}, about {missing} more images are needed" in note


def test_a_wrong_label_among_the_surest_does_not_cost_the_bound():
    table = np.zeros((400, 10), np.float32)
    table[:, 3] = np.linspace(0.91, 0.9999, 400)
    targets = np.full(400, 3)
    targets[[-1, -2, -3]] = 4
    threshold, note = find_threshold(table, targets, 0.05)
    assert threshold == 0.5
    assert "3 of them wrong: at most 5%" in note


def test_a_handful_of_predictions_or_none_have_no_bound():
    for num in (0, 5):
        threshold, note = find_threshold(np.full((num, 10), 0.1, np.float32), np.zeros(num, np.int64), 0.02)
        assert threshold == DEFAULT_UNSURE_BELOW
        assert "no bound yet" in note


@pytest.mark.parametrize("num", [150, 250, 400, 1000])
def test_the_bound_breaks_in_at_most_one_collection_of_twenty(num):
    """Predictions are right with a chance that grows with their confidence, so the error beyond each is known."""
    rng = np.random.default_rng(num)
    truth = calibrated(200_000, rng, power=0.05)
    confidence, is_wrong = truth[0].max(axis=1), truth[0].argmax(axis=1) != truth[1]
    broken = 0
    for _ in range(400):
        threshold, note = find_threshold(*calibrated(num, rng, power=0.05), 0.02)
        if "at most 2%" in note:
            broken += is_wrong[confidence >= threshold].mean() > 0.02
    assert broken / 400 <= 0.05 + 0.02
