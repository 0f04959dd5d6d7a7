"""The report: true, whole, offline, and unmoved by what strangers write into file names."""

import json
import re
from dataclasses import replace
from html import escape as escape_html
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import cv2
import numpy as np
import pytest

from tenarai.errors import StoreError
from tenarai.locale import dump, from_json
from tenarai.records import (
    CAUSES,
    Case,
    CaseStory,
    Decision,
    Explanation,
    Prediction,
    Rejection,
    Score,
    SnapshotInfo,
)
from tenarai.report import build_report, make_view, write_report
from tenarai.report.markdown import escape
from tenarai.report.pictures import draw_strips
from tenarai.store import open_store
from tests.nights import HISTORY, NoPictures, RealDigits, busy_night, night, quiet_night, sha

CSS = (Path(__file__).parents[1] / "tenarai/report/templates/report.css").read_text()


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags and self.tags[-1] != "style":
            self.texts.append(data)


def html(report):
    return report.files["report.html"].decode()


def text(report):
    return re.sub(r"\s+", " ", " ".join(Page(html(report)).texts))


@pytest.fixture(scope="module")
def report():
    return build_report(night(), NoPictures())


@pytest.fixture(scope="module")
def busy():
    return build_report(busy_night(), RealDigits(), sheet=b"%PDF-1.4")


@pytest.fixture(scope="module")
def quiet():
    return build_report(quiet_night(), RealDigits())


def test_the_page_opens_without_a_network_and_without_scripts(busy):
    page = Page(html(busy))
    assert "script" not in page.tags
    addresses = [value for name, value in page.attributes if name in {"src", "srcset", "href", "xlink:href"}]
    assert [address for address in addresses if not address.startswith(("data:", "#"))] == []
    assert [name for name, _ in page.attributes if name.startswith("on")] == []


def test_every_picture_has_words_for_those_who_cannot_see_it(busy):
    page = Page(html(busy))
    assert page.tags.count("img") == sum(1 for name, value in page.attributes if name == "alt" and value) > 40
    assert page.tags.count("svg") == page.tags.count("title") - 1 == 3


def test_names_of_files_are_text_and_nothing_else(report):
    assert "<script>" not in html(report)
    assert "&lt;script&gt;" in html(report)
    for markdown in report.artifacts.values():
        assert "<script>" not in markdown
        assert "](javascript" not in markdown
        assert "\u202e" not in markdown
    assert "javascript" in report.artifacts["inbox"]


def test_verdict_sentence_number_and_tasks_come_first_and_p_values_only_below(busy):
    shown = text(busy)
    order = [
        "New model",
        "Model 5 · 25 Nov reads your handwriting from now on",
        "98.8 %",
        "240 of 243",
        "Today",
        "Check 3 labels",
        "File 20 images",
        "Replace 2 files",
        "Hard cases",
        "Tonight's misread images",
        "Labels with errors",
        "Learning curves",
        "p-value",
    ]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)
    assert "0.019" in shown[places[-1] :]
    assert "0.019" not in shown[: places[-1]]


def test_the_morning_after_a_promotion_headlines_the_same_model_and_number(busy, quiet):
    first, second = (json.loads(report.files["report.json"]) for report in (busy, quiet))
    assert first["champion"] == second["champion"] == "m-e"
    assert first["number"] == second["number"]
    assert first["number"]["num_right"] == 240
    for report in (busy, quiet):
        head = text(report).split("Today")[0]
        assert "Model 5 · 25 Nov" in head
        assert "98.8 %" in head


def test_what_waits_for_a_person_is_listed_on_a_quiet_night_too(quiet):
    shown = text(quiet).split("Hard cases")[0]
    for words in ("Check 3 labels", "digits/4/IMG_2032.png", "File 20 images", "Replace 2 files", "inbox/notes.txt"):
        assert words in shown


def test_when_nothing_is_left_to_do_the_report_says_so():
    done = build_report(quiet_night(suspects=(), inbox=(), rejections=()), RealDigits())
    assert "Nothing to do." in text(done)
    assert "Nothing to do." in done.artifacts["nightly-report"].replace("\\", "")


def test_what_a_stopped_night_asks_for_comes_first_of_what_to_do():
    facts = {"what": "150 of 200 images are gone", "fix": "restore the folder"}
    stopped = build_report(quiet_night(decision=Decision("stopped", "unusual changes", facts)), RealDigits())
    today = text(stopped).split("Today")[1]
    assert today.index("Fix: restore the folder") < today.index("Check 3 labels")
    few = night(decision=Decision("nothing new", "too few", facts | {"received": "1"}), inbox=(), rejections=())
    assert "Nothing to do." not in text(build_report(few, NoPictures()))


