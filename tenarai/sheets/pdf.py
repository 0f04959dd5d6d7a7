"""A practice sheet as a PDF. The same sheet and date always give the same bytes."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.locale import _, translate
from tenarai.sheets.codes import Sheet, corner_dictionary, modules, row_dictionary
from tenarai.sheets.layout import CORNER, MARGIN, Box, Layout

MM = 72 / 25.4  # points in a millimetre
FRAME = (0.80, 0.90, 0.96)  # pale blue: visible, but too faint to be taken for ink
LABEL = (0.60, 0.77, 0.88)
SHAPE = (0.66, 0.81, 0.91)
TEXT = (0.25, 0.25, 0.25)
FONT = "IPAexGothic"

TITLE = _("Tenarai practice sheet")
INSTRUCTIONS = (
    _("Write one character in each box: the one that stands at the left of its row. Stay inside the frame."),
    _("A mistake? Strike the box out with a line from corner to corner, over its frame. Boxes may stay empty."),
    _("Photograph the whole sheet, all black squares included, and put the photo into sheets/."),
)


def draw_pdf(sheets: Sequence[Sheet], *, language: str = "en", date: str = "") -> bytes:
    """Draw sheets, one page each.

    Args:
        sheets: What each sheet holds.
        language: Of the instructions. Default: English.
        date: The day it was made, printed beside the title. Default: none.
    """
    from reportlab.pdfgen.canvas import Canvas

    _register_font()
    buffer = io.BytesIO()
    layout = sheets[0].layout
    canvas = Canvas(buffer, pagesize=(layout.width * MM, layout.height * MM), invariant=1)
    canvas.setTitle(translate(TITLE, language))
    canvas.setCreator("Tenarai")
    for sheet in sheets:
        pen = _Pen(canvas, sheet.layout)
        _draw_markers(pen, sheet)
        _draw_words(pen, sheet, language, date)
        for number, label in enumerate(sheet.labels):
            _draw_row(pen, number, _printable(label))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


class _Pen:
    """Draws in millimetres from the top left, as layouts count. PDF counts points from the bottom left."""

    def __init__(self, canvas: Any, layout: Layout) -> None:
        self.canvas, self.layout = canvas, layout

    def text(
        self, x: float, y: float, text: str, *, size: float, colour: tuple[float, ...], middle: bool = False
    ) -> None:
        """Text whose baseline is at y, `size` millimetres high."""
        self.canvas.setFont(FONT, size * MM)
        self.canvas.setFillColorRGB(*colour)
        draw = self.canvas.drawCentredString if middle else self.canvas.drawString
        draw(x * MM, (self.layout.height - y) * MM, text)

    def frame(self, box: Box) -> None:
        """The outline of a box."""
        self.canvas.setStrokeColorRGB(*FRAME)
        self.canvas.setLineWidth(0.25 * MM)
        self.canvas.rect(*self._place(box.x, box.y, box.side, box.side), stroke=1, fill=0)

    def squares(self, box: Box, black: NDArray[np.bool_]) -> None:
        """A marker. Runs of black squares overlap a little, so that no hairline shows between them."""
        step = box.side / len(black)
        path = self.canvas.beginPath()
        for row, line in enumerate(black):
            edges = np.flatnonzero(np.diff(np.pad(line.astype(np.int8), 1)))
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                deeper = 0.02 if row + 1 < len(black) and black[row + 1, start:end].all() else 0.0
                x, y = box.x + start * step, box.y + row * step
                path.rect(*self._place(x, y, (end - start) * step, step + deeper))
        self.canvas.setFillColorRGB(0, 0, 0)
        self.canvas.drawPath(path, stroke=0, fill=1)

    def _place(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        return x * MM, (self.layout.height - y - height) * MM, width * MM, height * MM


def _draw_markers(pen: _Pen, sheet: Sheet) -> None:
    for box, marker in zip(sheet.layout.corner_markers(), sheet.corner_ids(), strict=True):
        pen.squares(box, modules(corner_dictionary(), marker))
    for row in range(sheet.layout.rows):
        for box, marker in zip(sheet.layout.row_markers(row), sheet.row_ids(row), strict=True):
            pen.squares(box, modules(row_dictionary(), marker))


def _draw_words(pen: _Pen, sheet: Sheet, language: str, date: str) -> None:
    x, layout = MARGIN + CORNER + 6, sheet.layout
    title = " · ".join(part for part in (translate(TITLE, language), date) if part)
    pen.text(x, MARGIN + 3.2, title, size=4.2, colour=TEXT)
    for number, line in enumerate(INSTRUCTIONS):
        pen.text(x, MARGIN + 7.2 + 3.6 * number, translate(line, language), size=2.7, colour=TEXT)
    labels = " ".join(dict.fromkeys(map(_printable, sheet.labels)))
    about = f"{layout.paper.upper()} · {layout.rows} × {layout.columns} · {labels}"
    pen.text(x, layout.height - MARGIN - 1.5, about[:90], size=2.7, colour=TEXT)


def _draw_row(pen: _Pen, number: int, label: str) -> None:
    """The character large in the first box, and small above each box to write in."""
    for column in range(pen.layout.columns):
        box = pen.layout.box(number, column)
        pen.frame(box)
        pen.text(box.x + 0.3, box.y - 0.9, label[:8], size=2.6, colour=LABEL)
    model = pen.layout.box(number, -1)
    width = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in label)
    size = min(0.8 * model.side, 1.7 * model.side / max(width, 2))
    pen.text(model.centre[0], model.centre[1] + 0.36 * size, label, size=size, colour=SHAPE, middle=True)


def _printable(label: str) -> str:
    """A label as the font can print it: characters that it lacks as their code points."""
    known = _glyphs()
    return " ".join([label] if all(ord(c) in known for c in label) else [f"U+{ord(c):04X}" for c in label])


def _register_font() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if FONT not in pdfmetrics.getRegisteredFontNames():
        # IPAex Gothic: kana, kanji, Latin, Greek and Cyrillic. It is read from the folder of matplotlib-fontja, because
        # importing that package would import all of matplotlib
        spec = find_spec("matplotlib_fontja")
        (folder,) = (spec.submodule_search_locations if spec else None) or ("",)
        pdfmetrics.registerFont(TTFont(FONT, str(Path(folder) / "fonts" / "ipaexg.ttf")))


def _glyphs() -> Any:
    from reportlab.pdfbase import pdfmetrics

    _register_font()
    face: Any = pdfmetrics.getFont(FONT).face
    return face.charToGlyph
