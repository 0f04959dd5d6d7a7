"""Kill parts of `tenarai up` at random while nights train, and see how the nights end: `make chaos-up`.

Each round adds one image, starts a night, and kills (-9), while a run of it is at work, the server, the workers twice
(both pools are one process), and the process of the night or of its training twice, in random order at random moments.
Nobody helps: the night, or one of its further attempts, completes, or else the next night does. `up` itself never ends.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from prefect.client.schemas.filters import FlowRunFilter

from tests.collections_of_digits import fill, picture, save
from tests.serving import serve, start, wait

TRAINING = {"recipe": "mlp", "max_epochs": 3, "folds": 2}
VICTIMS = ("server", "run", "run", "workers", "workers")  # of one night
PARTS = {
    "server": "tenarai.orchestration.serve",
    "workers": "tenarai.orchestration.workers",
    "run": "prefect.engine",
}


def find(home: Path, part: str) -> list[int]:
    """Processes of a part of the `up` whose files are in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environ = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if PARTS[part].encode() in command and f"PREFECT_HOME={home / 'prefect'}".encode() in environ.split(b"\0"):
            found.append(int(entry.name))
    return found


def kill(home: Path, part: str, dice: random.Random) -> bool:
    """Kill a part, if it is there or comes back within a minute; a run may have ended by itself."""
    end = time.monotonic() + (0 if part == "run" else 60)
    while not (found := find(home, part)):
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    os.kill(dice.choice(found), signal.SIGKILL)
    return True


def read_attempts(client, night) -> list:
    """A night's run and the runs that the watchdog started after it, oldest first; none while the server is away."""
    of_it = {
        "deployment_id": {"any_": [night.deployment_id]},
        "expected_start_time": {
            "after_": night.expected_start_time,
            "before_": datetime.now(UTC) + timedelta(minutes=1),
        },
    }
    try:
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(of_it))
    except Exception:  # noqa: BLE001 - the server was killed
        return []
    return sorted((one for one in runs if not one.auto_scheduled), key=lambda one: one.created)


def is_at_work(client, home: Path, night) -> bool:
    """Wait until a run of a night has a process; false once the night has completed, or after three minutes."""
    end = time.monotonic() + 180
    while time.monotonic() < end and not find(home, "run"):
        if (attempts := read_attempts(client, night)) and attempts[-1].state.is_completed():
            return False
        time.sleep(0.5)
    return bool(find(home, "run"))


def random_moment(home: Path, typical: float, dice: random.Random) -> None:
    """Wait until a random moment of what is left of a run."""
    age = 0.0
    for process in find(home, "run"):
        with suppress(psutil.Error):
            age = max(age, time.time() - psutil.Process(process).create_time())
    time.sleep(dice.uniform(0, max(1.0, typical - age)))


def follow(client, night) -> tuple[str, list]:
    """How a night ended after all its attempts, and these; the server may be away for a while."""
    end, quiet, attempts = time.monotonic() + 900, 0.0, []
    while time.monotonic() < end:
        time.sleep(2)
        if not (attempts := read_attempts(client, night) or attempts):
            continue
        if all(one.state.is_final() for one in attempts):
            quiet = quiet or time.monotonic()  # the watchdog starts a crashed night again after a look or two
            if attempts[-1].state.is_completed() or time.monotonic() - quiet > 40:
                return attempts[-1].state.type.value.lower(), attempts
        else:
            quiet = 0.0
    return "did not end", attempts


def order(client):
    """Start a night as a person does: again, if the server is just away."""

    def try_it():
        try:
            return start(client, training=TRAINING)
        except Exception:  # noqa: BLE001 - as above
            return None

    return wait(try_it, 180)


def run_chaos(kills: int, seed: int, say) -> list[str]:
    """Nights in each of which every part is killed, until all were killed often enough; gives what went wrong.

    Args:
        kills: How often each part is killed; the workers twice as often.
        seed: Of order and moments.
        say: Prints a line.
    """
    dice, wrong, number = random.Random(seed), [], 0
    left = Counter({"server": kills, "run": kills, "workers": 2 * kills})
    killed: Counter[str] = Counter()
    ends: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    with tempfile.TemporaryDirectory(prefix="tenarai-chaos-") as name:
        home = Path(name)
        folder = fill(home / "folder", num_each=6)
        fill(folder, num_each=1, labels="47", first=50, under="misread")
        with serve(home, folder) as (client, _port):
            ended, attempts = follow(client, order(client))  # undisturbed
            assert ended == "completed", attempts
            while +left:
                number += 1
                save(folder / "digits/3" / f"round {number}.png", picture(1000 + number))
                wait(lambda: not find(home, "run"), 120)  # of the night before
                if attempts[-1].state.is_completed():
                    typical = attempts[-1].total_run_time.total_seconds()  # depends on the load of the machine
                night, begun, done = order(client), time.monotonic(), []
                for part in dice.sample(VICTIMS, len(VICTIMS)):
                    if left[part] <= 0 or not is_at_work(client, home, night):
                        continue
                    random_moment(home, typical, dice)
                    if kill(home, part, dice):
                        left[part] -= 1
                        killed[part] += 1
                        done.append((part, time.monotonic() - begun))
                ended, attempts = follow(client, night)
                after = ""
                if ended != "completed":
                    for one in attempts:
                        print(f"round {number}: {one.name}: {one.state.message}", file=sys.stderr, flush=True)
                    after = follow(client, order(client))[0]
                    if after != "completed":
                        wrong.append(f"round {number}: {ended}, then {after}")
                for part in {part for part, _ in done}:
                    ends[part][ended] += 1
                kills_here = ", ".join(f"{part} ({moment:.0f} s)" for part, moment in done)
                say(f"| {number} | {kills_here} | {ended} | {len(attempts)} | {after} |")
        say("\n| killed (-9) | times | nights it was killed in, by how they ended |\n| --- | ---: | --- |")
        for part in PARTS:
            say(f"| {part} | {killed[part]} | {', '.join(f'{n} {how}' for how, n in ends[part].most_common())} |")
        say(f"\nwrong: {'; '.join(wrong) or 'nothing'}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of the server and of runs; of the workers twice as many")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # started with `&` by a script, it would not hear Ctrl-C
        signal.signal(number, lambda *_: sys.exit(1))
    print("| round | killed (seconds into the night) | the night | attempts | the next night |")
    print("| ---: | --- | --- | ---: | --- |", flush=True)
    return int(bool(run_chaos(given.kills, given.seed, lambda line: print(line, flush=True))))


if __name__ == "__main__":
    sys.exit(main())
