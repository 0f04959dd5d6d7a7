"""The report as artifacts in the Prefect UI: `nightly-report` on two phone screens, and one artifact a subject."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping

from tenarai.locale import _, load, plural, translate
from tenarai.report.pictures import Album, Pictures, data_uri
from tenarai.report.plots import LIGHT, draw_png, plot_curves, plot_history
from tenarai.report.sections import Section
from tenarai.report.view import View
from tenarai.report.words import percent

MAX_PICTURES = 300_000  # bytes: an artifact with a key is stored twice, and the UI loads all of it
MAX_LISTED, MAX_UNUSABLE = 60, 5
FILES = {"report.html": _("Report"), "summary.png": _("Summary picture"), "sheet.pdf": _("Practice sheet")}
SCALE = 2  # a digit is 56 pixels wide
_LONG = re.compile(r"\S{32}(?=\S)")
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
_ADDRESS = re.compile(r"(?<=:)(?=\\/\\/)|(?<=www)(?=\\\.)|(?=\\@)", re.IGNORECASE)  # where an address is parted


def escape(text: str) -> str:
    """A stranger's text as plain text in markdown, in tables too: no markup, links, breaks or hidden characters.

    Backslashes, not entities: Prefect's older UI shows `&#40;` as it stands. The newer one makes links of addresses
    though they are escaped, so a space of no width parts them, as it does names that are wider than a phone.
    """
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text)
    visible = _LONG.sub("\\g<0>\u200b", visible)
    return _ADDRESS.sub("\u200b", _PUNCTUATION.sub(r"\\\g<0>", visible))


def word_links(links: Mapping[str, str], language: str) -> str:
    """A line of links to a report's files.

    Args:
        links: Addresses by the file's name, such as `report.html`.
        language: en or ja.
    """
    titles = {name: translate(title, language) for name, title in FILES.items()}
    return " · ".join(f"[{titles[name]}]({links[name]})" for name in titles if name in links)


def render_artifacts(
    view: View, pictures: Pictures, summary: bytes, language: str, links: Mapping[str, str]
) -> dict[str, str]:
    """Markdown by the artifact's key; what a night does not have is left out.

    Args:
        view: What they show.
        pictures: Digits by sha256.
        summary: `summary.png`.
        language: en or ja.
        links: Addresses of the report's files, by name; empty where no browser reaches them.
    """
    page = _Page(view, pictures, language)
    found = {
        "hard-cases": page.section(view.hard),
        "won-and-lost": page.section(view.tonight),
        "check-labels": page.section(view.suspects),
        "inbox": page.section(view.inbox),
        "curves": page.curves(),
        "champions": page.champions(),
        "nightly-report": page.overview(summary, links),  # the newest artifact is the first that the UI shows
    }
    return {key: text for key, text in found.items() if text}


class _Page:
    """Markdown in one language."""

    def __init__(self, view: View, pictures: Pictures, language: str) -> None:
        self.view, self._pictures, self._language = view, pictures, language

    def overview(self, summary: bytes, links: Mapping[str, str]) -> str:
        """Summary picture, number and what to do."""
        view, report = self.view, links.get("report.html")
        parts = [self._title(view.title), word_links(links, self._language)]
        parts.append(self._picture(summary, view.sentence))
        if view.number:
            parts.append(f"**{percent(view.number.accuracy)}** {self._say(view.number_of())}")
        if doubling := view.doubling():
            parts.append(self._say(doubling))
        tasks = [
            f"* [{self._say(sentence)}]({report}#{anchor})" if report else f"* {self._say(sentence)}"
            for anchor, sentence in view.today()
        ]
        tasks += [  # the last of the tasks is to replace them
            f"    * {self._say(item.path)} · {self._say(load(item.reason))}" for item in view.unusable[:MAX_UNUSABLE]
        ]
        return _join(*parts, f"## {self._say(_('Today'))}", "\n".join(tasks) or self._say(_("Nothing to do.")))

    def section(self, section: Section) -> str:
        """A list of images, since a table does not fit on a phone; empty without images."""
        if not section.tiles:
            return ""
        album = Album(self._pictures, MAX_PICTURES)
        items = []
        for tile in section.tiles[:MAX_LISTED]:
            caption, alt = self._say(tile.caption), self._say(tile.label or tile.reads)
            about = " · ".join([f"**{caption}**", *(self._say(text) for text in (tile.note, tile.path) if text)])
            items.append(f"* {about} {_image(album.digit(tile.sha256, scale=SCALE), alt)}")
        num_more = len(section.tiles) - MAX_LISTED
        more = plural("{n} image is not shown.", "{n} images are not shown.", num_more) if num_more > 0 else ""
        return _join(self._title(section.title), self._say(section.note), "\n".join(items), self._say(more))

    def curves(self) -> str:
        """The learning curves; empty on a night without a challenger."""
        curves, title = self.view.night.evaluation.curves, _("Learning curves")
        if curves is None:
            return ""
        plots = [plot_curves(curves, name, self._language, LIGHT) for name in ("accuracy", "loss")]
        notes = "\n".join(f"* {self._say(load(note))}" for note in self.view.night.evaluation.notes)
        return _join(self._title(title), *(self._picture(draw_png(plot), title) for plot in plots), notes)

    def champions(self) -> str:
        """Who read on which night, and how well; the newest night first."""
        view, title = self.view, _("Champions over the nights")
        rows = [
            (_("night"), _("result"), _("champion"), _("read correctly")),
            *reversed(view.champions()[-MAX_LISTED:]),
        ]
        head, *items = (" – ".join(self._say(text) for text in row if text != "–") for row in rows)
        plot = draw_png(plot_history(view, self._language, LIGHT)) if len(view.progress) > 1 else b""
        items = [f"* {item}" for item in items]
        return _join(self._title(title), self._picture(plot, title) if plot else "", head, "\n".join(items))

    def _say(self, text: str) -> str:
        return escape(translate(text, self._language))

    def _title(self, title: str) -> str:
        return f"# {self._say(title)}"

    def _picture(self, data: bytes, alt: str) -> str:
        return _image(data_uri(data), self._say(alt))


def _image(uri: str, alt: str) -> str:
    return f"![{alt}]({uri})" if uri else ""


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