def test_each_image_of_tonight_is_shown_once():
    view = make_view(busy_night())
    shown = [tile.sha256 for tile in view.tonight.tiles]
    assert len(shown) == len(set(shown)) == 11
    both = next(tile for tile in view.tonight.tiles if tile.sha256 == sha(21))
    assert (both.caption, both.note, both.tone) == ("1 ✓", "new, before: 7", "good")
    lost = next(tile for tile in view.tonight.tiles if tile.sha256 == sha(31))
    assert lost.tone == "bad"
    assert lost.caption.endswith("→ 4")


def test_a_hard_case_names_the_day_by_the_clock_of_the_report_not_by_that_of_the_nights_name():
    tokyo = {"run": "20261124-170000-ab12", "created": "2026-11-25T02:00:00+09:00"}
    past = {**HISTORY[0], "run": "20261118-170000-ab12"}
    stories = [CaseStory("open", run, "m-a") for run in (tokyo["run"], past["run"], "20261101-170000-gone")]
    cases = tuple(
        replace(case, story=story) for case, story in zip(busy_night().evaluation.regression[3:6], stories, strict=True)
    )
    view = make_view(busy_night(**tokyo, history=(past,), regression=tuple(replace(c, label="x") for c in cases)))
    assert {tile.note for tile in view.hard.tiles} == {
        "misread since 25 Nov",
        "misread since 19 Nov",
        "misread since 1 Nov",
    }


def test_hard_cases_show_what_relapsed_and_what_was_solved_first():
    view = make_view(busy_night())
    notes = [tile.note for tile in view.hard.tiles]
    assert notes[:4] == ["relapsed 22 Nov", "solved tonight", "solved tonight", "misread since 19 Nov"]
    assert view.hard.num_cards == 3
    assert view.hard.note.startswith("12 of 14")


def test_what_a_challenger_reads_that_was_not_promoted_solves_nothing():
    story = CaseStory("open", "20261120-020000-0000", "m-a")
    case = Case(
        "misread/4/a.png", sha(1), "4", Prediction("9", 0.8, False), Prediction("4", 0.9, False), "fixed", "", story
    )
    view = make_view(
        busy_night(decision=Decision("kept", "rolled back", {"model": "m-e"}), champion="m-d", regression=(case,))
    )
    assert [(tile.caption, tile.tone) for tile in view.hard.tiles] == [("4 → 9", "bad")]
    assert view.title == "Model kept"
    assert view.sentence.startswith("Model 4 · 23 Nov goes on reading")
    assert view.number == Score.of(233, 243)


def test_one_sentence_says_what_twice_as_many_images_brought_and_none_where_it_was_not_measured(busy, quiet):
    sentence = (
        "With 118 images it read 95.0 % (95 % interval 86.3 % – 98.3 %) of the same 60 held-out images; with 243 "
        "images it reads 98.3 % (95 % interval 91.1 % – 99.7 %)."
    )
    assert sentence in text(busy)
    assert "of the same 60 held\\-out images" in busy.artifacts["nightly-report"]
    assert "held-out images" not in text(quiet)
    japanese = build_report(busy_night(), NoPictures(), language="ja")
    assert "118 枚で学習したとき 95.0 %（95 % 区間 86.3 % 〜 98.3 %）、243 枚で学習した今は 98.3 %" in text(japanese)


def test_models_are_numbered_in_the_order_in_which_they_were_trained():
    view = make_view(busy_night())
    assert [view.name(model) for model in ("m-a", "m-b", "m-e", "unknown")] == [
        "Model 1 · 19 Nov",
        "Model 2 · 21 Nov",
        "Model 5 · 25 Nov",
        "unknown",
    ]


def test_only_labels_with_errors_are_listed_the_worst_first():
    counts = ((8, 2, 0), (0, 10, 0), (1, 3, 6))
    view = make_view(night(confusion=counts, confusion_labels=("4", "5", "9")))
    assert [(row.label, row.score.num_right, row.taken_for) for row in view.labels] == [
        ("9", 6, (("5", 3), ("4", 1))),
        ("4", 8, (("5", 2),)),
    ]


