"""One night of the simulated year: the stages of the real flow, in its order, without a Prefect server.

python -m benchmarks.year.nights <number> <date> [<step>] spends one night in a process of its own, to be starved, or
killed as it takes that step: a file opened for writing, renamed or removed in the store, or a commit to the catalogue.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from flows.nightly import in_place, run_steps
from tenarai.errors import TenaraiError
from tenarai.night import open_night
from tenarai.records import Outcome
from tenarai.settings import TrainingSettings, read_settings

PROJECT = Path(__file__).resolve().parents[2]
# smaller than the default, and without a network from scratch beside, or a year takes hours
TRAINING = TrainingSettings(recipe="transfer", folds=2, max_epochs=10, patience=2, device="cpu")
WORSE = TrainingSettings(recipe="mlp", folds=2, max_epochs=2, patience=1, device="cpu")
LARGEST_FILE = 20_000  # bytes; a disk that is full takes no more
UNCLEAR = 3  # exit code of a night that ended with anything but one of Tenarai's own messages


def spend_night(
    number: int, day: date, *, training: TrainingSettings = TRAINING, force: bool = False, hour: int = 2
) -> Outcome:
    """Spend one night with the settings of the environment.

    Args:
        number: Night of the year; makes the run's name one of its own.
        day: Its date in the simulated year.
        training: How the challenger is trained.
        force: Train even when nothing is new, with another seed.
        hour: When it begins; a second night of the same day begins later.
    """
    begun = open_night(read_settings(), force=force, training=training)
    night = replace(
        begun, run=f"{day:%Y%m%d}-{hour:02}0000-{number:04}", created=f"{day.isoformat()}T{hour:02}:00:00+00:00"
    )
    outcome = run_steps(night, in_place)
    if outcome.verdict != "nothing new":
        _forget_training()
    return outcome


def _forget_training() -> None:
    """Let go of what Keras keeps of a night's networks; a real night ends with its process."""
    import keras

    keras.backend.clear_session()


def read_report(store: Path) -> dict[str, Any]:
    """The newest report."""
    run = (store / "reports/latest").read_text().strip()
    return dict(json.loads((store / "reports" / run / "report.json").read_bytes()))


def kill_night(number: int, day: date, step: int) -> tuple[bool, str]:
    """Spend a night in a process that is killed as it takes its `step`-th step, or after its last.

    Returns:
        Whether it was killed, and what it was at, or what else ended it.
    """
    done = _run([*_command(number, day), str(step)])
    return done.returncode == -signal.SIGKILL, done.stderr.strip().rsplit("\n", 1)[-1]


def starve_night(number: int, day: date) -> tuple[bool, str]:
    """Spend a night on a disk that takes no file of over 20 kB.

    Returns:
        Whether it ended with one of Tenarai's own messages, and the message; empty when it ended well.
    """

    def fill_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))

    done = _run(_command(number, day), preexec_fn=fill_disk)
    return done.returncode == 1, "" if done.returncode == 0 else done.stderr.strip().rsplit("\n", 1)[-1]


def prefect_night(env: Mapping[str, str]) -> str:
    """Spend a night as a person would, through the real flow and a Prefect server; gives what went wrong."""
    wish = ["--recipe", TRAINING.recipe, "--max-epochs", str(TRAINING.max_epochs), "--device", "cpu"]
    done = _run([sys.executable, "-m", "tenarai.cli.main", "nightly", *wish], env={**os.environ, **env})
    return "" if done.returncode == 0 else done.stderr.strip()[-500:]


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, **options)


def _command(number: int, day: date) -> list[str]:
    return [sys.executable, "-m", "benchmarks.year.nights", str(number), day.isoformat()]


def _die_at(step: int, store: str) -> None:
    """Kill this process as it takes the step; counted, not timed, so that it is the same step on any machine."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    steps = count(1)

    def take_step(what: str) -> None:
        if next(steps) == step:
            _die(f"killed at step {step}, {what}")

    def watch(happening: str, args: tuple[Any, ...]) -> None:
        if happening in {"os.rename", "os.remove"} or (happening == "open" and set(str(args[1])) & set("wax+")):
            path = str(args[0])
            if path.startswith(store) and "sqlite" not in path:
                verb = {"open": "writing", "os.rename": "naming", "os.remove": "removing"}[happening]
                take_step(f"{verb} {_plain(path.removeprefix(store))}")

    sys.addaudithook(watch)
    event.listen(Engine, "commit", lambda connection: take_step("before a commit"))


def _plain(path: str) -> str:
    """A path of the store without what differs from run to run."""
    return re.sub(r"\.?([^/]+?)\.[0-9a-f]{8}\.part$", r"\1", path.strip("/"))


def _die(said: str) -> None:
    os.write(2, f"\n{said}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    number, day, *step = sys.argv[1:]
    if step:
        _die_at(int(step[0]), os.environ["TENARAI_STORE"])
    try:
        print(spend_night(int(number), date.fromisoformat(day)).message)
    except Exception as error:  # noqa: BLE001 - whatever ended the night is what the year asks about
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)
        return 1 if isinstance(error, TenaraiError) else UNCLEAR
    if step:
        _die("killed after its last step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
