"""Decide what changed: two lists in, a plan out."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenarai.records import CELL, EventKind, Image, Role, State
from tenarai.sync.plan import RemoteFile, plan_sync

SOURCE = "drive:x"


def remote(file_id="1", path="digits/4/a.png", content="ink", **fields):
    """A file of the source; its role and label follow from its path unless given."""
    role, *rest = path.split("/")
    label = rest[0] if role in {"digits", "misread"} else None
    given = {
        "role": Role(role),
        "label": label,
        "sha256": content,
        "stamp": content,
        "size": len(content),
    }
    return RemoteFile(file_id=file_id, path=path, **(given | fields))


def plan(files, known=(), run="r2", **options):
    return plan_sync(files, known, source=SOURCE, run=run, **options)


def told(plan, known=()):
    """The catalogue's rows after a plan."""
    rows = {row.file_id: row for row in known} | {row.file_id: row for row in plan.rows}
    return sorted(rows.values(), key=lambda row: row.file_id)


def known_of(*files):
    """The catalogue's rows after a first night with these files."""
    return told(plan(files, run="r1"))


def kinds(plan):
    return [event.kind for event in plan.events]


def test_a_new_file_is_added():
    made = plan([remote()])
    assert kinds(made) == [EventKind.ADDED]
    (row,) = made.rows
    assert row == Image(SOURCE, "1", "digits/4/a.png", Role.DIGITS, "4", "ink", 3, State.OK, "", "r2", "r2", "ink")


def test_nothing_changed_is_nothing_told():
    made = plan([remote()], known_of(remote()))
    assert (made.rows, made.events, made.num_seen) == ((), (), 1)
    assert made.result().num_differences == 0


def test_new_bytes_in_an_old_file_are_a_change():
    made = plan([remote(content="more ink")], known_of(remote()))
    assert kinds(made) == [EventKind.CHANGED]
    assert (made.rows[0].sha256, made.rows[0].first_run, made.rows[0].last_run) == ("more ink", "r1", "r2")


def test_a_touched_file_with_the_same_bytes_updates_its_stamp_without_an_event():
    made = plan([remote(stamp="touched")], known_of(remote()))
    assert made.events == ()
    assert [(row.stamp, row.last_run) for row in made.rows] == [("touched", "r1")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("digits/4/renamed.png", EventKind.MOVED),
        ("digits/4/deeper/a.png", EventKind.MOVED),
        ("digits/7/a.png", EventKind.RELABELLED),
        ("misread/4/a.png", EventKind.RELABELLED),
        ("inbox/a.png", EventKind.RELABELLED),
    ],
)
@pytest.mark.parametrize("ids_are_paths", [False, True])
def test_a_move_within_a_label_is_a_move_and_any_other_relabels(path, kind, ids_are_paths):
    before = remote("digits/4/a.png" if ids_are_paths else "1")
    after = remote(path if ids_are_paths else "1", path)
    made = plan([after], known_of(before), ids_are_paths=ids_are_paths)
    assert kinds(made) == [kind]
    (event,) = made.events
    assert (event.old_path, event.old_label, event.path, event.label) == ("digits/4/a.png", "4", path, after.label)
    live = [row for row in told(made, known_of(before)) if row.state is not State.GONE]
    assert [(row.path, row.label, row.first_run) for row in live] == [(path, after.label, "r1")]


def test_a_file_edited_and_moved_in_one_day_has_both_events():
    made = plan([remote(path="digits/7/a.png", content="more ink")], known_of(remote()))
    assert kinds(made) == [EventKind.CHANGED, EventKind.RELABELLED]


def test_a_vanished_file_is_gone_but_its_row_stays():
    made = plan([], known_of(remote()))
    assert kinds(made) == [EventKind.GONE]
    assert [(row.state, row.sha256) for row in made.rows] == [(State.GONE, "ink")]


def test_cells_cut_from_a_photo_are_not_taken_for_vanished_files():
    photo = remote("p", "sheets/monday.jpg")
    (row,) = known_of(photo)
    cell = replace(row, file_id=f"p{CELL}r3c7", role=Role.DIGITS, label="4", path="sheets/monday.jpg#4")
    assert cell.photo_id == "p"
    assert not row.photo_id
    made = plan([photo], [row, cell])
    assert (made.rows, made.events, made.vanished) == ((), (), ())
    assert [gone.file_id for gone in plan([], [row, cell]).rows] == ["p"]


def test_a_gone_file_is_not_gone_twice():
    known = known_of(remote())
    known = told(plan([], known), known)
    assert plan([], known, run="r3").rows == ()


def test_a_file_that_returns_is_back_with_its_history():
    known = known_of(remote())
    known = told(plan([], known), known)
    made = plan([remote()], known, run="r3")
    assert kinds(made) == [EventKind.BACK]
    assert [(row.state, row.first_run, row.last_run) for row in made.rows] == [(State.OK, "r1", "r3")]


