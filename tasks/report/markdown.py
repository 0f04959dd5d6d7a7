"""The report as markdown for the Prefect UI: pictures inside, and always under 500 KB."""

from __future__ import annotations

import re
import string
import unicodedata

from tasks.records import NightReport
from tasks.report.pictures import Pictures, data_uri, digit_uri
from tasks.report.view import View, make_view, percent

MAX_BYTES = 480_000  # an artifact with a key is stored twice, and the UI loads all of it
MAX_PICTURES = 24
MAX_LISTED = 40
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")


def render_markdown(night: NightReport, pictures: Pictures, plots: dict[str, bytes], language: str) -> str:
    """Lay the night out as markdown.

    Pictures are dropped, the last ones first, until the text is small enough; how many are missing is said.

    Args:
        night: What happened.
        pictures: Originals and digits by sha256.
        plots: PNG bytes by name.
        language: en or ja.
    """
    view = make_view(night, language)
    for num_pictures in (MAX_PICTURES, 8, 0):
        for kept in (plots, {}):
            text = _render(view, pictures, kept, num_pictures)
            if len(text.encode()) <= MAX_BYTES:
                return text
    return text.encode()[:MAX_BYTES].decode(errors="ignore")


def escape(text: str) -> str:
    """A stranger's text as plain text in markdown, in tables too: no markup, links, breaks or hidden characters.

    Backslashes, not entities: Prefect's older UI shows `&#40;` as it stands.
    """
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text)
    return _PUNCTUATION.sub(r"\\\g<0>", visible)


def _render(view: View, pictures: Pictures, plots: dict[str, bytes], num_pictures: int) -> str:
    night, t = view.night, view.texts
    parts = [
        f"# {t[night.decision.verdict]}",
        t[f"{night.decision.verdict}_lead"],
        f"{t['why']}: {escape(night.decision.reason)}",
        _figures(view),
        _image(plots, "history", t["history"], t["history_alt"]),
        _regression(view, pictures, num_pictures),
        _inbox(view, pictures, num_pictures),
        _image(plots, "curves", t["curves"], t["curves_alt"]),
        "\n".join(f"* {escape(note)}" for note in night.notes),
        _image(plots, "confusion", t["confusion"], t["confusion_alt"]),
        _per_label(view),
        _listing(t["rejected"], [f"{escape(r.path)}: {escape(r.reason)}" for r in night.rejections], t),
        _listing(t["withheld"], [escape(path) for path in night.withheld], t),
        _details(view),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(view: View) -> str:
    night, t = view.night, view.texts
    rows = [
        (t["challenger"], night.challenger_score),
        (f"{t['champion']} ({escape(view.who(night.champion))})", night.champion_score),
        (t["fresh"], night.fresh),
    ]
    lines = [
        f"| {name} | **{view.score(s)}** | {s.num_right} / {s.num_images} | {percent(s.low)} – {percent(s.high)} |"
        for name, s in rows
        if s and s.num_images
    ]  # short cells: Prefect's older UI cuts what does not fit
    head = [f"| {t['unseen']} | | {t['right']} | 95 % |", "| --- | ---: | ---: | --- |"]
    return "\n".join([*head, *lines]) if lines else ""


def _regression(view: View, pictures: Pictures, num_pictures: int) -> str:
    night, t = view.night, view.texts
    if not night.regression:
        return ""
    head = [f"## {t['regression']}", "", f"| | {t['written']} | {t['champion']} | {t['challenger']} | | {t['file']} |"]
    lines = [*head, "| --- | --- | --- | --- | --- | --- |"]
    for number, case in enumerate(view.cases(MAX_LISTED)):
        picture = _small(digit_uri(pictures, case.sha256)) if number < num_pictures else ""
        now = escape(case.challenger.label) if case.challenger else "–"
        lines.append(
            f"| {picture} | {escape(case.label)} | {escape(case.champion.label)} | {now} | {t[case.status]} "
            f"| {escape(case.path)} |"
        )
    return "\n".join([*lines, *_more(len(night.regression) - MAX_LISTED, t)])


def _inbox(view: View, pictures: Pictures, num_pictures: int) -> str:
    night, t = view.night, view.texts
    if not night.inbox:
        return ""
    lines = [f"## {t['inbox']}", "", escape(t["inbox_note"]), "", f"| | | % | {t['file']} |"]
    lines.append("| --- | --- | --- | --- |")
    for number, item in enumerate(night.inbox[:MAX_LISTED]):
        picture = _small(digit_uri(pictures, item.sha256)) if number < num_pictures else ""
        mark = f" ({t['unsure']})" if item.reading.unsure else ""
        lines.append(
            f"| {picture} | **{escape(item.reading.label)}**{mark} | {percent(item.reading.probability)} "
            f"| {escape(item.path)} |"
        )
    return "\n".join([*lines, *_more(len(night.inbox) - MAX_LISTED, t)])


def _per_label(view: View) -> str:
    t, rows = view.texts, view.per_label()
    if not rows:
        return ""
    head = f"| {t['written']} | {t['images']} | {t['right']} | % | {t['taken_for']} |"
    body = [
        f"| {escape(str(r['label']))} | {r['images']} | {r['right']} | {r['share']} | {escape(str(r['taken_for']))} |"
        for r in rows
    ]
    return "\n".join([f"## {t['per_label']}", "", head, "| --- | ---: | ---: | ---: | --- |", *body])


def _listing(title: str, lines: list[str], t: dict[str, str]) -> str:
    if not lines:
        return ""
    shown = [f"* {line}" for line in lines[:MAX_LISTED]]
    return "\n".join([f"## {title}", "", *shown, *_more(len(lines) - MAX_LISTED, t)])


def _details(view: View) -> str:
    night, t = view.night, view.texts
    facts = [f"`{night.run}`", f"{t['champion']} `{night.reigning}`"]
    if night.challenger:
        facts.append(f"{t['challenger']} `{night.challenger}` ({night.recipe}, {night.device})")
    if night.snapshot:
        facts.append(f"snapshot `{night.snapshot.id}`")
    return f"## {t['details']}\n\n{view.sync()}\n\n" + " · ".join(facts)


def _more(number: int, t: dict[str, str]) -> list[str]:
    return ["", t["more"].format(number=number)] if number > 0 else []


def _image(plots: dict[str, bytes], name: str, title: str, alt: str) -> str:
    return f"## {title}\n\n![{alt}]({data_uri(plots[name])})" if name in plots else ""


def _small(uri: str) -> str:
    return f'<img src="{uri}" width=40>' if uri else ""
