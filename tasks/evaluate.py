"""evaluate: compare champion and challenger on images that neither was trained on."""

from __future__ import annotations

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate.compare import compare, review
from tenarai.locale import _
from tenarai.night import Night
from tenarai.records import Evaluation, FreezeResult


@task(name="evaluate", task_run_name="evaluate", cache_policy=NO_CACHE)
def evaluate(night: Night, frozen: FreezeResult, challenger: str) -> Evaluation:
    """Compare champion and challenger on images that neither was trained on, and on the regression set."""
    with night.step(_("evaluate")) as log, night.catalogue() as catalogue:
        if not challenger or frozen.info is None:
            return review(night.store, catalogue, night.settings.source)
        evaluation = compare(night.store, catalogue, night.settings.source, frozen.info.id, challenger)
        log.info(_("{champion} against {challenger}", champion=evaluation.champion, challenger=challenger))
        return replace(evaluation, notes=(*night.notes, *evaluation.notes))
