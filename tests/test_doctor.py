"""`tenarai doctor`: what it checks, and how to fix each problem."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client

from tenarai.cli.main import main
from tenarai.errors import SettingsError
from tenarai.orchestration.doctor import check_prefect, examine
from tenarai.settings import Settings
from tenarai.store import open_store
from tests.collections_of_digits import fill
from tests.drives import settings_for
from tests.stand_in import ROBOT, StandInDrive
from tests.stand_in.api import Refused
from tests.stand_in.people import OWN_FILES, READ, REFRESH_TOKEN, SECRET, WRITE


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No settings of this machine; and no model library is loaded to look for a GPU."""
    from contextlib import nullcontext

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tenarai.model.train.choose_device", lambda wish: nullcontext("CPU (tensorflow)"))
    for name in ("TENARAI_SOURCE", "TENARAI_STORE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with StandInDrive() as drive:
        for label in "123":
            drive.tree.put(f"digits/{label}/a.png", label)
        drive.tree.put("misread/4/b.png", "b")
        drive.tree.put("inbox/c.png", "c")
        drive.tree.put("digits/1/empty.png", "")
        yield drive


def describe(finding):
    return f"{finding.state} {finding.about}: {finding.text} → {finding.fix}"


def look(settings, about="source"):
    """The findings about one thing, and all of them as text."""
    found = [finding for finding in examine(settings) if finding.about == about]
    return found, "\n".join(map(describe, found))


def drive_settings(server, tmp_path, key=None, **given):
    options = {"source": f"drive:{server.tree.root.id}", "store": str(tmp_path / "store"), **given}
    return settings_for(server, tmp_path, key, **options)


def test_a_working_drive_is_described_by_account_folder_counts_and_rights(server, tmp_path):
    found, shown = look(drive_settings(server, tmp_path))
    assert not [finding for finding in found if finding.state == "wrong"]
    assert f"credentials of {ROBOT} (a service account)" in shown
    assert "clock of this machine agrees" in shown
    assert f"Google Drive answers Tenarai <{ROBOT}>" in shown
    folder = f"the Drive folder handwriting ({server.tree.root.id})"
    assert f"{folder}: 4 in digits, 1 in misread, 1 in inbox; 4 labels; 1 cannot be used" in shown
    assert "'digits/1/empty.png': it is an empty file (0 bytes)" in shown
    assert f"reports stay in the store: {ROBOT} may not write to Drive" in shown
    assert "does not expire" in shown


def test_it_changes_nothing_on_drive_and_creates_no_store(server, tmp_path):
    look(drive_settings(server, tmp_path))
    assert not server.count("POST") + server.count("PATCH")
    assert not (tmp_path / "store").exists()


def test_a_person_may_have_reports_on_drive(server, tmp_path):
    _, shown = look(drive_settings(server, tmp_path, server.people.authorised_user(WRITE)))
    assert "reports are sent to reports on Drive" in shown
    _, shown = look(drive_settings(server, tmp_path, server.people.authorised_user(READ, OWN_FILES)))
    assert "reports are sent to Tenarai reports on Drive" in shown
    _, shown = look(drive_settings(server, tmp_path, server.people.authorised_user(READ)))
    assert "reports stay in the store" in shown
    _, shown = look(drive_settings(server, tmp_path, drive_reports="off"))
    assert "as TENARAI_DRIVE_REPORTS says" in shown


def test_it_says_when_a_permission_ends_if_its_app_is_in_testing(server, tmp_path):
    user = server.people.authorised_user(READ)
    found, shown = look(drive_settings(server, tmp_path, user | {"connected": "2026-11-20T10:00:00+00:00"}))
    assert "given on 2026-11-20" in shown
    recently = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
    ends = f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%d}"
    found, shown = look(drive_settings(server, tmp_path, user | {"connected": recently}))
    assert f"it expires on {ends} if its OAuth app is in testing" in shown
    assert found[-1].state == "note"
    assert "Publish app" in shown
    _, shown = look(drive_settings(server, tmp_path, user))
    assert "expires 7 days after it was given if" in shown


def wrong(server, tmp_path, **given):
    """The one finding that stops the night."""
    found, _ = look(drive_settings(server, tmp_path, **given))
    (last,) = [finding for finding in found if finding.state == "wrong"]
    assert last is found[-1]
    return describe(last)


def test_a_folder_that_is_not_shared_says_with_whom_to_share_it(server, tmp_path):
    server.tree.unshare(server.tree.root, ROBOT)
    assert f"share the folder with {ROBOT} (Viewer is enough)" in wrong(server, tmp_path)


def test_a_wrong_id_is_shown_with_drives_answer(server, tmp_path):
    assert "check the id" in wrong(server, tmp_path, source="drive:1nothing")
    with pytest.raises(SettingsError, match="copy its link"):
        drive_settings(server, tmp_path, source="drive:a b")
    file = next(item for item in server.tree.items.values() if item.name == "c.png")
    assert "is not a folder" in wrong(server, tmp_path, source=f"drive:{file.id}")


def test_an_api_that_is_not_enabled_is_enabled_at_this_address(server, tmp_path):
    server.api.refusal = Refused(403, "accessNotConfigured", "Google Drive API has not been used in project 1 before")
    assert "https://console.cloud.google.com/apis/library/drive.googleapis.com" in wrong(server, tmp_path)


