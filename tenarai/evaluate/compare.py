"""A night's evaluation: champion and challenger on the same images, and everything that the report shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.dataset import REGRESSION, TEST, TRAIN, Snapshot, load_snapshot
from tenarai.errors import StoreError, TenaraiError
from tenarai.evaluate.champions import Labelled, find_changes, trained_on, training_labels
from tenarai.evaluate.gate import MIN_EVIDENCE
from tenarai.evaluate.holdout import (
    Nights,
    count_learned,
    cross_fit,
    find_chosen,
    find_fresh_rows,
    find_holdout,
    groups_trained_on,
    is_chosen,
    load_opponent,
)
from tenarai.evaluate.predictions import Predictions, champion_id, load_model_by_id, recall, remember
from tenarai.evaluate.regression import judge_regression
from tenarai.evaluate.suspects import find_suspects
from tenarai.model.bundle import load_curves, load_out_of_fold
from tenarai.model.explain import find_nearest, map_occlusion
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import Case, Doubling, Evaluation, Explanation, Image, PairedCounts, Prediction, Role, Score
from tenarai.store import Store

MAX_EXPLAINED = 24
NUM_NEAREST = 5

Rows = NDArray[np.intp]


def compare(store: Store, catalogue: Catalogue, source: str, snapshot_id: str, challenger_id: str) -> Evaluation:
    """Compare champion and challenger on images that neither was trained on, and on the regression set.

    Raises:
        ModelError: A model is missing or damaged.
        StoreError: The snapshot is missing or was altered; that of the champion may be.
    """
    snapshot = load_snapshot(store, snapshot_id)
    nights, chosen = catalogue.nights(source), find_chosen(catalogue, source)
    champion, notes = load_opponent(store, challenger_id)
    challenger = load_model_by_id(store, challenger_id)
    info, labels = challenger.info, snapshot.info.labels
    files = catalogue.images(source, roles=(Role.DIGITS, Role.MISREAD))
    images = {image.sha256: image for image in sorted(files, key=lambda image: image.role is Role.MISREAD)}

    truth = snapshot.labels()
    theirs, ours = Predictions.of(champion, snapshot.pixels), Predictions.of(challenger, snapshot.pixels)
    honest = cross_fit(snapshot, ours, load_out_of_fold(store, challenger_id))
    rows, more_notes = find_holdout(store, snapshot, champion.info, honest.labels, chosen)
    before, now = theirs.labels[rows] == truth[rows], honest.labels[rows] == truth[rows]
    differ = rows[before != now]
    fresh = find_fresh_rows(store, nights, snapshot, chosen)
    learned: Labelled = {}
    with suppress(StoreError):  # a note says so
        learned = trained_on(store, champion.info)
    misread = fresh[theirs.labels[fresh] != truth[fresh]]
    return Evaluation(
        champion=champion.info.id,
        challenger=challenger_id,
        snapshot=snapshot_id,
        champion_score=Score.of(int(before.sum()), len(rows)),
        challenger_score=Score.of(int(now.sum()), len(rows)),
        pairs=pair_up(before, now),
        disputed=_list_cases(images, snapshot, differ, theirs.rows(differ), honest.rows(differ)),
        num_evidence=int((~is_chosen(snapshot, chosen) & (snapshot.splits != REGRESSION)).sum()),
        num_learned=count_learned(store, nights, champion.info, snapshot),
        doubling=measure_doubling(store, nights, snapshot, ours),
        is_first=not set(champion.info.labels) & set(labels),
        forgotten=tuple(sorted((set(champion.info.labels) - set(info.labels)) & {file.label or "" for file in files})),
        fresh=Score.of(len(fresh) - len(misread), len(fresh)),
        newly_found=_list_cases(images, snapshot, misread, theirs.rows(misread)),
        regression=_judge_regression(store, catalogue, snapshot, images, theirs, ours),
        suspects=find_suspects(snapshot, honest.probabilities, files, catalogue.fingerprints(NORMALISER_VERSION)),
        changes=find_changes(champion.info, info, learned, training_labels(snapshot)),
        confusion=count_confusion(truth[rows], honest.labels[rows], labels),
        confusion_labels=labels,
        curves=load_curves(store, challenger_id),
        recipe=info.recipe,
        device=info.device,
        notes=(*notes, *more_notes, *info.notes),
    )


def review(store: Store, catalogue: Catalogue, source: str) -> Evaluation:
    """The evaluation of a night without a challenger: the regression set as the champion read it before."""
    champion = champion_id(store)
    images = {image.sha256: image for image in catalogue.images(source, roles=(Role.MISREAD,))}
    known = recall(store, catalogue, champion, images.keys())
    shown = [image for sha, image in images.items() if sha in known]
    labels = {image.label or "" for image in shown} | {prediction.label for prediction in known.values()}
    predictions = [known[image.sha256] for image in shown]
    return Evaluation(champion, regression=judge_regression(shown, predictions, None, labels - {""}))


def explain_misread(store: Store, evaluation: Evaluation) -> tuple[Explanation, ...]:
    """Explain why the model that reads from now on misreads regression images, up to `MAX_EXPLAINED` of them.

    A night without a challenger explains nothing: it loads no model.

    Raises:
        ModelError: The model is missing or damaged.
        StoreError: The snapshot is missing or was altered.
    """
    reader = champion_id(store)
    is_promoted = reader == evaluation.challenger
    reads = [(case, (case.challenger if is_promoted else None) or case.champion) for case in evaluation.regression]
    misread = [case.sha256 for case, read in reads if read and read.label != case.label][:MAX_EXPLAINED]
    if not evaluation.challenger or not misread:
        return ()
    model = load_model_by_id(store, reader)
    snapshot = load_snapshot(store, evaluation.snapshot)
    row_of = {sha256: row for row, sha256 in enumerate(snapshot.sha256.tolist())}
    pixels = snapshot.pixels[[row_of[sha256] for sha256 in misread]]
    train, labels = snapshot.rows(TRAIN), snapshot.labels()
    nearest = find_nearest(model, pixels, snapshot.pixels[train], number=NUM_NEAREST)
    return tuple(
        Explanation(sha256, tuple((str(snapshot.sha256[row]), str(labels[row])) for row in train[near]), heat.tobytes())
        for sha256, near, heat in zip(misread, nearest, map_occlusion(model, pixels), strict=True)
    )


def measure_doubling(store: Store, nights: Nights, snapshot: Snapshot, challenger: Predictions) -> Doubling | None:
    """Compare the challenger with the last one that learned from at most half as many images, on held-out images.

    None without such a model, where it cannot be loaded any more, and with too few images to compare them on.

    Args:
        store: Holds the models.
        nights: Records of earlier nights.
        snapshot: Tonight's.
        challenger: What it reads in the images of the snapshot.
    """
    num_now = len(snapshot.rows(TRAIN))
    trained = [
        (str(night["challenger"]), int(night.get("num_train", 0))) for night in nights if night.get("challenger")
    ]
    model, num_before = next(((m, num) for m, num in reversed(trained) if 0 < num <= num_now / 2), ("", 0))
    if not model:
        return None
    try:
        earlier = load_model_by_id(store, model)
        known = groups_trained_on(store, earlier.info)
    except TenaraiError:  # a person may have deleted it, or the normaliser has changed
        return None
    rows = np.array([row for row in snapshot.rows(TEST) if snapshot.groups[row] not in known], dtype=np.intp)
    if len(rows) < MIN_EVIDENCE:
        return None
    truth = snapshot.labels()[rows]
    before = Predictions.of(earlier, snapshot.pixels[rows]).labels == truth
    now = challenger.labels[rows] == truth
    scores = [Score.of(int(right.sum()), len(rows)) for right in (before, now)]
    return Doubling(num_before, num_now, *scores)


def pair_up(champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_]) -> PairedCounts:
    """Count champion against challenger on the same images, (N,) bool each."""
    return PairedCounts(
        won=int((~champion_right & challenger_right).sum()),
        lost=int((champion_right & ~challenger_right).sum()),
        both_right=int((champion_right & challenger_right).sum()),
        both_wrong=int((~champion_right & ~challenger_right).sum()),
    )


def count_confusion(
    truth: NDArray[np.str_], read: NDArray[np.str_], labels: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """(K, K) counts, true label by row, predicted label by column; other predictions count in no column."""
    index = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for written, answer in zip(truth.tolist(), read.tolist(), strict=True):
        if answer in index:
            counts[index[written], index[answer]] += 1
    return tuple(tuple(int(n) for n in row) for row in counts)


def _list_cases(
    images: dict[str, Image],
    snapshot: Snapshot,
    rows: Rows,
    champion: list[Prediction],
    challenger: list[Prediction] | None = None,
) -> tuple[Case, ...]:
    """Rows as cases by path; compared ones by status first, which puts the lost before the won."""
    found = []
    for number, sha in enumerate(snapshot.sha256[rows].tolist()):
        image, now = images.get(sha), challenger[number] if challenger else None
        if image and image.role is Role.DIGITS:
            status = "" if now is None else "won" if now.label == image.label else "lost"
            found.append(Case(image.path, sha, image.label or "", champion[number], now, status))
    return tuple(sorted(found, key=lambda case: (case.status, case.path)))


def _judge_regression(
    store: Store,
    catalogue: Catalogue,
    snapshot: Snapshot,
    images: dict[str, Image],
    champion: Predictions,
    challenger: Predictions,
) -> tuple[Case, ...]:
    """Judge the regression set, and remember both models' predictions for quiet nights."""
    rows = snapshot.rows(REGRESSION)
    shas = snapshot.sha256[rows].tolist()
    before, now = champion.rows(rows), challenger.rows(rows)
    for model, predictions in ((champion.model, before), (challenger.model, now)):
        remember(catalogue, model.id, dict(zip(shas, predictions, strict=True)))
    known: frozenset[str] = frozenset()
    with suppress(StoreError):
        known = groups_trained_on(store, champion.model)
    learned = {sha for sha, group in zip(shas, snapshot.groups[rows].tolist(), strict=True) if group in known}
    return judge_regression([images[sha] for sha in shas], before, now, snapshot.info.labels, trained_on=learned)
