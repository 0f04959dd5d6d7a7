"""Commands in processes of their own: `--help`, reading one image, a night by hand."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.speed.measure import Row, seconds

PROJECT = Path(__file__).resolve().parents[2]
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
RECIPES = ("mlp", "cnn", "transfer")


def tenarai(*arguments: str, cwd: Path | None = None) -> None:
    """Run a command, for its time."""
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "tenarai.cli.main", *arguments]
    subprocess.run(command, check=True, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_measured(*arguments: str) -> tuple[float, float]:
    """CPU seconds and peak MiB of Python with these arguments; a small process in between, which a fork copies."""
    command = [sys.executable, "-c", MEASURE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, memory = map(float, done.stdout.split())
    return cpu, memory


def measure_help() -> None:
    took = median([seconds(lambda: tenarai("--help")) for _ in range(12)][1:])
    bare = median(seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(11))
    Row("`tenarai --help`", f"Python alone: {bare:.2f} s", f"{took:.2f} s", "0.3 s", took < 0.3).print()


def measure_nights(place: Path) -> None:
    """The first night on the sample and the second, and one on the same images as a folder of one's own."""
    first = seconds(lambda: tenarai("nightly", cwd=place))
    second = median(seconds(lambda: tenarai("nightly", cwd=place)) for _ in range(3))
    own = ("--source", f"folder:{place / '.tenarai/sample'}", "--store", str(place / "own"))
    took = seconds(lambda: tenarai("nightly", *own, cwd=place))
    keras = seconds(lambda: subprocess.run([sys.executable, "-c", "import keras"], check=True, capture_output=True))
    against = f"`import keras` alone: {keras:.1f} s"
    Row("`tenarai nightly`, the first: draws the sample", against, f"{first:.1f} s", "30 s", first <= 30).print()
    Row("the same again: nothing new", "–", f"{second:.1f} s", "5 s", second <= 5).print()
    Row("a first night on 200 images of one's own", against, f"{took:.1f} s", "20 s", took <= 20).print()


def find_challenger(store: Path) -> str:
    """The model that the last night trained."""
    night = (store / "reports/latest").read_text(encoding="utf-8").strip()
    report = json.loads((store / "reports" / night / "report.json").read_text(encoding="utf-8"))
    return str(report["evaluation"]["challenger"])


def measure_one_image(place: Path, repeats: int) -> None:
    """CPU time and memory of reading one image, with the champion and with a model of each recipe."""
    store = place / ".tenarai/sample-store"
    image = next(file for file in sorted((place / ".tenarai/sample/inbox").iterdir()))
    bare_cpu, bare_memory = run_measured("-c", "import keras")
    for recipe in ("base", *RECIPES):
        command = ["-m", "tenarai.cli.main", "read", str(image), "--store", str(store)]
        if recipe == "base":
            command[-1] = str(place / "no store")
        else:
            tenarai("nightly", "--force", "--recipe", recipe, cwd=place)
            command += ["--model", find_challenger(store)]
        used = [run_measured(*command) for _ in range(repeats)]
        cpu, memory = (median(column) for column in zip(*used, strict=True))
        Row(
            f"`tenarai read` of one image, {recipe}",
            f"`import keras` alone: {bare_cpu:.1f} CPU s, {bare_memory:.0f} MiB",
            f"{cpu:.1f} CPU s, {memory:.0f} MiB",
            "2 CPU s, 150 MiB",
            cpu <= 2 and memory <= 150,
        ).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="of reading one image")
    given = parser.parse_args()
    measure_help()
    with TemporaryDirectory() as folder:
        measure_nights(Path(folder))
        measure_one_image(Path(folder), given.repeats)


if __name__ == "__main__":
    main()
