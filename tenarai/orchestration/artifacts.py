"""What a run shows in the Prefect UI: artifacts that are published once, and those of a training that change in place.

Outside a run nobody looks, and nothing is published.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run, task_run

from tenarai.locale import Message, _, translate
from tenarai.report.markdown import escape, word_links
from tenarai.settings import TrainingSettings, read_settings

WIDTH, HEIGHT = 640, 260
COLOURS = ("#2f7ed8", "#e07b39", "#3f9e5a", "#b455a8", "#8c7a2e", "#5c6bc0")
SECONDS_BETWEEN = 3.0
SECONDS_BETWEEN_LINES = 10.0  # of a run's log, the one thing on its page that the UI renews by itself
SHARE = 0.05  # of a training's time that updates may cost


def publish_artifacts(artifacts: Mapping[str, str], description: str) -> None:
    """Publish the artifacts of the current run.

    Args:
        artifacts: Markdown by key, each under 500 KB.
        description: A line above the first thing to read, `nightly-report`.
    """
    if flow_run.id:
        for key, markdown in artifacts.items():
            said = escape(description) if key == "nightly-report" else ""
            create_markdown_artifact(markdown, key=key, description=said)


class LiveArtifact:
    """An artifact of the current run that is updated in place, every few seconds at most.

    A server that does not answer costs an update, never the run.
    """

    def __init__(self, key: str, *, kind: str = "markdown") -> None:
        """Publish nothing yet.

        Args:
            key: Its key in the UI.
            kind: markdown, or progress, whose data is a percentage.
        """
        self._key, self._kind = key, kind
        self._id: UUID | None = None
        self._shown: tuple[Any, str] = (None, "")
        self._next = 0.0

    def show(self, make: Callable[[], tuple[Any, str]], *, now: bool = False) -> None:
        """Publish new content, unless the last is only a moment ago.

        Args:
            make: Called only if it is time; gives data (Markdown or a percentage, None for nothing yet) and a
                description. Making and sending together take a twentieth of the time at most.
            now: Whether the moment does not matter, as at the end.
        """
        start = time.monotonic()
        if not flow_run.id or (start < self._next and not now):
            return
        with suppress(HTTPError, PrefectHTTPStatusError):
            data, description = made = make()
            if data is not None and made != self._shown:
                self._send(data, description)
                self._shown = made
        end = time.monotonic()
        self._next = end + max(SECONDS_BETWEEN, (end - start) / SHARE)

    def _send(self, data: Any, description: str) -> None:
        with get_client(sync_client=True) as client:
            if self._id is not None:
                client.update_artifact(self._id, ArtifactUpdate(data=data, description=description))
                return
            artifact = ArtifactCreate(
                key=self._key,
                type=self._kind,
                data=data,
                description=description,
                flow_run_id=UUID(flow_run.id),
                task_run_id=UUID(task_run.id) if task_run.id else None,
            )
            self._id = client.create_artifact(artifact).id


def link_report(links: Mapping[str, str], language: str) -> None:
    """Add links to the files on Google Drive to the report of the current run.

    Args:
        links: Addresses by the file's name.
        language: en or ja.
    """
    if not flow_run.id:
        return
    with get_client(sync_client=True) as client:
        for artifact in find_artifacts(client, UUID(flow_run.id), "nightly-report"):
            title, _blank, rest = str(artifact.data).partition("\n\n")
            line = translate(_("On Google Drive: {links}", links=word_links(links, language)), language)
            client.update_artifact(artifact.id, ArtifactUpdate(data=f"{title}\n\n{line}\n\n{rest}"))


def read_artifact(run_id: UUID, key: str) -> tuple[Any, str]:
    """Data and description of a run's artifact; None and nothing where it has none of this key yet."""
    with get_client(sync_client=True) as client:
        found = find_artifacts(client, run_id, key)
    return (found[0].data, found[0].description or "") if found else (None, "")


def find_artifacts(client: SyncPrefectClient, run_id: UUID, key: str) -> list[Artifact]:
    """The artifacts of a run with a key; one at most, as nights and trainings publish them."""
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]), key=ArtifactFilterKey(any_=[key]))
    return client.read_artifacts(artifact_filter=mine, limit=1)


class TrainingView:
    """Takes the line that the training logs after each epoch, and shows it in the Prefect UI.

    Outside a run it only logs.
    """

    def __init__(self, log: logging.Logger | logging.LoggerAdapter[Any], training: TrainingSettings) -> None:
        """Show nothing yet.

        Args:
            log: Receives epochs as debug lines; a line a fit, and in a run one every ten seconds, as information.
            training: How many folds and epochs there are at most.
        """
        self._log, self._training = log, training
        self._curves: dict[str, list[float]] = {}
        self._page = LiveArtifact("training")
        self._bar = LiveArtifact("progress", kind="progress")
        self._last: str = ""
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, line: str) -> None:
        """Show an epoch."""
        self._log.debug(line)
        fields = line.fields if isinstance(line, Message) else {}
        if "fit" not in fields:
            return
        fit = fields["fit"]
        if self._last and (fit not in self._curves or (flow_run.id and time.monotonic() > self._next_line)):
            self._log.info(self._last)
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
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
        done = len(self._curves) - 1 + min(1.0, len(self._curves[next(reversed(self._curves))]) / epochs)
        return round(100 * min(1.0, done / fits), 1)

    def _draw(self) -> str:
        language = read_settings().language
        title = translate(_("Accuracy by epoch, on images that were held out where there are some"), language)
        return f"{title}\n\n![]({draw_curves(self._curves)})\n\n{list_fits(self._curves, language)}"


def draw_curves(curves: Mapping[str, Sequence[float]]) -> str:
    """Curves as an SVG picture in a data URI. Drawn by hand: matplotlib would cost more than an epoch.

    Args:
        curves: Values from 0 to 1 by the name of the fit, an epoch each.
    """
    longest = max(2, *map(len, curves.values()))
    low = min(min(values) for values in curves.values())
    low = min(0.9, int(low * 10) / 10)

    def place(epoch: int, value: float) -> str:
        return f"{54 + (WIDTH - 74) * epoch / (longest - 1):.1f},{20 + (HEIGHT - 50) * (1 - value) / (1 - low):.1f}"

    lines = [
        f'<polyline fill="none" stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2.5" '
        f'points="{" ".join(place(epoch, value) for epoch, value in enumerate(values))}"/>'
        for number, values in enumerate(curves.values())
    ]
    texts = [
        (46, 26, "end", "100%"),
        (46, HEIGHT - 28, "end", f"{low:.0%}"),
        (WIDTH - 20, HEIGHT - 8, "end", str(longest)),
    ]
    labels = [f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts]
    axes = f'<path d="M54 20V{HEIGHT - 30}H{WIDTH - 20}" fill="none" stroke="#888"/>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="18" fill="#888">{axes}{"".join(lines)}{"".join(labels)}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def list_fits(curves: Mapping[str, Sequence[float]], language: str) -> str:
    """A line a fit, since a table does not fit on a phone: its name, its epochs so far, its best and last accuracy."""
    epochs, best, now = (translate(title, language) for title in (_("epochs"), _("best"), _("now")))
    return "\n".join(
        f"* {translate(name, language)} · {epochs} {len(values)} · {best} {max(values):.1%} · {now} {values[-1]:.1%}"
        for name, values in curves.items()
    )
