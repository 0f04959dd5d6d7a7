"""What a night of many collections needs, computed from costs measured here: CPU, memory, disk, the server's part.

    .venv/bin/python benchmarks/many_collections.py --collections 10000 --new 0.1 --hours 4

Two nights are run on the sample folder against a Prefect server, as a worker runs them: one that trains (recipe auto),
one with nothing new. CPU seconds are counted, not wall time, so other work on the machine matters little. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

from tenarai.sample import make_sample

NIGHT = """
import sys
from pathlib import Path

from flows.nightly import nightly

nightly(source=sys.argv[1], store=sys.argv[2], return_state=True)
status = Path("/proc/self/status").read_text()  # wait4 would tell of the process it was forked from, too
print("peak", status.split("VmHWM:")[1].split()[0])
"""
ORDERS = 200


@dataclass(frozen=True)
class Cost:
    """Of one night: CPU seconds of its process and of the server, peak memory in MiB, what it added to the store."""

    cpu: float
    server: float
    mebibytes: float
    bytes: int


def run_night(source: str, store: Path, env: dict[str, str]) -> Cost:
    before, served = size_of(store), cpu_of_server()
    command = [sys.executable, "-c", NIGHT, source, str(store)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit("the night failed")
    peak = int(told.rsplit("peak", 1)[1]) / 1024
    return Cost(used.ru_utime + used.ru_stime, cpu_of_server() - served, peak, size_of(store) - before)


def cpu_of_server() -> float:
    """CPU seconds of the Prefect server, a child of this process."""
    ticks = 0
    for child in Path("/proc/self/task").glob("*/children"):
        for pid in child.read_text().split():
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def order_runs() -> float:
    """Flow runs a second that one client can order."""
    from prefect.client.orchestration import get_client

    from flows.nightly import nightly

    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(nightly), "collection")
        start = time.perf_counter()
        for number in range(ORDERS):
            client.create_flow_run_from_deployment(deployment, parameters={"collection": str(number)})
        return ORDERS / (time.perf_counter() - start)


def measure() -> tuple[Cost, Cost, float]:
    """Cost of a training night and of a quiet one; orders a second."""
    with tempfile.TemporaryDirectory(prefix="tenarai-many-") as name:
        home = Path(name)
        make_sample(home / "sample")
        source = f"folder:{home / 'sample'}"
        with prefect_test_harness(server_startup_timeout=180):
            api = str(get_current_settings().api.url)
            quietly = {"TF_CPP_MIN_LOG_LEVEL": "3", "PREFECT_LOGGING_LEVEL": "CRITICAL"}
            env = {**os.environ, "PREFECT_API_URL": api, **quietly}
            return run_night(source, home / "store", env), run_night(source, home / "store", env), order_runs()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=10_000)
    parser.add_argument("--new", type=float, default=0.1, help="share of the collections with something new")
    parser.add_argument("--hours", type=float, default=4.0, help="in which the nights have to be done")
    given = parser.parse_args()
    trained, quiet, rate = measure()
    training = round(given.collections * given.new)
    resting = given.collections - training
    cpu = training * trained.cpu + resting * quiet.cpu
    server = training * trained.server + resting * quiet.server
    cores = cpu / (given.hours * 3600)
    print("| measured here, a night | trains | nothing new |\n| --- | ---: | ---: |")
    print(f"| CPU seconds | {trained.cpu:.0f} | {quiet.cpu:.1f} |")
    print(f"| CPU seconds of the server | {trained.server:.1f} | {quiet.server:.1f} |")
    print(f"| peak memory, MiB | {trained.mebibytes:,.0f} | {quiet.mebibytes:,.0f} |")
    print(f"| added to the store, KiB | {trained.bytes / 1024:,.0f} | {quiet.bytes / 1024:,.0f} |")
    print(f"\nOrdered by one client: {rate:.0f} nights a second.\n")
    print(f"| {given.collections:,} collections, {given.new:.0%} with something new, in {given.hours:g} hours | |")
    print("| --- | ---: |")
    print(f"| CPU hours of nights | {cpu / 3600:,.0f} |")
    print(f"| cores kept busy | {cores:,.0f} |")
    print(f"| nights at a time, one core each (`limit` of the deployment `collection`) | {cores:,.0f} |")
    print(f"| memory for them, GiB | {cores * max(trained.mebibytes, quiet.mebibytes) / 1024:,.0f} |")
    print(f"| ordering them, minutes | {given.collections / rate / 60:.0f} |")
    print(f"| cores that the server keeps busy | {server / (given.hours * 3600):.1f} |")
    grown = (training * trained.bytes + resting * quiet.bytes) / 2**30
    print(f"| added to the stores a night, GiB | {grown:,.1f} |")


if __name__ == "__main__":
    main()
