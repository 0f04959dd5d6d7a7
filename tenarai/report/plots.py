"""The plots of a report, as PNG; drawn without pyplot, so that nothing is shared between threads and bytes repeat.

Each is as wide as a phone: on a laptop two stand side by side, and nobody has to read small print.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenarai.records import Curves, NightReport
from tenarai.report.progress import WINDOW, NightOfNew, follow_progress
from tenarai.report.texts import TEXTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LABELS = 60  # a table of counts beyond this is no picture any more
WIDTH = 4.4


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a plot."""

    paper: str
    ink: str
    soft: str
    line: str
    accent: str
    good: str
    bad: str


LIGHT = Theme("#ffffff", "#22262b", "#8b95a1", "#1f5fbf", "#c2410c", "#dbe7f6", "#f6c9b4")
DARK = Theme("#202327", "#e9e6df", "#7d8791", "#8ab4f0", "#f0a06a", "#2c3f57", "#6b3a28")


def draw_plots(night: NightReport, language: str = "en", theme: Theme = LIGHT) -> dict[str, bytes]:
    """Draw what the night has: `history`, `loss`, `accuracy`, `confusion`; name to PNG bytes.

    Args:
        night: What happened.
        language: en or ja. Default: en.
        theme: Colours. Default: on white.
    """
    t = TEXTS[language]
    figures: dict[str, Figure] = {}
    progress = follow_progress(night)
    if len(progress) >= 2:
        figures["history"] = draw_history(progress, theme)
    if night.evaluation.curves:
        figures["loss"] = draw_curves(night.evaluation.curves, "loss", t, theme)
        figures["accuracy"] = draw_curves(night.evaluation.curves, "accuracy", t, theme)
    if night.evaluation.confusion and len(night.evaluation.confusion_labels) <= MAX_LABELS:
        figures["confusion"] = draw_confusion(night.evaluation.confusion, night.evaluation.confusion_labels, t, theme)
    return {name: _png(figure) for name, figure in figures.items()}


def draw_curves(curves: Curves, name: str, t: dict[str, str], theme: Theme) -> Figure:
    """Loss or accuracy over epochs: each fold, their mean, and the chosen epoch.

    Images learned from are grey and thin: they say how well they are remembered, not how well others are read.
    """
    figure, axes = _figure(WIDTH, 2.9, theme)
    folds = curves.folds or (curves.refit,)
    _draw_folds(axes, [fold.get(name, []) for fold in folds], theme.soft, t["training"], 1.2)
    _draw_folds(axes, [fold.get(f"val_{name}", []) for fold in folds], theme.line, t["held_out"], 2.2)
    chosen = t["chosen"].format(epochs=curves.chosen_epoch)
    axes.axvline(curves.chosen_epoch, color=theme.accent, linestyle="--", linewidth=1.4, label=chosen)
    axes.set_title(t[name], loc="left", fontsize=11, color=theme.ink)
    axes.set_xlabel(t["epoch"], fontsize=9, color=theme.ink)
    if name == "accuracy":
        axes.set_ylim(top=1 + 0.02 * (1 - min(axes.get_ylim()[0], 0.9)))
        _in_percent(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink)
    return figure


def draw_confusion(
    counts: tuple[tuple[int, ...], ...], labels: tuple[str, ...], t: dict[str, str], theme: Theme
) -> Figure:
    """What was written against what was read, as counts; wrong readings stand out by colour."""
    from matplotlib.colors import ListedColormap

    table = np.array(counts)
    side = max(WIDTH, 0.34 * len(labels) + 1.0)
    figure, axes = _figure(side, side, theme, grid=False)
    shades = np.where(np.eye(len(labels), dtype=bool), 0, np.where(table > 0, 1, 2))
    axes.imshow(shades, cmap=ListedColormap([theme.good, theme.bad, theme.paper]), vmin=0, vmax=2)
    for row, column in zip(*np.nonzero(table), strict=True):
        axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=9, color=theme.ink)
    names = drawable(labels)
    axes.set_xticks(range(len(labels)), names)
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel(t["read_as"], color=theme.ink)
    axes.set_ylabel(t["written"], color=theme.ink)
    return figure


