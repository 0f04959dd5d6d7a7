"""How a night grows: 100 new images among 100,000, and its memory at a million digits.

For the million, the stages that grow are run whole, each in a process of its own, over a catalogue of made-up rows (a
real digit's pixels with a little noise, random hashes, no originals). Left out is what holds a batch of images at a
time: the models' reading in the exam, and the epochs of a training after the first, on one fold. The splitting into
folds is left out, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.material import insert_rows, write_folder
from benchmarks.speed.measure import Row, cpu_seconds
from tenarai.night import Night
from tenarai.night import open_night as open_at
from tenarai.settings import Settings
from tenarai.store import Store

NEW = 100
MODEL = "m-0123456789ab"
LABELS = tuple("0123456789")


# ---- 100 new images


def spend_with_new(num: int, repeats: int) -> tuple[float, float, float, float]:
    """Medians for 100 new images, in CPU seconds: a bare look at every file, sync, prepare, the normaliser alone."""
    from tenarai.catalogue import CATALOGUE_FILE, open_catalogue
    from tenarai.prepare import NORMALISER_VERSION, prepare_images
    from tenarai.store import open_store
    from tenarai.sync import open_source

    with TemporaryDirectory() as name:
        folder, home = Path(name) / "folder", Path(name) / "store"
        for number in range(num):
            path = folder / "digits" / str(number % 10) / f"{number:07}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % number)  # known already: never opened
        source = f"folder:{folder}"
        store, settings, times = open_store(str(home)), Settings(_env_file=None, source=source), []
        files = open_source(settings).list_files().files
        insert_rows(home, source, [(file.path, str(file.size), file.stamp) for file in files])
        for turn in range(1 + repeats):
            write_folder(folder, NEW, first=num + turn * NEW)
            with open_catalogue(f"sqlite:///{home / CATALOGUE_FILE}") as catalogue:
                looked = cpu_seconds(partial(look_at_all, folder))
                synced = cpu_seconds(partial(open_source(settings).sync, store, catalogue, f"night {turn}"))
                new = [item.sha256 for item in catalogue.unprepared(source, NORMALISER_VERSION)]
                alone = cpu_seconds(partial(prepare_all, store, new, settings))
                prepared = cpu_seconds(partial(prepare_images, store, catalogue, source, settings))
                times.append((looked, synced, prepared, alone))
        looked, synced, prepared, alone = (median(column) for column in zip(*times[1:], strict=True))
        return looked, synced, prepared, alone


def prepare_all(store: Store, sha256s: Sequence[str], settings: Settings) -> None:
    """The normaliser alone."""
    from tenarai.prepare.images import prepare_original

    for sha256 in sha256s:
        prepare_original(store, sha256, settings=settings)


def look_at_all(folder: Path) -> None:
    """`scandir` and `stat` of every file, and nothing else."""
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                else:
                    entry.stat()


def measure_new(num: int, repeats: int) -> None:
    looked, synced, prepared, alone = spend_with_new(num, repeats)
    Row(
        f"sync of {NEW} new images among {num:,}",
        f"`scandir` and `stat` of every file: {looked:.2f} CPU s",
        f"{synced / looked:.1f} × its time",
        "3 ×",
        synced <= 3 * looked,
        f"{synced:.2f} CPU s",
    ).print()
    Row(
        f"preparing {NEW} new images among {num:,}",
        f"the normaliser alone on these: {alone:.2f} CPU s",
        f"{prepared:.2f} CPU s",
        "at most 1 s more",
        prepared - alone <= 1,
    ).print()


# ---- a million digits


def open_night(place: Path) -> Night:
    return open_at(Settings(source="folder:/nowhere", store=str(place)))


def plan(place: Path) -> None:
    """Compare the names of all files with what is known of them, as a sync does."""
    night = open_night(place)
    with night.catalogue() as catalogue:
        known = catalogue.known_files(night.settings.source)
    unchanged = ["".join([*file_id]) for file_id in known.stamps]  # strings of their own, as the disk gives them
    assert not set(known.stamps).difference(unchanged)


def freeze(place: Path) -> None:
    """Freeze the snapshot, as the stage of the night does."""
    from tasks.freeze import freeze as freeze_task

    assert freeze_task.fn(open_night(place)).is_new


def train(place: Path) -> None:
    """Compute the features of `transfer`, fit one epoch, and read every 50th image, held out."""
    from tenarai.dataset import load_snapshot
    from tenarai.model.recipes import RECIPES

    night = open_night(place)
    training_set = load_snapshot(night.store, find_snapshot(night)).training_set()
    fitter = RECIPES["transfer"](training_set, 0)
    everything = np.arange(len(training_set.pixels))
    part = everything % 50 == 0
    fit = fitter.fit(everything[~part], everything[part], epochs=1)
    assert len(fit.probabilities) == part.sum()


def examine(place: Path) -> None:
    """The whole exam, suspects included; only the models' reading is made up: right in 97 %."""
    from tenarai.dataset import TRAIN, load_snapshot
    from tenarai.evaluate.compare import compare
    from tenarai.model.bundle import LoadedModel, Trained, load_base, save_model
    from tenarai.prepare import NORMALISER_VERSION
    from tenarai.records import Curves, ModelInfo

    night = open_night(place)
    snapshot = load_snapshot(night.store, find_snapshot(night))
    base, info, rows = load_base(normaliser=NORMALISER_VERSION), snapshot.info, snapshot.rows(TRAIN)
    folds = read(snapshot.pixels[rows])
    model = ModelInfo(
        id="", labels=LABELS, normaliser=NORMALISER_VERSION, recipe="transfer", epochs=1, snapshot=info.id
    )
    trained = Trained(model, base.network, Curves((), {}), folds)
    save_model(night.store, MODEL, trained)
    del snapshot, folds, trained
    with patch.object(LoadedModel, "predict", lambda self, pixels: read(pixels)), night.catalogue() as catalogue:
        examined = compare(night.store, catalogue, night.settings.source, info.id, MODEL)
    assert examined.pairs.num_images > 0.9 * len(rows)


