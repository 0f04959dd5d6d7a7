"""The plots of a report, drawn without pyplot: nothing is shared between threads, and equal nights give equal bytes.

In the page they are SVG elements: text takes the page's font, colours are the page's variables and follow light and
dark. Elsewhere they are PNG. A plot is as wide as a phone, so that its text is as large there as in the page.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenarai.locale import _, translate
from tenarai.records import Curves
from tenarai.report.view import NightOfNew, View
from tenarai.report.words import percent, word_day

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 358  # CSS pixels: a phone of 390 without its margins
MAX_NIGHTS = 60


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a plot: text, axes, the line that counts, and marks."""

    ink: str
    soft: str
    line: str
    mark: str


PAGE = Theme("#010203", "#010204", "#010205", "#010206")
"""Stand-ins, which `to_svg` replaces by the page's colours."""
_VARIABLES = {PAGE.ink: "currentColor", PAGE.soft: "var(--soft)", PAGE.line: "var(--calm)", PAGE.mark: "var(--bad)"}
LIGHT = Theme("#22262b", "#5a626c", "#2b5994", "#b03518")


def draw_plots(view: View, language: str) -> dict[str, str]:
    """What a night has to plot, as SVG elements: `history`, `loss`, `accuracy`."""
    found = {}
    if len(view.progress) >= 2:
        now = percent(view.progress[-1].pooled.accuracy)
        title = _("New images read correctly before training, night by night; now {now}", now=now)
        found["history"] = to_svg(plot_history(view, language, PAGE), translate(title, language))
    if curves := view.night.evaluation.curves:
        titles = {
            "accuracy": _("Share read correctly by epoch; epochs chosen: {epochs}", epochs=curves.chosen_epoch),
            "loss": _("Loss by epoch; epochs chosen: {epochs}", epochs=curves.chosen_epoch),
        }
        for name, title in titles.items():
            found[name] = to_svg(plot_curves(curves, name, language, PAGE), translate(title, language))
    return found


def plot_history(view: View, language: str, theme: Theme) -> Figure:
    """The trend as a figure of its own."""
    figure, axes = plot_figure("", "", language, theme, height=170)
    draw_history(axes, view.progress[-MAX_NIGHTS:], language, theme)
    return figure


def draw_history(axes: Axes, nights: Sequence[NightOfNew], language: str, theme: Theme) -> None:
    """Share of new images read correctly: a dot a night, the larger the more images; the line pools recent nights."""
    x = np.arange(len(nights))
    pooled = 100 * np.array([night.pooled.accuracy for night in nights])
    low, high = (100 * np.array([getattr(night.pooled, name) for night in nights]) for name in ("low", "high"))
    by_night = 100 * np.array([night.night.accuracy for night in nights])
    axes.fill_between(x, low, high, color=theme.line, alpha=0.18, linewidth=0)
    axes.plot(x, pooled, color=theme.line, linewidth=2)
    sizes = 8 + 4 * np.sqrt([min(night.night.num_images, 1000) for night in nights])
    axes.scatter(x, by_night, s=sizes, color=theme.soft, linewidths=0)
    promoted = [number for number, night in enumerate(nights) if night.promoted]
    axes.scatter(promoted, pooled[promoted], s=60, color=theme.mark, marker="^", zorder=3)
    shown = sorted({round(step) for step in np.linspace(0, len(nights) - 1, min(4, len(nights)))})
    axes.set_xticks(shown, [translate(word_day(nights[number].day), language) for number in shown])
    axes.set_xlim(-0.5, len(nights) - 0.5)
    bottom = max(0.0, min(low.min(), by_night.min()) - 3)
    axes.set_ylim(bottom, 100 + 0.04 * (100 - bottom))
    show_percent(axes)


def plot_curves(curves: Curves, name: str, language: str, theme: Theme) -> Figure:
    """Loss or accuracy by epoch: each fold, their mean, and the chosen epoch."""
    title = _("read correctly") if name == "accuracy" else _("loss")
    chosen = _("epochs chosen: {epochs}", epochs=curves.chosen_epoch)
    folds = curves.folds or (curves.refit,)
    return plot_fits(folds, name, title, {curves.chosen_epoch: chosen}, language, theme)


