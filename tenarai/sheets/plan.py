"""The next practice sheet: every label evenly, the rarest first. Writing more of what is misread was no better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tenarai.catalogue import Catalogue, locate_catalogue, open_catalogue
from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.records import Role
from tenarai.settings import Settings
from tenarai.sheets.codes import make_sheet
from tenarai.sheets.layout import find_layout
from tenarai.sheets.pdf import draw_pdf
from tenarai.store import Store, find_store
from tenarai.sync.names import read_label

SHEET = "sheet.pdf"
DIGITS = tuple("0123456789")  # the base model's labels, for sources without any


def draw_next_sheet(
    settings: Settings, store: Store, catalogue: Catalogue, *, labels: Collection[str] = (), date: str = ""
) -> bytes:
    """The sheet that should be written next, as PDF; empty where the settings ask for none.

    Args:
        settings: Paper, language and source.
        store: Remembers labels of several characters.
        catalogue: Holds the source's images.
        labels: Only these. Default: those of the source, or digits where it has none.
        date: Printed on the sheet.
    """
    if settings.practice_sheet == "none":
        return b""
    held = catalogue.count_labels(settings.source)
    wanted = labels or {label for role, label in held if role in {Role.DIGITS, Role.MISREAD}} or DIGITS
    return _draw(settings, store, {label: held.get((Role.DIGITS, label), 0) for label in wanted}, date)


def draw_sheet_now(settings: Settings, *, labels: Sequence[str] = (), date: str = "") -> bytes:
    """The same for the command line, which needs neither a store nor an earlier night.

    Raises:
        SettingsError: A label is invalid, or needs a store where there is none.
    """
    for label in labels:
        if read_label(label)[1]:
            raise SettingsError(
                _("{label} cannot be a label", label=repr(label)),
                expected=_("a character, or a word of at most 64"),
                fix=_("check --for"),
            )
    labels = [read_label(label)[0] for label in labels]  # as the folder of that name is read: ４ is 4
    store = find_store(settings.store)
    if store is None:
        return _draw(settings, None, dict.fromkeys(labels or DIGITS, 0), date)
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        return draw_next_sheet(settings, store, catalogue, labels=labels, date=date)


def plan_labels(counts: Mapping[str, int], num_rows: int) -> tuple[str, ...]:
    """The label of each row of a sheet, in order.

    Args:
        counts: Number of labelled images by label; at least one label.
        num_rows: Rows to fill. With more labels than rows, the most frequent labels are left out.
    """
    order = sorted(counts, key=lambda label: (int(label) if label.isascii() and label.isdecimal() else 10**9, label))
    planned: Counter[str] = Counter()
    for _row in range(num_rows):
        planned[min(order, key=lambda label: (planned[label], counts[label]))] += 1
    return tuple(label for label in order for _row in range(planned[label]))


def _draw(settings: Settings, store: Store | None, counts: Mapping[str, int], date: str) -> bytes:
    layout = find_layout(settings.practice_sheet)
    sheet = make_sheet(layout, plan_labels(counts, layout.rows), store)
    return draw_pdf([sheet], language=settings.language, date=date)
