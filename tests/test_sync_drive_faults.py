"""Whatever goes wrong between Drive and the store: the same catalogue, the same originals, or nothing changed."""

import gc
import hashlib
import multiprocessing
import os
import shutil
import signal
import sqlite3

import pytest

from tenarai.errors import CredentialsError, SourceError, StoreError
from tests.drive_desk import DriveDesk
from tests.stand_in import FAULTS, StandInDrive
from tests.stand_in.api import Refused


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


@pytest.fixture
def desk(server, tmp_path):
    return DriveDesk(server, tmp_path)


def first_day(tree):
    """All that makes a sync ask more than plain questions."""
    for number in range(60):
        tree.put(f"digits/{number % 10}/{number}.png", f"ink {number} " * (number + 1))
    for number in range(45):
        tree.put(f"misread/4/{number}.png", f"ink {number % 6}")
    tree.add_shortcut("shortcut.png", tree.folder("digits/4"), tree.put("inbox/target.png", "target"))
    tree.add_native("drawing", tree.folder("digits/4"), "drawing")


def second_day(tree):
    tree.rename(tree.folder("digits/9"), "8")
    tree.trash(tree.folder("digits/5"))
    for number, item in enumerate(list(tree.children(tree.folder("digits/4")))[:5]):
        tree.edit(item, f"edited {number}")
    tree.put("inbox/new.png", "new")


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory):
    """What two nights leave, each, when so many requests go wrong; lists come in pages of five."""

    def run(rates):
        with StandInDrive() as server:
            first_day(server.tree)
            desk = DriveDesk(server, tmp_path_factory.mktemp("desk"))
            server.faults.rates = rates
            desk.night()
            first = desk.told()
            second_day(server.tree)
            desk.night(accept_changes=True)  # two labels disappear
            return [first, desk.told()], server.faults.done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenarai.drive.client.PAGE_SIZE", 5)
        yield run


