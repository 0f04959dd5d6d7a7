"""Models for other programs read as they did, and trainings are told of only where somebody asked."""

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
from tenarai.errors import ModelError, SettingsError
from tenarai.model.bundle import LoadedModel, load_base
from tenarai.model.export import FORMATS, TOLERANCE, compare_exported, export_model
from tenarai.model.track import open_tracker
from tenarai.model.train import train_model
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.records import ModelInfo
from tenarai.settings import Settings, TrainingSettings
from tests.collections_of_digits import picture, real_digits

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def digits():
    """(100, 28, 28) uint8 of real people's digits."""
    return np.stack([normalise(picture(n)) for n in range(100)])


@pytest.fixture(scope="module")
def base():
    return load_base(normaliser=NORMALISER_VERSION)


def named(network, num_labels):
    labels = tuple("あいうえおかきくけこ"[:num_labels])
    return LoadedModel(
        ModelInfo(network.name, labels, NORMALISER_VERSION, "", "cnn", {}, {}, 1, (), {}, "", "", "CPU"), network
    )


def fine_tuned(base):
    """The shape that the transfer recipe gives: models inside a model, with labels of its own."""
    import keras

    from tenarai.model.networks import FEATURES, build_head

    convolutions = keras.Model(base.network.input, base.network.get_layer(FEATURES).output)
    head = build_head(convolutions.output_shape[-1], 24, 3)
    inputs = keras.Input((28, 28), dtype="uint8", name="digit")
    return named(keras.Model(inputs, head(convolutions(inputs, training=False)), name="transfer"), 3)


def by_recipe(recipe, base):
    from tenarai.model.networks import build_cnn, build_mlp

    makers = {"base": lambda: base, "transfer": lambda: fine_tuned(base)}
    return makers.get(recipe, lambda: named({"mlp": build_mlp, "cnn": build_cnn}[recipe](10), 10))()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("recipe", ["base", "transfer", "mlp", "cnn"])
def test_an_export_reads_a_hundred_digits_as_the_model_does(form, recipe, base, digits, tmp_path):
    model = by_recipe(recipe, base)
    record = export_model(model, form, tmp_path / "model")
    difference = compare_exported(model, form, tmp_path / "model", digits)
    assert difference is not None, f"the runtime for {form} is missing: install the extras that `make test` installs"
    assert difference <= TOLERANCE
    assert tuple(json.loads(record.read_text())["labels"]) == model.info.labels


def test_an_export_that_reads_otherwise_is_refused(base, digits, tmp_path):
    other = fine_tuned(base)
    export_model(other, "onnx", tmp_path / "model.onnx")
    wrong = named(fine_tuned(base).network, 3)  # the same shape with other random weights
    with pytest.raises(ModelError, match="reads otherwise"):
        compare_exported(wrong, "onnx", tmp_path / "model.onnx", digits)


def test_a_layer_that_onnx_is_not_taught_is_named(tmp_path):
    import keras

    inputs = keras.Input((28, 28), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    odd = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.LSTM(2, name="memory")(x)))
    with pytest.raises(ModelError, match="memory"):
        export_model(named(odd, 2), "onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_place_that_holds_something_else_is_left_alone(form, base, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear diary")
    with pytest.raises(SettingsError, match="exists already"):
        export_model(base, form, tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear diary"


def test_the_command_says_how_much_it_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["export", "--store", str(tmp_path / "none"), "--format", "onnx", "--out", "out/digits.onnx"]
    for _ in range(2):  # an earlier export is replaced
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        assert "reads 100 digits as before" in done.output
    assert json.loads(Path("out/digits.onnx.json").read_text())["labels"] == list("0123456789")


# ---- TensorBoard and MLflow


@pytest.fixture
def off(monkeypatch):
    for name in ("TENSORBOARD", "MLFLOW"):
        monkeypatch.delenv(f"TENARAI_{name}", raising=False)


def info(**metrics):
    return ModelInfo("m-1", ("0", "1"), 1, "s-1", "mlp", {"seed": 0}, {"keras": "3"}, 2, (), metrics, "", "", "CPU")


def test_nobody_watches_and_nothing_is_imported_unless_the_settings_ask(off):
    with open_tracker(Settings(), "m-1") as tracker:
        assert tracker.watch is None
        tracker.finish(info())
    code = (
        "import sys; from tenarai.model.track import open_tracker; from tenarai.settings import Settings\n"
        "with open_tracker(Settings(), 'm-1'): pass\n"
        "sys.exit(bool({'mlflow', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_tensorboard_gets_the_curves_of_every_fit(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, targets = real_digits()
    rows = np.concatenate([np.flatnonzero(targets == k)[:6] for k in (0, 1)])
    pixels = np.stack([normalise(picture(int(n))) for n in rows])
    groups = np.array([f"g{n}" for n in range(len(rows))])
    chosen = TrainingSettings(recipe="mlp", folds=2, max_epochs=2, patience=1)
    settings = Settings(tensorboard=str(tmp_path / "boards"), mlflow="")
    with open_tracker(settings, "m-1") as tracker:
        told = targets[rows].astype(np.int64)
        train_model(pixels, told, groups, ("0", "1"), chosen, normaliser=1, watch=tracker.watch)
    folders = sorted((tmp_path / "boards" / "m-1").iterdir())
    assert [folder.name for folder in folders] == ["mlp-fold-1-of-2", "mlp-fold-2-of-2", "mlp-refit"]
    for folder in folders:
        board = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        board.Reload()
        assert {"loss", "accuracy"} <= set(board.Tags()["tensors"])
        assert [event.step for event in board.Tensors("loss")][:1] == [1]


def test_a_disk_that_takes_no_logs_is_said_once_and_does_not_end_the_training(tmp_path, caplog):
    (tmp_path / "boards").write_text("a file in its place")
    with open_tracker(Settings(tensorboard=str(tmp_path / "boards"), mlflow=""), "m-1") as tracker:
        tracker.watch("mlp, refit", 0, {"loss": 0.5})
        tracker.watch("mlp, refit", 1, {"loss": 0.4})
    assert caplog.text.count("cannot be written") == 1


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
    with open_tracker(Settings(tensorboard="", mlflow=mlflow_server), "m-1") as tracker:
        tracker.watch("transfer, fold 1/2", 0, {"loss": 0.5, "val_loss": 0.6})
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
    with open_tracker(Settings(tensorboard="", mlflow="http://127.0.0.1:9"), "m-1") as tracker:
        tracker.finish(info())
    assert "was not told of m-1" in caplog.text
