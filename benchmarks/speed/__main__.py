"""Run every part of the bench in a process of its own and print the table.

.venv/bin/python -m benchmarks.speed [--only quiet,drive] [--quick] [--write docs/performance.md]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.speed.measure import Row, parse_rows, print_table, write_between

PARTS = {
    "startup": ["--repeats", "1"],
    "quiet": ["--images", "300", "--repeats", "1"],
    "drive": ["--files", "300"],
    "preparing": ["--photos", "4", "--pngs", "60"],
    "learning": ["--images", "60", "--digits", "600"],
    "growing": ["--files", "2000", "--digits", "5000", "--repeats", "1"],
}
"""Name of each part, and the small sizes that show whether it works."""

PACKAGES = ("prefect", "keras", "tensorflow", "numpy", "opencv-python-headless", "pillow")


def run(part: str, *, quick: bool) -> list[Row]:
    """The rows of a part, none when it failed; what it says else goes to standard error."""
    command = [sys.executable, "-m", f"benchmarks.speed.{part}", *(PARTS[part] if quick else [])]
    print(f"{part} …", file=sys.stderr, flush=True)
    env = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # most steps run in place
        **os.environ,
    }
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=env)
    rows = parse_rows(done.stdout)
    if done.returncode or not rows:
        print(f"{part} failed ({done.returncode}):\n{done.stdout[-2000:]}", file=sys.stderr)
        return []
    return rows


def describe_machine() -> str:
    """What the figures were measured on, in a line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rclone = "with rclone" if shutil.which("rclone") else "without rclone"
    return f"{cores} cores of {names[0] if names else 'an unnamed CPU'}, {rclone}; {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works; no figures to keep")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks in this file")
    given = parser.parse_args()
    parts = given.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    found = {part: run(part, quick=given.quick) for part in parts}
    table = print_table([row for rows in found.values() for row in rows], describe_machine())
    print(table)
    if given.write:
        given.write.write_text(write_between(given.write.read_text(encoding="utf-8"), table), encoding="utf-8")
    if failed := [part for part, rows in found.items() if not rows]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