def plot_fits(
    fits: Sequence[Mapping[str, list[float]]],
    name: str,
    title: str,
    marks: Mapping[float, str],
    language: str,
    theme: Theme,
) -> Figure:
    """Loss or accuracy by epoch: each fit as a faint line, and their mean.

    Images in training are grey and thin: they say how well a model remembers, not how well it reads.

    Args:
        fits: Their histories: lists over epochs by name.
        name: loss or accuracy; `val_` and the name is that of images held out.
        title: Heading.
        marks: What to say of which epochs.
        language: en or ja.
        theme: Colours.
    """
    figure, axes = plot_figure(title, _("epoch"), language, theme)
    scale = 100 if name == "accuracy" else 1
    for key, colour, label, width in (
        (name, theme.soft, _("images in training"), 1.2),
        (f"val_{name}", theme.line, _("images held out"), 2.2),
    ):
        if lines := [scale * np.array(fit[key]) for fit in fits if fit.get(key)]:
            _draw_fits(axes, lines, colour, width)
            axes.plot([], [], color=colour, linewidth=width, label=translate(label, language))
    for epoch, mark in marks.items():
        axes.axvline(epoch, color=theme.mark, linestyle="--", linewidth=1.4, label=translate(mark, language))
    if name == "accuracy":
        show_percent(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=12, labelcolor=theme.ink)
    return figure


def to_svg(figure: Figure, title: str) -> str:
    """A figure drawn with `PAGE` as an SVG element that follows the page's font and colours.

    Args:
        figure: The figure.
        title: What it shows, for people who cannot see it.
    """
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenarai"}), io.StringIO() as buffer:
        figure.savefig(buffer, format="svg", transparent=True)
        text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    head = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index(">") + 1 :]
    label = escape(title)
    return f'<svg {head[0] if head else ""} role="img" aria-label="{label}"><title>{label}</title>{body.strip()}'


def draw_png(figure: Figure, *, dpi: int = 216) -> bytes:
    """A figure as PNG, three times as large as in the page by default."""
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
        return buffer.getvalue()


def _draw_fits(axes: Axes, fits: list[Any], colour: str, width: float) -> None:
    """Every fit as a faint line, and their mean as far as at least half of them went."""
    for fit in fits:
        axes.plot(range(1, len(fit) + 1), fit, color=colour, alpha=0.3, linewidth=0.8)
    length = sorted(len(fit) for fit in fits)[len(fits) // 2]
    mean = [float(np.mean([fit[epoch] for fit in fits if len(fit) > epoch])) for epoch in range(length)]
    axes.plot(range(1, length + 1), mean, color=colour, linewidth=width)


def show_percent(axes: Axes) -> None:
    """Label the y axis, 0 to 100, in per cent."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(100, decimals=0, symbol=" %"))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))


@cache
def use_fonts() -> None:
    """Latin from DejaVu, Japanese from IPAex Gothic.

    The Japanese font is taken from its package's folder: importing the package would change all of matplotlib.
    """
    from matplotlib import font_manager, rcParams

    spec = find_spec("matplotlib_fontja")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    japanese = [str(path) for folder in folders for path in sorted(Path(folder).glob("fonts/*.ttf"))]
    for path in japanese:
        font_manager.fontManager.addfont(path)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # the Japanese font has no bold face
    rcParams["font.family"] = ["DejaVu Sans", *(font_manager.get_font(path).family_name for path in japanese)]


def dress(axes: Axes, theme: Theme, *, fontsize: float = 12) -> None:
    """Give axes the style of all plots: two spines, a faint grid, text that can be read."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(theme.soft)
    axes.tick_params(labelsize=fontsize, colors=theme.ink)
    axes.grid(alpha=0.25, linewidth=0.6, color=theme.soft)


def plot_figure(title: str, x_label: str, language: str, theme: Theme, *, height: int = 210) -> tuple[Figure, Axes]:
    """A figure as wide as a phone with one plot in it; its height in CSS pixels."""
    from matplotlib.figure import Figure

    use_fonts()
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
    axes = figure.add_subplot(1, 1, 1)
    dress(axes, theme)
    axes.set_title(translate(title, language), loc="left", fontsize=12, color=theme.ink)
    axes.set_xlabel(translate(x_label, language), fontsize=12, color=theme.ink)
    return figure, axes
