"""The password of the server that `tenarai up` starts."""

import pytest

from tenarai.errors import SettingsError
from tenarai.orchestration.server import LOGIN, read_or_make_login, secure


def test_the_password_is_made_once_for_its_owner_only(tmp_path):
    login = read_or_make_login(tmp_path)
    assert len(login.split(":")[1]) >= 32
    assert read_or_make_login(tmp_path) == login
    assert (tmp_path / LOGIN).stat().st_mode & 0o777 == 0o600


def test_every_home_has_a_password_of_its_own(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert read_or_make_login(tmp_path / "a") != read_or_make_login(tmp_path / "b")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_password_that_others_may_read_is_refused(tmp_path, mode):
    read_or_make_login(tmp_path)
    (tmp_path / LOGIN).chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:o}.*others may read"):
        read_or_make_login(tmp_path)


@pytest.mark.parametrize("content", [b"", b"tenarai", b"tenarai:", b":secret", "手習い:秘密".encode()])
def test_a_file_that_holds_no_password_is_one_clear_message_that_does_not_show_it(tmp_path, content):
    (tmp_path / LOGIN).touch(0o600)
    (tmp_path / LOGIN).write_bytes(content)
    with pytest.raises(SettingsError, match="remove the file") as caught:
        read_or_make_login(tmp_path)
    assert "secret" not in str(caught.value)


def test_server_and_clients_are_given_the_same_password_and_only_the_uis_own_address_may_call():
    env = secure({"PATH": "/bin"}, "tenarai:secret", "http://127.0.0.1:4200")
    assert env["PREFECT_SERVER_API_AUTH_STRING"] == env["PREFECT_API_AUTH_STRING"] == "tenarai:secret"
    assert env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200"
    assert env["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert env["PATH"] == "/bin"


def test_a_password_set_by_a_person_stands_for_both_sides():
    env = secure({"PREFECT_SERVER_API_AUTH_STRING": "me:mine"}, "tenarai:secret", "http://127.0.0.1:4200")
    assert env["PREFECT_SERVER_API_AUTH_STRING"] == env["PREFECT_API_AUTH_STRING"] == "me:mine"