def read(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 10) float32 as a good model would give them; the truth is told by the first pixel (see `material`)."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(len(pixels)) < 0.97, pixels[:, 0, 0], rng.integers(0, 10, len(pixels)))
    probabilities = np.full((len(pixels), 10), 0.01, dtype=np.float32)
    probabilities[np.arange(len(pixels)), labels] = 0.91
    return probabilities


def find_snapshot(night: Night) -> str:
    (name,) = night.store.names("snapshots")
    return name.removesuffix(".npz")


STAGES: dict[str, Callable[[Path], None]] = {"plan": plan, "freeze": freeze, "train": train, "examine": examine}


def measure_memory(num: int) -> None:
    with TemporaryDirectory() as place:
        insert_rows(Path(place), "folder:/nowhere", num)
        told = {}
        for stage in STAGES:
            command = [sys.executable, "-m", "benchmarks.speed.growing", "--stage", stage, "--place", place]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
            if done.returncode:
                sys.exit(f"{stage}: {done.stderr[-2000:]}")
            told[stage] = (float(done.stdout.splitlines()[-1]), time.perf_counter() - start)
    peak = max(gibibytes for gibibytes, _ in told.values())
    Row(
        f"memory of a night at {num:,} digits",
        "–",
        f"{peak:.1f} GiB",
        "4 GB",
        peak * 2**30 < 4e9,
        ", ".join(f"{stage} {gibibytes:.1f} GiB in {took:.0f} s" for stage, (gibibytes, took) in told.items()),
    ).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--digits", type=int, default=1_000_000, help="of which the memory is told")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stage", choices=STAGES, help="run this stage alone, over the store in --place")
    parser.add_argument("--place", type=Path)
    given = parser.parse_args()
    if given.stage:
        STAGES[given.stage](given.place)
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) / 2**20)
        return
    measure_new(given.files, given.repeats)
    measure_memory(given.digits)


if __name__ == "__main__":
    main()
