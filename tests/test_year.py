"""The simulated year: what is planned, who writes, what is judged; and a few nights of it."""

import os
import random
from datetime import date
from unittest.mock import patch

import numpy as np
import pytest

from benchmarks.year import at_night, in_folder
from benchmarks.year.__main__ import ALT, run_year, write_card, write_page
from benchmarks.year.card import as_policy_table, as_score_card, as_sentences, judge, judge_second_writer
from benchmarks.year.person import Person, Supply
from benchmarks.year.planted import KINDS, SETTLED, Planted, as_table, plan_faults
from benchmarks.year.policies import GATE, Policy
from benchmarks.year.year import Year, digest
from tenarai.store import open_store
from tests.stand_in import StandInDrive

SEEDS = range(20)


@pytest.fixture(scope="module")
def supply():
    return Supply(0)


@pytest.fixture
def year(supply, tmp_path):
    """A year on its first morning, with a folder and no night spent."""
    with StandInDrive() as drive:
        person = Person(drive.tree, Supply(0), 0)
        person.spend_day(many=True)
        yield Year(drive, person, open_store(str(tmp_path / "store")), date(2027, 1, 1), random.Random(0))


# ---- what is planned


def test_every_kind_of_fault_is_planted_as_often_as_it_says():
    planted = plan_faults(365, 0)
    assert {kind: sum(fault.kind == kind for fault in planted) for kind in KINDS} == {
        kind: about.times for kind, about in KINDS.items()
    }


def test_every_kind_of_fault_can_be_planted_and_judged():
    assert set(in_folder.PLANT) | set(at_night.SPEND) == set(KINDS)
    assert not set(in_folder.PLANT) & set(at_night.SPEND)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault_that_spoils_its_night_has_it_to_itself_and_the_next_one_is_left_whole(seed):
    planted = [fault for fault in plan_faults(365, seed) if fault.kind != "second writer arrives"]
    nights = [fault.night for fault in planted]
    assert len(set(nights)) == len(nights)
    for fault in planted:
        assert SETTLED <= fault.night < 363
        assert not KINDS[fault.kind].alone or fault.night + 1 not in nights, fault


def test_the_same_seed_plans_the_same_year_and_another_seed_another():
    assert plan_faults(365, 0) == plan_faults(365, 0) != plan_faults(365, 1)


def test_a_short_year_has_one_of_each_kind_and_one_too_short_is_refused():
    assert {fault.kind for fault in plan_faults(90, 0)} == set(KINDS)
    with pytest.raises(ValueError, match="80 or more"):
        plan_faults(20, 0)


def test_the_plan_names_the_nights_of_each_kind():
    table = as_table([Planted(31, "kill -9", 0), Planted(47, "kill -9", 1), Planted(40, "HEIC file", 0)])
    assert "| kill -9 | 31, 47 | the next night completes" in table
    assert "| HEIC file | 40 |" in table
    assert "disk full" not in table


# ---- who writes


def test_held_out_digits_never_lie_in_the_folder_and_the_two_halves_of_the_writers_stay_apart(supply):
    held_out, unseen = ([set(part) for part in parts] for parts in (supply.held_out, supply.unseen))
    assert [len(part) for part in held_out] == [200, 200]
    assert not (held_out[0] | held_out[1]) & (unseen[0] | unseen[1])
    half = len(supply.labels) // 2
    assert max(held_out[0] | unseen[0]) < half <= min(held_out[1] | unseen[1])


def test_the_same_number_gives_the_same_picture(supply):
    assert np.array_equal(supply.picture(7), Supply(0).picture(7))
    assert supply.picture(7, dark_paper=True).mean() < 100 < supply.picture(7, dark_paper=False).mean()


def test_two_persons_of_one_seed_do_the_same(year, supply):
    with StandInDrive() as other:
        twin = Person(other.tree, Supply(0), 0)
        twin.spend_day(many=True)
        for person in (year.person, twin):
            for _ in range(10):
                person.spend_day()
        ours, theirs = ([(p.path(item), item.data) for item in p.files()] for p in (year.person, twin))
    assert ours == theirs
    assert len(ours) > 60


def test_a_person_files_the_inbox_by_what_was_read_and_puts_right_only_what_is_wrong(year):
    person = year.person
    right, wrong = (person.put(f"inbox/{n}.png", b"%d" % n, number=person.take()) for n in range(2))
    flipped = person.put(
        "digits/9/flipped.png", b"f", number=next(n for n, label in enumerate(person.supply.labels) if label == "4")
    )
    person.flipped.add(flipped.id)
    innocent = person.labelled()[0]
    label = person.truth[wrong.id]
    other = "1" if label != "1" else "2"
    suspects = [{"kind": "label", "path": person.path(item)} for item in (flipped, innocent)]
    inbox = [
        {"path": "inbox/0.png", "champion": {"label": person.truth[right.id]}},
        {"path": "inbox/1.png", "champion": {"label": other}},
    ]
    person.look_at({"inbox": inbox, "evaluation": {"suspects": suspects}})
    assert person.path(right) == f"digits/{person.truth[right.id]}/0.png"
    assert person.path(wrong) == f"misread/{label}/1.png"
    assert person.path(flipped) == "digits/4/flipped.png"
    assert person.named_in_vain == {innocent.id}
    assert not person.flipped


