"""Kill something at random while nights run, and see whether the next night makes everything whole: `make chaos`.

Each round adds one image, starts a night through the API, and kills (-9) one of its parts at four to eight random
moments, starting again what a supervisor would start again. When that night has ended, the next, unharmed one must
complete, with every image in the catalogue and in the store, one champion whose model is there, and no slot left taken.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import services
from tests.collections_of_digits import fill, picture, save
from tests.machines import Site, running_site, watching

TRAINING = {"recipe": "mlp", "max_epochs": 3, "folds": 2}
VICTIMS = ("night", "training", "cpu worker", "gpu worker", "server", "database")
LONGEST_NIGHT = 420
LONGEST_SLOT = 600  # two minutes without a heartbeat, one until the watchdog ends what no worker does, and a reserve


@dataclass
class Round:
    """What was killed when, how the night ended, and what was found wrong after the next one."""

    number: int
    kills: list[tuple[float, str]] = field(default_factory=list)
    ended: str = ""
    next_night: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Chaos:
    """A site on PostgreSQL with a local store, and the folder its nights learn from."""

    def __init__(self, home: Path, site: Site, database: services.PostgreSQL, catalogue: str, seed: int) -> None:
        self.home, self.site, self.database, self.catalogue = home, site, database, catalogue
        self.dice = random.Random(seed)
        self.typical = 30.0
        self.killed: Counter[str] = Counter()
        self.last_words = "did not end"

    def run(self, kills: int, say: Callable[[str], None]) -> list[Round]:
        """Rounds until so many kills were dealt; stops at the first round that found something wrong."""
        first = self.wait_for(self.start_night())
        assert first == "COMPLETED", first
        rounds: list[Round] = []
        while (dealt := sum(len(one.kills) for one in rounds)) < kills:
            one = self.play(Round(len(rounds) + 1), min(kills - dealt, self.dice.randint(4, 8)))
            rounds.append(one)
            say(as_row(one))
            if one.wrong:
                for name, machine in self.site.machines.items():
                    print(f"== the last of the log: {name}\n{machine.log()[-6000:]}", file=sys.stderr)
                break
        return rounds

    def play(self, one: Round, num_kills: int) -> Round:
        save(self.home / "folder/digits/3" / f"round {one.number}.png", picture(1000 + one.number))
        begin = time.monotonic()
        night = self.start_night()
        if all(self.killed["training"] <= self.killed[name] for name in VICTIMS):
            self.wait_for_training(night)  # a night that is killed before never comes so far
        first = time.monotonic()
        for moment in sorted(self.dice.uniform(0, self.typical) for _ in range(num_kills)):
            time.sleep(max(0.0, first + moment - time.monotonic()))
            one.kills.append((time.monotonic() - begin, self.kill()))
        one.ended = self.wait_for(night)
        if one.ended == "COMPLETED":
            self.typical = 0.8 * self.typical + 0.2 * (time.monotonic() - begin)
        one.wrong = self.find_stuck_slots()  # a day lies between real nights, so a slot may take its minutes
        one.next_night = self.wait_for(self.start_night())
        one.seconds = time.monotonic() - begin
        one.wrong += self.find_wrong(one)
        return one

    def kill(self) -> str:
        """Kill a random part of what is there, likelier one that was spared; a supervisor starts it again at once."""
        runs = {"night": self.site.machines["cpu"].runs(), "training": self.site.machines["gpu"].runs()}
        there = [name for name in VICTIMS if runs.get(name, [True])]
        victim = self.dice.choices(there, [1 / (1 + self.killed[name]) ** 2 for name in there])[0]
        self.killed[victim] += 1
        if victim in runs:
            for pid in runs[victim]:
                services.kill(pid)
        elif victim == "database":
            self.database.kill()
            time.sleep(1)
            self.database.start()
        else:
            machine = self.site.machines[victim.split()[0]]
            machine.kill()
            time.sleep(1)
            machine.start()
        return victim

    def start_night(self) -> Any:
        from prefect.client.orchestration import get_client

        def order() -> Any:
            try:
                with get_client(sync_client=True) as client:
                    deployment = client.read_deployment_by_name("nightly/nightly")
                    return client.create_flow_run_from_deployment(deployment.id, parameters={"training": TRAINING}).id
            except Exception:  # noqa: BLE001 - the server may be down for any reason just now; a person tries again, too
                return None

        return services.wait(order, 120, "ordering a night")

    def wait_for_training(self, night: Any) -> None:
        """Until the GPU worker's training has begun, or the night went on without it."""
        end = time.monotonic() + 120
        while time.monotonic() < end and not self.site.machines["gpu"].runs() and not self.read_state(night).is_final():
            time.sleep(0.2)

    def read_state(self, run: Any) -> Any:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return client.read_flow_run(run).state

    def wait_for(self, run: Any) -> str:
        """How a run ended, as the server says; "did not end" after seven minutes."""
        end = time.monotonic() + LONGEST_NIGHT
        while time.monotonic() < end:
            try:
                state = self.read_state(run)
                if state.is_final():
                    self.last_words = f"{state.name}: {state.message}"
                    return str(state.type.value)
            except Exception:  # noqa: BLE001 - as above
                pass
            time.sleep(1)
        return "did not end"

    def find_wrong(self, one: Round) -> list[str]:
        from tenarai.catalogue import open_catalogue
        from tenarai.evaluate.promotions import history
        from tenarai.store import open_store

        wrong = [] if one.next_night == "COMPLETED" else [f"the next night {self.last_words}"]
        store = open_store(str(self.home / "store"), create=False)
        source = f"folder:{self.home / 'folder'}"
        files = list((self.home / "folder").rglob("*.png"))
        with open_catalogue(self.catalogue) as catalogue:
            rows = catalogue.images(source)
            nights = catalogue.nights(source)
        if {row.path for row in rows} != {path.relative_to(self.home / "folder").as_posix() for path in files}:
            wrong.append(f"{len(rows)} images in the catalogue, {len(files)} in the folder")
        for row in rows:
            if hashlib.sha256(store.original(row.sha256)).hexdigest() != row.sha256:
                wrong.append(f"{row.path} has other bytes")
        for promotion in history(store)[-1:]:
            if not store.exists("models", promotion.model, "model.json"):
                wrong.append(f"the champion {promotion.model} has no model")
        latest = store.read("reports", "latest").decode().strip()
        if not store.exists("reports", latest, "report.json") or not nights:
            wrong.append(f"the report {latest} is not whole")
        return [*wrong, *self.find_stuck_slots()]

    def find_stuck_slots(self) -> list[str]:
        from prefect.client.orchestration import get_client

        services.wait(self.site.is_healthy, 120, "the server")
        with get_client(sync_client=True) as client:
            end = time.monotonic() + LONGEST_SLOT
            while taken := [one for one in client.read_global_concurrency_limits(10, 0) if one.active_slots]:
                if time.monotonic() > end:
                    return [f"the slot of {one.name} is still taken" for one in taken]
                time.sleep(1)
        return []


