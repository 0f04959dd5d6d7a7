"""A night with nothing new: what it does not load, so that it stays small and quick."""

import subprocess
import sys
from pathlib import Path

from flows.nightly import in_place, run_steps
from tenarai.night import open_night
from tenarai.settings import Settings, TrainingSettings
from tests.collections_of_digits import fill, picture, save

PROJECT = Path(__file__).resolve().parents[1]
UNNEEDED = {"keras", "tensorflow", "jax", "sklearn", "scipy", "pandas", "onnx", "google"}
TRAINING = TrainingSettings(recipe="mlp", max_epochs=2, patience=1, folds=2)
AGAIN = """
import sys
from tenarai.night import open_night
from flows.nightly import in_place, run_steps
from tenarai.settings import Settings, TrainingSettings

training = TrainingSettings.model_validate_json(sys.argv[3])
night = open_night(Settings(source=sys.argv[1], store=sys.argv[2]), training=training)
print(run_steps(night, in_place).verdict, *sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_quiet_night_loads_no_model_and_asks_no_one_outside(tmp_path):
    folder = fill(tmp_path / "folder", num_each=4)
    fill(folder, num_each=1, labels="47", first=50, under="misread")
    save(folder / "inbox" / "what is this.png", picture(1700))
    source, store = f"folder:{folder}", str(tmp_path / "store")
    first = open_night(Settings(source=source, store=store), training=TRAINING)
    assert run_steps(first, in_place).verdict != "nothing new"
    command = [sys.executable, "-c", AGAIN, source, store, TRAINING.model_dump_json()]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    told = done.stdout.splitlines()[-1:] or [done.stderr[-2000:]]
    assert told[0].startswith("nothing new "), told
    assert not UNNEEDED & set(told[0].split())
