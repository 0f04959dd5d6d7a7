"""The bench's own words: rows that come through a pipe, the table, and its place in a file."""

import subprocess
import sys

import pytest

from benchmarks.speed.measure import BEGIN, END, Row, parse_rows, print_table, side_by_side, write_between

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
