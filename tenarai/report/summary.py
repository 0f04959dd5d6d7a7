"""`summary.png`: verdict, number, trend, what to do and hard cases in one picture, legible on a phone."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenarai.locale import _, translate
from tenarai.report.pictures import Pictures, to_png
from tenarai.report.plots import LIGHT, MAX_NIGHTS, draw_history, dress, use_fonts
from tenarai.report.view import View
from tenarai.report.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 1080  # pixels: three times a phone's
MARGIN = 48
PER_ROW = 8
MAX_CASES = 24
SCALE = 4
SIDE = 28 * SCALE
GOOD = "#1d6b40"


def draw_summary(view: View, pictures: Pictures, language: str) -> bytes:
    """Draw the picture; the same night gives the same bytes.

    Args:
        view: What it shows.
        pictures: Digits by sha256.
        language: en or ja.

    Returns:
        A PNG, `WIDTH` pixels wide.
    """
    canvas = _Canvas(language)
    canvas.write(view.when, 30, colour=LIGHT.soft)
    canvas.write(view.title, 76, colour=GOOD if view.night.decision.verdict == "promoted" else LIGHT.line, bold=True)
    canvas.write(view.sentence, 38)
    if view.number:
        canvas.write(percent(view.number.accuracy), 120, bold=True, space=14)
        canvas.write(view.number_of(), 34, colour=LIGHT.soft)
    if len(view.progress) >= 2:
        draw_history(canvas.axes(270), view.progress[-MAX_NIGHTS:], language, LIGHT)
    canvas.write(_("Today"), 50, bold=True, space=28)
    for _anchor, sentence in view.today() or [("", _("Nothing to do."))]:
        canvas.write(sentence, 40)
    if view.hard.tiles:
        canvas.write(view.hard.title, 50, bold=True, space=28)
        canvas.write(view.hard.note, 34, colour=LIGHT.soft)
        for tile in view.hard.tiles[:MAX_CASES]:
            if (digit := pictures.digit(tile.sha256)) is not None:
                canvas.show(digit, tile.caption, GOOD if tile.tone == "good" else LIGHT.mark)
    return canvas.png()


class _Canvas:
    """A white page that grows downwards; sizes are pixels."""

    def __init__(self, language: str) -> None:
        from matplotlib.figure import Figure

        use_fonts()
        self._language, self._y, self._column = language, float(MARGIN), 0
        self._height = 4000
        self._figure = Figure(figsize=(WIDTH / 100, self._height / 100), dpi=100, facecolor="white")

    def write(self, text: str, size: int, *, colour: str = LIGHT.ink, bold: bool = False, space: int = 0) -> None:
        """Write a text below what is there, in as many lines as it takes."""
        self._y += space
        for line in _wrap(translate(text, self._language), (WIDTH - 2 * MARGIN) / size):
            weight = "bold" if bold else "normal"
            self._text(MARGIN, self._y, line, size, color=colour, weight=weight, va="top")
            self._y += (1.1 if size > 100 else 1.35) * size
        self._y += 12

    def axes(self, height: int) -> Axes:
        """Axes as wide as the page."""
        left, bottom = 150 / WIDTH, 1 - (self._y + height) / self._height
        axes = self._figure.add_axes((left, bottom, 1 - left - MARGIN / WIDTH, height / self._height))
        dress(axes, LIGHT, fontsize=21)
        self._y += height + 70
        return axes

    def show(self, digit: NDArray[np.uint8], caption: str, colour: str) -> None:
        """Show a digit with a caption below, beside the one before it as long as there is space."""
        step = (WIDTH - 2 * MARGIN) / PER_ROW
        x = MARGIN + self._column * step
        pixels = np.kron(255 - digit, np.ones((SCALE, SCALE), np.uint8))
        pixels[[0, -1]] = pixels[:, [0, -1]] = 150
        grey = np.repeat(pixels[..., None], 3, axis=2)
        self._figure.figimage(grey, round(x), round(self._height - self._y - SIDE))
        self._text(x + SIDE / 2, self._y + SIDE + 4, caption, 32, color=colour, weight="bold", ha="center", va="top")
        self._column += 1
        if self._column == PER_ROW:
            self._y, self._column = self._y + SIDE + 62, 0

    def png(self) -> bytes:
        """The page as PNG, as high as what is on it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(self._figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        bottom = self._y + (SIDE + 62 if self._column else 0) + MARGIN
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return to_png(pixels[: int(bottom), :, 2::-1])

    def _text(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        plain = text.replace("$", r"\$")  # otherwise matplotlib reads formulas
        self._figure.text(x / WIDTH, 1 - y / self._height, plain, fontsize=0.72 * size, **style)


def _wrap(text: str, width: float) -> list[str]:
    """Lines of at most `width` em; Latin breaks at spaces, Japanese between any two characters."""
    lines, line, used = [], "", 0.0
    for part in _parts(text):
        length = sum(1.0 if _is_wide(letter) else 0.56 for letter in part)
        if line and used + length > width:
            lines.append(line)
            line, used = "", 0.0
        line, used = (line + part if line else part.lstrip()), used + length
    return [*lines, line]


def _parts(text: str) -> list[str]:
    """Pieces that may not be broken: words with the space before them, and single Japanese characters."""
    parts: list[str] = []
    for letter in text:
        starts_word = letter == " " or _is_wide(letter) or (bool(parts) and _is_wide(parts[-1][-1]))
        if parts and (letter in "、。）」" or not starts_word):
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
