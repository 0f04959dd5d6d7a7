"""The exam of a night: loads the models, lets them read, and has `tenarai.evaluate` count what came out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenarai import evaluate
from tenarai.catalogue import Catalogue
from tenarai.dataset import REGRESSION, Snapshot, load_snapshot
from tenarai.evaluate.champion import champion_id, load_model_by_id
from tenarai.evaluate.fair import (
    count_learned,
    cross_fitted_probabilities,
    find_counted_rows,
    find_fresh_rows,
    groups_trained_on,
    labels_of,
    load_comparable_champion,
)
from tenarai.evaluate.readings import Readings, keep_readings, known_readings, read_with
from tenarai.evaluate.why import describe_changes
from tenarai.night import Night
from tenarai.prepare import NORMALISER_VERSION, are_near
from tenarai.records import (
    Case,
    Evaluation,
    Image,
    Prediction,
    Role,
    SnapshotInfo,
    Suspect,
)

Flags = NDArray[np.bool_]


def examine_challenger(night: Night, catalogue: Catalogue, info: SnapshotInfo, challenger_id: str) -> Evaluation:
    """Champion and challenger on the same images, and the regression set image by image.

    Counted are the test images, which nobody was ever trained on, and the training images that are new to the champion:
    those the challenger reads by its fold models, each with the fold that has not seen the image (cross-fitting).

    Raises:
        ModelError, StoreError: A model or the snapshot is missing or damaged.
    """
    from tenarai.model.bundle import load_curves, load_out_of_fold, load_seeds

    snapshot = load_snapshot(night.store, info.id)
    champion, notes = load_comparable_champion(night, challenger_id)
    challenger = load_model_by_id(night.store, challenger_id)
    truth = snapshot.labels()
    theirs, ours = read_with(champion, snapshot.pixels), read_with(challenger, snapshot.pixels)
    folds = load_out_of_fold(night.store, challenger_id)
    fair = cross_fitted_probabilities(snapshot, ours.probabilities, folds)
    ours_fair = labels_of(fair, challenger.info.labels)
    counted, more_notes = find_counted_rows(night, snapshot, champion, ours_fair)
    right_before, right_now = theirs.labels[counted] == truth[counted], ours_fair[counted] == truth[counted]
    images = catalogue.images(night.settings.source, roles=(Role.DIGITS, Role.MISREAD))
    filed = {image.sha256: image for image in images if image.role is Role.DIGITS}
    differ = counted[right_before != right_now]
    ours_there = evaluate.read_labels(fair[differ], challenger.info.labels, challenger.info.unsure_below)
    fresh = find_fresh_rows(night, catalogue, snapshot)
    fresh_misread = fresh[theirs.labels[fresh] != truth[fresh]]
    misread = {image.sha256: image for image in images if image.role is Role.MISREAD}
    regression = _judge_regression(catalogue, night, snapshot, misread, theirs, ours)
    return Evaluation(
        champion=champion.info.id,
        challenger=challenger.info.id,
        snapshot=info.id,
        pairs=evaluate.pair_up(right_before, right_now),
        disputed=_find_disputed(filed, snapshot, differ, theirs.of(differ), ours_there),
        num_learned=count_learned(night, catalogue, champion, snapshot),
        champion_score=evaluate.wilson_score(int(right_before.sum()), len(counted)),
        challenger_score=evaluate.wilson_score(int(right_now.sum()), len(counted)),
        fresh=evaluate.wilson_score(len(fresh) - len(fresh_misread), len(fresh)),
        newly_found=_newly_found(filed, snapshot, fresh_misread, theirs.of(fresh_misread)),
        changes=describe_changes(night.store, champion.info, challenger.info, snapshot),
        suspects=_find_suspects(catalogue, snapshot, images, filed, fair),
        is_first=not set(champion.info.labels) & set(info.labels),
        regression=regression,
        seeds=_count_seeds(snapshot, load_seeds(night.store, challenger_id)),
        confusion=evaluate.confusion_matrix(truth[counted], ours_fair[counted], info.labels),
        confusion_labels=info.labels,
        curves=load_curves(night.store, challenger_id),
        recipe=challenger.info.recipe,
        device=challenger.info.device,
        notes=(*notes, *more_notes, *challenger.info.notes),
    )


def examine_quietly(night: Night, catalogue: Catalogue) -> Evaluation:
    """A night without a challenger: no model is loaded; the regression set is shown as the champion read it before."""
    champion = champion_id(night.store)
    images = catalogue.images(night.settings.source, roles=(Role.MISREAD,))
    kept = known_readings(night, catalogue, champion, {image.sha256 for image in images})
    images = [image for image in {image.sha256: image for image in images}.values() if image.sha256 in kept]
    labels = {image.label for image in images} | {reading.label for reading in kept.values()}
    cases = evaluate.judge_regression(
        images, [kept[image.sha256] for image in images], None, [label for label in labels if label]
    )
    return Evaluation(champion=champion, regression=cases)


def _judge_regression(
    catalogue: Catalogue,
    night: Night,
    snapshot: Snapshot,
    misread: dict[str, Image],
    champion: Readings,
    challenger: Readings,
) -> tuple[Case, ...]:
    """Judge the regression set, and keep both models' readings, so that a quiet night can show it without them."""
    rows = snapshot.rows(REGRESSION)
    shas = snapshot.sha256[rows].tolist()
    before, now = champion.of(rows), challenger.of(rows)
    for model, readings in ((champion.model, before), (challenger.model, now)):
        keep_readings(catalogue, model.id, dict(zip(shas, readings, strict=True)))
    known = groups_trained_on(night, champion.model)
    learned = {sha for sha, group in zip(shas, snapshot.groups[rows].tolist(), strict=True) if group in known}
    images = [misread[sha] for sha in shas]
    return evaluate.judge_regression(images, before, now, snapshot.info.labels, by_heart=learned)


