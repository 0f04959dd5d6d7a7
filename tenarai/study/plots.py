"""The plots of a study, as PNG and SVG; drawn without pyplot, and the same study gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from tenarai.study.results import Learning, Study
from tenarai.study.sentences import percent, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, TRAINING = "#2b2b2b", "#8b95a1"
COLOURS = {"mlp": "#c2410c", "cnn": "#1f5fbf", "transfer": "#1d6f42", "base": "#6b7280"}


def draw_plots(study: Study) -> dict[str, bytes]:
    """Draw what the study has: `epochs`, `samples`, `switches`, `question`; file name to bytes, each as PNG and SVG."""
    figures: dict[str, Figure] = {}
    if study.learning:
        figures["epochs"] = _draw_epochs(study)
    if any(row.recipe != "base" for row in study.samples):
        figures["samples"] = _draw_samples(study)
    if study.switches:
        figures["switches"] = _draw_switches(study)
    if study.answer:
        figures["question"] = _draw_question(study)
    return {f"{name}.{kind}": _save(figure, kind) for name, figure in figures.items() for kind in ("png", "svg")}


def _draw_epochs(study: Study) -> Figure:
    """Loss and accuracy of each recipe: held out in colour, training in grey, each with the band of its seeds."""
    figure = _figure(8.6, 2.5 * len(study.learning) + 0.3)
    for row, learning in enumerate(study.learning):
        for column, name in enumerate(("loss", "accuracy")):
            axes = figure.add_subplot(len(study.learning), 2, 2 * row + column + 1)
            _draw_curves(axes, learning, name)
            axes.set_title(f"{learning.recipe}: {name}", loc="left", fontsize=10, color=INK)
            if row == len(study.learning) - 1:
                axes.set_xlabel("epoch", fontsize=9)
            if not row and column:
                axes.legend(frameon=False, fontsize=8, loc="lower right")
            _tidy(axes)
    return figure


def _draw_curves(axes: Any, learning: Learning, name: str) -> None:
    colour = COLOURS[learning.recipe]
    for curve, shade, label in ((name, TRAINING, "training"), (f"val_{name}", colour, "held out")):
        band = learning.curves.get(curve)
        if band is None:
            continue
        epochs = range(1, len(band.mean) + 1)
        axes.plot(epochs, band.mean, color=shade, linewidth=2 if shade == colour else 1.3, label=label)
        axes.fill_between(epochs, band.lowest, band.highest, color=shade, alpha=0.18, linewidth=0)
    if learning.best:
        axes.axvline(learning.best.median, color=INK, linestyle=":", linewidth=1.1, label="lowest held-out loss")
        axes.axvspan(learning.best.lowest, learning.best.highest, color=INK, alpha=0.06, linewidth=0)
    axes.set_ylim(*((0, 1.02) if name == "accuracy" else (0, None)))


def _draw_samples(study: Study) -> Figure:
    figure = _figure(8.6, 3.8)
    axes = figure.add_subplot(1, 1, 1)
    rows = [row for row in study.samples if row.recipe != "base"]
    for recipe in dict.fromkeys(row.recipe for row in rows):
        own = [row for row in rows if row.recipe == recipe]
        sizes = [row.per_label for row in own]
        shares = [row.held_out for row in own]
        axes.plot(sizes, [s.mean for s in shares], color=COLOURS[recipe], marker="o", markersize=4, label=recipe)
        lowest, highest = [s.lowest for s in shares], [s.highest for s in shares]
        axes.fill_between(sizes, lowest, highest, color=COLOURS[recipe], alpha=0.15, linewidth=0)
    for row in study.samples:
        if row.recipe == "base":
            axes.axhline(
                row.held_out.mean, color=COLOURS["base"], linestyle="--", linewidth=1.3, label="base, untouched"
            )
    axes.set_xscale("log")
    ticks = sorted({row.per_label for row in rows})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("training images a label", fontsize=9)
    axes.set_title("share of held-out images read right", loc="left", fontsize=10, color=INK)
    axes.set_ylim(top=1.01)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    _tidy(axes)
    return figure


def _draw_switches(study: Study) -> Figure:
    """A dot a row, with its 95 % interval, recipe below recipe."""
    figure = _figure(8.6, 0.27 * len(study.switches) + 0.9)
    axes = figure.add_subplot(1, 1, 1)
    for place, row in enumerate(study.switches):
        share, colour = row.held_out, COLOURS[row.recipe]
        axes.plot([share.low, share.high], [place, place], color=colour, alpha=0.4, linewidth=3, solid_capstyle="round")
        axes.plot([share.mean], [place], color=colour, marker="o", markersize=6)
        told = f"{percent(share.mean)}" + (f"  ({points(row.difference)})" if row.difference else "")
        axes.annotate(told, (1.015, place), va="center", fontsize=8, color=INK, annotation_clip=False)
    axes.set_yticks(range(len(study.switches)), [f"{row.recipe}: {row.switch}" for row in study.switches])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title("share of held-out images read right, with its 95 % interval", loc="left", fontsize=10, color=INK)
    _tidy(axes)
    return figure


def _draw_question(study: Study) -> Figure:
    """How many seeds read the misread image right, by what was tried."""
    assert study.answer is not None
    tries = study.answer.tries
    figure = _figure(8.6, 0.3 * len(tries) + 0.8)
    axes = figure.add_subplot(1, 1, 1)
    shares = [row.num_right / row.num_seeds for row in tries]
    colours = [COLOURS["transfer"] if share == 1 else COLOURS["mlp"] if not share else "#d6a13a" for share in shares]
    axes.barh(range(len(tries)), [max(share, 0.006) for share in shares], color=colours, height=0.6)
    for place, row in enumerate(tries):
        axes.annotate(
            f"{row.num_right} of {row.num_seeds}",
            (1.015, place),
            va="center",
            fontsize=8,
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(tries)), [row.tried for row in tries])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title("share of seeds that read it right", loc="left", fontsize=10, color=INK)
    _tidy(axes)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, facecolor="#ffffff", layout="constrained")


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def _save(figure: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "tenarai"}):  # else ids are drawn by chance
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def draw_digit(digit: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """(28, 28) uint8 as PNG, dark on white, twice its size."""
    import cv2

    done, data = cv2.imencode(".png", cv2.resize(255 - digit, (56, 56), interpolation=cv2.INTER_NEAREST))
    if not done:
        raise ValueError("OpenCV could not write a PNG of 56 × 56 pixels")
    return bytes(data.tobytes())
