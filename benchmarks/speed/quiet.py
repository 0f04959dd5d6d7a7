"""A quiet night through the real flow, against an empty flow with as many tasks: fresh processes, one server."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

from benchmarks.speed.material import write_folder
from benchmarks.speed.measure import Row
from flows.nightly import in_place, run_steps
from tenarai.night import open_night
from tenarai.settings import Settings, TrainingSettings

NUM_TASKS = 10
TRAINING = TrainingSettings(recipe="mlp", max_epochs=1, patience=1, folds=2)
TELL = """
import json, sys
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"peak": peak, "keras": bool({"keras", "tensorflow"} & set(sys.modules)), "said": said}))
"""
NIGHT = """
import sys
from flows.nightly import nightly
from tenarai.settings import TrainingSettings
training = TrainingSettings.model_validate_json(sys.argv[3])
said = nightly(source=sys.argv[1], store=sys.argv[2], training=training, return_state=True).result().verdict
"""
EMPTY = """
import sys
from prefect import flow, task

@flow
def empty(number: int):
    for count in range(number):
        task(lambda: None, name=f"task {count}")()

empty(int(sys.argv[1]))
said = "nothing"
"""


def run(code: str, *arguments: str) -> tuple[float, dict[str, object]]:
    """Seconds from the process' start to its end, and what it told at its end."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code + TELL, *arguments], check=True, capture_output=True, text=True, env=os.environ
    )
    return time.perf_counter() - start, json.loads(done.stdout.splitlines()[-1])


def measure(num: int, repeats: int, place: Path) -> None:
    write_folder(place / "folder", num)
    source, store = f"folder:{place / 'folder'}", str(place / "store")
    run_steps(open_night(Settings(source=source, store=store), training=TRAINING), in_place)
    with prefect_test_harness(server_startup_timeout=180):
        os.environ |= {"PREFECT_API_URL": str(get_current_settings().api.url), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
        night, empty = (NIGHT, source, store, TRAINING.model_dump_json()), (EMPTY, str(NUM_TASKS))
        run(*night), run(*empty)
        pairs = [(run(*night), run(*empty)) for _ in range(repeats)]
    told = [ours[1] for ours, _ in pairs]
    assert {one["said"] for one in told} == {"nothing new"}
    ratio = median(ours[0] / theirs[0] for ours, theirs in pairs)
    peak, keras = max(float(str(one["peak"])) for one in told), any(one["keras"] for one in told)
    ours, theirs = (median(seconds for seconds, _ in column) for column in zip(*pairs, strict=True))
    Row(
        f"a quiet night of {num:,} images in a folder, in a process of its own",
        f"an empty Prefect flow with as many tasks ({NUM_TASKS}), the same way",
        f"{ratio:.2f} × its time; Keras {'imported' if keras else 'never imported'}; {peak:.0f} MiB",
        "1.3 ×; never; 200 MiB",
        ratio <= 1.3 and not keras and peak < 200,
        f"{ours:.1f} s against {theirs:.1f} s",
    ).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        measure(given.images, given.repeats, Path(place))


if __name__ == "__main__":
    main()
