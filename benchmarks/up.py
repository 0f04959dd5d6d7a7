"""What `tenarai up` costs: time to the address, memory, CPU while it starts and while it idles.

`python -m benchmarks.up` on Linux, in a temporary home. CPU seconds can be compared on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Of a process and all below it: CPU seconds, MiB (shared pages counted once), number of processes."""

    seconds: float
    memory: float
    num: int


def descend(pid: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def measure(pid: int) -> Usage:
    seconds = memory = 0.0
    pids = descend(pid)
    for one in pids:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        memory += int(rollup.partition("\nPss:")[2].split()[0]) / 1024
    return Usage(seconds, memory, len(pids))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, default=120, help="seconds to idle, a minute after it is ready")
    parser.add_argument("--port", type=int, default=4270)
    parser.add_argument("--module", default="tenarai.cli.main", help="of the command line, for older commits")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenarai-up-") as name:
        home = Path(name)
        (home / "folder").mkdir()
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "TENARAI_"))}
        env = {**own, "PREFECT_HOME": f"{home}/prefect", "TENARAI_SOURCE": f"folder:{home}/folder"}
        command = [sys.executable, "-m", given.module, "up", "--port", str(given.port)]
        begun = time.monotonic()
        with (home / "log").open("w") as log:
            up = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            while "ready" not in (home / "log").read_text():
                if up.poll() is not None:
                    sys.exit((home / "log").read_text())
                time.sleep(0.2)
            print(f"ready after {time.monotonic() - begun:.0f} s at load {os.getloadavg()[0]:.0f}")
            time.sleep(60)
            before = measure(up.pid)
            time.sleep(given.idle)
            after = measure(up.pid)
            print(f"{before.seconds:.0f} CPU seconds a minute later")
            print(f"{after.memory:.0f} MiB in {after.num} processes")
            print(f"{100 * (after.seconds - before.seconds) / given.idle:.1f} % of a core when idle")
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


if __name__ == "__main__":
    main()