def as_row(one: Round) -> str:
    kills = ", ".join(f"{what} ({second:.0f} s)" for second, what in one.kills)
    verdict = "; ".join(one.wrong) or "whole"
    return (
        f"| {one.number} | {kills} | {one.ended.lower()} | {one.next_night.lower()} | {verdict} | {one.seconds:.0f} s |"
    )


def as_table(rounds: list[Round]) -> str:
    """Killed parts by how the hit night ended, and what was found after the next one."""
    lines = ["| killed (-9) | times | hit nights that completed all the same |", "| --- | ---: | ---: |"]
    times = Counter(what for one in rounds for _, what in one.kills)
    alive = Counter(what for one in rounds if one.ended == "COMPLETED" for _, what in one.kills)
    lines += [f"| {what} | {times[what]} | {alive[what]} |" for what in VICTIMS if times[what]]
    completed = sum(one.next_night == "COMPLETED" for one in rounds)
    wrong = sum(bool(one.wrong) for one in rounds)
    total = sum(times.values())
    lines += ["", f"{total} kills in {len(rounds)} rounds; the next night completed after {completed} of them; "]
    lines[-1] += f"something lost, doubled or stuck after {wrong}."
    return "\n".join(lines)


def run_chaos(kills: int, seed: int, say: Callable[[str], None]) -> list[Round]:
    """The whole thing, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tenarai-chaos-") as name, services.postgresql() as database:
        home = Path(name)
        folder = fill(home / "folder", num_each=6)
        fill(folder, num_each=1, labels="47", first=50, under="misread")
        catalogue = f"postgresql://{database.make_database()}"
        server = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database.make_database()}"}
        cpu = {
            "TENARAI_SOURCE": f"folder:{folder}",
            "TENARAI_STORE": str(home / "store"),
            "TENARAI_CATALOGUE": catalogue,
        }
        with (
            running_site(home / "machines", server=server, cpu=cpu, gpu={}, apart=False) as site,
            watching(STARTING=90),  # of ten minutes, or fifty kills would take a day
        ):
            return Chaos(home, site, database, catalogue, seed).run(kills, say)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # started with `&` by a script, it would not hear Ctrl-C
        signal.signal(number, lambda *_: sys.exit(1))
    if missing := services.what_is_missing():
        print(missing, file=sys.stderr)
        return 1
    print("| round | killed (seconds into the night) | the night | the next night | after it | took |")
    print("| ---: | --- | --- | --- | --- | ---: |", flush=True)
    rounds = run_chaos(given.kills, given.seed, lambda line: print(line, flush=True))
    print(f"\n{as_table(rounds)}")
    return int(any(one.wrong for one in rounds))


if __name__ == "__main__":
    sys.exit(main())
