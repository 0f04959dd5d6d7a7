"""Kill parts of `tenarai up` at random while nights train, and see how the nights end: `make chaos-up`.

Each round adds one image, starts a night, and kills (-9) at random moments the server, the workers twice, and the
process of the night or of its training. Nobody helps: the night, or one of its further attempts, completes, or else
the next night does. `up` itself never ends.
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
from pathlib import Path

from tests.collections_of_digits import fill, picture, save
from tests.serving import serve, start, wait

TRAINING = {"recipe": "mlp", "max_epochs": 3, "folds": 2}
VICTIMS = ("server", "run", "workers", "workers")  # both workers are one process
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
    """Kill a part as soon as it is there; whether it was. A run may have ended already."""
    end = time.monotonic() + 60
    while not (found := find(home, part)):
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    os.kill(dice.choice(found), signal.SIGKILL)
    return True


def follow(client, run) -> tuple[str, int]:
    """How a night ended after all its attempts, and how many there were; the server may be away for a while."""
    end, mine = time.monotonic() + 900, []
    quiet = 0.0
    while time.monotonic() < end:
        time.sleep(2)
        try:
            nights = [one for one in client.read_flow_runs() if one.deployment_id == run.deployment_id]
        except Exception:  # noqa: BLE001 - the server was killed
            continue
        mine = [one for one in nights if not one.auto_scheduled and one.created >= run.created]
        if all(one.state.is_final() for one in mine) and mine:
            last = max(mine, key=lambda one: one.created)
            quiet = quiet or time.monotonic()  # the watchdog starts a crashed night again after a look or two
            if last.state.is_completed() or time.monotonic() - quiet > 40:
                return last.state.type.value.lower(), len(mine)
        else:
            quiet = 0.0
    return "did not end", len(mine)


def order(client):
    """Start a night as a person does: again, if the server is just away."""

    def try_it():
        try:
            return start(client, training=TRAINING)
        except Exception:  # noqa: BLE001 - as above
            return None

    return wait(try_it, 180)


def run_chaos(rounds: int, seed: int, typical: float, say) -> list[str]:
    """Nights in each of which every part is killed; gives what went wrong.

    Args:
        rounds: How many nights.
        seed: Of order and moments.
        typical: How many seconds a night takes here; learned on the way.
        say: Prints a line.
    """
    dice, wrong, killed, ends = random.Random(seed), [], Counter(), Counter()
    with tempfile.TemporaryDirectory(prefix="tenarai-chaos-") as name:
        home = Path(name)
        folder = fill(home / "folder", num_each=6)
        fill(folder, num_each=1, labels="47", first=50, under="misread")
        with serve(home, folder) as (client, _port):
            for number in range(1, rounds + 1):
                save(folder / "digits/3" / f"round {number}.png", picture(1000 + number))
                run, begun, done = order(client), time.monotonic(), []
                moments = sorted(dice.uniform(0, typical) for _ in VICTIMS)
                for part, moment in zip(dice.sample(VICTIMS, len(VICTIMS)), moments, strict=True):
                    time.sleep(max(0.0, begun + moment - time.monotonic()))
                    if kill(home, part, dice):
                        killed[part] += 1
                        done.append(f"{part} ({time.monotonic() - begun:.0f} s)")
                ended, attempts = follow(client, run)
                after = "" if ended == "completed" else follow(client, order(client))[0]
                if after not in {"", "completed"}:
                    wrong.append(f"round {number}: {ended}, then {after}")
                ends[ended] += 1
                typical = 0.7 * typical + 0.3 * min(180.0, time.monotonic() - begun)
                say(f"| {number} | {', '.join(done)} | {ended} | {attempts} | {after} |")
        say(f"\n{dict(killed)}; nights {dict(ends)}; wrong: {wrong or 'nothing'}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30, help="how long a night takes here")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # started with `&` by a script, it would not hear Ctrl-C
        signal.signal(number, lambda *_: sys.exit(1))
    print("| round | killed (seconds into the night) | the night | attempts | the next night |")
    print("| ---: | --- | --- | ---: | --- |", flush=True)
    return int(bool(run_chaos(given.rounds, given.seed, given.seconds, lambda line: print(line, flush=True))))


if __name__ == "__main__":
    sys.exit(main())
