"""Notices of nights: what is worth one, and that setting them up again replaces what was there."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from tenarai.cli.main import main
from tenarai.orchestration import KINDS, notices
from tenarai.orchestration.notices import (
    BLOCK,
    VARIABLE,
    announce_expiry,
    find_expiry,
    is_another_quiet_week,
    remove_notices,
)


def nights(*days, verdict="nothing new"):
    return [{"created": f"2026-01-{day:02}T02:00:00+09:00", "verdict": verdict} for day in days]


def test_a_quiet_week_is_reported_once_and_again_after_another():
    kept = nights(1, verdict="kept")
    told = [
        day
        for day in range(2, 24)
        if is_another_quiet_week(nights(day)[0]["created"], [*kept, *nights(*range(2, day))])
    ]
    assert told == [8, 15, 22]


def test_a_quiet_week_is_reported_though_nights_were_missed():
    assert is_another_quiet_week("2026-01-20T02:00:00+09:00", [*nights(1, verdict="kept"), *nights(2, 3)])


def test_what_is_new_begins_another_week_and_the_first_night_is_never_quiet():
    assert not is_another_quiet_week("2026-01-09T02:00:00+09:00", [*nights(1, 2), *nights(5, verdict="promoted")])
    assert not is_another_quiet_week("2026-01-09T02:00:00+09:00", [])


def test_a_permission_that_runs_out_is_found_where_it_is_kept(tmp_path):
    file = tmp_path / "me.json"
    for text, found in (
        ('{"connected": "2026-01-02T10:00:00+00:00"}', datetime(2026, 1, 9, 10, tzinfo=UTC)),
        ('{"type": "service_account"}', None),
        ("no json", None),
    ):
        file.write_text(text)
        assert find_expiry(str(file)) == found
        assert find_expiry(text if text.startswith("{") else "") == found
    assert find_expiry('{"private_key": "' + 1000 * "x" + '"}') is None  # longer than the name of any file
    assert find_expiry("") is None
    assert find_expiry("block:drive") is None


def test_it_is_reported_two_days_before_it_runs_out_and_not_earlier(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("tenarai.orchestration.notices.announce", lambda *words: told.append(words))
    (tmp_path / "me.json").write_text('{"connected": "2026-01-02T10:00:00+00:00"}')
    for day in range(3, 14):
        announce_expiry(str(tmp_path / "me.json"), datetime(2026, 1, day, 2, tzinfo=UTC), "en")
    assert [words[0] for words in told] == [
        "token"
    ] * 2  # on the eighth and the ninth; after that it has outlived the week
    assert "2026-01-09" in told[0][2]


@pytest.fixture
def notify(prefect):
    yield lambda *arguments: CliRunner().invoke(main, ["notify", *arguments])
    remove_notices()


def test_a_test_notice_needs_no_address_where_addresses_are_kept(monkeypatch):
    done, tried = [], []
    monkeypatch.setattr("tenarai.orchestration.server.reach_server", lambda: "")
    monkeypatch.setattr("tenarai.orchestration.notices.set_up_notices", lambda *given: done.append(given))
    monkeypatch.setattr("tenarai.orchestration.notices.try_notices", lambda language: tried.append(language) or True)
    assert CliRunner().invoke(main, ["notify", "--try"]).exit_code == 0
    assert (len(tried), done) == (1, [])


def set_up():
    """What is sent."""
    from prefect.variables import Variable

    return Variable.get(VARIABLE, [])


def test_setting_notices_up_again_replaces_them_and_off_removes_them(notify):
    for _ in range(2):
        done = notify("json://127.0.0.1:9/secret-path")
        assert done.exit_code == 0, done.output
        assert set_up() == list(KINDS)
    assert notify("json://127.0.0.1:9/", "--on", "kept", "--on", "token").exit_code == 0
    assert set_up() == ["kept", "token"]
    assert notify("--off").exit_code == 0
    assert set_up() == []


def test_addresses_are_kept_as_a_secret(notify):
    from prefect.client.orchestration import get_client

    assert notify("json://127.0.0.1:9/secret-path", "json://127.0.0.1:9/another").exit_code == 0
    with get_client(sync_client=True) as client:
        shown = client.read_block_document_by_name(BLOCK, "slack-webhook", include_secrets=False)
    assert "secret-path" not in str(shown.data)
    assert [url.split("?")[0] for url in notices._apprise().urls()] == [
        "json://127.0.0.1:9/secret-path",
        "json://127.0.0.1:9/another",
    ]


@pytest.mark.parametrize("arguments", [(), ("htp://127.0.0.1/secret",)])
def test_without_a_known_address_it_says_what_is_missing(notify, arguments):
    done = notify(*arguments)
    assert done.exit_code == 1
    assert "ntfy://my-topic" in done.output
    assert "secret" not in done.output


@pytest.mark.parametrize("command", [("notify", "json://a"), ("notify", "--off"), ("deploy",)])
def test_without_a_server_nothing_is_set_up_and_it_says_how_to_name_one(command):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "no Prefect server is named" in done.output
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "http://127.0.0.1:9/api does not answer" in done.output
    assert "Traceback" not in done.output
