"""The title changes hands whole or not at all, and what a person undid stays undone."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.decide import decide
from tenarai.dataset import TEST, TRAIN, freeze, save_snapshot
from tenarai.errors import ModelError
from tenarai.evaluate import promotions
from tenarai.evaluate.champions import promote_by_hand, roll_back_champion
from tenarai.evaluate.compare import measure_doubling
from tenarai.evaluate.holdout import count_learned, find_chosen, find_holdout
from tenarai.evaluate.predictions import Predictions, load_model_by_id
from tenarai.evaluate.read import read_files
from tenarai.model import bundle
from tenarai.model.bundle import base_info
from tenarai.model.networks import build_mlp
from tenarai.night import open_night
from tenarai.records import (
    Curves,
    Doubling,
    Evaluation,
    Event,
    EventKind,
    Fingerprint,
    FreezeResult,
    Image,
    ModelInfo,
    PairedCounts,
    Role,
    Score,
    SnapshotInfo,
)
from tenarai.settings import Settings
from tenarai.store import open_store
from tests.collections_of_digits import picture, save

PROJECT = Path(__file__).resolve().parents[1]

# Forks a child for every line that a promotion runs in store and history, and kills it there with SIGKILL.
KILL_EVERYWHERE = """
import os, signal, sys
from tenarai.evaluate import promotions
from tenarai.records import Promotion
from tenarai.store import open_store

store = open_store(sys.argv[1])
promotions.promote(store, "m-old", why="better", by="gate")
told = 0
for deadly in range(1, 1000):
    child = os.fork()
    if child == 0:
        lines = 0
        def trace(frame, event, argument):
            global lines
            if frame.f_code.co_filename.endswith(("store.py", "promotions.py", "pathlib.py", "_local.py")):
                if event == "line":
                    lines += 1
                    if lines == deadly:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace
        sys.settrace(trace)
        promotions.promote(store, "m-new", why="better still", by="gate")
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    names = [line.model for line in promotions.history(store)]
    assert names in (["m-old"], ["m-old", "m-new"]), (deadly, names)
    print(deadly, names[-1], os.WIFSIGNALED(status))
    if names[-1] == "m-new":
        promotions.write_history(store, [Promotion("m-old", "", "", "", "promoted")])
    if not os.WIFSIGNALED(status):
        break
