"""The next practice sheet: beside each night's report, and by `tenarai sheet`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tenarai.catalogue import Catalogue, locate_catalogue, open_catalogue
from tenarai.errors import SettingsError
from tenarai.records import Role
from tenarai.settings import Settings
from tenarai.sheets import draw_pdf, find_layout, make_sheet, plan_rows
from tenarai.store import Store, find_store
from tenarai.sync.layout import read_label

SHEET = "sheet.pdf"
DIGITS = tuple("0123456789")  # what the base model reads: the labels where nobody has any yet


def draw_next_sheet(settings: Settings, store: Store, catalogue: Catalogue, *, labels: Collection[str] = ()) -> bytes:
    """A sheet of what should be written next, as PDF; empty where the settings ask for none.

    Args:
        settings: Paper, language and source.
        store: Remembers labels of several characters.
        catalogue: What is known of the source's images.
        labels: Only these. Default: those that the source has, or digits where it has none.
    """
    if settings.practice_sheet == "none":
        return b""
    held = catalogue.count_labels(settings.source)
    wanted = labels or {label for role, label in held if role in {Role.DIGITS, Role.MISREAD}} or DIGITS
    return _draw(settings, store, {label: held.get((Role.DIGITS, label), 0) for label in wanted})


def draw_sheet_now(settings: Settings, *, labels: Sequence[str] = ()) -> bytes:
    """A sheet for the command line, in need of neither a store nor a night before it.

    Args:
        settings: Paper, language, source and store.
        labels: Only these. Default: what the last report says should be written next.

    Raises:
        SettingsError: A label cannot be one, or needs a store where there is none.
    """
    wanted = [_check_label(label) for label in labels]
    store = find_store(settings.store)
    if store is None:
        return _draw(settings, None, dict.fromkeys(wanted or DIGITS, 0))
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        return draw_next_sheet(settings, store, catalogue, labels=wanted)


def _draw(settings: Settings, store: Store | None, counts: dict[str, int]) -> bytes:
    layout = find_layout(settings.practice_sheet)
    rows = plan_rows(counts, layout.rows, ())
    sheet = make_sheet(layout, [row.label for row in rows], store)
    return draw_pdf([(sheet, rows)], language=settings.language)


def _check_label(text: str) -> str:
    label, reason = read_label(text)
    if reason:
        raise SettingsError(
            f"{text!r} cannot be a label", expected="a character, or a word of 64 at most", fix="check --for"
        )
    return label
