"""The report: true, whole, offline, and unmoved by what strangers write into file names."""

import json
import re
from dataclasses import replace
from html import escape as escape_html
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tenarai.errors import StoreError
from tenarai.orchestration.artifacts import per_digit_rows, regression_rows
from tenarai.records import (
    CAUSES,
    Case,
    Change,
    Decision,
    Explanation,
    Prediction,
    Rejection,
    Suspect,
)
from tenarai.report import build_report, write_report
from tenarai.report.contact_sheet import Cell, draw_contact_sheet
from tenarai.report.plots import drawable
from tenarai.report.texts import TEXTS
from tenarai.report.view import make_view
from tenarai.store import open_store
from tests.nights import NoPictures, night

LOST = Case("digits/4/l.png", "f" * 64, "4", Prediction("4", 0.9, False), Prediction("9", 0.6, True), "lost")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture(scope="module")
def report():
    return build_report(night(), NoPictures())


def html(report):
    return report.files["report.html"].decode()


def test_the_page_opens_without_a_network_and_without_scripts(report):
    page = Page(html(report))
    assert "script" not in page.tags
    addresses = [value for name, value in page.attributes if name in {"src", "srcset", "href"}]
    assert not [address for address in addresses if not address.startswith(("data:", "#"))]
    assert not [k for k, _ in page.attributes if k.startswith("on")]


def test_every_picture_has_words_for_those_who_cannot_see_it(report):
    page = Page(html(report))
    assert page.tags.count("img") == sum(1 for name, value in page.attributes if name == "alt" and value)


def test_names_of_files_are_text_and_nothing_else(report):
    assert "<script>" not in html(report)
    assert "&lt;script&gt;" in html(report)
    assert "<script>" not in report.markdown
    assert "](javascript" not in report.markdown
    assert "\u202e" not in report.markdown


def test_the_verdict_comes_first_and_the_numbers_say_on_how_many_images(report):
    text = re.sub(r"<style>.*?</style>", "", html(report), flags=re.S)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert text.index("won 9 and lost 1") < text.index("95.0 %")
    assert "19 of 20" in text


def test_report_json_holds_what_the_design_promises(report):
    found = json.loads(report.files["report.json"])
    assert found["verdict"] == "promoted"
    assert found["accuracy"] == {
        "champion": 0.9,
        "challenger": 0.95,
        "num_images": 20,
        "interval": {"champion": [0.7, 0.97], "challenger": [0.76, 0.99]},
    }
    assert found["regression_set"][0]["status"] == "fixed"
    assert found["num_rejected"] == 1
    assert found["seconds"] == {"sync": 0.1, "train": 2.0}


def test_the_plots_are_pngs_and_the_same_night_gives_the_same_bytes(report):
    assert {"accuracy.png", "loss.png", "confusion.png", "history.png"} <= set(report.files)
    for name, data in report.files.items():
        if name.endswith(".png"):
            assert data.startswith(b"\x89PNG")
    assert build_report(night(), NoPictures()).files == report.files


def test_a_night_with_thousands_of_images_still_fits_an_artifact_and_a_phone():
    cases = tuple(
        Case(f"misread/4/{n}.png", f"{n:064}", "4", Prediction("5", 0.7, True), None, "still misread")
        for n in range(3000)
    )
    inbox = tuple(Case(f"inbox/{n}.png", f"{n:064}", "", Prediction("5", 0.5, True)) for n in range(3000))
    rejections = tuple(Rejection(f"digits/1/{n}.png", "the file is empty") for n in range(3000))
    report = build_report(night(regression=cases, inbox=inbox, rejections=rejections), NoPictures())
    assert len(report.markdown.encode()) < 500_000
    assert len(report.files["report.html"]) < 3_000_000


def test_a_quiet_night_has_a_page_too():
    quiet = night(
        decision=Decision("nothing new", "unchanged"),
        challenger="",
        challenger_score=None,
        pairs=None,
        confusion=(),
        confusion_labels=(),
        fresh=None,
        regression=(),
        inbox=(),
        rejections=(),
        curves=None,
        history=(),
    )
    assert "Nothing new" in html(build_report(quiet, NoPictures()))