def test_report_json_holds_what_each_step_found(report):
    found = json.loads(report.files["report.json"])
    assert found["verdict"] == "promoted"
    assert (found["number"]["num_right"], found["number"]["num_images"]) == (19, 20)
    assert found["evaluation"]["champion_score"]["num_right"] == 18
    assert found["evaluation"]["regression"][0]["status"] == "fixed"
    assert len(found["frozen"]["rejections"]) == 1
    assert found["seconds"] == {"sync": 0.1, "train": 2.0}
    assert from_json(found["reason"]).startswith("it won 9 and lost 1")
    assert [from_json(task) for task in found["today"]] == [
        "File 1 image from your inbox",
        "Replace 1 file that could not be used",
    ]


@pytest.mark.parametrize(("labels", "is_asked"), [(("4", "5"), False), (tuple("0123456789ab"), True)])
def test_with_few_images_a_label_more_are_asked_for(labels, is_asked):
    view = make_view(busy_night(info=SnapshotInfo("s-1", labels, 80, 20, 1, 0, 1)))
    first = view.today()[0][1]
    assert first.startswith("Add images: there are 100 of 12 labels") == is_asked


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_same_night_gives_the_same_bytes(language):
    one, other = (build_report(busy_night(), RealDigits(), language=language) for _ in range(2))
    assert one == other


def test_artifacts_link_to_the_report_and_its_files_and_each_task_to_its_place():
    links = {name: f"http://127.0.0.1:4201/reports/n/{name}" for name in ("report.html", "summary.png", "sheet.pdf")}
    overview = build_report(busy_night(), RealDigits(), links=links).artifacts["nightly-report"]
    report = links["report.html"]
    assert f"[Report]({report}) · [Summary picture](" in overview
    assert f"* [File 20 images from your inbox]({report}#inbox)" in overview
    assert "](http" not in build_report(busy_night(), RealDigits()).artifacts["nightly-report"]


def test_a_night_with_thousands_of_images_still_fits_an_artifact_and_a_phone():
    cases = tuple(
        Case(f"misread/4/{n}.png", sha(n), "4", Prediction("5", 0.7, True), None, "still misread") for n in range(3000)
    )
    inbox = tuple(Case(f"inbox/{n}.png", sha(n), "", Prediction("5", 0.5, True)) for n in range(3000))
    rejections = tuple(Rejection(f"digits/1/{n}.png", "the file is empty") for n in range(3000))
    report = build_report(night(regression=cases, inbox=inbox, rejections=rejections), NoPictures())
    assert max(len(markdown.encode()) for markdown in report.artifacts.values()) < 500_000
    assert len(report.files["report.html"]) < 2_000_000
    assert len(report.files["summary.png"]) < 300_000


def test_a_page_of_a_thousand_noisy_photos_stays_small_and_says_what_it_left_out():
    rng = np.random.default_rng(0)

    class Noisy:
        def thumbnail(self, sha256):
            return cv2.imencode(".jpg", rng.integers(0, 256, (160, 160, 3), np.uint8))[1].tobytes()

        def digit(self, sha256):
            return rng.integers(0, 256, (28, 28), np.uint8)

    sure = Prediction("5", 0.7, True)
    shas = [sha(n) for n in range(1000)]
    cases = tuple(Case(f"misread/4/{s}.png", s, "4", sure, sure, "still misread") for s in shas)
    explained = tuple(Explanation(s, tuple((other, "4") for other in shas[:5]), bytes(196)) for s in shas[:24])
    inbox = tuple(Case(f"inbox/{s}.png", s, "", sure) for s in shas)
    report = build_report(night(regression=cases, inbox=inbox, explanations=explained), Noisy())
    assert len(report.files["report.html"]) < 2_000_000
    assert "880 images are not shown." in text(report)
    assert max(len(markdown.encode()) for markdown in report.artifacts.values()) < 500_000
    assert len(report.files["summary.png"]) < 300_000


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_summary_is_as_wide_as_three_phones_and_small(language):
    data = build_report(busy_night(), RealDigits(), language=language).files["summary.png"]
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert width == 1080
    assert 1000 < height < 2600
    assert len(data) < 300_000


def test_the_first_artifact_to_read_is_the_picture_the_number_and_what_to_do(busy):
    markdown = busy.artifacts["nightly-report"].replace("\\", "")
    assert list(busy.artifacts)[-1] == "nightly-report"
    assert markdown.index("data:image/png") < markdown.index("98.8") < markdown.index("Check 3 labels")
    assert set(busy.artifacts) == {
        "nightly-report",
        "hard-cases",
        "won-and-lost",
        "check-labels",
        "inbox",
        "curves",
        "champions",
    }


def test_champions_has_a_line_a_night_the_newest_first(busy):
    lines = [line for line in busy.artifacts["champions"].replace("\\", "").splitlines() if line.startswith("* ")]
    assert len(lines) == 7
    assert lines[0] == "* 25 Nov – New model – Model 5 · 25 Nov – 98.8\u00a0% (240 / 243)"
    assert lines[1] == "* 24 Nov – Nothing new – Model 4 · 23 Nov"  # on which nothing was evaluated


