"""The study flow: the article's experiment on your own images, from the Prefect UI."""

from __future__ import annotations

import logging
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.errors import TenaraiError
from tenarai.orchestration.runs import explain_failure, fail_run, settings_of_run
from tenarai.settings import StudySettings
from tenarai.study import run_study

log = logging.getLogger("tenarai.study")


@flow(name="study", timeout_seconds=4 * 3600, on_failure=[explain_failure], on_crashed=[explain_failure])
def study(
    source: str = "", store: str = "", image: str = "", label: str = "", form: StudySettings = StudySettings()
) -> State[str]:
    """The article's experiment: how many epochs, how many images, and why a 4 is read as a 5.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set for the worker.
        store: Where the report is kept: a path, s3://… or gs://…. Empty: as set for the worker.
        image: A misread image to look into: a path on the worker's machine. Empty: none.
        label: The true label of that image, such as 4.
        form: What is tried.
    """
    try:
        settings = settings_of_run(source=source, store=store)
        report = run_study(settings, form, log.info, image=Path(image) if image else None, label=label)
    except TenaraiError as error:
        return fail_run(error)
    create_markdown_artifact(report.markdown, key="study", description=report.headline)
    return Completed(message=report.headline, data=report.place)
