"""The bench's own words: rows that come through a pipe, the table, and its place in a file."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks import nights
from benchmarks.speed.measure import BEGIN, END, Row, parse_rows, print_table, side_by_side, write_between
from benchmarks.writers import Hand, Head
from tenarai.dataset import TRAIN

ROW = Row("reading", "`predict` alone", "0.61 ×", "0.5 ×", True, "900 images/s")


def test_a_row_comes_out_of_a_part_as_it_went_in(capsys):
    ROW.print()
    print("something else\nROWING is no row")
    assert parse_rows(capsys.readouterr().out) == [ROW]


def test_what_was_not_reached_is_said_in_the_table():
    missed = Row("starting", "–", "0.4 s", "0.3 s", False)
    table = print_table([ROW, missed], "2 cores of a machine")
    assert "| reading | `predict` alone | **0.61 ×** | 0.5 × | 900 images/s |" in table
    assert table.count("not reached") == 1
    assert table.endswith("2 cores of a machine.")


def test_the_table_takes_the_place_of_the_one_before_and_nothing_else_changes():
    text = f"before\n{BEGIN}\nan old table\n{END}\nafter\n"
    once = write_between(text, "a new table")
    assert once == f"before\n{BEGIN}\na new table\n{END}\nafter\n"
    assert write_between(once, "a new table") == once
    with pytest.raises(ValueError, match="once each"):
        write_between("no marks", "a table")


def test_both_ways_are_run_in_turn_and_the_faster_one_has_the_ratio():
    order = []
    timing = side_by_side(lambda: order.append("ours"), lambda: order.extend(["theirs"] * 20_000), repeats=3)
    assert order[0] == "ours"
    assert order.count("ours") == 4
    assert timing.ratio == pytest.approx(timing.theirs / timing.ours, rel=5)


def test_a_part_that_is_not_there_is_one_clear_message():
    command = [sys.executable, "-m", "benchmarks.speed", "--only", "quiet,flying"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no part flying" in done.stderr


def test_simulated_nights_count_no_filed_image_and_are_judged_by_what_was_written(monkeypatch):
    rng = np.random.default_rng(0)
    targets, features = np.arange(800) % 10, rng.normal(size=(800, 8)).astype(np.float32)
    hand = Hand("someone", np.zeros((800, 28, 28), np.uint8), targets, features, ())
    head = Head(tuple(rng.normal(size=shape).astype(np.float32) for shape in ((8, 4), (4,), (4, 10), (10,))))
    monkeypatch.setattr(nights, "base_head", lambda: head)
    monkeypatch.setattr(nights, "fit_head", lambda hand, rows, seed: head)

    filing = nights.live(hand, 1, nights.SCENARIOS["two images a night from the inbox"])
    last, came = filing.exams[-1], nights.live(hand, 1, nights.SCENARIOS["one writer"]).exams[-1]
    is_filed = ~np.isin(last.rows, came.rows)
    assert is_filed.sum() == 2 * (nights.NUM_NIGHTS - 1)
    assert set(last.snapshot.splits[is_filed]) == {TRAIN}
    assert (last.cross_fitted[is_filed] == -1).all()
    assert last.num_evidence == came.num_evidence < len(came.rows)  # those in the regression set are no evidence
    assert not set(last.rows) & set(filing.judge)

    slips = nights.live(hand, 1, nights.SCENARIOS["3 % label slips"])
    slipped = np.flatnonzero(slips.hand.targets != targets)
    assert len(slipped) == 9
    assert set(slipped) <= set(slips.exams[-1].rows)
    assert (slips.truth == targets).all()

    both = nights.live(hand, 1, nights.SCENARIOS["a second writer from night 16"], hand)
    assert [int((exam.rows >= 800).sum()) for exam in (both.exams[14], both.exams[15], both.exams[29])] == [0, 5, 75]
    assert np.mean(both.judge >= 800) == 0.5
