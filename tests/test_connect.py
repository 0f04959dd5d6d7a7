"""`tenarai connect`: a person says yes in a browser; here a thread opens the address and is sent back at once."""

import json
import re
import threading
import urllib.request

import click
import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.drive import open_drive
from tenarai.errors import SettingsError
from tenarai.settings import Settings
from tests.stand_in import ANN, StandInDrive
from tests.stand_in.people import OWN_FILES, READ, REFRESH_TOKEN, SECRET, WRITE


@pytest.fixture
def server(tmp_path, monkeypatch):
    with StandInDrive() as drive:
        (tmp_path / "client.json").write_text(json.dumps(drive.people.client()))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the stand-in speaks http
        monkeypatch.setenv("TENARAI_DRIVE_API_ROOT", drive.root)
        monkeypatch.setenv("TENARAI_DRIVE_FIRST_WAIT", "0")
        yield drive


@pytest.fixture
def browser(monkeypatch):
    """Opens addresses, and remembers them."""
    opened = []

    class Browser:
        def open(self, url, **options):
            opened.append(url)
            threading.Thread(target=lambda: urllib.request.urlopen(url).read(), daemon=True).start()
            return True

    monkeypatch.setattr("webbrowser.get", lambda using=None: Browser())
    return opened


def connect(*options):
    return CliRunner().invoke(main, ["connect", "--client", "client.json", *options])


def test_without_a_client_both_ways_are_told_step_by_step():
    told = CliRunner().invoke(main, ["connect"]).output
    for part in (
        "service account",
        "drive.googleapis.com",
        "as Viewer",
        "Desktop app",
        "Publish app",
        "ssh -L",
        "doctor",
    ):
        assert part in told
    assert max(map(len, told.splitlines())) <= 120


def test_a_person_who_says_yes_is_connected_for_reading_only(server, browser, tmp_path):
    done = connect()
    assert done.exit_code == 0, done.output
    file = tmp_path / ".tenarai/drive-credentials.json"
    assert f"connected as Ann <{ANN}>" in done.output
    assert "TENARAI_DRIVE_CREDENTIALS=.tenarai/drive-credentials.json" in done.output
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_text())
    assert (kept["type"], kept["scopes"], kept["account"]) == ("authorized_user", [READ], f"Ann <{ANN}>")
    assert kept["connected"][:4].isdecimal()
    assert SECRET not in done.output
    assert REFRESH_TOKEN not in done.output
    drive = open_drive(Settings(drive_credentials=str(file)))
    assert drive.get(server.tree.root.id).name == "handwriting"
    assert drive.account.connected == kept["connected"]


@pytest.mark.parametrize(("option", "scope"), [("--reports", OWN_FILES), ("--reports-anywhere", WRITE)])
def test_reports_are_asked_for_only_when_wanted(server, browser, tmp_path, option, scope):
    assert connect(option, "--out", "mine.json").exit_code == 0
    assert set(json.loads((tmp_path / "mine.json").read_text())["scopes"]) == {READ, scope}


def test_connecting_again_replaces_the_permission(server, browser, tmp_path):
    assert connect().exit_code == connect("--reports").exit_code == 0
    assert len(browser) == 2
    assert OWN_FILES in json.loads((tmp_path / ".tenarai/drive-credentials.json").read_text())["scopes"]


def test_a_person_who_unticks_reading_is_asked_to_try_again(server, browser, tmp_path):
    allow = server.people.allow
    server.people.allow = lambda scopes: allow(OWN_FILES)
    done = connect("--reports")
    assert done.exit_code == 1
    assert "leave all boxes ticked" in done.output
    assert not (tmp_path / ".tenarai").exists()


def test_a_person_who_unticks_writing_is_connected_and_told_what_is_missing(server, browser):
    allow = server.people.allow
    server.people.allow = lambda scopes: allow(READ)
    done = connect("--reports")
    assert done.exit_code == 0
    assert "you did not allow https://www.googleapis.com/auth/drive.file: reports stay in the store" in done.output