# ---- what is judged


def test_a_flipped_label_that_no_report_names_is_missed_after_three_weeks(year):
    fault = Planted(30, "flipped label", 0)
    in_folder.plant(fault, year)
    (_, look), *_ = year.watched
    silent = {"evaluation": {"suspects": []}}
    assert look(silent, 30) is None
    assert look(silent, 51) == (False, "not named")
    (flipped,) = (item for item in year.person.files() if item.id in year.person.flipped)
    named = {"evaluation": {"suspects": [{"kind": "label", "path": year.person.path(flipped)}]}}
    assert look(named, 33) == (True, "named after 3 nights")


def test_a_hostile_name_that_becomes_markup_is_missed(year):
    in_folder.plant(Planted(30, "hostile file name", 0), year)
    (item,) = (item for item in year.person.files() if year.person.path(item).startswith("inbox/"))
    (_, look), *_ = year.watched
    report = {"run": "r", "inbox": [{"sha256": digest(item)}]}
    place = year.store.root / "reports/r"
    place.mkdir(parents=True)
    (place / "report.html").write_text("<p>&lt;img src=x onerror=alert(1)&gt;</p>", encoding="utf-8")
    assert look(report, 30)[0]
    (place / "report.html").write_text("<p><img src=x onerror=alert(1)></p>", encoding="utf-8")
    assert not look(report, 30)[0]


def test_what_no_report_told_of_before_the_year_ended_is_missed():
    early, late = Planted(30, "HEIC file", 0), Planted(80, "HEIC file", 1)
    judged = judge([early, late], {early: (True, "correlation 0.99")})
    assert judged[late] == (False, "the year ended first")
    card = as_score_card(judged)
    assert "| HEIC file | 1 | 1 |" in card
    assert "| **all** | **1** | **1** | |" in card
    assert "* night 80, HEIC file: the year ended first" in card


def test_a_year_without_misses_says_so():
    assert as_score_card({Planted(1, "kill -9", 0): (True, "")}).endswith("Nothing was missed.")


def test_second_writers_who_are_read_worse_at_the_end_are_missed():
    assert judge_second_writer(0.95, 0.96)[0]
    assert not judge_second_writer(0.95, 0.94)[0]


def test_the_table_of_rules_tells_means_losses_and_changes():
    policy = Policy("m", num_changes=3, num_lost=7, rows=[(0.9, 0.8), (1.0, 0.9)])
    assert f"| {GATE} | 90.00 % | 95.00 % | 7 | 3 |" in as_policy_table({GATE: policy})
    assert "badly without a planted cause: 1." in as_sentences(["kept"], ["night 7"], [], 0)


def test_the_card_is_put_between_the_marks_of_its_page_and_nothing_else_is_touched(tmp_path, monkeypatch):
    (tmp_path / "docs/pictures").mkdir(parents=True)
    page = tmp_path / "docs/year.md"
    page.write_text("# A\n\n<!-- year -->\nold\n<!-- /year -->\n\nend\n", encoding="utf-8")
    monkeypatch.setattr("benchmarks.year.__main__.PROJECT", tmp_path)
    write_page("new\n", b"plot")
    assert page.read_text(encoding="utf-8") == (
        f"# A\n\n<!-- year -->\nnew\n\n![{ALT}](pictures/year.png)\n<!-- /year -->\n\nend\n"
    )
    assert (tmp_path / "docs/pictures/year.png").read_bytes() == b"plot"
    page.write_text("# no marks\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="docs/year.md needs"):
        write_page("new\n", b"plot")


# ---- a few nights


@pytest.mark.slow
def test_nine_nights_repeat_their_plan_and_their_score_card(tmp_path):
    cards = []
    kinds = {"unusable file", "Drive answers with faults", "kill -9"}
    for name in ("once", "again"):
        out = tmp_path / name
        out.mkdir()
        with patch.dict(os.environ):
            year, policies, judged = run_year(9, 2, out, kinds=kinds, num_with_server=0)
        assert {fault.kind for fault in judged} == kinds
        assert not year.failures
        assert not year.leaks
        assert all(was_caught for was_caught, _ in judged.values()), judged
        cards.append(((out / "planted.md").read_text(), write_card("9 nights", year, policies, judged)))
    assert cards[0] == cards[1]
