"""The plots of a study, as wide as a phone, with a band from the lowest to the highest seed around each line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tenarai.locale import _
from tenarai.study.findings import Curves, Share, Spread, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, TRAINING, HELD_OUT, ACCENT = "#22262b", "#8b95a1", "#3f7fd0", "#d2691e"
COLOURS = {"mlp": ACCENT, "cnn": TRAINING, "transfer": HELD_OUT}
Say = Callable[[str], str]


def draw_plots(study: Study, say: Say) -> dict[str, list[tuple[str, Figure]]]:
    """By part, the figures of a study, each with a description.

    Args:
        study: What to draw.
        say: Translates a message.
    """
    found: dict[str, list[tuple[str, Figure]]] = {}
    for curves in study.curves:
        for name, title in (("loss", _("loss")), ("accuracy", _("accuracy"))):
            alt = _("{recipe}: {title} by epoch, in training and held out", recipe=curves.recipe, title=title)
            found.setdefault("epochs", []).append((say(alt), _draw_curves(curves, name, say(title), say)))
    if study.part("samples"):
        alt = _("held-out accuracy by training images per label")
        found["samples"] = [(say(alt), _draw_samples(study, say))]
    return found


def _draw_curves(curves: Curves, name: str, title: str, say: Say) -> Figure:
    figure, axes = _figure(f"{curves.recipe}: {title}", say(_("epoch")))
    for curve, colour, label in ((name, TRAINING, _("training")), (f"val_{name}", HELD_OUT, _("held out"))):
        if curve in curves.curves:
            epochs = range(1, len(curves.curves[curve]) + 1)
            _draw_band(axes, epochs, curves.curves[curve], colour, say(label))
    if curves.best:
        best = say(_("lowest held-out loss"))
        axes.axvline(curves.best.middle, color=ACCENT, linestyle="--", linewidth=1.4, label=best)
    axes.set_ylim(*((0, 1.02) if name == "accuracy" else (0, None)))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_samples(study: Study, say: Say) -> Figure:
    figure, axes = _figure(say(_("held-out accuracy")), say(_("training images per label")))
    base, *rows = study.part("samples")
    for recipe, colour in COLOURS.items():
        own = [row for row in rows if row.recipe == recipe and row.held_out]
        if own:
            shares: list[Share] = [row.held_out for row in own if row.held_out]
            _draw_band(axes, [row.num_train / len(study.labels) for row in own], shares, colour, recipe)
    if base.held_out:
        axes.axhline(base.held_out.middle, color=INK, linestyle=":", linewidth=1.3, label=say(_("base, untouched")))
    axes.set_xscale("log")
    ticks = sorted({row.num_train / len(study.labels) for row in rows})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=1.01)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_band(axes: Any, x: Sequence[float], spreads: Sequence[Spread], colour: str, label: str) -> None:
    axes.plot(x, [one.middle for one in spreads], color=colour, linewidth=2, label=label)
    lowest, highest = [one.lowest for one in spreads], [one.highest for one in spreads]
    axes.fill_between(x, lowest, highest, color=colour, alpha=0.18, linewidth=0)


def _figure(title: str, x_label: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.8), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)
    axes.grid(alpha=0.25, linewidth=0.6)
    return figure, axes