def test_on_a_machine_without_a_browser_the_address_is_printed(server, browser, capfd):
    def open_when_printed():
        for _ in range(200):
            if found := re.search(r"http://\S+/auth\S+", capfd.readouterr().out):
                urllib.request.urlopen(found[0]).read()
                return
            threading.Event().wait(0.05)

    from pathlib import Path

    from tenarai.cli.connect import ask_google as ask

    watcher = threading.Thread(target=open_when_printed)
    watcher.start()
    options = {"reports": False, "everything": False, "browser": False, "port": 0}
    ask(Path("client.json"), Path("out.json"), Settings(), **options)
    watcher.join()
    assert not browser
    assert json.loads(Path("out.json").read_text())["refresh_token"] == REFRESH_TOKEN


def test_a_client_that_google_does_not_know_is_refused(server, browser, tmp_path):
    client = server.people.client()
    client["installed"]["client_secret"] = "wrong"
    (tmp_path / "client.json").write_text(json.dumps(client))
    done = connect()
    assert done.exit_code == 1
    assert "Google did not give the permission" in done.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "not an OAuth client of the type Desktop app"),
        ('{"web": {}}', "a client for web sites"),
        ('{"type": "service_account"}', "it needs no connecting"),
    ],
)
def test_another_file_is_named_for_what_it_is(server, tmp_path, content, told):
    (tmp_path / "client.json").write_text(content)
    done = connect()
    assert done.exit_code == 1
    assert told in done.output


def test_a_person_who_says_no_is_not_connected(server, browser, tmp_path):
    server.people.says_yes = False
    done = connect()
    assert done.exit_code == 1
    assert "Google did not give the permission" in done.output
    assert not (tmp_path / ".tenarai").exists()


def answer(folder, *answers):
    """Answer the questions of `tenarai connect`, and give what `.env` then says."""
    from dotenv import dotenv_values

    from tenarai.cli.connect import ask_settings

    @click.command()
    def ask():
        ask_settings(folder / ".env")

    done = CliRunner().invoke(ask, input="\n".join([*answers, ""]), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dotenv_values(folder / ".env"), done.output


def test_a_few_questions_lead_to_a_folder_and_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tenarai.cli.connect.get_localzone_name", lambda: "Europe/Berlin")
    for name in ("TENARAI_LANGUAGE", "TENARAI_SOURCE", "TENARAI_NIGHTLY_AT", "TENARAI_TIMEZONE"):
        monkeypatch.setenv(name, "")  # set again by the questions, and restored at the end
    (tmp_path / ".env").write_text("# mine\nTENARAI_STORE=elsewhere\n")
    values, output = answer(tmp_path, "ja", "my digits", "25:00", "03:30", "ntfy://topic")
    assert values == {
        "TENARAI_STORE": "elsewhere",
        "TENARAI_LANGUAGE": "ja",
        "TENARAI_SOURCE": "folder:my digits",
        "TENARAI_NIGHTLY_AT": "03:30",
        "TENARAI_TIMEZONE": "Europe/Berlin",
    }
    assert "Europe/Berlin" in output
    assert (tmp_path / "my digits/inbox").is_dir()
    assert "tenarai notify ntfy://topic" in output
    assert Settings(_env_file=tmp_path / ".env").source == "folder:my digits"


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("TENARAI_LANGUAGE", "TENARAI_SOURCE"):
        monkeypatch.setenv(name, "")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match=r"file/photos cannot be written.*check the path"):
        answer(tmp_path, "en", "file/photos")


def test_the_questions_end_with_a_key_for_drive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("LANGUAGE", "SOURCE", "NIGHTLY_AT", "TIMEZONE", "DRIVE_CREDENTIALS"):
        monkeypatch.setenv(f"TENARAI_{name}", "")
    (tmp_path / "key.json").write_text('{"type": "service_account"}')
    link = "https://drive.google.com/drive/folders/1abc"
    values, output = answer(tmp_path, "en", link, "key.json", "", "")
    assert values["TENARAI_SOURCE"] == f"drive:{link}"
    assert values["TENARAI_DRIVE_CREDENTIALS"] == "key.json"
    assert "Viewer" in output