def test_both_languages_have_the_same_texts_with_the_same_places():
    assert set(TEXTS["en"]) == set(TEXTS["ja"])
    for key, text in TEXTS["en"].items():
        places = re.compile(r"\{(\w+)")
        assert sorted(places.findall(text)) == sorted(places.findall(TEXTS["ja"][key])), key


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_the_gate_may_give_has_its_sentence(language, cause):
    facts = {"won": 3, "lost": 1, "num_images": 90, "p": 0.0312, "path": "misread/4/a.png", "model": "m-1"}
    facts |= {"read_as": "9", "bound": 0.019, "risk": 0.05, "look": 3} | {
        "num_learned": 60,
        "num_learned_before": 40,
        "num_more": 2,
    }
    reason = make_view(night(decision=Decision("kept", cause, facts)), language).because()
    assert len(reason) > 10
    assert "{" not in reason


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground_in_both_colour_schemes(scheme):
    css = (Path(__file__).parents[1] / "tenarai/report/templates/report.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))
    for ground in ("paper", "card"):
        for word in ("ink", "soft", "good", "bad", "calm"):
            assert contrast(colours[word], colours[ground]) >= 4.5, (word, ground)  # WCAG 2.2, AA
    for mark in ("mark-good", "mark-bad"):
        assert contrast(colours["ink"], colours[mark]) >= 4.5


def contrast(one, other):
    def luminance(colour):
        channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_table_has_headers_and_every_list_of_numbers_its_interval(report):
    page = html(report)
    for table in re.findall(r"<table.*?</table>", page, re.S):
        assert '<th scope="' in table
    assert "76.0 %" in page
    assert "99.0 %" in page


def test_plots_show_kana_as_kana():
    assert drawable(("あ", "ん", "4")) == ["あ", "ん", "4"]
    assert drawable(("4", "\u0f40")) == ["#1", "#2"]  # Tibetan, which neither font has


def test_a_page_of_a_thousand_noisy_photos_stays_small_and_says_what_it_left_out():
    rng = np.random.default_rng(0)

    class Noisy:
        def thumbnail(self, sha256):
            import cv2

            return cv2.imencode(".jpg", rng.integers(0, 256, (96, 96, 3), np.uint8))[1].tobytes()

        def digit(self, sha256):
            return rng.integers(0, 256, (28, 28), np.uint8)

    sure = Prediction("5", 0.7, True)
    shas = [f"{n:064}" for n in range(1000)]
    cases = tuple(Case(f"misread/4/{s}.png", s, "4", sure, sure, "still misread") for s in shas)
    explained = tuple(Explanation(s, tuple((other, "4") for other in shas[:5]), bytes(196)) for s in shas)
    inbox = tuple(Case(f"inbox/{s}.png", s, "", sure) for s in shas)
    report = build_report(night(regression=cases, inbox=inbox, explanations=explained), Noisy())
    assert len(report.files["report.html"]) < 3_000_000
    assert "and 880 more" in html(report)
    assert len(report.markdown.encode()) < 500_000


def test_thanks_tell_what_the_champion_had_read():
    filed = (
        Case("digits/4/a.png", "a" * 64, "4", was_read_as="4"),
        Case("digits/7/b.png", "b" * 64, "7", was_read_as="1"),
        Case("misread/9/c.png", "c" * 64, "9", was_read_as="9"),
    )
    told = html(build_report(night(filed=filed), NoPictures()))
    assert "you filed 3. The champion had read 2 of them right." in told
    assert "had been read as 1" in told


def test_what_a_challenger_reads_that_was_not_promoted_fixes_nothing():
    kept = html(
        build_report(
            night(decision=Decision("kept", "unsure", {"won": 3, "lost": 0, "num_images": 90, "p": 0.0625})),
            NoPictures(),
        )
    )
    assert "fixed tonight" not in kept
    assert "the challenger reads it" in kept


def test_what_the_exam_found_out_is_shown_and_nothing_where_it_found_nothing(report):
    found = html(
        build_report(
            night(
                newly_found=(Case("digits/4/n.png", "d" * 64, "4", Prediction("9", 0.8, False)),),
                suspects=(Suspect("digits/4/s.png", "e" * 64, "4", "label", "9", 0.98),),
                changes=(Change("setting", "max_epochs", "60", "25"),),
                disputed=(LOST,),
                explanations=(Explanation("a" * 64, (("b" * 64, "9"),), bytes(range(196))),),
            ),
            NoPictures(),
        )
    )
    titles = ["New tonight, and misread", "Please look at these", "What changed since"]
    for title in (*titles, "To the model it looks like", "Won and lost"):
        assert title in found
        assert title not in html(report)


def test_what_the_verdict_rests_on_is_told_image_by_image():
    report = build_report(night(disputed=(LOST, replace(LOST, challenger=LOST.champion, status="won"))), NoPictures())
    told = json.loads(report.files["report.json"])["disputed"]
    assert [(item["path"], item["champion"]["label"], item["challenger"]["label"]) for item in told] == [
        ("digits/4/l.png", "4", "9"),
        ("digits/4/l.png", "4", "4"),
    ]
    assert [item["status"] for item in told] == ["lost", "won"]
    assert "lost" in report.markdown.split("Won and lost")[1]


def test_the_next_practice_sheet_is_linked_where_there_is_one():
    offered = html(build_report(night(sheet="sheet.pdf"), NoPictures()))
    assert 'href="sheet.pdf"' in offered
    assert "What to write next" in offered
    assert "sheet.pdf" not in html(build_report(night(), NoPictures()))


def test_in_japanese_the_page_says_so_and_reads_so():
    page = build_report(night(), NoPictures(), language="ja").files["report.html"].decode()
    assert '<html lang="ja">' in page
    assert "学習の経過" in page


def test_the_newest_report_is_named_only_when_it_is_whole(tmp_path, report, monkeypatch):
    store = open_store(str(tmp_path / "store"))
    write_report(store, "first", report)
    write = type(store).write

    def fail_at_the_end(self, data, *parts):
        if parts[-1] == "report.json":
            raise StoreError("the disk is full")
        write(self, data, *parts)

    monkeypatch.setattr("tenarai.store.Store.write", fail_at_the_end)
    with pytest.raises(StoreError):
        write_report(store, "second", report)
    assert store.read("reports", "latest") == b"first\n"


def test_the_tables_in_the_ui_count_by_label_and_list_the_regression_set():
    assert per_digit_rows(night())[0] == {
        "written": "4",
        "images": 10,
        "right": 9,
        "share": "90.0%",
        "95 % interval": "59.6% – 98.2%",
        "taken for": "5 (1)",
    }
    assert regression_rows(night())[0]["challenger reads"] == "4"


def test_a_contact_sheet_shows_each_picture_above_its_digit():
    import cv2

    cells = [Cell(np.full((50, 90, 3), 10 * n, np.uint8), np.zeros((28, 28), np.uint8), f"{n} あ") for n in range(12)]
    sheet = cv2.imdecode(np.frombuffer(draw_contact_sheet(cells), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape[1] > 10 * 96
    assert sheet.shape[0] > 2 * 2 * 96


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "a | b | c.png",
        "[press](http://evil.example) ![x](y) *a* _b_ `c` ~~d~~",
        "# no heading &#40; &copy; <https://evil.example> \\ end",
        "1. no list",
    ],
)
def test_a_name_shows_in_markdown_as_it_is_written(name):
    from markdown_it import MarkdownIt

    from tenarai.report.markdown import escape

    shown = MarkdownIt("gfm-like", {"linkify": False}).render(f"| file |\n| --- |\n| {escape(name)} |\n")
    assert f"<td>{escape_html(name, quote=False)}</td>" in shown.replace("&quot;", '"')
