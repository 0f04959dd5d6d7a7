"""Who asks Drive, and that nobody learns their secrets."""

import json
import logging
import traceback

import google.auth.exceptions
import pytest
from pydantic import SecretStr

from tenarai.drive import open_drive
from tenarai.drive.credentials import find_account, to_account
from tenarai.drive.faults import explain
from tenarai.errors import CredentialsError, TenaraiError
from tests.drives import client_for, settings_for
from tests.stand_in import ROBOT, StandInDrive
from tests.stand_in.people import REFRESH_TOKEN, SECRET, private_pem


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine on which Google's libraries find nothing by themselves."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_a_service_account_signs_for_a_token_at_the_address_in_its_key(server, tmp_path):
    drive = client_for(server, tmp_path)
    assert drive.get(server.tree.root.id).name == "handwriting"
    assert drive.account.name == ROBOT
    assert server.people.num_exchanges == 1


def test_a_person_who_said_yes_is_asked_no_more(server, tmp_path):
    drive = client_for(server, tmp_path, key=server.people.authorised_user())
    assert drive.get(server.tree.root.id).name == "handwriting"
    assert drive.account.kind == "authorized_user"


def test_the_setting_may_be_the_json_itself(server, tmp_path):
    settings = settings_for(server, tmp_path, drive_credentials=json.dumps(server.people.service_account_key()))
    assert open_drive(settings).get(server.tree.root.id).name == "handwriting"
    assert "PRIVATE KEY" not in repr(settings) + str(settings.model_dump())


def test_a_key_with_a_byte_order_mark_is_read(server, tmp_path):
    file = tmp_path / "bom.json"
    file.write_text(json.dumps(server.people.service_account_key()), encoding="utf-8-sig")
    assert find_account(SecretStr(str(file))).name == ROBOT


def test_google_s_own_credentials_are_found_where_the_settings_name_none(server, tmp_path, monkeypatch, alone):
    file = tmp_path / "adc.json"
    file.write_text(json.dumps(server.people.service_account_key()))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert find_account(SecretStr("")).name == ROBOT


def test_without_credentials_both_ways_to_some_are_named(alone):
    with pytest.raises(CredentialsError, match="tenarai connect"):
        find_account(SecretStr(""))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "damaged"),
        ("[1]", "damaged"),
        ("{}", "contains no credentials for Drive"),
        ('{"type": "service_account", "private_key": "SECRETKEY"}', "cannot be used"),
        ('{"type": "authorized_user", "refresh_token": "SECRETKEY"}', "'client_id' is missing"),
        ('{"installed": {"client_secret": "SECRETKEY"}}', "tenarai connect --client"),
        ('{"SECRETKEY', "damaged"),
    ],
)
def test_a_file_that_holds_no_credentials_says_so_and_not_what_it_holds(tmp_path, content, told):
    (tmp_path / "key.json").write_text(content)
    with pytest.raises(CredentialsError, match=told) as caught:
        find_account(SecretStr(str(tmp_path / "key.json")))
    assert "SECRETKEY" not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(CredentialsError, match="No such file"):
        find_account(SecretStr(str(tmp_path / "key.json")))


def test_a_permission_that_ended_says_why_it_may_end_every_week(server, tmp_path):
    drive = client_for(server, tmp_path, key=server.people.authorised_user())
    server.people.refresh_tokens.clear()
    with pytest.raises(CredentialsError, match=r"expired or revoked.*tenarai connect.*7 days.*Publish app"):
        drive.get(server.tree.root.id)


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        ("invalid_grant: Invalid grant: account not found", "deleted or disabled: create a new"),
        ("invalid_grant: Robot is disabled.", "deleted or disabled: create a new"),
        ("deleted_client: The OAuth client was deleted.", "create a new one, and run `tenarai connect --client"),
        ("invalid_grant: invalid_rapt", "new login"),
        (
            "Reauthentication is needed. Run `gcloud auth application-default login`",
            "run `tenarai connect` again",
        ),
        ("invalid_grant: Token has been expired or revoked.", "Publish app"),
        ("invalid_grant: Invalid JWT Signature.", "machine's clock"),
        ("invalid_scope: Bad Request", "allow what it asks for"),
        ("something new", "tenarai doctor"),
    ],
)
def test_the_advice_fits_googles_reason(words, fix):
    error = explain(google.auth.exceptions.RefreshError(words), "it cannot be read", "Ann")
    assert fix in error.fix
    assert "gcloud" not in str(error)


def test_a_clock_that_is_off_is_named(server, tmp_path):
    server.people.clock_is_off_by = 7200
    with pytest.raises(CredentialsError, match="this machine's clock"):
        client_for(server, tmp_path).get(server.tree.root.id)


def test_a_key_that_was_deleted_is_refused_once(server, tmp_path):
    key = server.people.service_account_key() | {"client_email": "other@project.iam.gserviceaccount.com"}
    with pytest.raises(CredentialsError, match="refused the credentials of other@"):
        client_for(server, tmp_path, key=key).get(server.tree.root.id)
    assert server.people.num_exchanges == 1


def test_secrets_are_in_no_log_no_error_and_no_traceback(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    for make_key in (server.people.service_account_key, server.people.authorised_user):
        drive = client_for(server, tmp_path, key=make_key())
        drive.download(drive.get(server.tree.put("a.png").id))
        told.append(repr(drive.account) + str(vars(drive)))
        server.people.refresh_tokens.clear()
        server.people.tokens.clear()
        try:
            drive.get("1nothing")
        except TenaraiError as error:
            told.append("".join(traceback.format_exception(error)))
    everything = caplog.text + "".join(told)
    for secret in (SECRET, REFRESH_TOKEN, "nobody-may-see", private_pem()[100:140]):
        assert secret not in everything


def test_a_persons_own_permission_is_taken_as_it_was_given(server):
    account = to_account(server.people.authorised_user("a", "b"), "the file", ["c"])
    assert account.scopes == ("a", "b")


def test_a_token_that_google_cannot_hand_out_for_a_moment_is_asked_for_again(server, tmp_path):
    honest, answers = server.people.exchange, [(503, {"error": "internal_failure"})]
    server.people.exchange = lambda *given: answers.pop() if answers else honest(*given)
    assert client_for(server, tmp_path).get(server.tree.root.id).name == "handwriting"
    assert not answers


@pytest.mark.parametrize("as_text", [False, True])
def test_a_secret_block_of_prefect_is_resolved_by_its_name(prefect, server, tmp_path, as_text):
    from prefect.blocks.system import Secret

    from tenarai.orchestration.runs import resolve_secrets

    key = server.people.service_account_key()
    Secret(value=json.dumps(key) if as_text else key).save("drive-key", overwrite=True)
    settings = settings_for(server, tmp_path, drive_credentials="block:drive-key")
    resolved = resolve_secrets(settings)
    assert open_drive(resolved).get(server.tree.root.id).name == "handwriting"
    assert "PRIVATE KEY" not in repr(resolved)
    with pytest.raises(CredentialsError, match="secret/no-such-key cannot be read.*Prefect UI"):
        resolve_secrets(settings_for(server, tmp_path, drive_credentials="block:no-such-key"))