def test_an_image_in_an_artifact_has_what_is_read_why_it_is_there_where_it_lies_and_its_picture(busy):
    first = next(line for line in busy.artifacts["check-labels"].splitlines() if line.startswith("* "))
    words, picture = first.replace("\\", "").split(" ![")
    assert words == "* **4 → 5** · looks like 5 (98.7\u00a0%) · digits/4/IMG_2032.png"
    assert picture.startswith("4](data:image/png;base64,")


def test_files_that_could_not_be_used_are_listed_below_the_task_to_replace_them(busy):
    lines = busy.artifacts["nightly-report"].replace("\\", "").splitlines()
    task = next(n for n, line in enumerate(lines) if line.startswith("* Replace 2 files"))
    assert lines[task + 1 : task + 3] == [
        "    * digits/1/IMG_0001.heic · the file is empty",
        "    * inbox/notes.txt · not an image",
    ]


def test_no_artifact_has_a_table_since_the_older_ui_never_wraps_its_cells(busy):
    assert [key for key, text in busy.artifacts.items() if re.search(r"^\|", text, re.MULTILINE)] == []


def test_a_name_wider_than_a_phone_may_break_and_others_stay_as_they_are():
    assert "\u200b" not in escape("x" * 32 + " " + "y" * 32)
    assert escape("x" * 70).split("\u200b") == ["x" * 32, "x" * 32, "x" * 6]


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_makes_a_whole_sentence_without_a_p_value(cause):
    worded = CAUSES[cause]
    fields = [part for text in (worded.reason, worded.several, worded.promise) for part in Formatter().parse(text)]
    facts = {name: 0.05 if spec else f"the {name}" for _, name, spec, _ in fields if name} | {
        "num_more": 2,
        "p": 0.0312,
    }
    verdict = "promoted" if worded.state.startswith("promoted") else "kept"
    sentence = make_view(busy_night(decision=Decision(verdict, cause, facts))).sentence
    assert re.search(r": .{15,}\.$", sentence)
    assert "0.031" not in sentence
    assert "{" not in sentence


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground_in_both_colour_schemes(scheme):
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.S)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))
    for ground in ("paper", "card"):
        for word in ("ink", "soft", "good", "bad", "calm"):
            assert contrast(colours[word], colours[ground]) >= 4.5, (word, ground)  # WCAG 2.2, AA
        assert contrast(colours["edge"], colours[ground]) >= 3  # borders round pictures
    for mark in ("mark-good", "mark-bad"):
        assert contrast(colours["ink"], colours[mark]) >= 4.5


def contrast(one, other):
    def luminance(colour):
        channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_column_of_a_table_has_a_heading(busy):
    for table in re.findall(r"<table.*?</table>", html(busy), re.S):
        assert '<th scope="' in table


def test_thanks_say_what_had_been_read_correctly(busy):
    assert "Thank you for filing 2 images; 1 of 2 had been read correctly." in text(busy)


def test_the_practice_sheet_travels_inside_the_page(busy, report):
    attributes = Page(html(busy)).attributes
    assert ("href", "data:application/pdf;base64,JVBERi0xLjQ=") in attributes
    assert ("download", "sheet.pdf") in attributes
    assert "sheet.pdf" not in html(report)


def test_stored_reasons_are_worded_when_they_are_shown():
    from tenarai.locale import _

    reason = dump(_("{path} is missing", path="a.png"))
    report = build_report(night(rejections=(Rejection("digits/1/x.png", reason),)), NoPictures())
    assert "a.png is missing" in text(report)
    assert "{path}" not in text(report)


def test_in_japanese_the_page_says_so_and_reads_so():
    report = build_report(night(), NoPictures(), language="ja")
    assert '<html lang="ja">' in html(report)
    assert "ファイルが空です" in text(report)


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


def test_strips_show_their_pictures_below_each_other():
    picture, digit = np.full((50, 90, 3), 10, np.uint8), np.zeros((28, 28), np.uint8)
    data = draw_strips([(f"{n} あ", [picture, 255 - digit]) for n in range(3)], ["picture", "digit"])
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert width > 2 * 96
    assert height > 3 * 96


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

    text = escape(name)
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(f"| file |\n| --- |\n| {text} |\n").replace("\u200b", "")
    assert f"<td>{escape_html(name, quote=False)}</td>" in shown.replace("&quot;", '"')
