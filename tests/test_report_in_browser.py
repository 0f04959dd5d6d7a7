"""The report as a browser shows it: on a phone and on a laptop, by day and by night, offline, and on paper."""

import re

import cv2
import numpy as np
import pytest

from tenarai.records import (
    Case,
    Decision,
    Explanation,
    Prediction,
    Rejection,
)
from tenarai.report import build_report
from tests.browser import chromium, listen
from tests.collections_of_digits import picture
from tests.nights import night

pytestmark = pytest.mark.ui
MARKDOWN = "inbox/*bold* _x_ [link](javascript:alert(1)) | `code`.png"
HOSTILE = "<img src=x onerror=alert(1)>.png"
LONG = "inbox/" + "a_very_long_name_without_any_place_to_break_" * 5 + ".png"
SIZES = [(390, 844), (1280, 900)]
SCHEMES = ["light", "dark"]


class RealDigits:
    def thumbnail(self, sha256):
        return cv2.imencode(".jpg", picture(int(sha256) % 1700))[1].tobytes()

    def digit(self, sha256):
        return 255 - cv2.resize(picture(int(sha256) % 1700), (28, 28), interpolation=cv2.INTER_AREA)


def sha(number):
    return f"{number:064}"


def told(**given):
    sure = Prediction("9", 0.93, False)
    return night(
        **{
            "decision": Decision("kept", "unsure", {"won": 3, "lost": 0, "num_images": 90, "p": 0.0625}),
            "regression": tuple(
                Case(f"misread/4/{n}.png", sha(n), "4", sure, Prediction("4", 0.8, False), "fixed") for n in range(9)
            ),
            "explanations": (
                Explanation(sha(0), tuple((sha(n), "9") for n in range(5)), np.arange(196, dtype=np.uint8).tobytes()),
            ),
            "newly_found": (Case("digits/4/n.png", sha(20), "4", sure),),
            "filed": (Case("digits/7/b.png", sha(21), "7", was_read_as="1"),),
            "inbox": (
                Case(f"inbox/{HOSTILE}", sha(30), "", Prediction("5", 0.51, True)),
                Case(MARKDOWN, sha(31), "", sure),
                Case(LONG, sha(32), "", sure),
                *(Case(f"inbox/{n}.png", sha(n), "", sure) for n in range(40, 60)),
            ),
            "rejections": (Rejection(f"digits/1/{HOSTILE}", "the file is empty"),),
            **given,
        }
    )


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report in both languages, and a quiet night's, as files."""
    folder = tmp_path_factory.mktemp("report")
    quiet = {"decision": Decision("nothing new", "unchanged"), "challenger": ""}
    quiet |= {"challenger_score": None, "champion_score": None, "pairs": None, "fresh": None, "curves": None}
    nights = {"en": (told(), "en"), "ja": (told(), "ja"), "quiet": (told(confusion=(), **quiet), "en")}
    for name, (one, language) in nights.items():
        report = build_report(one, RealDigits(), language=language)
        (folder / f"{name}.html").write_bytes(report.files["report.html"])
    return folder


@pytest.fixture
def show(browser, pages):
    """Open a page offline, check what holds for all, and give it for more."""
    contexts = []

    def open_page(name, size, scheme):
        context = browser.new_context(
            viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        complaints, requests = listen(page)
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto((pages / f"{name}.html").as_uri())
        for folded in page.locator("details").all():
            folded.evaluate("one => one.open = true")
        assert complaints == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["en", "ja", "quiet"])
def test_every_picture_is_there_and_nothing_is_wider_than_the_screen(show, name, size, scheme):
    page = show(name, size, scheme)
    broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)")
    assert broken == []
    assert page.evaluate("document.images.length") > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_and_its_plots_follow_the_colour_scheme(show, scheme):
    page = show("en", SIZES[0], scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) > 3 * 128) == (scheme == "light")
    shown = page.evaluate("document.querySelector('picture img').currentSrc")
    plain = page.evaluate("document.querySelector('picture img').src")
    assert (shown == plain) == (scheme == "light")


def test_on_a_phone_the_verdict_and_its_reason_are_seen_without_scrolling(show):
    page = show("en", SIZES[0], "light")
    for words in ("Kept", "Not enough evidence", "Thank you: you filed 1."):
        assert page.get_by_text(words).first.bounding_box()["y"] < SIZES[0][1]


def test_names_show_as_they_are_written(show):
    page = show("en", SIZES[1], "light")
    for name in (
        f"inbox/{HOSTILE}",
        f"digits/1/{HOSTILE}",
        "inbox/*bold* _x_ [link](javascript:alert(1)) | `code`.png",
    ):
        assert page.get_by_text(name, exact=True).count() == 1
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0


def test_what_is_at_a_glance_leads_to_where_it_is_told(show):
    page = show("en", SIZES[0], "light")
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


def test_it_is_printed_in_ink_on_white_whatever_the_screen_is_set_to(show):
    page = show("en", SIZES[1], "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    red, green, blue = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).color")))
    assert max(red, green, blue) < 80
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_japanese_is_shown_in_japanese(show):
    page = show("ja", SIZES[0], "light")
    assert page.get_by_role("heading", name="続投").count() == 1
    assert page.get_by_text("ファイルが空です").count() == 1