def draw_history(nights: Sequence[NightOfNew], theme: Theme) -> Figure:
    """Share of new images read right: a dot a night, the larger the more images; the line pools the last `WINDOW`."""
    figure, axes = _figure(WIDTH, 2.5, theme)
    x = np.arange(len(nights))
    pooled = np.array([night.pooled.accuracy for night in nights])
    low, high = np.array([night.pooled.low for night in nights]), np.array([night.pooled.high for night in nights])
    axes.fill_between(x, low, high, color=theme.line, alpha=0.18, linewidth=0)
    axes.plot(x, pooled, color=theme.line, linewidth=2.2)
    sizes = 8 + 4 * np.sqrt([min(night.night.num_images, 10 * WINDOW) for night in nights])
    axes.scatter(x, [night.night.accuracy for night in nights], s=sizes, color=theme.soft, linewidths=0)
    crowned = [number for number, night in enumerate(nights) if night.promoted]
    axes.scatter(crowned, pooled[crowned], s=60, color=theme.accent, marker="^", zorder=3)
    shown = sorted({round(step) for step in np.linspace(0, len(nights) - 1, min(5, len(nights)))})
    axes.set_xticks(shown, [nights[number].day[5:] for number in shown])
    axes.set_xlim(-0.5, len(nights) - 0.5)
    bottom = max(0.0, min(low.min(), *(night.night.accuracy for night in nights)) - 0.03)
    axes.set_ylim(bottom, 1 + 0.04 * (1 - bottom))
    _in_percent(axes)
    return figure


def drawable(labels: Sequence[str]) -> list[str]:
    """Labels the fonts have glyphs for; else all by their number, rather than as empty boxes."""
    glyphs = _glyphs()
    if all(ord(letter) in glyphs for label in labels for letter in label):
        return [label[:6].replace("$", r"\$") for label in labels]
    return [f"#{number + 1}" for number in range(len(labels))]


def _draw_folds(axes: Any, folds: list[list[float]], colour: str, label: str, width: float) -> None:
    """Every fold as a faint line, and their mean as far as at least half of them went."""
    folds = [fold for fold in folds if fold]
    if not folds:
        return
    for fold in folds:
        axes.plot(range(1, len(fold) + 1), fold, color=colour, alpha=0.3, linewidth=0.8)
    length = sorted(len(fold) for fold in folds)[len(folds) // 2]
    mean = [float(np.mean([fold[epoch] for fold in folds if len(fold) > epoch])) for epoch in range(length)]
    axes.plot(range(1, length + 1), mean, color=colour, linewidth=width, label=label)


def _in_percent(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


@cache
def _fonts() -> tuple[str, ...]:
    """Font files in the order they are asked for a glyph: Latin from DejaVu, Japanese from IPAex Gothic.

    The Japanese font is taken from its package's folder: importing the package would change all of matplotlib.
    """
    from matplotlib import font_manager, rcParams

    spec = find_spec("matplotlib_fontja")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    japanese = [str(path) for folder in folders for path in sorted(Path(folder).glob("fonts/*.ttf"))]
    for path in japanese:
        font_manager.fontManager.addfont(path)
    names = ["DejaVu Sans", *(font_manager.get_font(path).family_name for path in japanese)]
    rcParams["font.family"] = names
    return (font_manager.findfont("DejaVu Sans"), *japanese)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(code for path in _fonts() for code in get_font(path).get_charmap())


def _figure(width: float, height: float, theme: Theme, *, grid: bool = True) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    _fonts()
    figure = Figure(figsize=(width, height), dpi=160, facecolor=theme.paper, layout="constrained")
    axes = figure.add_subplot(1, 1, 1, facecolor=theme.paper)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(theme.soft)
    axes.tick_params(labelsize=9, colors=theme.ink)
    if grid:
        axes.grid(alpha=0.25, linewidth=0.6, color=theme.soft)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
