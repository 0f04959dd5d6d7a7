"""The report as a browser shows it: on a phone and on a laptop, by day and by night, offline, and on paper."""

import re

import pytest

from tenarai.records import Case, Prediction, Rejection, Suspect
from tenarai.report import build_report
from tests.browser import chromium, listen
from tests.nights import RealDigits, busy_night, quiet_night, sha

pytestmark = pytest.mark.ui
HOSTILE = "<img src=x onerror=alert(1)>.png"
MARKDOWN = "inbox/*bold* _x_ [link](javascript:alert(1)) | `code`.png"
LONG = "inbox/" + "a_very_long_name_without_any_place_to_break_" * 5 + ".png"
PHONE, SMALL, LAPTOP = (390, 844), (320, 640), (1280, 900)
SCHEMES = ["light", "dark"]


def hostile_night():
    sure = Prediction("9", 0.93, False)
    names = (f"inbox/{HOSTILE}", MARKDOWN, LONG)
    inbox = tuple(Case(name, sha(n), "", sure) for n, name in enumerate(names, start=40))
    word = "x" * 64  # the longest label
    suspects = (Suspect(f"digits/{word}/a.png", sha(32), word, "duplicate", "", 0.0, LONG, sha(35)),)
    return busy_night(
        inbox=inbox, suspects=suspects, rejections=(Rejection(f"digits/1/{HOSTILE}", "the file is empty"),)
    )


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports as files: a busy night in both languages, a quiet one, and one with hostile names."""
    folder = tmp_path_factory.mktemp("report")
    nights = {"en": busy_night(), "ja": busy_night(), "quiet": quiet_night(), "hostile": hostile_night()}
    for name, one in nights.items():
        language = "ja" if name == "ja" else "en"
        report = build_report(one, RealDigits(), language=language, sheet=b"%PDF-1.4")
        (folder / f"{name}.html").write_bytes(report.files["report.html"])
    return folder


@pytest.fixture
def show(browser, pages):
    """Open a page offline, check what holds for all, and give it for more."""
    contexts = []

    def open_page(name, size, scheme="light", *, unfolded=False):
        context = browser.new_context(
            viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        complaints, requests = listen(page)
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto((pages / f"{name}.html").as_uri())
        if unfolded:
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert complaints == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        return page

    yield open_page
    for context in contexts:
        context.close()


def widths_of_pictures(page):
    """Widths in CSS pixels of the pictures that are shown."""
    return page.evaluate(
        "[...document.images].filter(i => i.checkVisibility()).map(i => i.getBoundingClientRect().width)"
    )


@pytest.mark.parametrize("name", ["en", "ja", "quiet", "hostile"])
@pytest.mark.parametrize("size", [PHONE, SMALL, LAPTOP])
def test_every_picture_can_be_seen_and_nothing_is_wider_than_the_screen(show, name, size):
    page = show(name, size, unfolded=True)
    assert page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)") == []
    widths = widths_of_pictures(page)
    assert len(widths) > 20
    assert min(widths) >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("name", ["en", "ja", "quiet"])
def test_on_a_phone_a_night_takes_six_screens_and_what_to_do_begins_on_the_first(show, name):
    page = show(name, PHONE)
    assert page.evaluate("document.documentElement.scrollHeight") <= 6 * PHONE[1]
    for part in ("h1", ".number", "#today h2", "#labels h3"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] < PHONE[1], part


@pytest.mark.parametrize("name", ["en", "ja"])
def test_what_can_be_touched_is_as_large_as_a_finger(show, name):
    page = show(name, PHONE)
    boxes = page.evaluate(
        "[...document.querySelectorAll('summary, a, button')].filter(one => one.checkVisibility())"
        ".map(one => [one.getBoundingClientRect().height, one.textContent])"
    )
    assert [text for height, text in boxes if height < 44] == []


def test_a_tap_enlarges_a_picture_and_another_closes_it(show):
    page = show("en", PHONE)
    picture = page.locator("#hard-cases .shots").first
    small = picture.locator("img").first.bounding_box()["width"]
    assert not picture.locator(".about").is_visible()
    picture.get_by_role("button", name="Enlarge").click()
    assert picture.locator("img").first.bounding_box()["width"] > 2 * small
    assert picture.locator(".about").is_visible()
    assert picture.get_by_alt_text("What the prediction depends on").bounding_box()["width"] >= 40
    page.get_by_role("button", name="Close").click()
    assert page.locator(":popover-open").count() == 0
    assert picture.locator("img").first.bounding_box()["width"] == small


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_and_its_plots_follow_the_colour_scheme(show, scheme):
    page = show("en", PHONE, scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert is_light(ground) == (scheme == "light")
    ink = page.evaluate("getComputedStyle(document.querySelector('header svg text')).fill")
    assert is_light(ink) == (scheme == "dark")


def is_light(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) > 3 * 128


def test_the_text_of_plots_is_as_large_as_notes_on_a_phone(show):
    page = show("en", PHONE, unfolded=True)
    heights = page.evaluate("[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height)")
    assert len(heights) > 15
    assert min(heights) >= 11


def test_names_show_as_they_are_written(show):
    page = show("hostile", LAPTOP)
    shown = page.evaluate("document.body.textContent")
    for name in (f"inbox/{HOSTILE}", f"digits/1/{HOSTILE}", MARKDOWN, LONG):
        assert name in shown
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0


def test_the_practice_sheet_is_downloaded_from_the_page_itself(show):
    page = show("en", PHONE)
    with page.expect_download() as download:
        page.get_by_text("Practice sheet").click()
    assert download.value.suggested_filename == "sheet.pdf"
    assert download.value.path().read_bytes() == b"%PDF-1.4"


def test_it_is_printed_in_ink_on_white_whatever_the_screen_is_set_to(show):
    page = show("en", LAPTOP, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not is_light(page.evaluate("getComputedStyle(document.body).color"))
    assert page.pdf(format="A4").startswith(b"%PDF")
