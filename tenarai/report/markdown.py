"""The report as markdown for the Prefect UI: pictures inside, and always under 500 KB."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence

from tenarai.records import NightReport, Prediction
from tenarai.report.pictures import Album, Pictures, data_uri
from tenarai.report.progress import WINDOW
from tenarai.report.view import View, make_view, percent

MAX_BYTES = 480_000  # an artifact with a key is stored twice, and the UI loads all of it
MAX_LISTED = 40
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")


def render_markdown(night: NightReport, pictures: Pictures, plots: dict[str, bytes], language: str) -> str:
    """Lay the night out as markdown.

    Pictures are dropped, the last ones first, until the text is small enough.

    Args:
        night: What happened.
        pictures: Originals and digits by sha256.
        plots: PNG bytes by name.
        language: en or ja.
    """
    view = make_view(night, language)
    for budget in (120_000, 30_000, 0):
        for kept in (plots, {}):
            text = _render(view, Album(pictures, budget), kept)
            if len(text.encode()) <= MAX_BYTES:
                return text
    return text.encode()[:MAX_BYTES].decode(errors="ignore")


def escape(text: str) -> str:
    """A stranger's text as plain text in markdown, in tables too: no markup, links, breaks or hidden characters.

    Backslashes, not entities: Prefect's older UI shows `&#40;` as it stands.
    """
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text)
    return _PUNCTUATION.sub(r"\\\g<0>", visible)


def _render(view: View, album: Album, plots: dict[str, bytes]) -> str:
    night, t = view.night, view.texts
    parts = [
        f"# {t[night.decision.verdict]}",
        t[f"{night.decision.verdict}_lead"],
        escape(view.because()),
        escape(view.thanks()),
        " · ".join(text for _, text in view.glance()),
        _figures(view),
        view.pairs(),
        _history(view, plots),
        _regression(view, album),
        _newly_found(view, album),
        _inbox(view, album),
        _suspects(view, album),
        _curves(view, plots),
        _plot(plots, "confusion", t["confusion"], t["confusion_alt"]),
        _per_label(view),
        _disputed(view, album),
        _changes(view),
        _listing(
            t["rejected"], [f"{escape(r.path)}: {escape(view.said(r.reason))}" for r in night.frozen.rejections], t
        ),
        _listing(t["withheld"], [escape(path) for path in night.frozen.withheld], t),
        _details(view),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(view: View) -> str:
    t = view.texts
    rows = [
        [
            f"**{percent(figure.score.accuracy)}**",
            f"{escape(figure.who)}: {figure.of_what}",
            f"{figure.score.num_right} / {figure.score.num_images}",
            f"{percent(figure.score.low)} – {percent(figure.score.high)}",
        ]
        for figure in view.figures()
    ]  # short cells: Prefect's older UI cuts what does not fit
    return _table(["", "", t["right"], t["interval"]], rows, numbers=(0, 2)) if rows else ""


def _history(view: View, plots: dict[str, bytes]) -> str:
    progress, t = view.progress(), view.texts
    if not progress or "history" not in plots:
        return ""
    alt = t["history_alt"].format(now=percent(progress[-1].pooled.accuracy))
    return _plot(plots, "history", t["history"], alt) + "\n\n" + t["history_note"].format(window=WINDOW)


def _regression(view: View, album: Album) -> str:
    night, t = view.night, view.texts
    rows = [
        [
            _small(album.digit(case.sha256)),
            escape(case.label),
            escape(_read(case.champion)),
            escape(_read(case.challenger)),
            " · ".join(part for part in (view.status(case)[1], view.story(case)) if part),
            escape(case.path),
        ]
        for case in night.evaluation.regression[:MAX_LISTED]
    ]
    head = ["", t["written"], t["champion"], t["challenger"], "", t["file"]]
    return _section(t["regression"], t["regression_note"], head, rows, len(night.evaluation.regression), t)


def _newly_found(view: View, album: Album) -> str:
    night, t = view.night, view.texts
    rows = [
        [
            _small(album.digit(item.sha256)),
            escape(item.label),
            escape(_read(item.champion)),
            percent(item.champion.confidence if item.champion else 0),
            escape(item.path),
        ]
        for item in night.evaluation.newly_found[:MAX_LISTED]
    ]
    head = ["", t["written"], t["read_as"], "%", t["file"]]
    return _section(t["newly_found"], t["newly_found_note"], head, rows, len(night.evaluation.newly_found), t)


def _inbox(view: View, album: Album) -> str:
    night, t = view.night, view.texts
    rows = [
        [
            _small(album.digit(item.sha256)),
            f"**{escape(_read(item.champion))}**"
            + (f" ({t['unsure']})" if item.champion and item.champion.unsure else ""),
            percent(item.champion.confidence if item.champion else 0),
            escape(item.path),
        ]
        for item in night.inbox[:MAX_LISTED]
    ]
    return _section(t["inbox"], t["inbox_note"], ["", "", "%", t["file"]], rows, len(night.inbox), t)


def _suspects(view: View, album: Album) -> str:
    night, t = view.night, view.texts
    rows = [
        [_small(album.digit(item.sha256)), escape(view.suspect(item)), escape(item.path)]
        for item in night.evaluation.suspects[:MAX_LISTED]
    ]
    return _section(t["suspects"], t["suspects_note"], ["", "", t["file"]], rows, len(night.evaluation.suspects), t)


def _curves(view: View, plots: dict[str, bytes]) -> str:
    night, t = view.night, view.texts
    if night.evaluation.curves is None or "loss" not in plots:
        return ""
    pictures = [
        f"![{t[f'{name}_alt'].format(epochs=night.evaluation.curves.chosen_epoch)}]({data_uri(plots[name])})"
        for name in ("accuracy", "loss")
    ]
    notes = [f"* {escape(view.said(note))}" for note in night.evaluation.notes]
    return "\n\n".join([f"## {t['curves']}", *pictures, t["curves_note"], "\n".join(notes)]).rstrip()


def _per_label(view: View) -> str:
    t = view.texts
    rows = [
        [escape(str(row["label"])), *(str(row[name]) for name in ("images", "right", "share", "interval", "taken_for"))]
        for row in view.per_label()
    ]
    head = [t["written"], t["images"], t["right"], "%", t["interval"], t["taken_for"]]
    for row in rows:
        row[-1] = escape(row[-1])
    return f"## {t['per_label']}\n\n{_table(head, rows, numbers=(1, 2, 3))}" if rows else ""


def _disputed(view: View, album: Album) -> str:
    night, t = view.night, view.texts
    rows = [
        [
            _small(album.digit(item.sha256)),
            escape(item.label),
            escape(_read(item.champion)),
            escape(_read(item.challenger)),
            t[item.status],
            escape(item.path),
        ]
        for item in night.evaluation.disputed[:MAX_LISTED]
    ]
    head = ["", t["written"], t["champion"], t["challenger"], "", t["file"]]
    return _section(t["disputed"], t["disputed_note"], head, rows, len(night.evaluation.disputed), t)


def _changes(view: View) -> str:
    night, t = view.night, view.texts
    rows = [
        [escape(view.change(item)), escape(item.before), escape(item.after)]
        for item in night.evaluation.changes[:MAX_LISTED]
    ]
    return _section(t["changes"], "", [t["change"], t["before"], t["after"]], rows, len(night.evaluation.changes), t)


def _details(view: View) -> str:
    night, t = view.night, view.texts
    facts = [f"`{night.run}`", f"{t['champion']} `{night.champion}`"]
    if night.evaluation.challenger:
        facts.append(
            f"{t['challenger']} `{night.evaluation.challenger}` ({night.evaluation.recipe}, {night.evaluation.device})"
        )
    if night.frozen.info:
        facts.append(f"{t['snapshot']} `{night.frozen.info.id}`")
    return f"## {t['details']}\n\n{view.sync()}\n\n" + " · ".join(facts)


def _section(title: str, note: str, head: list[str], rows: list[list[str]], total: int, t: dict[str, str]) -> str:
    if not rows:
        return ""
    parts = [f"## {title}", escape(note), _table(head, rows), *_more(total - len(rows), t)]
    return "\n\n".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    rule = ["---:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _listing(title: str, lines: list[str], t: dict[str, str]) -> str:
    if not lines:
        return ""
    shown = "\n".join(f"* {line}" for line in lines[:MAX_LISTED])
    return "\n\n".join([f"## {title}", shown, *_more(len(lines) - MAX_LISTED, t)])


def _more(number: int, t: dict[str, str]) -> list[str]:
    return [t["more"].format(number=number)] if number > 0 else []


def _plot(plots: dict[str, bytes], name: str, title: str, alt: str) -> str:
    return f"## {title}\n\n![{alt}]({data_uri(plots[name])})" if name in plots else ""


def _read(reading: Prediction | None) -> str:
    return reading.label if reading else "–"


def _small(uri: str) -> str:
    return f'<img src="{uri}" width=40>' if uri else ""
