"""Real nights in a row: what waits for a person stays listed until the person acts, and mornings do not contradict."""

import json

import numpy as np
import pytest

from flows.nightly import in_place, run_steps
from tenarai.catalogue import locate_catalogue, open_catalogue
from tenarai.label.desk import Desk, list_items
from tenarai.night import open_night
from tenarai.settings import Settings, TrainingSettings
from tenarai.store import open_store
from tests.collections_of_digits import fill, picture, real_digits, save

TRAINING = TrainingSettings(recipe="transfer", max_epochs=4, patience=2, folds=2)
MOVED, CONFIRMED, IGNORED = "digits/9/a four.png", "digits/1/a seven.png", "digits/3/an eight.png"
FILED, SET_ASIDE, WAITING = "inbox/filed.png", "inbox/blot.png", "inbox/waiting.png"
BROKEN = "digits/5/broken.png"
PLANTED = {MOVED, CONFIRMED, IGNORED, FILED, SET_ASIDE, WAITING, BROKEN}


class Mornings:
    """A folder, its nights, and what the report of each morning lists."""

    def __init__(self, place):
        self.folder = place / "folder"
        self.settings = Settings(_env_file=None, source=f"folder:{self.folder}", store=str(place / "store"))
        self.store = open_store(self.settings.store)

    def night(self, training=TRAINING):
        """Run a night; its report as `report.json` has it, and which planted files its page lists as things to do."""
        run_steps(open_night(self.settings, training=training), in_place)
        run = self.store.read("reports", "latest").decode().strip()
        report = json.loads(self.store.read("reports", run, "report.json"))
        page = self.store.read("reports", run, "report.html").decode()
        today = page[page.index('id="today"') : page.index('id="hard-cases"')]
        return report, {path for path in PLANTED if path in today}

    def item(self, path):
        """An image as the label page asks about it."""
        with open_catalogue(locate_catalogue(self.settings, self.store)) as catalogue:
            items = list_items(self.store, catalogue, self.settings.source)
        return next(item for item in items if item.image.path == path)

    def add(self, path, label, nth):
        numbers = np.flatnonzero(real_digits()[1] == label)
        return save(self.folder / path, picture(int(numbers[nth])))


@pytest.mark.slow
def test_what_nobody_did_is_listed_on_the_fifth_morning_and_what_was_done_is_not(tmp_path):
    mornings = Mornings(tmp_path)
    desk = Desk(mornings.settings)
    fill(mornings.folder, num_each=8)
    fill(mornings.folder, num_each=1, labels="27", first=50, under="misread")
    for path, label in ((MOVED, 4), (CONFIRMED, 7), (IGNORED, 8), (FILED, 0), (SET_ASIDE, 5), (WAITING, 6)):
        mornings.add(path, label, 60)
    (mornings.folder / BROKEN).write_bytes(b"")

    _, listed = mornings.night()
    assert listed == PLANTED

    (mornings.folder / MOVED).rename(mornings.folder / "digits/4/a four.png")
    _, listed = mornings.night()
    assert listed == {CONFIRMED, IGNORED, FILED, SET_ASIDE, WAITING, BROKEN}

    desk.confirm(mornings.item(CONFIRMED))
    desk.file(mornings.item(FILED), "0")
    report, listed = mornings.night()
    assert listed == {IGNORED, SET_ASIDE, WAITING, BROKEN}
    assert [case["path"] for case in report["filed"]] == ["digits/0/filed.png"]

    desk.set_aside(mornings.item(SET_ASIDE))
    mornings.add("digits/2/new.png", 2, 70)
    report, listed = mornings.night()
    assert report["verdict"] != "nothing new"  # evidence against the confirmed label was found again
    assert listed == {IGNORED, WAITING, BROKEN}

    report, listed = mornings.night()
    assert report["verdict"] == "nothing new"
    assert listed == {IGNORED, WAITING, BROKEN}
    assert (mornings.folder / SET_ASIDE).exists()


def test_the_morning_after_a_promotion_headlines_the_same_model_and_number(tmp_path):
    mornings = Mornings(tmp_path)
    for label in range(4):  # under labels that the base model does not know: the first model for them is promoted
        for nth in range(8):
            mornings.add(f"digits/{'abcd'[label]}/{nth}.png", label, nth)
    training = TrainingSettings(recipe="mlp", max_epochs=4, patience=2, folds=2)
    promoted, _ = mornings.night(training)
    quiet, _ = mornings.night(training)
    assert (promoted["verdict"], quiet["verdict"]) == ("promoted", "nothing new")
    assert promoted["champion"] == quiet["champion"] == promoted["challenger"]
    assert promoted["number"] == quiet["number"]
    assert promoted["number"]["num_images"] > 0