@pytest.fixture(scope="module")
def calm(two_nights):
    return two_nights({})[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_under_each_fault_at_ten_percent_catalogue_and_originals_are_those_of_calm_nights(two_nights, calm, fault):
    told, faults = two_nights({fault: 0.10})
    assert faults[fault] > 0
    assert told == calm


def test_under_all_faults_together_at_three_percent_each_nothing_differs_either(two_nights, calm):
    told, faults = two_nights(dict.fromkeys(FAULTS, 0.03))
    assert sum(faults.values()) > 30
    assert told == calm


def test_a_few_files_that_cannot_be_had_wait_for_the_next_night(desk, server):
    broken = desk.put("digits/4/broken.png", "broken")
    desk.put("digits/4/a.png", "a")
    server.faults.plan("5xx", times=8, match=f"{broken.id}?supportsAllDrives=true&alt=media")
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert desk.rejections() == {"digits/4/broken.png": "it cannot be downloaded now; the next night tries again"}
    assert not desk.night().shortcut
    assert desk.labels() == {"digits/4/a.png": "4", "digits/4/broken.png": "4"}
    assert desk.night().shortcut


def test_when_nothing_can_be_had_the_night_stops_and_says_so(desk, server):
    for number in range(30):
        desk.put(f"digits/4/{number}.png", str(number))
    server.faults.plan("5xx", times=10_000, match="alt=media")
    with pytest.raises(SourceError, match="cannot be downloaded.*try again later"):
        desk.night()
    assert desk.labels() == {}
    assert desk.state() == {}


@pytest.mark.parametrize(
    ("reason", "kind"), [("dailyLimitExceeded", SourceError), ("insufficientPermissions", CredentialsError)]
)
def test_what_no_trying_mends_stops_the_night_at_once(desk, server, reason, kind):
    for number in range(100):
        desk.put(f"digits/4/{number}.png", str(number))
    see = server.api._see

    def refuse(request, file_id, **options):
        if request.query.get("alt") == "media":
            raise Refused(403, reason, "no more")
        return see(request, file_id, **options)

    server.api._see = refuse
    with pytest.raises(kind, match="no more"):
        desk.night()
    assert server.count() < 40
    assert desk.state() == {}


OF_ONE_FILE = [
    (403, "downloadQuotaExceeded", "downloaded too often"),
    (403, "quotaExceeded", "downloaded too often"),
    (403, "abuse", "malware or spam"),
    (403, "cannotDownloadAbusiveFile", "malware or spam"),
    (403, "cannotDownloadFile", "owner does not allow"),
    (403, "forbidden", "403 forbidden"),
    (403, "domainPolicy", "organisation"),
    (403, "insufficientFilePermissions", "share the file itself"),
    (400, "badRequest", "400 badRequest"),
    (451, "unavailableForLegalReasons", "451"),
    (503, "backendError", "cannot be downloaded now"),
]


@pytest.mark.parametrize(("status", "reason", "words"), OF_ONE_FILE)
def test_what_concerns_one_file_of_thirteen_leaves_the_other_twelve(desk, server, status, reason, words):
    files = [desk.put(f"digits/4/{number:02}.png", str(number)) for number in range(13)]
    see = server.api._see

    def refuse(request, file_id, **options):
        if request.query.get("alt") == "media" and file_id == files[7].id:
            raise Refused(status, reason, "Google's own words")
        return see(request, file_id, **options)

    server.api._see = refuse
    desk.night()
    assert len(desk.labels()) == 12
    ((path, said),) = desk.rejections().items()
    assert path == "digits/4/07.png"
    assert words in said
    server.api._see = see
    waits = "next night" in said
    assert desk.night().shortcut is not waits  # what waits is asked for again, what is refused is not
    assert len(desk.labels()) == (13 if waits else 12)


def test_a_known_file_that_cannot_be_had_again_stays_as_it_was(desk, server):
    file = desk.put("digits/4/a.png", "old")
    desk.night()
    desk.tree.edit(file, "new")
    see = server.api._see

    def refuse(request, file_id, **options):
        if request.query.get("alt") == "media":
            raise Refused(403, "downloadQuotaExceeded", "too often")
        return see(request, file_id, **options)

    server.api._see = refuse
    assert desk.night().num_differences == 0
    assert desk.labels() == {"digits/4/a.png": "4"}
    server.api._see = see
    assert desk.night().num_changed == 1


def test_a_file_that_vanishes_while_it_is_read_waits_for_the_next_night(desk, server):
    doomed = desk.put("digits/4/doomed.png", "doomed")
    desk.put("digits/4/a.png", "a")
    server.before_answer = lambda asked: (
        desk.tree.items.pop(doomed.id, None) if doomed.id in asked and "media" in asked else None
    )
    desk.night()
    assert desk.labels() == {"digits/4/a.png": "4"}
    assert "digits/4/doomed.png vanished while it was read; it waits for the next night" in desk.words


def test_a_full_disk_leaves_the_catalogue_as_the_last_batch_left_it(desk, server, monkeypatch):
    desk.put("digits/4/a.png", "a")
    desk.night()
    before = desk.told(), desk.state()
    desk.put("digits/4/b.png", "b")
    monkeypatch.setattr("tenarai.store.Store.write", _no_space)
    with pytest.raises(StoreError, match="No space left"):
        desk.night()
    monkeypatch.undo()
    assert (desk.told(), desk.state()) == before
    assert desk.night().num_added == 1


def _no_space(store, data, *parts):
    raise StoreError("it cannot be written", received="No space left on device")


# ---- batches


def test_a_long_first_night_is_kept_in_batches_and_says_how_long_it_will_take(desk, server, monkeypatch):
    monkeypatch.setattr("tenarai.sync.download.BATCH", 10)
    monkeypatch.setattr("tenarai.sync.download.SECONDS_BETWEEN_MESSAGES", 0)
    desk.settings = desk.settings.model_copy(update={"drive_threads": 1})  # files are asked for in their order
    for number in range(35):
        desk.put(f"digits/4/{number:02}.png", str(number) * 1000)
    server.api.tree.put("digits/4/99 last.png", "last")
    num_media = 0

    def stop_after_25(asked):
        nonlocal num_media
        num_media += "alt=media" in asked
        if num_media > 25:
            server.api.refusal = Refused(403, "dailyLimitExceeded", "enough")

    server.before_answer = stop_after_25
    with pytest.raises(SourceError, match="enough"):
        desk.night()
    assert len(desk.labels()) == 20
    assert desk.state() == {}
    server.api.refusal, server.before_answer = None, lambda asked: None
    result = desk.night()
    assert (result.num_added, result.num_seen, len(desk.labels())) == (16, 36, 36)
    assert result.num_downloaded < 16  # what was on the disk already is not fetched again
    assert any(words.startswith("1 of ") and "MB, about" in words and words.endswith(" left") for words in desk.words)
    assert len([event for run in ("r1", "r2") for event in desk.events(run)]) == 36
    assert desk.night().shortcut


# ---- kill -9


def _night_that_dies(desk, number_of_steps):
    """Kill the process at its n-th step that changes something on disk."""
    gc.disable()  # what earlier tests left of TensorFlow does not survive being collected in a fork
    steps = 0

    def step(*arguments):
        nonlocal steps
        steps += 1
        if steps > number_of_steps:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("fsync", "replace", "mkdir"):
        honest = getattr(os, name)
        setattr(os, name, lambda *a, honest=honest, **k: (step(), honest(*a, **k), step())[1])
    connect = sqlite3.dbapi2.connect

    def watched(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(step)
        return connection

    sqlite3.dbapi2.connect = watched
    desk.night()
    os._exit(7)


def test_kill_at_every_step_leaves_a_state_that_the_next_night_completes(desk, server, monkeypatch):
    monkeypatch.setattr("tenarai.sync.download.BATCH", 1)
    desk.settings = desk.settings.model_copy(update={"drive_threads": 1})
    old = [desk.put(f"digits/4/{name}.png", name) for name in ("gone", "moved", "same")]
    desk.night()
    kept = desk.place.with_name("kept")
    shutil.copytree(desk.place, kept)
    for name in ("new", "newer"):
        desk.put(f"digits/4/{name}.png", name)
    desk.tree.trash(old[0])
    desk.tree.rename(old[1], "moved away.png")
    expected = {f"digits/4/{name}.png" for name in ("moved away", "same", "new", "newer")}
    num_kills = num_incomplete = 0
    for steps in range(400):
        shutil.rmtree(desk.place)
        shutil.copytree(kept, desk.place)
        desk.num_nights = 1
        process = multiprocessing.get_context("fork").Process(target=_night_that_dies, args=(desk, steps))
        process.start()
        process.join()
        if process.exitcode == 7:
            break
        assert process.exitcode == -signal.SIGKILL
        num_kills += 1
        desk.num_nights = 2
        if desk.labels().keys() != expected:
            num_incomplete += 1
            assert not desk.night().shortcut  # the token is not ahead of the rows
            assert desk.labels().keys() == expected
        originals = [path for path in (desk.place / "blobs").rglob("*") if path.is_file() and path.name[0] != "."]
        assert {path.name for path in originals} == {
            hashlib.sha256(content).hexdigest() for content in (b"gone", b"moved", b"same", b"new", b"newer")
        }
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in originals)
        assert len(desk.events("r2") + desk.events("r3")) == 4
        assert desk.night().shortcut
    else:
        pytest.fail("the night never came to its end")
    assert num_kills >= num_incomplete > 20
