"""The report, sent to Google Drive: once, and never at the cost of the night."""

import pytest

from tenarai.drive import open_drive
from tenarai.errors import SettingsError, SourceError
from tenarai.report.sending import find_destination, send_report, wants_reports
from tests.drives import settings_for
from tests.stand_in import ANN, FAULTS, ROBOT, StandInDrive
from tests.stand_in.api import Refused
from tests.stand_in.people import OWN_FILES, READ, WRITE


@pytest.fixture
def server():
    with StandInDrive() as drive:
        yield drive


class Sender:
    """Sends the reports of numbered nights."""

    def __init__(self, server, place, key, **given):
        self.server, self.source = server, f"drive:{server.tree.root.id}"
        self.settings = settings_for(server, place, key, **given)

    def send(self, run="20260101-020000-aaaa", verdict="promoted", html="<p>good", **more):
        self.server.calls.clear()
        files = {"report.html": html.encode(), **more}
        return send_report(self.source, run, verdict, files, self.settings)

    def folder(self, name="reports"):
        """What lies in a folder of that name: content by name."""
        tree = self.server.tree
        folders = [item for item in tree.items.values() if item.name == name and item.mime.endswith("folder")]
        assert len(folders) <= 1
        return {file.name: file.data.decode() for file in tree.children(folders[0]) if not file.trashed}


@pytest.fixture
def ann(server, tmp_path):
    """A person who allowed everything, sending into her own folder."""
    return Sender(server, tmp_path, server.people.authorised_user(WRITE))


def test_a_report_arrives_in_the_folder_reports_that_is_made_for_it(ann):
    sent = ann.send(**{"sheet.pdf": b"%PDF"})
    assert ann.folder() == {
        "report.html": "<p>good",
        "sheet.pdf": "%PDF",
        "20260101-020000-aaaa promoted.html": "<p>good",
        "20260101-020000-aaaa sheet.pdf": "%PDF",
    }
    assert (sent.folder, sent.num_written) == ("reports", 4)
    latest = next(item for item in ann.server.tree.items.values() if item.name == "report.html")
    assert sent.link == f"https://drive.google.com/file/d/{latest.id}/view"


def test_sent_twice_nothing_changes(ann):
    ann.send()
    before = ann.folder()
    again = ann.send()
    assert (ann.folder(), again.num_written) == (before, 0)
    assert not ann.server.count("POST") + ann.server.count("PATCH")


def test_the_newest_report_keeps_its_link_and_earlier_nights_stay_beside_it(ann):
    first = ann.send(html="one")
    second = ann.send(run="20260102-020000-bbbb", verdict="kept", html="two")
    assert first.link == second.link
    assert ann.folder() == {
        "report.html": "two",
        "20260101-020000-aaaa promoted.html": "one",
        "20260102-020000-bbbb kept.html": "two",
    }


def test_a_quiet_night_renews_only_the_newest(ann):
    ann.send(html="one")
    ann.send(run="20260102-020000-bbbb", verdict="nothing new", html="two")
    assert ann.folder() == {"report.html": "two", "20260101-020000-aaaa promoted.html": "one"}


def test_only_the_last_nights_are_kept_and_older_ones_go_to_the_trash_not_further(ann):
    ann.settings = ann.settings.model_copy(update={"drive_reports_kept": 2})
    for day in range(1, 5):
        ann.send(run=f"2026010{day}-020000-aaaa", html=str(day))
    assert sorted(ann.folder()) == [
        "20260103-020000-aaaa promoted.html",
        "20260104-020000-aaaa promoted.html",
        "report.html",
    ]
    assert len([item for item in ann.server.tree.items.values() if item.trashed]) == 2


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "page token"])
def test_under_each_fault_every_file_is_there_once(ann, fault):
    ann.server.faults.rates = {fault: 0.25}
    for day in range(1, 4):
        ann.send(run=f"2026010{day}-020000-aaaa", html=str(day))
    assert ann.server.faults.done[fault] > 0
    names = [item.name for item in ann.server.tree.items.values() if item.name.endswith(".html")]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 4


def test_files_that_a_person_put_beside_the_reports_are_left_alone(ann):
    ann.server.tree.put("reports/notes.html", "mine")
    ann.send()
    assert ann.folder()["notes.html"] == "mine"


