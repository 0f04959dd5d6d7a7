"""The study flow: the article's experiment on your own images, from the Prefect UI."""

from __future__ import annotations

import logging
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.orchestration.blocks import resolve_secrets
from tenarai.settings import Settings, StudySettings
from tenarai.study import run_study

log = logging.getLogger("tenarai.study")


@flow(name="study", timeout_seconds=4 * 3600)
def study(
    source: str = "", store: str = "", image: str = "", label: str = "", form: StudySettings = StudySettings()
) -> State[str]:
    """The article's experiment: how many epochs, how many images, and why a 4 is read as a 5.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set on the worker (TENARAI_SOURCE).
        store: Where the report is kept: a path, s3://… or gs://…. Empty: as set on the worker (TENARAI_STORE).
        image: A misread image to look into: a path on the worker's machine. Empty: none.
        label: The true label of that image, such as 4.
        form: What is tried.
    """
    given = {name: value for name, value in {"source": source, "store": store}.items() if value}
    settings = resolve_secrets(Settings(**given))  # type: ignore[arg-type]
    report = run_study(settings, form, log.info, image=Path(image) if image else None, label=label)
    create_markdown_artifact(report.markdown, key="study", description=report.headline)
    return Completed(message=report.headline, data=report.place)
