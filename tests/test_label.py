"""The label page: what it asks, what a tap does to the folder, and what other pages and odd folders cannot do."""

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from html import escape, unescape
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from tenarai.catalogue import locate_catalogue, open_catalogue
from tenarai.evaluate.inbox import read_inbox
from tenarai.evaluate.predictions import champion_id
from tenarai.label.app import login_key, make_app
from tenarai.prepare import prepare_images
from tenarai.records import EventKind, Suspect
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.sync import open_source
from tests.browser import chromium, listen
from tests.collections_of_digits import fill, picture, real_digits, save
from tests.drives import settings_for
from tests.stand_in import ROBOT, StandInDrive

LOGIN = "tenarai:a-password"
HOSTILE = "<img src=x onerror=alert(1)> '\"&.png"


class Collection:
    """A source whose files were synced and read, as after a night; no model is loaded."""

    def __init__(self, settings):
        self.settings = settings
        self.store = open_store(settings.store)

    def night(self, suspects=()):
        """Sync, read the inbox as 4 with growing confidence, and report suspects (path, read as)."""
        source, settings = self.settings.source, self.settings
        with self.catalogue() as catalogue:
            open_source(settings).sync(self.store, catalogue, "r1")
            prepare_images(self.store, catalogue, source, settings)
            images = {image.path: image for image in catalogue.images(source)}
            inbox = sorted(path for path in images if path.startswith("inbox/"))
            reads = {images[path].sha256: ("4", 0.5 + n / 100) for n, path in enumerate(inbox)}
            catalogue.put_predictions(champion_id(self.store), reads)
            found = [Suspect(p, images[p].sha256, images[p].label, "label", read, 0.97) for p, read in suspects]
            catalogue.put_night("r1", source, {"suspects": [asdict(suspect) for suspect in found]})

    def catalogue(self):
        return open_catalogue(locate_catalogue(self.settings, self.store))

    def answers(self):
        with self.catalogue() as catalogue:
            return catalogue.answers(self.settings.source)

    def inbox(self):
        """Paths in the order in which the report lists them."""
        with self.catalogue() as catalogue:
            return [case.path for case in read_inbox(self.store, catalogue, self.settings.source)]

    def files(self):
        """Paths in the folder with their bytes."""
        root = Path(self.settings.source.removeprefix("folder:"))
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@contextmanager
def served(settings, **given):
    """The page over real HTTP."""
    server = uvicorn.Server(uvicorn.Config(make_app(settings, **given), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


class Person:
    """Someone who uses the page without script: reads it, and sends its forms."""

    def __init__(self, url, **given):
        self.client = httpx.Client(base_url=url, follow_redirects=True, **given)
        self.page = self.client.get("").text

    def field(self, name):
        return unescape(re.search(f'name="{name}" value="([^"]*)"', self.page)[1])

    def press(self, do, **given):
        form = {"token": self.field("token"), "do": do, **given}
        if do != "undo":
            form.setdefault("file", self.field("file"))
        self.page = self.client.post("answer", data=form).text
        return self.page

    def tap(self, label, **given):
        return self.press("file", label=label, **given)

    @property
    def notice(self):
        return unescape(re.search(r'role="status">(.*?)</p>', self.page, re.DOTALL)[1]).strip()


@pytest.fixture
def collection(tmp_path):
    folder = fill(tmp_path / "folder", num_each=2, labels="0149")
    _, targets = real_digits()
    for n, row in enumerate(np.flatnonzero(targets == 4)[10:14]):
        save(folder / "inbox" / f"{n}.png", picture(int(row)))
    save(folder / "digits" / "9" / "wrong.png", picture(int(np.flatnonzero(targets == 4)[20])))
    made = Collection(Settings(_env_file=None, source=f"folder:{folder}", store=str(tmp_path / "store")))
    made.night([("digits/9/wrong.png", "4")])
    return made


@pytest.fixture
def url(collection):
    with served(collection.settings) as url:
        yield url


# ---- what it asks and what a tap does


def test_labels_to_check_come_first_then_the_inbox_from_the_least_sure(collection, url):
    person = Person(url)
    asked = [person.field("file")]
    assert "Is this 9?" in person.page
    assert "5 to look at" in person.page
    for _ in range(4):
        person.press("later")
        asked.append(person.field("file"))
    assert asked == ["digits/9/wrong.png", *collection.inbox()]
    assert asked[1] == "inbox/0.png"
    person.press("later")
    assert person.field("file") == asked[0]  # what was put off comes back after the others


def test_every_tap_moves_one_file_and_nothing_else_and_undo_moves_it_back(collection, url):
    before, person = collection.files(), Person(url)
    person.tap("4")
    assert person.notice == "digits/9/wrong.png → digits/4/wrong.png"
    person.tap("1")
    after = collection.files()
    moved = {"digits/9/wrong.png": "digits/4/wrong.png", "inbox/0.png": "digits/1/0.png"}
    assert after == {moved.get(path, path): data for path, data in before.items()}
    person.press("undo")
    person.press("undo")
    assert collection.files() == before
    assert person.field("file") == "digits/9/wrong.png"
    assert "undo" not in person.page.split("<script")[0].rpartition("</form>")[0].rpartition("<button")[2]


def test_the_guess_is_outlined(url):
    assert re.findall(r'value="(.)" data-key="."[^>]*class="guess"', Person(url).page) == ["4"]


def test_a_label_without_images_gets_its_folder_beside_the_others(collection, url):
    Person(url).tap("7")
    assert "digits/7/wrong.png" in collection.files()


def test_without_a_digits_folder_labels_lie_at_the_top(tmp_path):
    folder = fill(tmp_path / "folder", num_each=3, labels="0149", under="")
    save(folder / "inbox" / "a.png", picture(70))
    collection = Collection(Settings(_env_file=None, source=f"folder:{folder}", store=str(tmp_path / "store")))
    collection.night()
    with served(collection.settings) as url:
        person = Person(url)
        person.tap("7")
        person.press("undo")
        person.tap("4")
    assert "4/a.png" in collection.files()


def test_right_as_it_is_and_not_a_character_are_answers_that_leave_the_file(collection, url):
    before, person = collection.files(), Person(url)
    person.press("confirm")
    assert person.notice == "digits/9/wrong.png is right as it is"
    person.press("aside")
    assert person.notice == "inbox/0.png is not a character and is left out"
    assert collection.files() == before
    assert sorted(collection.answers().values()) == [EventKind.CONFIRMED, EventKind.SET_ASIDE]
    with served(collection.settings) as again:  # answers outlive the page
        assert Person(again).field("file") == collection.inbox()[0] == "inbox/1.png"
    person.press("undo")
    assert person.field("file") == "inbox/0.png"
    assert EventKind.REOPENED in collection.answers().values()


def test_tapping_the_label_that_it_has_confirms_it(collection, url):
    Person(url).tap("9")
    assert list(collection.answers().values()) == [EventKind.CONFIRMED]


def test_a_name_that_is_taken_is_not_overwritten(collection, url):
    root = Path(collection.settings.source.removeprefix("folder:"))
    (root / "digits" / "4" / "wrong.png").write_bytes(b"another")
    Person(url).tap("4")
    files = collection.files()
    assert files["digits/4/wrong.png"] == b"another"
    assert "digits/4/wrong-2.png" in files


def test_at_the_end_it_says_so(url):
    person = Person(url)
    for _ in range(5):
        person.press("aside")
    assert "All done" in person.page
    assert person.press("undo") != person.page or "What is this?" in person.page


# ---- a folder that changes underneath


def test_a_file_that_vanished_is_skipped_and_one_that_changed_is_left_alone(collection, url):
    root = Path(collection.settings.source.removeprefix("folder:"))
    person = Person(url)
    changed = root / "digits" / "9" / "wrong.png"
    changed.write_bytes(b"other content")
    person.tap("4")
    assert "was changed, moved or deleted since the last sync" in person.notice
    assert changed.read_bytes() == b"other content"
    (root / "inbox" / "0.png").unlink()
    person.page = person.client.get("").text
    assert person.field("file") in {"inbox/1.png", "inbox/2.png", "inbox/3.png"}
    assert "3 to look at" in person.page


def test_a_second_tap_on_the_same_image_does_nothing(collection, url):
    person = Person(url)
    first = person.field("file")
    person.tap("4")
    files = collection.files()
    person.tap("1", file=first)
    assert person.notice == "this image was answered already"
    assert collection.files() == files


def test_undo_does_not_overwrite_what_took_the_old_place(collection, url):
    root = Path(collection.settings.source.removeprefix("folder:"))
    person = Person(url)
    person.tap("4")
    (root / "digits" / "9" / "wrong.png").write_bytes(b"new")
    person.press("undo")
    assert "cannot be moved back" in person.notice
    assert collection.files()["digits/9/wrong.png"] == b"new"
    assert "digits/4/wrong.png" in collection.files()


def test_it_works_while_a_night_holds_the_store(collection, url):
    with collection.store.lock():
        person = Person(url)
        person.press("confirm")
        person.tap("4")
    assert "digits/4/0.png" in collection.files()


def test_hostile_names_are_text_and_lead_nowhere(tmp_path):
    folder = fill(tmp_path / "folder", num_each=2, labels="04")
    save(tmp_path / "outside.png", picture(3))
    save(folder / "inbox" / "x.png", picture(44)).rename(folder / "inbox" / HOSTILE)
    (folder / "inbox" / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "digits" / "..escape").mkdir()
    collection = Collection(Settings(_env_file=None, source=f"folder:{folder}", store=str(tmp_path / "store")))
    collection.night()
    with served(collection.settings) as url:
        person = Person(url)
        assert HOSTILE not in person.page
        assert escape(f"inbox/{HOSTILE}") in person.page.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
        for label in ("..", "../..", "a/b", "/etc", "nowhere"):
            person.tap(label)  # not one of the labels to choose from
            assert f"inbox/{HOSTILE}" in collection.files()
        for file in ("../outside.png", "inbox/link.png", "/etc/passwd"):
            person.tap("4", file=file)
            assert person.notice == "this image was answered already"
        person.tap("4")
        assert f"digits/4/{HOSTILE}" in collection.files()
    assert (tmp_path / "outside.png").exists()
    assert (folder / "inbox" / "link.png").is_symlink()


# ---- other pages, other people


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:80", "origin": "http://evil.example:80"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
def test_other_sites_are_refused(collection, url, headers):
    files, person = collection.files(), Person(url)
    form = {"token": person.field("token"), "file": person.field("file"), "do": "file", "label": "4"}
    answer = httpx.post(f"{url}answer", data=form, headers=headers)
    assert answer.status_code == 403
    assert collection.files() == files


def test_a_form_without_the_token_is_refused(collection, url):
    files = collection.files()
    form = {"file": "digits/9/wrong.png", "do": "file", "label": "4"}
    assert httpx.post(f"{url}answer", data=form).status_code == 403
    assert httpx.post(f"{url}answer", data={**form, "token": "guessed"}).status_code == 403
    assert httpx.post(f"{url}answer", content=b"x" * 1_000_000).status_code == 403
    assert collection.files() == files


def test_the_page_may_not_be_framed_and_loads_nothing_from_elsewhere(url):
    answer = httpx.get(url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?!data:)', answer.text)
    assert answer.headers["cache-control"] == "no-store"


def test_opened_to_a_network_it_asks_for_the_password(collection):
    with served(collection.settings, login=LOGIN) as url:
        assert httpx.get(url).status_code == 401
        assert "wrong.png" not in httpx.get(url).text
        assert httpx.post(f"{url}answer", data={"do": "undo"}).status_code == 403
        assert httpx.post(f"{url}login", data={"password": "wrong"}).status_code == 401
        assert httpx.get(f"{url}login?key=wrong").status_code == 401
        with httpx.Client(base_url=url, follow_redirects=True) as browser:
            for password in ("a-password", LOGIN):
                assert "wrong.png" in browser.post("login", data={"password": password}).text
            cookie = browser.cookies.jar._cookies["127.0.0.1"]["/"]["tenarai"]
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert cookie.get_nonstandard_attr("SameSite") == "strict"
            assert "a-password" not in cookie.value
        with httpx.Client(base_url=url, follow_redirects=True) as phone:
            assert "wrong.png" in phone.get(f"login?key={login_key(LOGIN)}").text
            assert "key=" not in str(phone.get("").url)


NIGHT = "20261126-020000-1a2b"


@pytest.fixture
def reports(collection):
    """The page, with a login, of a store with one report."""
    for name in ("report.html", "sheet.pdf", "report.json"):
        collection.store.write(name.encode(), "reports", NIGHT, name)
    collection.store.write(f"{NIGHT}\n".encode(), "reports", "latest")
    with served(collection.settings, login=LOGIN) as url:
        yield url


def test_reports_open_after_the_login_which_leads_back_to_them(reports):
    page = f"{reports}reports/{NIGHT}/report.html"
    assert httpx.get(page).status_code == 401
    assert "report.html" not in httpx.get(page).text
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.post(page, data={"password": "wrong"}).status_code == 401
        answer = browser.post(page, data={"password": "a-password"})
        assert (str(answer.url), answer.text) == (page, "report.html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["content-type"].startswith("text/html")
        assert browser.get(f"{reports}reports/{NIGHT}/sheet.pdf").headers["content-type"] == "application/pdf"
        assert browser.get(f"{reports}reports/latest/report.html").text == "report.html"
        assert browser.delete(page).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        f"{NIGHT}/report.json",  # is there, and is no page
        f"{NIGHT}/summary.png",  # is not there
        f"{NIGHT}/..%2f..%2fstore.json",
        "..%2f..%2f/store.json",
        "%2e%2e/store.json",
        "latest%00/report.html",
        f"{NIGHT}%2f..%2f{NIGHT}/report.html",
        f"../reports/{NIGHT}/report.json",
        "20261126-020001-1a2b/report.html",
    ],
)
def test_nothing_but_the_known_files_of_a_night_is_served(reports, path):
    with httpx.Client(cookies={"tenarai": login_key(LOGIN)}) as browser:
        assert browser.get(f"{reports}reports/{path}").status_code == 404


def test_a_store_that_cannot_be_opened_is_named_in_the_page(tmp_path):
    (tmp_path / "store").write_text("a file")
    with served(Settings(_env_file=None, source=f"folder:{tmp_path}", store=str(tmp_path / "store"))) as url:
        answer = httpx.get(url)
        assert answer.status_code == 500
        assert str(tmp_path / "store") in answer.text


# ---- Google Drive


@pytest.fixture
def drive():
    with StandInDrive() as server:
        yield server


def on_drive(server, tmp_path):
    """A folder on the stand-in with one image to file and one wrong label."""
    _, targets = real_digits()
    four = np.flatnonzero(targets == 4)
    for label in "04":
        for n, row in enumerate(np.flatnonzero(targets == int(label))[:2]):
            server.tree.put(f"digits/{label}/{n}.png", save(tmp_path / "x.png", picture(int(row))).read_bytes())
    for n, row in enumerate(four[10:12]):
        server.tree.put(f"inbox/{n}.png", save(tmp_path / "x.png", picture(int(row))).read_bytes())
    settings = settings_for(server, tmp_path, source=f"drive:{server.tree.root.id}", store=str(tmp_path / "store"))
    collection = Collection(settings)
    collection.night()
    return collection


def places(tree):
    """Where each file lies, by name."""
    by_id = tree.items
    return sorted(f"{by_id[item.parents[0]].name}/{item.name}" for item in by_id.values() if item.data is not None)


def test_on_drive_the_moves_arrive_and_undo_takes_them_back(drive, tmp_path):
    collection = on_drive(drive, tmp_path)
    drive.tree.root.shares[ROBOT] = "writer"
    before = places(drive.tree)
    with served(collection.settings) as url:
        person = Person(url)
        assert "drive.google.com/file/d/" in person.page
        person.tap("4")
        assert person.notice == "inbox/0.png → digits/4/0.png"
        drive.tree.folder("digits/7")
        person.tap("7")
        assert person.notice == "inbox/1.png → digits/7/1.png"
        expected = [path.replace("inbox/0", "4/0").replace("inbox/1", "7/1") for path in before]
        assert places(drive.tree) == sorted(expected)
        person.press("undo")
        person.press("undo")
    assert places(drive.tree) == before


def test_where_the_account_can_make_no_folder_it_says_which_one_to_make(drive, tmp_path):
    collection = on_drive(drive, tmp_path)
    drive.tree.root.shares[ROBOT] = "writer"  # a service account may edit, but owns nothing in My Drive
    with served(collection.settings) as url:
        person = Person(url)
        person.tap("7")
        assert "the folder 7 cannot be made on Google Drive" in person.notice
        drive.tree.folder("digits/7")
        person.tap("7")
        assert person.notice == "inbox/0.png → digits/7/0.png"


def test_a_drive_that_may_only_be_read_says_how_to_allow_it_and_how_to_move_by_hand(drive, tmp_path):
    collection = on_drive(drive, tmp_path)
    before = places(drive.tree)
    with served(collection.settings) as url:
        person = Person(url)
        person.tap("4")
        assert "may not move files on Google Drive" in person.notice
        assert "as Editor, or move inbox/0.png by hand" in person.notice
        person.press("aside")
        assert person.field("file") != "inbox/0.png"
    assert places(drive.tree) == before


def test_a_file_that_moved_on_drive_is_skipped(drive, tmp_path):
    collection = on_drive(drive, tmp_path)
    moved = next(
        item
        for item in drive.tree.items.values()
        if item.name == "0.png" and item.data is not None and drive.tree.items[item.parents[0]].name == "inbox"
    )
    drive.tree.move(moved, drive.tree.folder("digits/4"))
    with served(collection.settings) as url:
        assert "inbox/1.png" in Person(url).page


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def many(tmp_path):
    folder = fill(tmp_path / "folder", num_each=2)
    _, targets = real_digits()
    for n, row in enumerate(np.flatnonzero(targets >= 0)[300:330]):
        save(folder / "inbox" / f"{n:02}.png", picture(int(row)))
    made = Collection(Settings(_env_file=None, source=f"folder:{folder}", store=str(tmp_path / "store")))
    made.night()
    return made


@pytest.mark.ui
@pytest.mark.parametrize("way", ["taps", "keys"])
def test_twenty_images_are_filed_in_under_thirty_seconds(browser, many, way):
    before = many.files()
    with served(many.settings) as url:
        page = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
        complaints, _requests = listen(page)
        page.goto(url)
        start, moved = time.monotonic(), {}
        for n in range(20):
            path, label = page.locator("input[name=file]").first.input_value(), str(n % 10)
            moved[path] = f"digits/{label}/{path.removeprefix('inbox/')}"
            if way == "taps":
                page.locator(f"button[value='{label}']").tap()
            else:
                page.keyboard.press(label)
            page.wait_for_function("path => document.querySelector('input[name=file]')?.value !== path", arg=path)
        seconds = time.monotonic() - start
        page.keyboard.press("Backspace")
        page.wait_for_function("text => document.body.innerText.includes(text)", arg="undone")
    last = list(moved)[-1]
    expected = {path: target for path, target in moved.items() if path != last}
    assert many.files() == {expected.get(path, path): data for path, data in before.items()}
    assert seconds < 30
    assert complaints == []


@pytest.mark.ui
@pytest.mark.parametrize("size", [(320, 640), (390, 844), (1280, 900)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_buttons_are_large_enough_for_a_thumb_and_nothing_scrolls_sideways(browser, collection, size, scheme):
    with served(collection.settings) as url:
        page = browser.new_context(
            viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme
        ).new_page()
        page.goto(url)
        boxes = [button.bounding_box() for button in page.locator("button").all()]
        assert len(boxes) == 13
        assert all(box["width"] >= 44 and box["height"] >= 44 for box in boxes)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert max(box["y"] + box["height"] for box in boxes) <= max(size[1], 844)
        assert page.locator("img").evaluate("image => image.naturalWidth") > 0


@pytest.mark.ui
def test_a_hostile_page_files_nothing(browser, collection):
    """A page of another origin sends the form, with and without script, and tries to frame the page."""
    files = collection.files()
    with served(collection.settings) as url:
        evil = f"""<form method=post action="{url}answer"><input name=do value=file><input name=label value=4>
            <input name=file value="digits/9/wrong.png"></form><iframe src="{url}"></iframe>
            <script>fetch("{url}answer", {{method: "POST", mode: "no-cors", body: new URLSearchParams({{do: "file",
            label: "4", file: "digits/9/wrong.png"}})}}).finally(() => document.forms[0].submit())</script>"""
        page = browser.new_page()
        page.route("http://evil.example/", lambda route: route.fulfill(body=evil, content_type="text/html"))
        page.goto("http://evil.example/")
        page.wait_for_url(f"{url}answer")
        assert "another site" in page.content()
    assert collection.files() == files
