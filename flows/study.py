"""The article's experiment on one's own images: the `study` flow, and the same for the command line.

    source ──read in several ways──▶ material ──plan──▶ cells ──train──▶ outcomes ──make sense──▶ report

Every finished cell is kept in the store, so a study that was stopped goes on from there, and the same question again is
answered at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tenarai.evaluate import wilson_score
from tenarai.model.bundle import base_info
from tenarai.orchestration.blocks import resolve_secrets
from tenarai.records import Score
from tenarai.report import escape, page_style
from tenarai.settings import Settings, StudySettings
from tenarai.store import open_store
from tenarai.study import (
    Cell,
    Findings,
    Material,
    Notebook,
    Outcome,
    Plan,
    Progress,
    Study,
    StudyReport,
    build_report,
    make_plan,
    write_report,
)
from tenarai.study.experiment import count_workers, train_cells
from tenarai.study.gather import gather_material

log = logging.getLogger("tenarai.study")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a study ends with.

    Attributes:
        study: What was found.
        report: HTML, plots, JSON and markdown.
        place: Where the report can be opened.
    """

    study: Study
    report: StudyReport
    place: str


@flow(name="study", timeout_seconds=4 * 3600)
def study(
    source: str = "", store: str = "", image: str = "", label: str = "", form: StudySettings = StudySettings()
) -> State[str]:
    """The article's experiment: how many epochs, how many images, and why a 4 is read as a 5.

    Args:
        source: Where the images are: folder:PATH or drive:FOLDER_ID. Empty: as set on the worker (TENARAI_SOURCE).
        store: Where the report is kept: a path, s3://… or gs://…. Empty: as set on the worker (TENARAI_STORE).
        image: A misread image to look into: a path on the worker's machine. Empty: none.
        label: What is written in that image, such as 4.
        form: What is tried.
    """
    from prefect.artifacts import create_markdown_artifact

    given = {name: value for name, value in {"source": source, "store": store}.items() if value}
    settings = resolve_secrets(Settings(**given))  # type: ignore[arg-type]
    result = run_study(settings, form, log.info, image=Path(image) if image else None, label=label)
    message = result.study.headline or "nothing could be tried on so few images"
    create_markdown_artifact(result.report.markdown, key="study", description=message)
    return Completed(message=message, data=result.place)


def run_study(
    settings: Settings,
    form: StudySettings,
    say: Say,
    *,
    image: Path | None = None,
    label: str = "",
    workers: int | None = None,
    anew: bool = False,
) -> Result:
    """Try everything that a form asks for on the images of a source, and write the report.

    Args:
        settings: Where source and store are.
        form: What is tried.
        say: Receives a line a cell: what came out, and how long the rest will take.
        image: A misread image. Default: none.
        label: What is written in it.
        workers: Processes. Default: one a core.
        anew: Train everything again, whatever is kept. Default: False.

    Raises:
        TenaraiError: The source cannot be read, holds too few images, or the image is no picture.
    """
    store = open_store(settings.store)
    material = gather_material(settings, say, image=image, label=label)
    environment = find_environment(material)
    plan = make_plan(form, material)
    outcomes = train_plan(plan, material, Notebook(store, material, environment), say, workers=workers, anew=anew)
    found = Findings(material, plan, outcomes, _score).study(form, settings.source, environment)
    report = build_report(found, material, style=page_style(), escape=escape)
    name = name_study(form, material)
    write_report(store, name, report)
    return Result(found, report, f"{store.root}/studies/{name}/report.html")


def train_plan(
    plan: Plan, material: Material, notebook: Notebook, say: Say, *, workers: int | None, anew: bool
) -> dict[Cell, Outcome]:
    """Train what is not kept yet, and keep each outcome as soon as it is there."""
    cells = plan.cells()
    kept = {} if anew else {cell: outcome for cell in cells if (outcome := notebook.find(cell))}
    todo = [cell for cell in cells if cell not in kept]
    outcomes = dict(kept)
    if kept:
        say(f"{len(kept)} of {len(cells)} trainings were done before; going on with the other {len(todo)}")
    workers = count_workers(workers, todo)
    progress = Progress(todo, workers)

    def take(cell: Cell, outcome: Outcome) -> None:
        notebook.keep(cell, outcome)
        outcomes[cell] = outcome
        say(progress.tell(cell, outcome))

    train_cells(material, todo, take, workers=workers)
    return outcomes


def name_study(form: StudySettings, material: Material) -> str:
    """Images, question and form always give the same name, so the same study is written to the same place."""
    question = material.question.fingerprint if material.question else ""
    words = [material.fingerprint, question, form.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:12]


def find_environment(material: Material) -> dict[str, str]:
    """What else decides the numbers: versions, and the base model; found out without importing Keras."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    found = {"backend": backend, "base": base_info().id, "normaliser": str(material.normaliser)}
    for name in ("keras", "numpy", "tenarai", backend):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree without installing it
            found[name] = "source tree"
    return found


def _score(num_right: int, num_images: int) -> Score:
    return wilson_score(num_right, num_images)