"""


def test_kill_9_at_every_line_of_a_promotion_leaves_exactly_one_champion(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILL_EVERYWHERE, str(tmp_path / "store")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) > 20
    assert [killed for *_, killed in lines] == ["True"] * (len(lines) - 1) + ["False"]
    champions = [name for _, name, _ in lines]
    assert champions[0] == "m-old"
    assert champions[-1] == "m-new"
    assert champions == sorted(champions, reverse=True)  # the old one up to a line, the new one from it on


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def promote_model(store, model, snapshot=""):
    promotions.promote(store, model, why="better", by="gate", snapshot=snapshot)


def test_a_night_that_was_killed_after_it_crowned_goes_on_and_crowns_nobody_twice(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")))
    frozen = FreezeResult(SnapshotInfo("s-1", ("4", "9"), 80, 20, 0, 0, 1), True, "f", (), (), 100)
    examined = Evaluation("base-1", "m-1", "s-1", pairs=PairedCounts(9, 0, 80, 10), num_evidence=100)
    first = decide.fn(night, frozen, examined)
    assert first.verdict == "promoted"
    assert decide.fn(night, frozen, examined) == first
    assert [promotion.model for promotion in promotions.history(night.store)] == ["m-1"]
    with night.catalogue() as catalogue:
        catalogue.put_night("r1", "folder:/photos", {"challenger": "m-1", "verdict": "promoted"})
    again = decide.fn(night, frozen, examined)  # old settings, tried once more on another night
    assert (again.verdict, again.cause) == ("nothing new", "reads already")
    assert len(promotions.history(night.store)) == 1


def test_a_rolled_back_model_is_kept_out_under_any_name_on_the_same_snapshot(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")), force=True)
    frozen = FreezeResult(SnapshotInfo("s-1", ("4", "9"), 80, 20, 0, 0, 1), True, "f", (), (), 100)
    for challenger, verdict in (("m-1", "promoted"), ("m-seed-2", "kept")):
        examined = Evaluation("base-1", challenger, "s-1", pairs=PairedCounts(9, 0, 80, 10))
        decision = decide.fn(night, frozen, examined)
        assert decision.verdict == verdict
        if verdict == "promoted":
            promotions.roll_back(night.store, to=None, why="odd fours", by="me")
    assert decision.cause == "rolled back"
    assert promotions.champion(night.store).model == base_info().id


def freeze_some(store, names, relabelled=(), test_share=0.3):
    """A snapshot of made-up images, two labels in turn."""
    images, prints = [], {}
    for name in names:
        sha = hashlib.sha256(str(name).encode()).hexdigest()
        label = "49"[(name + (name in relabelled)) % 2]
        images.append(Image("s", sha, f"digits/{label}/{name}", Role.DIGITS, label, sha, 1))
        prints[sha] = Fingerprint(sha, bytes.fromhex(sha), sha)
    blank = [bytes(784)] * len(images)
    snapshot = freeze(images, prints, lambda shas: blank[: len(shas)], normaliser=1, test_share=test_share).snapshot
    save_snapshot(store, snapshot)
    return snapshot


def test_what_a_rolled_back_model_was_crowned_on_does_not_count_twice_unless_its_label_is_another_now(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")))
    before, now = freeze_some(night.store, range(30)), freeze_some(night.store, range(50), relabelled={3})
    base = SimpleNamespace(id="base-1", snapshot="")
    read = np.full(50, "4")
    promote_model(night.store, "m-1", before.info.id)
    with night.lock():
        rows, notes = find_holdout(night.store, now, base, read)
        assert (len(rows), notes) == (50, ())
        assert count_learned(night.store, [], base, now) == (0, now.info.num_train)
        promotions.roll_back(night.store, to=None, why="odd fours", by="me")
        rows, notes = find_holdout(night.store, now, base, read)
        assert len(rows) == 21
        assert hashlib.sha256(b"3").hexdigest() in now.sha256[rows].tolist()
        assert "29 images do not count again" in notes[0]
        assert count_learned(night.store, [], base, now) == (
            before.info.num_train,
            now.info.num_train,
        )


def test_what_the_champion_learned_counts_again_once_its_label_is_another(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")))
    before = freeze_some(night.store, range(50))
    learned = before.sha256[before.rows(TRAIN)].tolist()
    corrected = [name for name in range(50) if hashlib.sha256(str(name).encode()).hexdigest() in learned][:4]
    now = freeze_some(night.store, range(50), relabelled=corrected)
    champion = SimpleNamespace(id="m-1", snapshot=before.info.id)
    counted = [find_holdout(night.store, snapshot, champion, np.full(50, "4"))[0] for snapshot in (before, now)]
    assert counted[0].tolist() == before.rows(TEST).tolist()
    assert len(counted[1]) == len(counted[0]) + len(corrected)


def test_having_learned_from_more_is_no_argument_twice_on_the_same_snapshot(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")), force=True)
    now = freeze_some(night.store, range(50))
    base = SimpleNamespace(id="base-1", snapshot="")
    with night.catalogue() as catalogue:
        catalogue.put_night("r1", "folder:/photos", {"snapshot": now.info.id, "challenger": "m-1"})
        nights = catalogue.nights("folder:/photos")
        assert count_learned(night.store, nights, base, now) == (
            now.info.num_train,
            now.info.num_train,
        )


def test_what_was_rolled_back_is_not_promoted_again_nor_anything_on_the_same_evidence(store):
    promote_model(store, "m-1", "s-1")
    promote_model(store, "m-2", "s-2")
    promotions.roll_back(store, to=None, why="odd fours", by="me")
    assert promotions.is_rolled_back(store, "m-2", "s-9")
    assert promotions.is_rolled_back(store, "m-2-of-another-seed", "s-2")
    assert not promotions.is_rolled_back(store, "m-1", "s-1")
    assert not promotions.is_rolled_back(store, "m-3", "s-3")


def test_a_champion_that_a_person_promotes_again_is_rolled_back_to_the_one_before_it(store):
    for model in ("m-1", "m-2", "m-2"):
        promote_model(store, model)
    assert promotions.roll_back(store, to=None, why="", by="me").model == "m-1"
    promote_model(store, bundle.base_info().id)
    assert promotions.roll_back(store, to=None, why="", by="me").model == "m-1"


def test_rolling_back_over_several_champions_undoes_them_all(store):
    for number in (1, 2, 3):
        promote_model(store, f"m-{number}", f"s-{number}")
    promotions.roll_back(store, to="m-1", why="", by="me")
    assert [promotion.model for promotion in promotions.find_undone(store)] == ["m-2", "m-3"]


def test_a_person_can_put_back_what_was_rolled_back_and_then_it_is_not_undone_any_more(store):
    promote_model(store, "m-1", "s-1")
    promotions.roll_back(store, to=None, why="", by="me")
    assert promotions.is_rolled_back(store, "m-1", "s-1")
    promotions.roll_back(store, to="m-1", why="was right after all", by="me")
    assert promotions.champion(store).model == "m-1"
    assert not promotions.is_rolled_back(store, "m-1", "s-1")
    assert promotions.roll_back(store, to=None, why="", by="me").model == base_info().id
    with pytest.raises(ModelError, match="no champion before"):
        promotions.champion_before(store)


def test_after_a_roll_back_everything_reads_as_before_the_promotion_to_the_bit(store, tmp_path):
    settings = Settings(store=str(tmp_path / "store"))
    promotions.begin_history(store)
    files = [save(tmp_path / f"{n}.png", picture(n)) for n in range(0, 60, 3)]
    base = bundle.base_info()
    info = ModelInfo(id="", labels=base.labels, normaliser=base.normaliser, recipe="mlp", epochs=1)
    trained = bundle.Trained(info, build_mlp(10), Curves((), {}), np.empty((0, 10), np.float32))
    bundle.save_model(store, "m-1", trained)

    def read():
        return json.dumps([result.as_json() for result in read_files(files, settings)])

    before = read()
    promote_by_hand(settings, "m-1", why="to see")
    assert read() != before
    roll_back_champion(settings, to=None, why="seen")
    assert read() == before
    assert [(promotion.model, promotion.action, promotion.why) for promotion in promotions.history(store)] == [
        ("m-1", "promoted", "to see"),
        (base.id, "rolled back", "seen"),
    ]


def test_what_the_last_doubling_brought_is_measured_on_images_that_neither_model_was_trained_on(store):
    first, now = freeze_some(store, range(20), test_share=0.05), freeze_some(store, range(100))
    base = bundle.base_info()
    info = ModelInfo(
        id="", labels=base.labels, normaliser=base.normaliser, recipe="mlp", epochs=1, snapshot=first.info.id
    )
    bundle.save_model(store, "m-1", bundle.Trained(info, build_mlp(10), Curves((), {}), np.empty((0, 10), np.float32)))
    sizes = {"m-1": first.info.num_train, "": 0, "m-2": 1 + now.info.num_train // 2}
    nights = [{"challenger": model, "num_train": num} for model, num in sizes.items()]

    def certain(snapshot):
        return np.stack([np.array(base.labels) == label for label in snapshot.labels()]).astype(np.float32)

    learned = set(first.groups[first.rows(TRAIN)].tolist())
    rows = np.array([row for row in now.rows(TEST) if now.groups[row] not in learned])
    assert 20 <= len(rows) < now.info.num_test
    challenger = Predictions(info, certain(now))
    blank = str(Predictions.of(load_model_by_id(store, "m-1"), now.pixels[:1]).labels[0])
    assert measure_doubling(store, nights, now, challenger) == Doubling(
        first.info.num_train,
        now.info.num_train,
        Score.of(int((now.labels()[rows] == blank).sum()), len(rows)),
        Score.of(len(rows), len(rows)),
    )
    assert measure_doubling(store, nights[1:], now, challenger) is None  # m-2 learned from more than half
    assert measure_doubling(store, nights, first, Predictions(info, certain(first))) is None
    (Path(store.address) / "models/m-1/weights.npz").unlink()
    assert measure_doubling(store, nights, now, challenger) is None


def test_images_that_a_person_labelled_after_looking_at_a_model_are_trained_on_and_never_counted(tmp_path):
    night = open_night(Settings(source="folder:/photos", store=str(tmp_path / "store")))
    shas = [hashlib.sha256(str(name).encode()).hexdigest() for name in range(60)]
    images = [Image("s", sha, f"digits/4/{sha}", Role.DIGITS, "49"[n % 2], sha, 1) for n, sha in enumerate(shas)]
    filed, moved, corrected, renamed, other = shas[:5]

    def event(kind, sha, path, old_path=None, old_label=None):
        return Event("r1", kind, sha, path, "4", old_path, old_label, sha)

    events = [
        event(EventKind.MOVED, filed, "digits/4/a.png", "inbox/a.png"),
        event(EventKind.ADDED, moved, "ｉｎｂｏｘ /b.png"),  # copied out of it: other files with the same bytes, too
        event(EventKind.RELABELLED, corrected, "digits/4/c.png", "digits/9/c.png", "9"),
        event(EventKind.RELABELLED, renamed, "digits/4/d.png", "digits/four/d.png", "four"),
        event(EventKind.ADDED, other, "digits/4/e.png"),
    ]
    with night.catalogue() as catalogue:
        rows = [replace(image, source="folder:/photos") for image in images]
        catalogue.apply_sync("folder:/photos", rows, events)
        chosen = find_chosen(catalogue, "folder:/photos")
    assert chosen == {filed, moved, corrected}
    prints = {sha: Fingerprint(sha, bytes.fromhex(sha), sha) for sha in shas}
    blank = [bytes(784)] * len(images)
    options = {"normaliser": 1, "test_share": 0.5}
    before, now = (
        freeze(images, prints, lambda names: blank[: len(names)], chosen=held, **options).snapshot
        for held in ((), shas[:30])
    )
    tested = set(before.sha256[before.rows(TEST)].tolist())
    assert set(now.sha256[now.rows(TEST)].tolist()) == tested - set(shas[:30])
    base = SimpleNamespace(id="base-1", snapshot="")
    rows, _notes = find_holdout(night.store, now, base, np.full(60, "4"), chosen=shas[:30])
    assert set(now.sha256[rows].tolist()) == set(shas[30:])
