"""The commands as a person types them."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.locale import Message, _
from tenarai.settings import DEFAULT_SOURCE, read_settings
from tests.collections_of_digits import fill, picture, save
from tests.test_surroundings import cell, row

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENARAI_STORE", raising=False)
    monkeypatch.delenv("TENARAI_SOURCE", raising=False)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


def test_help_lists_every_command_with_what_it_does(run):
    shown = run("--help").output
    for name in main.commands:
        assert name in shown
        assert main.commands[name].help


def test_an_image_is_read_by_the_base_model_where_there_is_no_store_yet(run, tmp_path):
    file = save(tmp_path / "four.png", picture(4))
    done = run("read", "--json", file)
    assert done.exit_code == 0, done.output
    line = json.loads(done.output)
    assert line["label"] == "4"
    assert 0 < line["probability"] <= 1
    assert not list(tmp_path.glob(".tenarai*"))


def test_several_characters_are_read_in_order_and_their_probabilities_multiplied(run, tmp_path):
    file = save(tmp_path / "row.png", row((0, 1, 4)))
    done = run("read", "--json", file)
    line = json.loads(done.output)
    assert [character["label"] for character in line["characters"]] == list(line["label"]) == list("014")
    assert line["probability"] == pytest.approx(np.prod([c["probability"] for c in line["characters"]]), abs=1e-4)
    assert f"{file}: 014" in run("read", file).output


def test_a_doubt_makes_a_reading_unsure_and_is_said(run, tmp_path):
    page = cell(3)
    cv2.ellipse(page, (120, 120), (95, 95), 0, 0, 345, (30, 30, 30), 4)
    line = json.loads(run("read", "--json", save(tmp_path / "circled.png", page)).output)
    assert line["unsure"]
    assert "around" in line["doubt"]


def test_what_cannot_be_read_is_said_of_each_file_and_the_others_are_still_read(run, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = run("read", "--json", tmp_path / "bad.png", tmp_path / "missing.png", save(tmp_path / "4.png", picture(4)))
    lines = [json.loads(line) for line in done.output.splitlines()]
    assert done.exit_code == 1
    assert [line["label"] for line in lines] == [None, None, "4"]
    assert "not an image" in lines[0]["error"]
    assert lines[1]["error"]


def test_a_path_that_no_file_can_have_is_one_message_in_every_command(run):
    path = "a" * 300
    for arguments in (("read", path), ("models", "--store", path), ("export", "--format", "onnx", "--out", path)):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "File name too long" in done.output or "does not exist" in done.output
        assert "Traceback" not in done.output


def test_of_a_folder_every_file_is_read(run, tmp_path):
    save(tmp_path / "photos/4.png", picture(4))
    save(tmp_path / "photos/more/5.png", picture(5))
    done = run("read", tmp_path / "photos")
    assert done.exit_code == 0
    assert [line.split(":")[0].rsplit("/", 1)[1] for line in done.output.splitlines()] == ["4.png", "5.png"]


def test_a_folder_without_files_is_an_error(run, tmp_path):
    (tmp_path / "empty").mkdir()
    told = run("read", tmp_path / "empty")
    assert told.exit_code == 1
    assert "holds no files" in told.output


def test_a_reading_is_explained_stage_by_stage_in_one_picture(run, tmp_path):
    blank = save(tmp_path / "blank.png", np.full((64, 64), 250, np.uint8))
    four = save(tmp_path / "four.png", picture(4, side=160))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = run("read", "--explain", tmp_path / "why.png", four, blank, tmp_path / "bad.png")
    assert done.exit_code == 1
    assert "four.png: 4" in done.output
    sheet = cv2.imread(str(tmp_path / "why.png"), cv2.IMREAD_GRAYSCALE)
    high, wide = (side // n for side, n in zip(sheet.shape, (3, 7), strict=True))
    inked = [[(sheet[r * high :, c * wide :][: high - 24, :wide] < 128).mean() > 0.01 for c in range(7)] for r in (0,)]
    assert inked == [[True] * 7]
    assert (sheet[2 * high + 30 : 3 * high - 30, wide:] == 255).all()


def test_errors_are_one_message_on_stderr_and_no_traceback(run, tmp_path):
    done = run("models", "--store", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert done.output.startswith("Error: there is no store at")
    assert done.output.count("\n") <= 2


def test_a_setting_that_is_off_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TENARAI_MAX_IMAGE_BYTES", "many")
    done = run("read", save(tmp_path / "4.png", picture(4)))
    assert done.exit_code == 1
    assert "TENARAI_MAX_IMAGE_BYTES" in done.output


def test_wrong_usage_exits_with_two(run, tmp_path):
    assert run("nightly", "--recipe", "magic").exit_code == 2
    assert run("read").exit_code == 2
    assert run("study", "--label", "4").exit_code == 2
    assert run("restore", tmp_path / "nowhere.tar", "--store", tmp_path / "store").exit_code == 2


def test_a_picture_that_cannot_be_written_is_one_clear_message(run, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    done = run("read", "--explain", tmp_path / "file" / "why.png", save(tmp_path / "4.png", picture(4)))
    assert done.exit_code == 1
    assert "why.png cannot be written" in done.output
    assert "set another --explain" in done.output


def test_without_a_store_no_other_model_than_the_base_answers_to_a_name(run, tmp_path):
    four = save(tmp_path / "4.png", picture(4))
    for command in (["read", four], ["export", "--format", "onnx", "--out", tmp_path / "x.onnx"]):
        done = run(*command, "--model", "nope", "--store", tmp_path / "nowhere")
        assert done.exit_code == 1
        assert "the model nope is missing" in done.output
    assert not (tmp_path / "x.onnx").exists()


def test_champions_come_and_go_by_hand(prefect, tmp_path):
    store = tmp_path / "store"
    folder = fill(tmp_path / "folder", num_each=8)

    def tenarai(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "tenarai.cli.main", *arguments, "--store", store],
            cwd=PROJECT,
            env=prefect,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    told = tenarai("nightly", "--source", f"folder:{folder}", "--recipe", "mlp", "--max-epochs", "4")
    assert "report:" in told
    report = Path(told.rsplit("report: ", 1)[1].strip())
    challenger = json.loads(report.with_name("report.json").read_text())["challenger"]
    assert challenger in tenarai("promote", challenger, "--why", "I like it")
    assert challenger in {json.loads(line)["model"] for line in tenarai("models", "--json").splitlines()}
    assert "base" in tenarai("rollback")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'TENARAI_STORE=x\nTENARAI_SOURCE="folder:y\n', "line 2 of .env cannot be read"),
        (b"TENARAI_SORCE=folder:y\n", "line 1 of .env sets TENARAI_SORCE, which is no setting"),
        ("TENARAI_SOURCE=folder:\u5b57\n".encode("shift-jis"), ".env cannot be read"),
    ],
)
def test_a_line_of_the_env_file_that_would_be_skipped_is_an_error(run, tmp_path, content, message):
    (tmp_path / ".env").write_bytes(content)
    done = run("models")
    assert done.exit_code == 1
    assert message in done.output


def test_the_env_file_may_hold_settings_of_other_programs_and_a_byte_order_mark(run, tmp_path):
    (tmp_path / ".env").write_bytes("\ufeffTENARAI_STORE=elsewhere\nTENARAI_PASSWORD=x\nOTHER=1\n".encode())
    assert "no store at elsewhere" in run("models").output


def test_a_setting_that_is_invalid_is_said_in_the_language_of_the_environment(run, monkeypatch):
    monkeypatch.setenv("TENARAI_LANGUAGE", "ja")
    monkeypatch.setenv("TENARAI_MAX_IMAGE_BYTES", "many")
    assert "エラー" in run("models").output


def test_a_label_is_the_name_of_one_folder(run):
    assert "is not a label" in run("confirm-label", "../4").output


def test_a_label_without_a_folder_is_not_confirmed(run, tmp_path):
    told = run("confirm-label", "fuor", "--source", f"folder:{tmp_path}", "--store", str(tmp_path / "store"))
    assert told.exit_code == 1
    assert "no folder is called 'fuor'" in told.output


def test_a_label_is_confirmed_as_the_report_spells_it_however_its_folder_is_written(run, tmp_path):
    for number in range(2):
        save(tmp_path / "folder/digits/ four " / f"{number}.png", picture(number))
    given = ("--source", f"folder:{tmp_path / 'folder'}", "--store", str(tmp_path / "store"))
    assert run("nightly", *given).exit_code == 0
    assert run("confirm-label", "four", *given).exit_code == 0


def test_the_label_page_sends_nobody_to_a_port_that_is_taken(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = run("label", "--port", port, "--source", f"folder:{tmp_path}", "--store", str(tmp_path / "store"))
    assert told.exit_code == 1
    assert "cannot be used" in told.output
    assert "is ready" not in told.output


def test_up_makes_the_sample_for_the_first_night_where_no_source_is_set(run, monkeypatch, tmp_path):
    monkeypatch.setattr("tenarai.orchestration.up.run_up", lambda **_: 0)
    assert run("up").exit_code == 0
    assert (tmp_path / DEFAULT_SOURCE.removeprefix("folder:") / "digits/3").is_dir()


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"\x1b[31m\x1b]0;owned\x07.png", b"[/red].png", b"two\nlines.png"])
def test_the_name_of_a_file_never_controls_the_terminal_and_never_ends_a_command(run, monkeypatch, tmp_path, name):
    from tenarai.orchestration.doctor import Finding

    file = tmp_path / "digits" / os.fsdecode(name)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no picture")
    monkeypatch.setattr(
        "tenarai.orchestration.doctor.examine", lambda _: [Finding("wrong", str(file), "fix", "source")]
    )
    shown = [run("read", file), run("read", "--json", file), run("doctor")]
    assert [type(done.exception) for done in shown] == [SystemExit] * 3
    shown = [done.output for done in shown] + [
        "".join(show([(logging.INFO, "sync", _("{path} is missing", path=str(file)))]))
    ]
    for text in shown:
        assert not {"\x1b", "\x07"} & set(text)
        assert "[/red].png" in "".join(text.split()) or name != b"[/red].png"  # a long path is folded, never cut off


@pytest.mark.parametrize("written", ["{folder}/", " '{folder}'", "Folder: {folder}"])
def test_a_source_is_known_by_one_address_however_it_is_written(monkeypatch, tmp_path, written):
    monkeypatch.setenv("TENARAI_SOURCE", "folder:" + written.format(folder=tmp_path).removeprefix("Folder:"))
    assert read_settings().source == f"folder:{tmp_path}"


def test_an_error_about_a_setting_is_in_the_language_of_the_settings(run, tmp_path):
    (tmp_path / ".env").write_text("TENARAI_LANGUAGE=ja\nTENARAI_SOURCE=here\n")
    done = run("models")
    assert done.exit_code == 1
    assert "エラー" in done.output


def test_a_seed_that_no_training_takes_is_wrong_usage(run):
    assert run("nightly", "--seed", 2**31).exit_code == 2


def test_an_unknown_time_zone_is_one_message_in_every_command(run, monkeypatch):
    monkeypatch.setenv("TENARAI_TIMEZONE", "Mars/Olympus")
    for command in ("nightly", "up", "models"):
        done = run(command)
        assert done.exit_code == 1
        assert "the time zone 'Mars/Olympus' is unknown" in done.output


def test_a_server_that_does_not_answer_is_one_message_before_the_night_begins(tmp_path):
    env = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "tenarai.cli.main", "nightly", "--source", "folder:x", "--store", "s"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the Prefect server at http://127.0.0.1:9/api does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_store_is_refused_not_made_in_the_current_folder(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TENARAI_STORE", "")
    done = run("nightly", "--source", f"folder:{tmp_path}")
    assert done.exit_code == 1
    assert "TENARAI_STORE is invalid" in done.output
    assert not list(tmp_path.iterdir())


def test_the_sample_has_a_store_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_settings().store == ".tenarai/sample-store"
    assert read_settings(source="folder:mine").store == ".tenarai/store"
    assert read_settings(store="there").store == "there"


@pytest.mark.parametrize("accept", [True, False])
def test_changes_that_look_like_an_accident_are_accepted_only_when_asked(run, monkeypatch, accept):
    from tenarai.records import Outcome

    given = {}

    def run_night(settings, **options):
        given.update(options)
        return Outcome("r", "nothing new", "nothing new: no image changed", "Completed", "report.html")

    monkeypatch.setattr("tenarai.cli.console.run_night", run_night)
    assert run("nightly", "--source", "folder:x", *["--accept-changes"] * accept).exit_code == 0
    assert given["accept_changes"] is accept


def show(records, *, verbose=False, language="en"):
    """What a night shows of these records of steps, without a terminal."""
    from tenarai.cli.console import StepLines

    lines = StepLines(language, verbose=verbose)
    with lines._console.capture() as captured:
        for level, step, message in records:
            named = _("{step}: {message}", step=Message(step), message=message)
            lines.emit(logging.LogRecord("tenarai.night", level, __file__, 0, named, None, None))
    lines.close()
    return captured.get().splitlines()


FIT = _("{recipe}, fold {fold} of {folds}", recipe="mlp", fold=1, folds=5, done=0, total=6)
RECORDS = [
    (logging.DEBUG, "sync", ""),
    (logging.INFO, "sync", _("{done} of {total} files", done=3, total=9)),
    (logging.INFO, "sync", _("nothing new")),
    (logging.INFO, "train", _("{fit}, epoch {epoch}", fit=FIT, epoch=7)),
    (logging.WARNING, "send", "no network [1]"),
]


def test_a_night_shows_a_line_a_step_and_epochs_when_asked():
    assert show(RECORDS) == ["✓ sync      nothing new", "! send      no network [1]"]
    assert show(RECORDS, verbose=True) == [
        "  sync      3 of 9 files",
        "✓ sync      nothing new",
        "  train     mlp, fold 1 of 5, epoch 7",
        "! send      no network [1]",
    ]


def test_progress_is_found_in_a_message_or_within_it():
    from tenarai.cli.console import find_progress

    assert find_progress(RECORDS[1][2]) == 3 / 9
    assert find_progress(RECORDS[3][2]) == 0
    assert find_progress(RECORDS[2][2]) is None


def test_a_night_runs_on_the_server_that_is_set_or_that_up_runs_in_this_folder(tmp_path, monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from tenarai.cli.console import find_server

    monkeypatch.chdir(tmp_path)
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert find_server() == {}
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home, api = tmp_path / ".tenarai/prefect-server", f"http://127.0.0.1:{server.server_port}/api"
        home.mkdir(parents=True)
        (home / "address").write_text(api)
        (home / "login").touch(0o600)
        (home / "login").write_text("tenarai:secret")
        assert find_server() == {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": "tenarai:secret"}
        server.shutdown()
    assert find_server() == {}
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert find_server() == {"PREFECT_API_URL": "http://elsewhere/api"}
