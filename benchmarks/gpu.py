"""Nights of `tenarai up` whose trainings go over the pool `gpu`, on a GPU and on the CPU beside it.

    KERAS_BACKEND=jax .venv/bin/python -m benchmarks.gpu

Prints a row a training: its device, the seconds of the training's run and of the whole night, and the largest
difference between the probabilities that Keras computes on the GPU, Keras on the CPU, and NumPy, as nights use it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tenarai.prepare import read_digit
from tests.collections_of_digits import fill
from tests.serving import finish, serve, start

READ = """
import sys
import numpy as np
from tenarai.evaluate.predictions import load_model_by_id
from tenarai.store import open_store
store, model, digits, out = sys.argv[1:]
loaded, pixels = load_model_by_id(open_store(store), model), np.load(digits)
np.savez(out, loaded.network.predict(pixels, verbose=0), loaded.predict(pixels))
print(f"  {model} is read with {'NumPy' if loaded.forward else 'Keras'}", file=sys.stderr)
"""


def train(client: Any, recipe: str, device: str) -> tuple[str, float, float]:
    """A night that trains; gives the model's id, and the seconds of training and night."""
    night = finish(client, start(client, force=True, training={"recipe": recipe, "device": device}), 900)
    assert night.state.is_completed(), night.state.message
    trainings = [run for run in client.read_flow_runs() if run.work_pool_name == "gpu" and run.created > night.created]
    (training,) = trainings
    assert training.state.is_completed(), training.state.message
    return training.parameters["model"], training.total_run_time.total_seconds(), night.total_run_time.total_seconds()


def compare_readings(home: Path, model: str) -> float:
    """The largest difference between probabilities on GPU and CPU and in NumPy."""
    read = []
    for env in ({}, {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}):
        command = [sys.executable, "-c", READ, str(home / "store"), model, str(home / "digits.npy"), str(home / "read")]
        subprocess.run(command, env=os.environ | env, check=True)
        with np.load(home / "read.npz") as found:
            read += found.values()
    return float(max(np.abs(one - read[0]).max() for one in read))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=60, help="images of each digit")
    parser.add_argument("--recipes", nargs="+", default=["transfer", "cnn"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenarai-gpu-") as name:
        home = Path(name)
        folder = fill(home / "folder", num_each=given.each)
        others = sorted(fill(home / "others", num_each=20, first=given.each).rglob("*.png"))
        np.save(home / "digits.npy", np.stack([read_digit(file.read_bytes()) for file in others]))
        print("| recipe | trained on | images | epochs | training | night | readings differ by at most |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
        with serve(home, folder) as (client, _port):
            for recipe, device in product(given.recipes, ("gpu", "cpu")):
                model, seconds, night = train(client, recipe, device)
                info = json.loads((home / "store/models" / model / "model.json").read_text())
                row = [recipe, info["device"], given.each * 10, info["epochs"], f"{seconds:.0f} s", f"{night:.0f} s"]
                print(f"| {' | '.join(map(str, row))} | {compare_readings(home, model):.1e} |", flush=True)


if __name__ == "__main__":
    main()