def test_a_file_that_returns_under_another_label_is_back_and_relabelled():
    known = known_of(remote())
    known = told(plan([], known), known)
    assert kinds(plan([remote(path="digits/9/a.png")], known)) == [EventKind.BACK, EventKind.RELABELLED]


def test_a_refused_file_is_rejected_once_with_its_reason():
    empty = remote(content="", reason="it is an empty file")
    made = plan([empty])
    assert kinds(made) == [EventKind.REJECTED]
    assert [(row.state, row.reason) for row in made.rows] == [(State.REJECTED, "it is an empty file")]
    assert made.result().num_rejected == 1
    assert plan([empty], told(made)).rows == ()


def test_a_usable_file_that_becomes_unusable_is_a_difference_and_so_is_its_repair():
    empty = remote(content="", reason="it is an empty file")
    broken = plan([empty], known_of(remote()))
    assert kinds(broken) == [EventKind.CHANGED, EventKind.REJECTED]
    repaired = plan([remote()], told(broken, known_of(remote())))
    assert kinds(repaired) == [EventKind.CHANGED]
    assert [(row.state, row.reason) for row in repaired.rows] == [(State.OK, "")]


def test_ids_that_stay_with_their_files_are_not_guessed_at_by_content():
    made = plan([remote("2", "digits/7/b.png")], known_of(remote("1")))
    assert sorted(kinds(made)) == [EventKind.ADDED, EventKind.GONE]


def test_two_copies_are_two_files():
    made = plan([remote("1"), remote("2", "digits/4/copy.png")], known_of(remote("1")))
    assert kinds(made) == [EventKind.ADDED]


def test_among_equal_bytes_the_same_file_name_moves_first():
    before = [remote(path, path) for path in ("digits/4/a.png", "digits/4/b.png")]
    after = [remote(path, path) for path in ("digits/7/b.png", "digits/9/a.png")]
    made = plan(after, known_of(*before), ids_are_paths=True)
    assert {(event.old_path, event.path) for event in made.events} == {
        ("digits/4/a.png", "digits/9/a.png"),
        ("digits/4/b.png", "digits/7/b.png"),
    }


def test_a_moved_file_that_leaves_a_new_one_in_its_place_keeps_both():
    before = remote("digits/4/a.png")
    after = [remote("digits/4/a.png", content="new ink"), remote("digits/7/a.png", "digits/7/a.png")]
    made = plan(after, known_of(before), ids_are_paths=True)
    assert kinds(made) == [EventKind.CHANGED, EventKind.ADDED]


def test_a_file_moved_there_and_back_keeps_its_first_night():
    there, back = remote("digits/7/a.png", "digits/7/a.png"), remote("digits/4/a.png")
    known = known_of(back)
    known = told(plan([there], known, ids_are_paths=True), known)
    made = plan([back], known, run="r3", ids_are_paths=True)
    assert kinds(made) == [EventKind.RELABELLED]
    live = [row for row in told(made, known) if row.state is State.OK]
    assert [(row.path, row.label, row.first_run) for row in live] == [("digits/4/a.png", "4", "r1")]


def test_a_file_that_could_not_be_looked_at_stays_as_it_was_known():
    known = known_of(remote("1"), remote("2", "digits/4/b.png", "other"))
    made = plan([remote("1", content="half wri")], known, waiting={"1", "2"})
    assert (made.rows, made.events) == ((), ())


@st.composite
def folders(draw):
    """A folder as path → content, with few names and contents so that moves, copies and returns are frequent."""
    paths = [f"{role}/{name}" for role, name in itertools.product(["digits/4", "digits/7", "inbox"], "abc")]
    return draw(st.dictionaries(st.sampled_from(paths), st.sampled_from(["ink", "pen", "brush"]), max_size=6))


@given(nights=st.lists(folders(), min_size=1, max_size=4))
def test_whatever_happens_the_live_rows_are_the_folder_and_a_second_look_changes_nothing(nights):
    """Over any nights: live rows = the folder as it is, first nights never move forward, counts add up."""
    known = []
    for number, night in enumerate(nights):
        files = [remote(path, path, content) for path, content in night.items()]
        made = plan(files, known, run=f"r{number}", ids_are_paths=True)
        known_before, known = known, told(made, known)
        live = {row.file_id: row for row in known if row.state is State.OK}
        assert {path: row.sha256 for path, row in live.items()} == night
        assert all((row.role, row.label) == (Role(p.split("/")[0]), remote(p, p).label) for p, row in live.items())
        assert plan(files, known, run="again", ids_are_paths=True).rows == ()
        num_before = sum(row.state is State.OK for row in known_before)
        result = made.result()
        assert len(live) == num_before + result.num_added + result.num_back - result.num_gone
