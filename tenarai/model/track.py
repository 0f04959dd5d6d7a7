"""What follows a training: a log line an epoch, TensorBoard and MLflow, each a Keras callback.

TensorBoard and MLflow are imported only where the settings name them. Trouble with either is logged and never ends a
training.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.model.backend import keras
from tenarai.records import ModelInfo
from tenarai.settings import Settings

log = logging.getLogger("tenarai.train")
EXPERIMENT = "tenarai"
MAX_METRICS = 1000  # that MLflow accepts at once


class Tracker(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """A Keras callback that follows all fits of a training.

    Attributes:
        fit: Name of the current fit, such as `transfer, fold 1 of 5`; set before each.
    """

    fit: str = ""

    def finish(self, info: ModelInfo) -> None:
        """Called once the model is saved."""


class EpochLog(Tracker):
    """Logs a line an epoch.

    Args:
        say: Receives each line.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        """Keep where to log."""
        super().__init__()
        self._say = say

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Log loss and accuracy."""
        shown = {name: f"{value:.3f}" for name, value in (logs or {}).items()}
        numbers = {"fit": self.fit, "epoch": epoch + 1, "loss": shown["loss"], "accuracy": shown["accuracy"]}
        line = _("{fit}, epoch {epoch}: loss {loss}, accuracy {accuracy}", **numbers)
        if "val_accuracy" in shown:
            held_out = shown["val_accuracy"]
            line = _(
                "{fit}, epoch {epoch}: loss {loss}, accuracy {accuracy}, held out {held_out}",
                held_out=held_out,
                **numbers,
            )
        self._say(line)


class TensorBoardLog(Tracker):
    """Writes the curves of each fit into a folder for TensorBoard.

    Args:
        folder: One folder a fit is made in it.
    """

    def __init__(self, folder: Path) -> None:
        """Import TensorBoard.

        Raises:
            SettingsError: Its package is missing.
        """
        super().__init__()
        self._summary, self._folder = _import("tensorboard.summary"), folder
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the epoch's numbers."""
        with _logged("TensorBoard", self._folder):
            if self.fit not in self._writers:
                self._writers[self.fit] = self._summary.Writer(str(self._folder / _plain(self.fit)))
            for name, value in (logs or {}).items():
                self._writers[self.fit].add_scalar(name, float(value), step=epoch + 1)

    def finish(self, info: ModelInfo) -> None:
        """Close the log files."""
        with _logged("TensorBoard", self._folder):
            for writer in self._writers.values():
                writer.close()


class MLflowRun(Tracker):
    """Logs the training as one MLflow run once the model is saved: settings, curves, metrics.

    Args:
        address: The tracking server or folder.
    """

    def __init__(self, address: str) -> None:
        """Import MLflow.

        Raises:
            SettingsError: Its package is missing.
        """
        super().__init__()
        self._mlflow, self._address = _import("mlflow"), address
        self._epochs: list[tuple[str, float, int, int]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the epoch's numbers."""
        now = int(time.time() * 1000)
        self._epochs += [
            (f"{_plain(self.fit)}/{name}", float(value), now, epoch + 1) for name, value in (logs or {}).items()
        ]

    def finish(self, info: ModelInfo) -> None:
        """Log the run."""
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is down must not delay the night
        with _logged("MLflow", self._address):
            from mlflow.entities import Metric, Param, RunTag

            client = self._mlflow.MlflowClient(tracking_uri=self._address)
            found = client.get_experiment_by_name(EXPERIMENT)
            experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
            run = client.create_run(experiment, run_name=info.id).info.run_id
            now = int(time.time() * 1000)
            metrics = [*self._epochs, *((name, float(v), now, info.epochs) for name, v in sorted(info.metrics.items()))]
            parameters = [Param(name, str(value)) for name, value in sorted(info.parameters.items())]
            facts = {"snapshot": info.snapshot, "recipe chosen": info.recipe, "device": info.device, **info.versions}
            client.log_batch(run, params=parameters, tags=[RunTag(name, value) for name, value in facts.items()])
            for start in range(0, len(metrics), MAX_METRICS):
                client.log_batch(run, metrics=[Metric(*metric) for metric in metrics[start : start + MAX_METRICS]])
            client.set_terminated(run)


def open_trackers(settings: Settings, model: str) -> list[Tracker]:
    """The trackers that the settings name.

    Raises:
        SettingsError: A package is missing.
    """
    found: list[Tracker] = []
    if settings.tensorboard:
        found.append(TensorBoardLog(Path(settings.tensorboard) / model))
    if settings.mlflow:
        found.append(MLflowRun(settings.mlflow))
    return found


@contextmanager
def _logged(name: str, place: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - both raise all kinds, and no training may end because of them
        log.warning(_("{name} cannot write to {place}: {error}", name=name, place=str(place), error=str(error)))


def _plain(fit: str) -> str:
    """A fit's name as both tools and every disk accept it: `transfer, fold 1 of 5` → `transfer-fold-1-of-5`."""
    return "-".join(re.findall(r"\w+", fit))


def _import(module: str) -> Any:
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise SettingsError(
            _("the settings name {package}, which is not installed", package=package),
            received=str(error),
            fix=_(
                "pip install 'tenarai[{package}]', or leave TENARAI_{name} empty", package=package, name=package.upper()
            ),
        ) from error
