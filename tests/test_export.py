"""Exports predict what the model predicts, and trackers follow a training only where somebody asked."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.dataset import TrainingSet
from tenarai.errors import ModelError, SettingsError
from tenarai.model import export
from tenarai.model.bundle import TOLERANCE, LoadedModel, load_base
from tenarai.model.export import export_model
from tenarai.model.networks import build_cnn, build_head, build_mlp, build_transfer, take_convolutions
from tenarai.model.track import EpochLog, MLflowRun, TensorBoardLog, open_trackers
from tenarai.model.train import train_model
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.records import ModelInfo
from tenarai.settings import Settings, TrainingSettings
from tests.collections_of_digits import picture, real_digits

FORMATS = ("litert", "onnx", "saved_model")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def base():
    return load_base(normaliser=NORMALISER_VERSION)


def named(network, num_labels):
    labels = tuple("あいうえおかきくけこ"[:num_labels])
    info = ModelInfo(id="m-1", labels=labels, normaliser=NORMALISER_VERSION, recipe=network.name, epochs=1)
    return LoadedModel.from_network(info, network)


def by_recipe(recipe, base):
    if recipe == "base":
        return base
    if recipe == "transfer":
        convolutions = take_convolutions(base.network)
        return named(build_transfer(convolutions, build_head(convolutions.output_shape[-1], 24, 3, seed=0)), 3)
    return named({"mlp": build_mlp, "cnn": build_cnn}[recipe](10), 10)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("recipe", ["base", "transfer", "mlp", "cnn"])
def test_an_export_predicts_what_the_model_predicts(form, recipe, base, tmp_path):
    model = by_recipe(recipe, base)
    difference = export_model(model, form, tmp_path / "model")
    assert difference is not None, f"the runtime for {form} is missing: install the extras that `make test` installs"
    assert difference <= TOLERANCE
    assert (tmp_path / "model").exists()
    assert tuple(json.loads((tmp_path / "model.json").read_text())["labels"]) == model.info.labels


def test_an_export_that_predicts_something_else_is_refused_and_not_written(base, tmp_path, monkeypatch):
    wrong = lambda path: lambda pixels: np.full((len(pixels), 10), 0.1, np.float32)  # noqa: E731
    monkeypatch.setitem(export._OPEN, "litert", wrong)
    with pytest.raises(ModelError, match="does not predict what the model predicts"):
        export_model(base, "litert", tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_without_a_runtime_nothing_is_compared(base, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert export_model(base, "litert", tmp_path / "model.tflite") is None
    assert (tmp_path / "model.tflite").exists()


def test_a_missing_package_is_named_with_its_extra(base, tmp_path, monkeypatch):
    monkeypatch.setattr(type(base.network), "export", lambda *_, **__: (_ for _ in ()).throw(ImportError("tf2onnx")))
    with pytest.raises(SettingsError, match=r"tf2onnx.*tenarai\[onnx\]"):
        export_model(base, "onnx", tmp_path / "model.onnx")


@pytest.mark.parametrize("form", FORMATS)
def test_a_place_that_holds_something_else_is_left_alone(form, base, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear diary")
    with pytest.raises(SettingsError, match="exists and is no"):
        export_model(base, form, tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear diary"


def test_the_command_says_how_much_it_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["export", "--store", str(tmp_path / "none"), "--format", "onnx", "--out", "out/digits.onnx"]
    for _ in range(2):  # an earlier export is replaced
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        assert "compared on 100 digits" in done.output
    assert json.loads(Path("out/digits.onnx.json").read_text())["labels"] == list("0123456789")


# ---- TensorBoard and MLflow


@pytest.fixture
def off(monkeypatch):
    for name in ("TENSORBOARD", "MLFLOW"):
        monkeypatch.delenv(f"TENARAI_{name}", raising=False)


def info(**metrics):
    return ModelInfo(
        id="m-1",
        labels=("0", "1"),
        normaliser=1,
        recipe="mlp",
        epochs=2,
        snapshot="s-1",
        parameters={"seed": 0},
        versions={"keras": "3"},
        metrics=metrics,
        device="CPU",
    )


def test_nothing_is_tracked_or_imported_unless_the_settings_ask(off):
    assert open_trackers(Settings(), "m-1") == []
    code = (
        "import sys; from tenarai.model.track import open_trackers; from tenarai.settings import Settings\n"
        "open_trackers(Settings(), 'm-1')\n"
        "sys.exit(bool({'mlflow', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_tool_whose_package_is_missing_is_one_clear_message(off, name, monkeypatch):
    monkeypatch.setitem(sys.modules, {"tensorboard": "tensorboard.summary"}.get(name, name), None)
    with pytest.raises(SettingsError, match=rf"{name}.*pip install 'tenarai\[{name}\]'"):
        open_trackers(Settings(**{"tensorboard": "", "mlflow": "", name: "somewhere"}), "m-1")


def train_with(*trackers):
    _, targets = real_digits()
    rows = np.concatenate([np.flatnonzero(targets == k)[:6] for k in (0, 1)])
    pixels = np.stack([normalise(picture(int(n))) for n in rows])
    given = TrainingSet(pixels, targets[rows].astype(np.int64), rows.astype(str), ("0", "1"), NORMALISER_VERSION)
    return train_model(given, TrainingSettings(recipe="mlp", folds=2, max_epochs=2, patience=1), trackers)


def test_every_epoch_is_a_line():
    lines = []
    train_with(EpochLog(lines.append))
    assert lines[0].startswith("mlp, fold 1 of 2, epoch 1: loss ")
    assert "held out" in lines[0]
    assert lines[-1].startswith("mlp, final fit, epoch ")
    assert "held out" not in lines[-1]


def test_tensorboard_gets_the_curves_of_every_fit(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tracker,) = open_trackers(Settings(tensorboard=str(tmp_path / "boards"), mlflow=""), "m-1")
    tracker.finish(train_with(tracker).info)
    folders = sorted((tmp_path / "boards" / "m-1").iterdir())
    assert [folder.name for folder in folders] == ["mlp-final-fit", "mlp-fold-1-of-2", "mlp-fold-2-of-2"]
    for folder in folders:
        board = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        board.Reload()
        assert {"loss", "accuracy"} <= set(board.Tags()["tensors"])
        assert [event.step for event in board.Tensors("loss")][:1] == [1]


def test_a_tracker_that_fails_is_logged_and_does_not_end_the_training(tmp_path, caplog):
    (tmp_path / "boards").write_text("a file in its place")
    tracker = TensorBoardLog(tmp_path / "boards")
    tracker.finish(train_with(tracker).info)
    assert "TensorBoard cannot write to" in caplog.text


class StandIn(BaseHTTPRequestHandler):
    """As much of an MLflow server as one run needs."""

    told: ClassVar[list] = []
    run: ClassVar[dict] = {
        "info": {"run_id": "r1", "run_uuid": "r1", "experiment_id": "7", "status": "RUNNING"},
        "data": {},
    }

    def do_GET(self):
        if "runs/get" in self.path:
            return self._answer(200, {"run": self.run})
        return self._answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        StandIn.told.append((self.path.rsplit("/2.0/mlflow/", 1)[-1], body))
        self._answer(200, {"experiment_id": "7", "run": self.run, "run_info": self.run["info"]})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def mlflow_server():
    StandIn.told = []
    server = HTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_mlflow_gets_one_run_a_model_with_its_settings_and_curves(mlflow_server):
    tracker = MLflowRun(mlflow_server)
    tracker.fit = "transfer, fold 1 of 2"
    tracker.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.6})
    tracker.finish(info(cross_validated_accuracy=0.9))
    told = dict(StandIn.told)
    assert told["runs/create"]["run_name"] == "m-1"
    batches = [body for path, body in StandIn.told if path == "runs/log-batch"]
    assert batches[0]["params"] == [{"key": "seed", "value": "0"}]
    assert {metric["key"]: metric["value"] for metric in batches[1]["metrics"]} == {
        "transfer-fold-1-of-2/loss": 0.5,
        "transfer-fold-1-of-2/val_loss": 0.6,
        "cross_validated_accuracy": 0.9,
    }
    assert told["runs/update"]["status"] == "FINISHED"


def test_an_mlflow_server_that_is_down_does_not_end_the_training(caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    MLflowRun("http://127.0.0.1:9").finish(info())
    assert "MLflow cannot write to" in caplog.text
