"""How long `tenarai --help` takes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from benchmarks.speed.measure import Row, seconds

HELP = [sys.executable, "-c", "from tenarai.cli.main import main; main(['--help'])"]


def main() -> None:
    times = [seconds(lambda: subprocess.run(HELP, check=True, stdout=subprocess.DEVNULL)) for _ in range(12)][1:]
    bare = [
        seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True, stdout=subprocess.DEVNULL))
        for _ in range(11)
    ]
    took = median(times)
    Row(
        "`tenarai --help`",
        f"Python alone: {median(bare):.2f} s",
        f"{took:.2f} s",
        "0.3 s",
        took < 0.3,
    ).print()


if __name__ == "__main__":
    main()