def test_a_service_account_updates_the_placeholder_that_a_person_made(server, tmp_path):
    robot = Sender(server, tmp_path, None)
    placeholder = server.tree.put("reports/report.html", "placeholder")
    server.tree.folder("reports").shares[ROBOT] = "writer"
    assert robot.send().num_written == 1
    assert robot.folder() == {"report.html": "<p>good"}
    assert robot.send(run="b", html="two").link.endswith(f"{placeholder.id}/view")
    assert robot.folder() == {"report.html": "two"}


def test_without_a_placeholder_it_is_told_how_to_make_one(server, tmp_path):
    robot = Sender(server, tmp_path, None)
    server.tree.folder("reports").shares[ROBOT] = "writer"
    server.tree.put("reports/other.txt")
    with pytest.raises(SourceError, match="no report.html.*put a file named report.html there.*shared drive"):
        robot.send()


def test_a_service_account_makes_files_on_a_shared_drive(server, tmp_path):
    server.tree.root = server.tree.add_folder("handwriting", server.tree.add_shared_drive("team", robot="writer"))
    robot = Sender(server, tmp_path, None)
    robot.send()
    assert "20260101-020000-aaaa promoted.html" in robot.folder()


def test_an_account_that_may_only_read_sends_nothing_and_asks_for_no_more_rights(server, tmp_path):
    robot = Sender(server, tmp_path, None)
    server.tree.put("reports/report.html", "mine")
    assert robot.send() is None
    assert robot.folder() == {"report.html": "mine"}
    assert {scopes for _, scopes, _ in server.people.tokens.values()} == {frozenset({READ})}


def test_a_person_who_allowed_only_reading_gets_no_report_on_drive(server, tmp_path):
    assert Sender(server, tmp_path, server.people.authorised_user(READ)).send() is None


def test_a_person_who_allowed_own_files_only_gets_a_folder_made_by_tenarai(server, tmp_path):
    careful = Sender(server, tmp_path, server.people.authorised_user(READ, OWN_FILES))
    for day in range(1, 4):
        careful.send(run=f"2026010{day}-020000-aaaa")
    assert len(careful.folder("Tenarai reports")) == 4
    assert not list(server.tree.children(server.tree.root))


def test_a_service_account_has_no_folder_of_its_own(server, tmp_path):
    with pytest.raises(SettingsError, match="shared drive.*tenarai connect"):
        Sender(server, tmp_path, None, drive_reports="own").send()


def test_reports_of_a_local_folder_go_where_they_are_told_to(server, tmp_path):
    folder = server.tree.add_folder("anywhere", server.tree.my_drive)
    local = Sender(server, tmp_path, server.people.authorised_user(WRITE), drive_reports=folder.id)
    local.source = "folder:/home/ann/handwriting"
    local.send()
    assert sorted(local.folder("anywhere")) == ["20260101-020000-aaaa promoted.html", "report.html"]
    local.settings = local.settings.model_copy(update={"drive_reports": "auto"})
    assert not wants_reports(local.source, local.settings)
    off = local.settings.model_copy(update={"drive_reports": "off"})
    assert not wants_reports(f"drive:{server.tree.root.id}", off)


def test_two_sources_in_one_folder_keep_their_own_reports(server, tmp_path):
    folder = server.tree.add_folder("anywhere", server.tree.my_drive)
    sender = Sender(server, tmp_path, server.people.authorised_user(WRITE), drive_reports=folder.id)
    first = sender.send(html="one")
    sender.source = "folder:/other"
    assert sender.send(html="two").link != first.link
    assert len([1 for item in server.tree.children(folder)]) == 4


def test_what_drive_refuses_is_an_error_that_says_what_to_do(ann):
    ann.server.tree.folder("reports")
    honest = ann.server.api._see

    def refuse(request, file_id, **options):
        if options.get("write"):
            raise Refused(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")
        return honest(request, file_id, **options)

    ann.server.api._see = refuse
    with pytest.raises(SourceError, match="free storage"):
        ann.send()


def test_looking_for_the_place_needs_no_right_to_write(server, tmp_path):
    settings = settings_for(server, tmp_path)
    server.tree.root.shares[ROBOT] = "writer"
    source = f"drive:{server.tree.root.id}"
    assert find_destination(source, settings, open_drive(settings)) is None  # no space in My Drive
    server.tree.root.owner = ANN
    settings = settings_for(server, tmp_path, server.people.authorised_user(WRITE))
    assert find_destination(source, settings, open_drive(settings)).name == "reports"