def test_the_error_of_a_clock_is_shown(server, tmp_path):
    server.people.clock_is_off_by = 7200
    found, shown = look(drive_settings(server, tmp_path))
    assert "1:59:59 behind Google's" in shown or "2:00:00 behind Google's" in shown
    assert "by NTP" in shown
    assert [finding.state for finding in found].count("wrong") == 2  # and Google refuses the key


def test_an_expired_permission_says_why_it_may_expire_every_week(server, tmp_path):
    settings = drive_settings(server, tmp_path, server.people.authorised_user())
    server.people.refresh_tokens.clear()
    _, shown = look(settings)
    assert "wrong" in shown
    assert "after 7 days" in shown
    assert SECRET not in shown
    assert REFRESH_TOKEN not in shown


def test_a_service_account_without_space_is_shown_the_ways_out(server, tmp_path):
    server.tree.folder("reports").shares[ROBOT] = "writer"
    _, shown = look(drive_settings(server, tmp_path))
    assert "a shared drive, a placeholder, or `tenarai connect --reports`" in shown
    server.tree.put("reports/report.html", "placeholder")
    _, shown = look(drive_settings(server, tmp_path))
    assert "reports are sent to reports on Drive, into files made by hand" in shown


def test_a_missing_network_is_reported(server, tmp_path):
    settings = drive_settings(server, tmp_path, drive_api_root="http://127.0.0.1:9/")
    _, shown = look(settings)
    assert "wrong source: http://127.0.0.1:9/ cannot be reached" in shown


def test_a_local_folder_is_described_or_said_to_be_missing(tmp_path):
    fill(tmp_path / "folder", num_each=2, labels="47")
    _, shown = look(Settings(source=f"folder:{tmp_path / 'folder'}"))
    assert "4 in digits; 2 labels" in shown
    _, shown = look(Settings(source=f"folder:{tmp_path / 'nowhere'}"))
    assert "wrong source: the folder" in shown
    (tmp_path / "empty").mkdir()
    _, shown = look(Settings(source=f"folder:{tmp_path / 'empty'}"))
    assert "contains no images" in shown
    with pytest.raises(SettingsError, match="the source 'ftp://x' is not valid"):
        Settings(source="ftp://x")
    _, shown = look(Settings())
    assert "makes a sample folder" in shown


def test_a_store_is_checked_without_being_created(tmp_path, monkeypatch):
    settings = Settings(store=str(tmp_path / "store"))
    _, shown = look(settings, "store")
    assert "does not exist yet; the first night creates it" in shown
    assert not (tmp_path / "store").exists()
    store = open_store(settings.store)
    _, shown = look(settings, "store")
    assert "has 0 images of this source and 0 nights" in shown
    with store.lock():
        _, shown = look(settings, "store")
    assert "a night is running" in shown
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    _, shown = look(settings, "store")
    assert "wrong store: 0.0 GB free" in shown
    (tmp_path / "store/store.json").write_text('{"version": 99}')
    _, shown = look(settings, "store")
    assert "another version" in shown


@pytest.mark.parametrize(("device", "state"), [("CPU (tensorflow)", "note"), ("GPU:0 (tensorflow)", "ok")])
def test_what_would_train_is_named(monkeypatch, device, state):
    from contextlib import nullcontext

    monkeypatch.setattr("tenarai.model.train.choose_device", lambda wish: nullcontext(device))
    (finding,) = [finding for finding in examine(Settings()) if finding.about == "device"]
    assert finding.state == state


def test_without_a_server_nights_are_run_by_hand():
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):  # whatever server other tests have started
        (finding,) = [finding for finding in examine(Settings()) if finding.about == "prefect"]
    assert finding.state == "note"
    assert "tenarai up" in finding.fix


def test_a_server_without_the_deployment_says_how_to_deploy(prefect):
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():  # of other tests
            client.delete_deployment(deployment.id)
    shown = "\n".join(describe(finding) for finding in check_prefect())
    assert "answers at" in shown
    assert "tenarai deploy" in shown


def test_a_server_that_does_not_answer_is_wrong(monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        found = [finding for finding in examine(Settings()) if finding.about == "prefect"]
    assert [finding.state for finding in found] == ["wrong"]
    assert "PREFECT_API_URL" in found[0].fix


def test_the_command_exits_with_one_when_something_stops_the_night_and_zero_otherwise(server, tmp_path, monkeypatch):
    settings = drive_settings(server, tmp_path)
    monkeypatch.setenv("TENARAI_DRIVE_API_ROOT", server.root)
    monkeypatch.setenv("TENARAI_DRIVE_CREDENTIALS", settings.drive_credentials.get_secret_value())
    monkeypatch.setenv("TENARAI_DRIVE_FIRST_WAIT", "0")
    done = CliRunner().invoke(main, ["doctor", "--source", settings.source, "--store", settings.store])
    assert done.exit_code == 0, done.output
    assert "nothing stops the night" in done.output
    (tmp_path / "key.json").write_text(json.dumps({}))
    done = CliRunner().invoke(main, ["doctor", "--source", settings.source, "--store", settings.store])
    assert done.exit_code == 1
    assert "1 problem stops the night" in done.output
