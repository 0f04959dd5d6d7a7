"""Kill a night that trains at a random moment, and run the next one: `python -m tests.kills [--kills 50] [--seed 0]`.

Each round adds an image, starts a night without a server, and kills its process (-9) at a random moment. The next night
must complete; then every image is in the catalogue and in the store, the champion can be loaded, the newest report is
whole, and `tenarai check` finds nothing but half-written reports. Nights start with TensorFlow imported, to save time.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.collections_of_digits import fill, picture, save

MODULES = ["tensorflow", "keras", "sklearn.model_selection", "flows.nightly", "tenarai.report", "tenarai.model.train"]


def run_night(folder: str, store: str, log: str) -> None:
    """A night in place, of a small network."""
    from flows.nightly import run_steps
    from tenarai.night import open_night
    from tenarai.settings import Settings, TrainingSettings

    with Path(log).open("w", buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        settings = Settings(_env_file=None, source=f"folder:{folder}", store=store)
        night = open_night(settings, training=TrainingSettings(recipe="mlp", max_epochs=3, folds=2))
        try:
            run_steps(night, lambda task, *arguments: print(f"step {task.name}") or task.fn(*arguments))
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
            raise


def find_wrong(folder: Path, place: Path) -> list[str]:
    """What the next night did not make whole."""
    from tenarai.catalogue import locate_catalogue, open_catalogue
    from tenarai.check import check_store
    from tenarai.evaluate.predictions import champion_id, load_champion
    from tenarai.settings import Settings
    from tenarai.store import open_store

    settings = Settings(_env_file=None, source=f"folder:{folder}", store=str(place))
    store = open_store(str(place), create=False)
    wrong = [f"{fault.where}: {fault.what}" for fault in check_store(settings) if "incomplete" not in fault.what]
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        known = {image.path for image in catalogue.images(settings.source)}
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*.png")}
    if known != there:
        wrong.append(f"{len(known)} images in the catalogue, {len(there)} in the folder")
    if load_champion(store).info.id != champion_id(store):
        wrong.append("the champion is another model")
    latest = store.read("reports", "latest").decode().strip()
    if set(store.names("reports", latest)) < {"report.html", "report.json", "summary.png"}:
        wrong.append(f"the report {latest} is not whole")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    dice, hit, num_wrong = random.Random(given.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="tenarai-kills-") as name:
        folder, store, log = Path(name, "folder"), Path(name, "store"), Path(name, "log")
        fill(folder, num_each=4, labels="0123")
        fill(folder, num_each=1, labels="1", first=50, under="misread")

        def start() -> multiprocessing.process.BaseProcess:
            night = context.Process(target=run_night, args=(str(folder), str(store), str(log)))
            night.start()
            return night

        warm_up = context.Process(target=os.getpid)
        warm_up.start()
        warm_up.join()
        begin, first = time.monotonic(), start()
        first.join()
        assert first.exitcode == 0, log.read_text()
        typical, number = time.monotonic() - begin, 0
        while sum(hit.values()) < given.kills:
            number += 1
            save(folder / "digits" / str(number % 4) / f"more {number}.png", picture(700 + number))
            log.unlink()
            night = start()
            night.join(dice.uniform(0, typical))
            was_killed = night.is_alive()
            night.kill()
            night.join()
            steps = [line for line in (log.read_text() if log.exists() else "").splitlines() if "step " in line]
            step = steps[-1].removeprefix("step ") if steps else "start"
            if was_killed:
                hit[step] += 1
            begin, after = time.monotonic(), start()
            after.join()
            typical = 0.5 * typical + 0.5 * (time.monotonic() - begin)
            wrong = find_wrong(folder, store) if after.exitcode == 0 else [log.read_text()[-2000:]]
            num_wrong += bool(wrong)
            print(
                f"{number}: {'killed in ' + step if was_killed else 'not hit'}; {'; '.join(wrong) or 'whole'}",
                flush=True,
            )
    print(f"{sum(hit.values())} kills in {number} nights, wrong after {num_wrong}: {dict(hit)}")
    return int(num_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
