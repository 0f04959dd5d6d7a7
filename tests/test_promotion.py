"""The title changes hands whole or not at all, and what a person undid stays undone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks import promote
from tasks.errors import ModelError
from tasks.store import open_store
from tests.collections_of_digits import picture, save

PROJECT = Path(__file__).resolve().parents[1]

# Forks a child for every line that a promotion runs in store and history, and kills it there with SIGKILL.
KILL_EVERYWHERE = """
import os, signal, sys
from tasks import promote
from tasks.store import open_store

store = open_store(sys.argv[1])
promote.promote(store, "m-old", why="better", by="gate")
told = 0
for deadly in range(1, 1000):
    child = os.fork()
    if child == 0:
        lines = 0
        def trace(frame, event, argument):
            global lines
            if frame.f_code.co_filename.endswith(("store.py", "promote.py", "pathlib.py", "_local.py")):
                if event == "line":
                    lines += 1
                    if lines == deadly:
                        os.kill(os.getpid(), signal.SIGKILL)
                return trace
        sys.settrace(trace)
        promote.promote(store, "m-new", why="better still", by="gate")
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    names = [reign.model for reign in promote.history(store)]
    assert names in (["m-old"], ["m-old", "m-new"]), (deadly, names)
    print(deadly, names[-1], os.WIFSIGNALED(status))
    if names[-1] == "m-new":
        store.write_json([{"model": "m-old", "since": "", "why": "", "by": "", "action": "promoted"}], "champion.json")
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


def crown(store, model, snapshot=""):
    promote.promote(store, model, why="better", by="gate", snapshot=snapshot)


def test_what_was_rolled_back_is_not_promoted_again_nor_anything_on_the_same_evidence(store):
    crown(store, "m-1", "s-1")
    crown(store, "m-2", "s-2")
    promote.roll_back(store, to=None, base="base-1", why="odd fours", by="me")
    assert promote.is_rolled_back(store, "m-2", "s-9")
    assert promote.is_rolled_back(store, "m-2-of-another-seed", "s-2")
    assert not promote.is_rolled_back(store, "m-1", "s-1")
    assert not promote.is_rolled_back(store, "m-3", "s-3")


def test_rolling_back_over_several_champions_undoes_them_all(store):
    for number in (1, 2, 3):
        crown(store, f"m-{number}", f"s-{number}")
    promote.roll_back(store, to="m-1", base="base-1", why="", by="me")
    assert [reign.model for reign in promote.find_undone(store)] == ["m-2", "m-3"]


def test_a_person_can_put_back_what_was_rolled_back_and_then_it_is_not_undone_any_more(store):
    crown(store, "m-1", "s-1")
    promote.roll_back(store, to=None, base="base-1", why="", by="me")
    assert promote.is_rolled_back(store, "m-1", "s-1")
    promote.roll_back(store, to="m-1", base="base-1", why="was right after all", by="me")
    assert promote.champion(store).model == "m-1"
    assert not promote.is_rolled_back(store, "m-1", "s-1")
    assert promote.roll_back(store, to=None, base="base-1", why="", by="me").model == "base-1"
    with pytest.raises(ModelError, match="no champion before"):
        promote.champion_before(store, "base-1")


def test_after_a_roll_back_everything_reads_as_before_the_promotion_to_the_bit(store, tmp_path):
    from flows.read import read_files
    from flows.rollback import promote_by_hand, roll_back_champion
    from tasks.model import bundle
    from tasks.model.networks import build_mlp
    from tasks.records import Curves, ModelInfo
    from tasks.settings import Settings
    from tasks.train import Trained

    settings = Settings(store=str(tmp_path / "store"))
    files = [save(tmp_path / f"{n}.png", picture(n)) for n in range(0, 60, 3)]
    base = bundle.base_info()
    trained = Trained(
        build_mlp(10), base.labels, "mlp", 1, Curves((), {}, (), 1), np.empty((0, 10), np.float32), {}, 0.8, (), "CPU"
    )
    info = ModelInfo("m-1", base.labels, base.normaliser, "", "mlp", {}, {}, 1, (), {}, "", "", "CPU")
    bundle.save_model(store, info, trained)

    def read():
        return json.dumps([result.as_json() for result in read_files(files, settings)])

    before = read()
    promote_by_hand(settings, "m-1", why="to see")
    assert read() != before
    roll_back_champion(settings, to=None, why="seen")
    assert read() == before
    assert [(reign.model, reign.action, reign.why) for reign in promote.history(store)] == [
        ("m-1", "promoted", "to see"),
        (base.id, "rolled back", "seen"),
    ]
