"""What a run shows in the Prefect UI: its name, artifacts that are published once, and artifacts that change in place.

Outside a run nobody looks, and nothing is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run, task_run

from tenarai.locale import _
from tenarai.orchestration import runs
from tenarai.records import NightReport
from tenarai.report.markdown import escape

VERDICTS = {"promoted": _("Promoted"), "kept": _("Kept"), "nothing new": _("Nothing new")}
SECONDS_BETWEEN = 3.0
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


def name_run(night: NightReport) -> None:
    """Name the current run after its verdict, such as `Promoted · 25 Nov`."""
    runs.name_run(VERDICTS[night.decision.verdict], datetime.fromisoformat(night.created))


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


def read_artifact(run_id: UUID, key: str) -> tuple[Any, str]:
    """Data and description of a run's artifact; None and nothing where it has none of this key yet."""
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]), key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=mine, limit=1)
    return (found[0].data, found[0].description or "") if found else (None, "")
