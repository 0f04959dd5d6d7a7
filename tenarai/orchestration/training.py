"""A training as it is watched: a progress bar and the curves so far, updated in place, and a log line a fit."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tenarai.locale import Message, _, translate
from tenarai.orchestration.artifacts import LiveArtifact
from tenarai.settings import TrainingSettings, read_settings

WIDTH, HEIGHT = 640, 260
COLOURS = ("#2f7ed8", "#e07b39", "#3f9e5a", "#b455a8", "#8c7a2e", "#5c6bc0")


class TrainingView:
    """Takes the line that the training logs after each epoch, and shows it in the Prefect UI.

    Outside a run it only logs.
    """

    def __init__(self, log: logging.Logger | logging.LoggerAdapter[Any], training: TrainingSettings) -> None:
        """Show nothing yet.

        Args:
            log: Receives epochs as debug lines, and a line a fit.
            training: How many folds and epochs there are at most.
        """
        self._log, self._training = log, training
        self._curves: dict[str, list[float]] = {}
        self._page = LiveArtifact("training")
        self._bar = LiveArtifact("progress", kind="progress")
        self._last: str = ""

    def __call__(self, line: str) -> None:
        """Show an epoch."""
        self._log.debug(line)
        fields = line.fields if isinstance(line, Message) else {}
        if "fit" not in fields:
            return
        fit = fields["fit"]
        if fit not in self._curves and self._last:
            self._log.info(self._last)
        self._curves.setdefault(fit, []).append(float(fields.get("held_out", fields["accuracy"])))
        self._last = line
        self._bar.show(lambda: (self._percent(), translate(line, read_settings().language)))
        self._page.show(lambda: (self._draw(), ""))

    def close(self) -> None:
        """Show the last state."""
        if self._last:
            self._log.info(self._last)
            self._bar.show(lambda: (100.0, ""), now=True)
            self._page.show(lambda: (self._draw(), ""), now=True)

    def _percent(self) -> float:
        """How much is done at least: EarlyStopping usually ends a fit sooner than after all epochs."""
        fits, epochs = self._training.folds + 1, self._training.max_epochs
        done = len(self._curves) - 1 + len(self._curves[next(reversed(self._curves))]) / epochs
        return round(100 * min(1.0, done / fits), 1)

    def _draw(self) -> str:
        language = read_settings().language
        title = translate(_("Accuracy by epoch, on images that were held out where there are some"), language)
        return f"{title}\n\n![]({draw_curves(self._curves)})\n\n{tabulate(self._curves, language)}"


def draw_curves(curves: Mapping[str, Sequence[float]]) -> str:
    """Curves as an SVG picture in a data URI. Drawn by hand: matplotlib would cost more than an epoch.

    Args:
        curves: Values from 0 to 1 by the name of the fit, an epoch each.
    """
    longest = max(2, *map(len, curves.values()))
    low = min(min(values) for values in curves.values())
    low = min(0.9, int(low * 10) / 10)

    def place(epoch: int, value: float) -> str:
        return f"{40 + (WIDTH - 60) * epoch / (longest - 1):.1f},{20 + (HEIGHT - 50) * (1 - value) / (1 - low):.1f}"

    lines = [
        f'<polyline fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2.5" '
        f'points="{" ".join(place(epoch, value) for epoch, value in enumerate(values))}"/>'
        for number, values in enumerate(curves.values())
    ]
    texts = [
        (36, 24, "end", "100 %"),
        (36, HEIGHT - 26, "end", f"{low:.0%}"),
        (WIDTH - 20, HEIGHT - 8, "end", str(longest)),
    ]
    labels = [f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts]
    axes = f'<path d="M40 20V{HEIGHT - 30}H{WIDTH - 20}" fill="none" stroke="#888"/>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#888">{axes}{"".join(lines)}{"".join(labels)}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def tabulate(curves: Mapping[str, Sequence[float]], language: str) -> str:
    """A row a fit: its name, its epochs so far, its best and its last accuracy."""
    titles = " | ".join(translate(title, language) for title in (_("fit"), _("epochs"), _("best"), _("now")))
    rows = [
        f"| {translate(name, language)} | {len(values)} | {max(values):.1%} | {values[-1]:.1%} |"
        for name, values in curves.items()
    ]
    return "\n".join([f"| {titles} |", "| --- | ---: | ---: | ---: |", *rows])
