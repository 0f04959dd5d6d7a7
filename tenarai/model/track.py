"""What a training tells other tools: TensorBoard while it runs, MLflow when it is done; nothing unless asked for.

Neither package is imported before it is needed, and trouble with either never ends a training: it is said, and the
training goes on without.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenarai.errors import SettingsError
from tenarai.records import ModelInfo
from tenarai.settings import Settings

log = logging.getLogger("tenarai.train")
EXPERIMENT = "tenarai"
MAX_METRICS = 1000  # MLflow takes no more at once

Watch = Callable[[str, int, Mapping[str, float]], None]
"""Takes the name of a fit such as `transfer, fold 1/5`, the epoch from 0, and its numbers by name."""


class Tracker:
    """Hears how a training goes on. Opened with `open_tracker`.

    Attributes:
        watch: Takes the numbers of each epoch; None where nobody asked, so that a training pays nothing.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        """Open what the settings name.

        Raises:
            SettingsError: A package is missing.
        """
        self._model = model
        self._board = _Board(Path(settings.tensorboard) / model) if settings.tensorboard else None
        self._uri = settings.mlflow
        self._epochs: list[tuple[str, int, float, int]] = []
        if self._uri:
            _import("mlflow")
        self.watch: Watch | None = self._hear if settings.tensorboard or settings.mlflow else None

    def finish(self, info: ModelInfo) -> None:
        """Tell what came out of it."""
        if not self._uri:
            return
        os.environ.setdefault(
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"
        )  # a server that is down must not hold up the night
        try:
            _tell_mlflow(self._uri, info, self._epochs)
        except Exception as error:  # noqa: BLE001 - MLflow's stores raise of all kinds; the model is kept whatever they say
            log.warning("MLflow at %s was not told of %s: %s", self._uri, self._model, error)

    def close(self) -> None:
        """Let go of the log files."""
        if self._board:
            self._board.close()

    def _hear(self, fit: str, epoch: int, numbers: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._epochs += [(f"{_plain(fit)}/{name}", epoch + 1, float(value), now) for name, value in numbers.items()]
        if self._board:
            self._board.add(fit, epoch + 1, numbers)


@contextmanager
def open_tracker(settings: Settings, model: str) -> Iterator[Tracker]:
    """A tracker for the training of a model, closed at the end.

    Raises:
        SettingsError: The settings name a tool whose package is missing.
    """
    tracker = Tracker(settings, model)
    try:
        yield tracker
    finally:
        tracker.close()


class _Board:
    """TensorBoard's log of one model: a folder a fit."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._summary = folder, _import("tensorboard.summary", package="tensorboard")
        self._writers: dict[str, Any] = {}
        self._is_broken = False

    def add(self, fit: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers of an epoch; trouble is said once, and nothing is written from then on."""
        if self._is_broken:
            return
        try:
            if fit not in self._writers:
                self._writers[fit] = self._summary.Writer(str(self._folder / _plain(fit)))
            for name, value in numbers.items():
                self._writers[fit].add_scalar(name, float(value), step=epoch)
        except Exception as error:  # noqa: BLE001 - its writer raises TensorFlow's kinds where that is installed
            self._is_broken = True
            log.warning("TensorBoard's log %s cannot be written: %s", self._folder, error)

    def close(self) -> None:
        """Write what is waiting."""
        for writer in self._writers.values():
            writer.close()


def _tell_mlflow(uri: str, info: ModelInfo, epochs: list[tuple[str, int, float, int]]) -> None:
    """One MLflow run a model: its settings, its curves, its numbers."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    run = client.create_run(experiment, run_name=info.id).info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, at, epoch) for name, epoch, value, at in epochs]
    metrics += [Metric(name, float(value), now, info.epochs) for name, value in sorted(info.metrics.items())]
    parameters = [Param(name, str(value)) for name, value in sorted(info.parameters.items())]
    facts = {"snapshot": info.snapshot, "recipe chosen": info.recipe, "device": info.device, **info.versions}
    client.log_batch(run, params=parameters, tags=[RunTag(name, value) for name, value in facts.items()])
    for start in range(0, len(metrics), MAX_METRICS):
        client.log_batch(run, metrics=metrics[start : start + MAX_METRICS])
    client.set_terminated(run)


def _plain(fit: str) -> str:
    """A fit's name as both tools and every disk take it: `transfer, fold 1/5` → `transfer-fold-1-of-5`."""
    return fit.replace("/", "-of-").replace(", ", "-").replace(" ", "-")


def _import(module: str, *, package: str = "") -> Any:
    from importlib import import_module

    name = package or module
    try:
        return import_module(module)
    except ImportError as error:
        raise SettingsError(
            f"{name} is asked for, but its package is not installed",
            received=str(error),
            fix=f"pip install 'tenarai[{name}]', or leave TENARAI_{name.upper()} empty",
        ) from error
