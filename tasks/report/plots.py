"""The plots of a report, as PNG; drawn without pyplot, so that nothing is shared between threads and bytes repeat."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.records import Curves, NightReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, PAPER, TRAINING, HELD_OUT, CHOSEN = "#2b2b2b", "#ffffff", "#9aa5b1", "#1f5fbf", "#c2410c"


def draw_plots(night: NightReport) -> dict[str, bytes]:
    """Draw what the night has: `curves`, `confusion`, `history`; name to PNG bytes."""
    plots: dict[str, bytes] = {}
    if night.curves:
        plots["curves"] = _png(draw_curves(night.curves))
    if night.confusion and len(night.confusion_labels) <= 60:
        plots["confusion"] = _png(draw_confusion(night.confusion, night.confusion_labels))
    shown = [past for past in night.history if past.get("fresh_images")]
    if len(shown) >= 2:
        plots["history"] = _png(draw_history(shown))
    return plots


def draw_curves(curves: Curves) -> Figure:
    """Loss and accuracy over epochs: each fold, their mean, and the chosen epoch.

    Training is grey and thin: it says how well the images are remembered, not how well others are read.
    """
    figure = _figure(8.4, 3.2)
    for position, (name, title) in enumerate((("loss", "Loss"), ("accuracy", "Accuracy")), 1):
        axes = figure.add_subplot(1, 2, position)
        folds = curves.folds or (curves.refit,)
        _draw_band(axes, [fold.get(name, []) for fold in folds], TRAINING, "training", 1.2)
        _draw_band(axes, [fold.get(f"val_{name}", []) for fold in folds], HELD_OUT, "validation (held out)", 2.2)
        axes.axvline(
            curves.chosen_epoch, color=CHOSEN, linestyle="--", linewidth=1.4, label=f"chosen: {curves.chosen_epoch}"
        )
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.set_xlabel("epoch")
        if name == "accuracy":
            axes.set_ylim(top=1.01)
        axes.legend(frameon=False, fontsize=8)
        _tidy(axes)
    return figure


def draw_confusion(counts: tuple[tuple[int, ...], ...], labels: tuple[str, ...]) -> Figure:
    """What was written against what was read, as counts; wrong readings stand out by colour."""
    from matplotlib.colors import ListedColormap

    table = np.array(counts)
    side = max(3.2, 0.36 * len(labels) + 1.2)
    figure = _figure(side, side)
    axes = figure.add_subplot(1, 1, 1)
    shades = np.where(np.eye(len(labels), dtype=bool), 0, np.where(table > 0, 1, 2))
    axes.imshow(shades, cmap=ListedColormap(["#dbe7f6", "#f6c9b4", "#ffffff"]), vmin=0, vmax=2)
    for row, column in zip(*np.nonzero(table), strict=True):
        axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=8, color=INK)
    names = _drawable(labels)
    axes.set_xticks(range(len(labels)), names)
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("read as")
    axes.set_ylabel("written")
    _tidy(axes, grid=False)
    return figure


def draw_history(nights: list[dict[str, object]]) -> Figure:
    """Share of right readings on images the champion had never seen, night by night; larger dots: more images."""
    figure = _figure(8.4, 2.6)
    axes = figure.add_subplot(1, 1, 1)
    images = np.array([_number(past, "fresh_images") for past in nights])
    share = np.array([_number(past, "fresh_right") for past in nights]) / images
    axes.plot(range(len(nights)), share, color=HELD_OUT, linewidth=1.2)
    axes.scatter(range(len(nights)), share, s=12 + 6 * np.sqrt(images), color=HELD_OUT)
    axes.set_xticks(range(len(nights)), [str(past.get("created", ""))[5:10] for past in nights], fontsize=7)
    axes.set_ylim(top=1.02)
    _tidy(axes)
    return figure


def _draw_band(axes: Any, folds: list[list[float]], colour: str, label: str, width: float) -> None:
    """Every fold as a faint line, and their mean as far as at least half of them went."""
    folds = [fold for fold in folds if fold]
    if not folds:
        return
    for fold in folds:
        axes.plot(range(1, len(fold) + 1), fold, color=colour, alpha=0.25, linewidth=0.8)
    length = sorted(len(fold) for fold in folds)[len(folds) // 2]
    mean = [float(np.mean([fold[epoch] for fold in folds if len(fold) > epoch])) for epoch in range(length)]
    axes.plot(range(1, length + 1), mean, color=colour, linewidth=width, label=label)


def _drawable(labels: tuple[str, ...]) -> list[str]:
    """Labels the font has glyphs for; others by their number, rather than as empty boxes."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    glyphs = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    drawable = all(ord(letter) in glyphs for label in labels for letter in label)
    return (
        [label[:6].replace("$", r"\$") for label in labels] if drawable else [f"#{n + 1}" for n in range(len(labels))]
    )


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, facecolor=PAPER, layout="constrained")


def _tidy(axes: Any, *, grid: bool = True) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    if grid:
        axes.grid(alpha=0.25, linewidth=0.6)


def _number(past: dict[str, object], name: str) -> float:
    value = past.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
