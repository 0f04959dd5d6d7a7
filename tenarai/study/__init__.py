"""The article's experiment on your own images: how many epochs, how many images, and why a 4 is read as a 5.

data        the source's images, read in several ways
plan        what is varied, as lines of trials
experiment  trains and evaluates the trials, and keeps their results
findings    what each line shows over its seeds
tables      findings in tables and sentences
report      the page, with plots
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tenarai.model.bundle import base_info, versions
from tenarai.settings import Settings, StudySettings
from tenarai.store import open_store
from tenarai.study.data import StudyData, load_data
from tenarai.study.experiment import ResultCache, train_all
from tenarai.study.findings import make_study
from tenarai.study.plan import list_trials, make_plan
from tenarai.study.report import render_markdown, write_report
from tenarai.study.tables import Table as Table
from tenarai.study.tables import find_headline, make_tables


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What a study ends with.

    Attributes:
        tables: The findings.
        headline: The most important one, as a sentence.
        markdown: The report for the Prefect UI.
        place: Where the page can be opened.
    """

    tables: list[Table]
    headline: str
    markdown: str
    place: str


def run_study(
    settings: Settings,
    form: StudySettings,
    say: Callable[[str], None],
    *,
    image: Path | None = None,
    label: str = "",
    workers: int | None = None,
    retrain: bool = False,
) -> StudyReport:
    """Try everything that a form asks for on the images of a source, and write the report.

    Args:
        settings: Where source and store are.
        form: What is tried.
        say: Receives a line per training.
        image: A misread image. Default: none.
        label: Its true label.
        workers: Processes. Default: one per core.
        retrain: Train everything again, whatever is kept. Default: False.

    Raises:
        TenaraiError: The source cannot be read or holds too few images, or the misread image is unusable.
    """
    store, form = open_store(settings.store), form.model_copy(update={"epochs": tuple(sorted(set(form.epochs)))})
    data = load_data(settings, say, image=image, label=label)
    environment = versions(os.environ.get("KERAS_BACKEND", "tensorflow"))
    environment |= {"base": base_info().id, "normaliser": str(data.normaliser)}
    plan = make_plan(form, data)
    cache = ResultCache(store, data, environment, ignore=retrain)
    results = train_all(list_trials(plan), data, cache, say, workers=workers)
    study = make_study(plan, results, data, form, settings.source, environment)
    tables, name = make_tables(study), name_study(form, data)
    write_report(store, name, study, tables, data, settings.language)
    markdown = render_markdown(study, tables, settings.language)
    return StudyReport(tables, find_headline(tables), markdown, f"{store.root}/studies/{name}/report.html")


def name_study(form: StudySettings, data: StudyData) -> str:
    """The same images, misread image and form always give the same name, so a repeated study overwrites itself."""
    asked = data.misread.fingerprint if data.misread else ""
    words = [data.fingerprint, asked, form.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:12]