def _count_seeds(snapshot: Snapshot, seeds: NDArray[np.float32]) -> dict[str, tuple[int, int]]:
    """By sha256 of a regression image, how many of the challenger's fold models read it, and how many there are."""
    rows = snapshot.rows(REGRESSION)
    if not seeds.size or seeds.shape[1] != len(rows):
        return {}
    num_right = (seeds.argmax(axis=2) == snapshot.targets[rows]).sum(axis=0)
    shas = snapshot.sha256[rows].tolist()
    return {sha: (int(right), len(seeds)) for sha, right in zip(shas, num_right, strict=True)}


def _find_disputed(
    filed: dict[str, Image],
    snapshot: Snapshot,
    rows: NDArray[np.intp],
    champion: list[Prediction],
    challenger: list[Prediction],
) -> tuple[Case, ...]:
    """Rows that only one of the two reads right, with what each reads; lost ones first, then by path."""
    found = [
        Case(image.path, sha, image.label or "", before, now, "won" if now.label == image.label else "lost")
        for sha, before, now in zip(snapshot.sha256[rows].tolist(), champion, challenger, strict=True)
        if (image := filed.get(sha))
    ]
    return tuple(sorted(found, key=lambda item: (item.status, item.path)))


def _newly_found(
    filed: dict[str, Image], snapshot: Snapshot, rows: NDArray[np.intp], champion: list[Prediction]
) -> tuple[Case, ...]:
    """Tonight's labelled images that the champion misread, by path; they are trained on all the same."""
    found = [
        Case(image.path, sha, image.label or "", reading)
        for sha, reading in zip(snapshot.sha256[rows].tolist(), champion, strict=True)
        if (image := filed.get(sha))
    ]
    return tuple(sorted(found, key=lambda case: case.path))


def _find_suspects(
    catalogue: Catalogue,
    snapshot: Snapshot,
    images: list[Image],
    filed: dict[str, Image],
    fair: NDArray[np.float32],
) -> tuple[Suspect, ...]:
    """Files to look at; labels are judged by (N, K) readings of models that never saw the image."""
    rows = np.array([n for n, sha in enumerate(snapshot.sha256.tolist()) if sha in filed], dtype=np.intp)
    rows = rows[snapshot.splits[rows] != REGRESSION]
    judged = [filed[sha] for sha in snapshot.sha256[rows].tolist()]
    wrong = evaluate.find_wrong_labels(judged, fair[rows], snapshot.targets[rows], snapshot.info.labels)
    odd = evaluate.find_outliers(judged, fair[rows])
    copies = evaluate.find_duplicates(images, catalogue.fingerprints(NORMALISER_VERSION), are_near)
    return (*wrong, *odd, *copies)
