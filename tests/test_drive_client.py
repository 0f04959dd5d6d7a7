"""The Drive client against the stand-in: faults are retried or explained, and no file gets the bytes of another."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tenarai.address import normalise_address, parse_drive_address
from tenarai.drive import explain_file, status_of
from tenarai.drive.faults import Fault, asked_wait, judge
from tenarai.drive.sending import Cost, Pace
from tenarai.errors import CredentialsError, SettingsError, SourceError
from tests.drives import client_for
from tests.stand_in import ANN, FAULTS, ROBOT, StandInDrive
from tests.stand_in.api import Refused
from tests.stand_in.people import OWN_FILES, READ, WRITE


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


@pytest.fixture
def drive(server, tmp_path):
    return client_for(server, tmp_path)


def test_a_folder_is_listed_with_all_that_the_sync_needs_to_know(server, drive):
    file = server.tree.put("a.png", "ink")
    (seen,) = drive.list_folder(server.tree.root.id)
    assert (seen.id, seen.name, seen.mime, seen.parents) == (file.id, "a.png", "image/png", (server.tree.root.id,))
    assert seen.size == 3
    assert (seen.md5, seen.sha256) == (hashlib.md5(b"ink").hexdigest(), hashlib.sha256(b"ink").hexdigest())
    assert seen.revision
    assert (seen.can_download, seen.can_edit, seen.trashed, seen.is_folder) == (True, False, False, False)


def test_a_long_folder_comes_in_pages_of_a_thousand_and_without_the_trash(server, drive):
    for number in range(2100):
        server.tree.put(f"{number}.png", str(number % 7))
    server.tree.trash(next(server.tree.children(server.tree.root)))
    server.calls.clear()
    assert len({file.id for file in drive.list_folder(server.tree.root.id)}) == 2099
    assert server.count() == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_fault_goes_unnoticed(server, drive, fault):
    files = [server.tree.put(f"{number}.png", f"ink {number}" * 50) for number in range(1200)]
    server.faults.plan(fault, match="pageToken=" if fault == "page token" else "GET /drive/v3/files?")
    server.faults.plan(fault, match=f"GET /drive/v3/files/{files[0].id}")
    listed = {file.id: file for file in drive.list_folder(server.tree.root.id)}
    assert len(listed) == 1200
    assert drive.download(listed[files[0].id]) == files[0].data
    assert server.faults.done[fault] == (1 if fault == "page token" else 2)


def test_many_threads_never_get_each_others_bytes(server, drive):
    for number in range(300):
        server.tree.put(f"{number}.png", f"{number} " * 200)
    server.faults.rates = {"truncated": 0.05, "closed": 0.05, "reset": 0.05, "corrupted": 0.05}
    listed = drive.list_folder(server.tree.root.id)
    with ThreadPoolExecutor(16) as pool:
        for file, data in zip(listed, pool.map(drive.download, listed), strict=True):
            assert data == f"{file.name.removesuffix('.png')} ".encode() * 200
    assert sum(server.faults.done.values()) > 20


def test_a_photo_that_never_arrives_as_listed_is_believed_when_it_arrives_alike_six_times(server, drive):
    photo = server.tree.put("a.jpg", b"\xff\xd8 photo \xff\xd9", listed_data=b"what Drive lists")
    assert drive.download(drive.get(photo.id)) == photo.data
    assert server.count(f"GET /drive/v3/files/{photo.id}") == 7


def test_any_other_file_that_never_arrives_as_listed_is_refused_and_only_it(server, drive):
    file = server.tree.put("a.png", b"half a pic", listed_data=b"half a picture and the rest")
    with pytest.raises(SourceError, match="cannot be downloaded") as caught:
        drive.download(drive.get(file.id))
    assert explain_file(caught.value) == "it does not arrive as Google Drive lists it: upload it again"


def test_eight_tries_are_enough_for_anybody(server, drive):
    server.faults.plan("5xx", times=100)
    with pytest.raises(SourceError, match="nothing is lost; try again later"):
        drive.get(server.tree.root.id)
    assert server.count() == 8


REFUSALS = [
    (404, "notFound", SourceError, f"share the folder with {ROBOT}"),
    (403, "accessNotConfigured", SourceError, "enable the Google Drive API.*console.cloud.google.com"),
    (403, "dailyLimitExceeded", SourceError, "wait for tomorrow"),
    (403, "insufficientPermissions", CredentialsError, "tenarai connect"),
    (403, "insufficientFilePermissions", SourceError, "as Editor"),
    (403, "storageQuotaExceeded", SourceError, "shared drive.*OAuth.*report.html"),
    (403, "domainPolicy", SourceError, "administrator"),
    (401, "authError", CredentialsError, "tenarai doctor"),
]


@pytest.mark.parametrize(("status", "reason", "kind", "fix"), REFUSALS)
def test_what_retrying_does_not_cure_says_what_to_do(server, drive, status, reason, kind, fix):
    server.api.refusal = Refused(status, reason, "Google's own words")
    with pytest.raises(kind, match=f"Google's own words.*{fix}") as caught:
        drive.get("x")
    assert type(caught.value) is kind
    assert server.count() == (4 if status == 401 else 1)  # a token may have run out


def test_an_expired_token_is_renewed_once_for_all_threads(server, drive):
    files = [server.tree.put(f"{number}.png", str(number)) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda file: drive.get(file.id), files))) == 20
    assert server.people.num_exchanges == 1


@pytest.mark.parametrize("before", [[], ["5xx", "reset", "429"]])
def test_a_good_token_refused_three_times_in_a_row_is_renewed_whatever_went_wrong_before(server, drive, before):
    for fault in [*before, *["expired"] * 3]:
        server.faults.plan(fault)
    assert drive.get(server.tree.root.id).name == "handwriting"
    assert server.people.num_exchanges == 4


def test_only_tokens_refused_in_a_row_count_and_eight_tries_are_enough_for_them_too(server, drive):
    for fault in ["expired", "expired", "expired", "5xx"] * 2:
        server.faults.plan(fault)
    with pytest.raises(SourceError, match="cannot be seen"):
        drive.get(server.tree.root.id)
    assert server.count() == 8


def test_a_permission_taken_back_while_we_read_ends_it_at_once(server, tmp_path):
    drive = client_for(server, tmp_path, key=server.people.authorised_user())
    drive.get(server.tree.root.id)
    server.people.tokens.clear()
    server.people.refresh_tokens.clear()
    server.calls.clear()
    with pytest.raises(CredentialsError, match="invalid_grant.*tenarai connect"):
        drive.get(server.tree.root.id)
    assert (server.count(), server.people.num_exchanges) == (1, 2)


def test_one_new_token_is_enough_for_all_threads_whose_last_was_refused(server, drive):
    together = threading.Barrier(8)
    drive.get(server.tree.root.id)
    server.people.tokens.clear()
    server.before_answer = lambda asked: together.wait() if server.count() <= 9 else None  # all bear the old token
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(drive.get, [server.tree.root.id] * 8))) == 8
    assert server.people.num_exchanges == 2


def test_retry_after_is_honoured_and_everybody_slows_down(server, tmp_path):
    patient = client_for(server, tmp_path, drive_first_wait=0)
    server.tree.put("a.png")
    server.api.refusal = Refused(429, "rateLimitExceeded", "slow down", **{"Retry-After": "1"})
    threading.Timer(0.3, lambda: setattr(server.api, "refusal", None)).start()
    assert patient.get(server.tree.root.id).name == "handwriting"
    assert server.count() == 2


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("", 0), ("7", 7), ("0.5", 0.5), ("99999", 300), ("soon", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date_and_no_longer_than_five_minutes(told, seconds):
    from googleapiclient.errors import HttpError
    from httplib2 import Response

    error = HttpError(Response({"status": 429, "retry-after": told}), b"{}")
    assert asked_wait(error) == seconds
    assert judge(error) is Fault.SLOWER


def test_a_pace_lets_nobody_go_before_its_turn(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    pace = Pace(600)
    for _ in range(21):
        pace.wait(1)
    assert 101.8 <= now[0] <= 102.1
    pace.hold(5)
    pace.wait(1)
    assert 106.8 <= now[0] <= 107.1


def test_the_pace_follows_googles_quota_units(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    pace = Pace(300_000)
    for cost in [Cost.DOWNLOAD] * 1000 + [Cost.LIST] * 1000 + [Cost.GET] * 1000:
        pace.wait(cost)
    assert now[0] - 100 == pytest.approx(60 * 305_000 / 300_000, rel=0.01)


def test_what_is_not_visible_is_none_and_what_is_trashed_says_so(server, drive):
    private = server.tree.add_file("diary.png", server.tree.my_drive, "secret")
    gone = server.tree.put("digits/4/a.png")
    server.tree.trash(server.tree.folder("digits"))
    assert drive.find(private.id) is None
    assert drive.find("1nothing") is None
    assert drive.find(gone.id).trashed


def test_a_linked_folder_is_reached_with_its_resource_key(server, drive):
    server.tree.root.shares.clear()
    server.tree.root.shares[ROBOT] = "reader"
    server.tree.root.key = "0-key"
    with pytest.raises(SourceError):
        drive.get(server.tree.root.id)
    assert drive.get(server.tree.root.id, "0-key").resource_key == "0-key"
    assert drive.list_folder(server.tree.root.id, resource_key="0-key") == []


def test_an_incomplete_answer_is_no_answer(server, drive, monkeypatch):
    honest = server.api._page
    monkeypatch.setattr(server.api, "_page", lambda *a: {**honest(*a), "incompleteSearch": True})
    with pytest.raises(SourceError, match="not complete"):
        drive.list_folder(server.tree.root.id)


def test_the_changes_feed_tells_what_changed_and_refuses_a_token_it_does_not_know(server, drive):
    token = drive.start_token()
    assert drive.changes(token).changes == ()
    kept, lost = server.tree.put("a.png"), server.tree.put("b.png")
    server.tree.delete(lost)
    told = drive.changes(token)
    assert {file_id: file and file.name for file_id, file in told.changes} == {kept.id: "a.png", lost.id: None}
    assert drive.changes(told.token).changes == ()
    assert drive.changes("nonsense") is None


def test_a_very_long_address_is_sent_as_a_post_that_means_get(server, drive):
    assert drive.find_own("key", "x" * 3000) == []
    assert server.calls == ["GET /drive/v3/files"]


def test_a_part_of_a_file_can_be_asked_for(server, drive):
    import urllib.request

    file = server.tree.put("a.png", "0123456789")
    drive.get(file.id)
    token = next(iter(server.people.tokens))
    headers = {"Authorization": f"Bearer {token}", "Range": "bytes=2-4"}
    request = urllib.request.Request(f"{server.root}drive/v3/files/{file.id}?alt=media", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, b"234")


@pytest.fixture
def writer(server, tmp_path):
    return client_for(server, tmp_path, write=True, key=server.people.authorised_user(WRITE))


@pytest.mark.parametrize("fault", ["lost", "5xx", "closed", "reset", "truncated", "429", "expired"])
def test_a_file_is_created_once_even_if_the_answer_is_lost(server, writer, fault):
    server.faults.plan(fault, match="POST /upload")
    made = writer.create("r.html", server.tree.root.id, b"<html>", "text/html", {"tenarai": "report", "it's": "a \\ b"})
    assert [item.data for item in server.tree.children(server.tree.root)] == [b"<html>"]
    assert writer.find_own("it's", "a \\ b") == [writer.get(made.id)]
    assert server.faults.done[fault] == 1


def test_a_file_is_updated_and_trashed_in_place(server, writer):
    made = writer.create("r.html", server.tree.root.id, b"old", "text/html", {})
    updated = writer.update(made, b"new", "text/html")
    assert (updated.id, server.tree.items[made.id].data) == (made.id, b"new")
    writer.trash(updated)
    assert writer.get(made.id).trashed
    assert writer.list_folder(server.tree.root.id) == []


def test_reading_asks_for_no_more_than_reading(server, drive):
    file = server.tree.put("a.png")
    with pytest.raises(CredentialsError, match="insufficientPermissions"):
        drive.update(drive.get(file.id), b"new", "image/png")
    assert file.data == b"ink"
    assert {scopes for _, scopes, _ in server.people.tokens.values()} == {frozenset({READ})}


def test_an_app_that_may_only_touch_its_own_files_touches_no_other(server, tmp_path):
    own = client_for(server, tmp_path, write=True, key=server.people.authorised_user(READ, OWN_FILES))
    with pytest.raises(SourceError, match="appNotAuthorizedToFile"):
        own.update(own.get(server.tree.put("a.png").id), b"new", "image/png")
    folder = own.create("Tenarai reports", "", None, "application/vnd.google-apps.folder", {})
    assert own.create("r.html", folder.id, b"x", "text/html", {}).parents == (folder.id,)


def test_a_service_account_has_no_space_in_my_drive_but_on_a_shared_one(server, tmp_path):
    robot = client_for(server, tmp_path, write=True)
    server.tree.root.shares[ROBOT] = "writer"
    with pytest.raises(SourceError, match="no storage in My Drive"):
        robot.create("r.html", server.tree.root.id, b"x", "text/html", {})
    shared = server.tree.add_shared_drive("team", robot="writer")
    assert robot.create("r.html", shared.id, b"x", "text/html", {}).drive_id == shared.id


def test_the_account_knows_its_name(server, drive, writer):
    assert drive.who() == f"Tenarai <{ROBOT}>"
    assert writer.who() == f"Ann <{ANN}>"


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("drive:1aB_c-9", ("1aB_c-9", "")),
        ("drive: 1aB ", ("1aB", "")),
        ("drive:https://drive.google.com/drive/folders/1aB", ("1aB", "")),
        ("drive:https://drive.google.com/drive/u/0/folders/1aB?resourcekey=0-xy&usp=sharing", ("1aB", "0-xy")),
        ("drive:https://drive.google.com/open?id=1aB", ("1aB", "")),
        ("drive:https://drive.google.com/drive/folders/1aB/view", ("1aB", "")),
        ("drive:https://drive.google.com/drive/folders/1aB/?usp=drive_link", ("1aB", "")),
        ("drive:https://drive.google.com/drive/mobile/folders/1aB/2cD?usp=x", ("1aB", "")),
        ("drive:1aB/", ("1aB", "")),
        ("drive:drive.google.com/drive/folders/1aB", ("1aB", "")),
        ("drive:1aB?resourcekey=0-xy", ("1aB", "0-xy")),
        ("'drive:1aB'", ("1aB", "")),
    ],
)
def test_a_folder_is_named_by_its_id_or_its_link(source, folder):
    assert parse_drive_address(source) == folder


@pytest.mark.parametrize(
    "source", ["drive:", "drive:a b", "drive:a/../b?c", "drive:https://drive.google.com/file/d/1aB/view"]
)
def test_an_address_without_a_folder_says_how_to_find_it(source):
    with pytest.raises(SettingsError, match="copy its link"):
        parse_drive_address(source)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://drive.google.com/drive/folders/1aB/view", "drive:1aB"),
        ("drive.google.com/drive/u/0/folders/1aB?resourcekey=0-xy", "drive:1aB?resourcekey=0-xy"),
        ("Drive: 1aB/", "drive:1aB"),
        ("folder:/photos/", "folder:/photos"),
        ("FOLDER:'/my photos'", "folder:/my photos"),
        ('"folder:/photos"', "folder:/photos"),
        ("folder:~/photos", "folder:~/photos"),
        ("file:///my%20photos", "folder:/my photos"),
    ],
)
def test_an_address_is_known_in_one_form_however_it_is_written(written, address):
    assert normalise_address(written) == address
    assert normalise_address(address) == address


def test_a_path_without_a_scheme_says_what_to_write(tmp_path):
    with pytest.raises(SettingsError, match=f"set TENARAI_SOURCE or --source to folder:{tmp_path}"):
        normalise_address(str(tmp_path))


def test_errors_of_drive_bear_their_status(server, drive):
    with pytest.raises(SourceError) as caught:
        drive.get("1nothing")
    assert status_of(caught.value) == 404
    assert status_of(SourceError("anything else")) == 0
