"""What is left to do stays listed until a person acts on the file or answers."""

from dataclasses import asdict, replace

import pytest

from tenarai.catalogue import open_catalogue
from tenarai.evaluate.suspects import open_suspects
from tenarai.records import Event, EventKind, Image, Role, State, Suspect

SOURCE = "folder:/photos"
WRONG = Suspect("digits/4/wrong.png", "a" * 64, "4", "label", "9", 0.98)
COPY = Suspect("digits/7/copy.png", "b" * 64, "7", "duplicate", other_path="digits/7/first.png", other_sha256="c" * 64)


def image(path, sha256, label, role=Role.DIGITS):
    return Image(SOURCE, path, path, role, label, sha256, 100)


FILES = (
    image(WRONG.path, WRONG.sha256, "4"),
    image(COPY.path, COPY.sha256, "7"),
    image(COPY.other_path, COPY.other_sha256, "7"),
    image("inbox/blot.png", "d" * 64, None, Role.INBOX),
)


@pytest.fixture
def catalogue(tmp_path):
    with open_catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}") as catalogue:
        catalogue.apply_sync(SOURCE, FILES, [])
        catalogue.put_night("first", SOURCE, {"run": "first", "suspects": [asdict(WRONG), asdict(COPY)]})
        yield catalogue


def answer(catalogue, number, kind):
    catalogue.apply_sync(SOURCE, [], [Event.of("second", kind, FILES[number], None)])


def test_suspects_stay_listed_on_nights_that_find_nothing(catalogue):
    assert open_suspects(catalogue, SOURCE) == (WRONG, COPY)


def test_tonights_evidence_comes_first_and_replaces_older(catalogue):
    surer = replace(WRONG, confidence=0.99)
    other = Suspect("digits/7/first.png", "c" * 64, "7", "label", "1", 0.9)
    assert open_suspects(catalogue, SOURCE, [other, surer]) == (other, surer, COPY)


@pytest.mark.parametrize(
    "now",
    [
        replace(FILES[0], label="9", path="digits/9/wrong.png"),
        replace(FILES[0], role=Role.MISREAD, path="misread/4/wrong.png"),
        replace(FILES[0], sha256="e" * 64),
        replace(FILES[0], state=State.GONE),
    ],
    ids=["relabelled", "moved", "changed", "gone"],
)
def test_a_suspect_is_closed_by_what_happens_to_its_file(catalogue, now):
    catalogue.apply_sync(SOURCE, [now], [])
    assert open_suspects(catalogue, SOURCE) == (COPY,)


def test_a_duplicate_is_closed_when_the_other_file_is_gone(catalogue):
    catalogue.apply_sync(SOURCE, [replace(FILES[2], state=State.GONE)], [])
    assert open_suspects(catalogue, SOURCE) == (WRONG,)


def test_a_confirmed_label_is_not_questioned_again_until_the_answer_is_taken_back(catalogue):
    answer(catalogue, 0, EventKind.CONFIRMED)
    assert open_suspects(catalogue, SOURCE, [WRONG]) == (COPY,)
    answer(catalogue, 0, EventKind.REOPENED)
    assert open_suspects(catalogue, SOURCE, [WRONG]) == (WRONG, COPY)


def test_a_picture_set_aside_is_left_out_while_its_file_stays(catalogue):
    answer(catalogue, 3, EventKind.SET_ASIDE)
    answer(catalogue, 0, EventKind.SET_ASIDE)
    assert [image.path for image in catalogue.images(SOURCE)] == [COPY.path, COPY.other_path]
    assert len(catalogue.images(SOURCE, states=tuple(State))) == 4
    assert open_suspects(catalogue, SOURCE) == (COPY,)
    catalogue.apply_sync(SOURCE, [replace(FILES[0], label="9", path="digits/9/wrong.png")], [])
    assert len(catalogue.images(SOURCE)) == 3  # under another label it is asked about, and used, again
