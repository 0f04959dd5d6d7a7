"""The exam of a night: loads the models, lets them read, and has `tasks.evaluate` count what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.champion import champion_id, load_champion, load_model_by_id
from flows.night import Night
from tasks import evaluate
from tasks.catalogue import Catalogue
from tasks.dataset import REGRESSION, TEST, TRAIN, Snapshot, load_snapshot
from tasks.errors import NormaliserMismatch, StoreError
from tasks.prepare import NORMALISER_VERSION
from tasks.records import (
    Curves,
    Image,
    InboxReading,
    Misreading,
    PairedCounts,
    Reading,
    RegressionCase,
    Role,
    Score,
    SnapshotInfo,
)

if TYPE_CHECKING:
    from tasks.model.bundle import LoadedModel

Say = Callable[[str], None]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Examination:
    """What the exam showed; `challenger` is empty on a night without one.

    Scores and pairs are on the same images: those that neither model was trained on. `is_first` says that the champion
    knows none of tonight's labels; `seeds` in how many of how many seeds the challenger reads a regression image.
    """

    champion: str
    challenger: str = ""
    snapshot: str = ""
    pairs: PairedCounts = PairedCounts(0, 0, 0, 0)
    champion_score: Score | None = None
    challenger_score: Score | None = None
    fresh: Score | None = None
    newly_found: tuple[Misreading, ...] = ()
    is_first: bool = False
    regression: tuple[RegressionCase, ...] = ()
    seeds: dict[str, tuple[int, int]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    confusion_labels: tuple[str, ...] = ()
    curves: Curves | None = None
    recipe: str = ""
    device: str = ""
    notes: tuple[str, ...] = ()


def examine_challenger(
    night: Night, catalogue: Catalogue, info: SnapshotInfo, challenger_id: str, say: Say
) -> Examination:
    """Champion and challenger on the same images, and the regression set image by image.

    Counted are the test images, which nobody was ever trained on, and the training images that are new to the champion:
    those the challenger reads by its fold models, each with the fold that has not seen the image (cross-fitting).

    Raises:
        ModelError, StoreError: A model or the snapshot is missing or damaged.
    """
    from tasks.model.bundle import load_curves, load_out_of_fold, load_seeds

    snapshot = load_snapshot(night.store, info.id)
    champion, notes = _load_comparable_champion(night)
    challenger = load_model_by_id(night.store, challenger_id)
    say(f"{champion.info.id} against {challenger.info.id}")
    truth = np.array(info.labels)[snapshot.targets]
    theirs, ours = _read(champion, snapshot.pixels), _read(challenger, snapshot.pixels)
    cross_fitted = _cross_fitted_labels(load_out_of_fold(night.store, challenger_id), challenger.info.labels)
    ours_fair = ours.labels.copy()
    train = snapshot.rows(TRAIN)
    ours_fair[train] = cross_fitted
    counted = _counted_rows(night, snapshot, champion, ours_fair)
    right_before, right_now = theirs.labels[counted] == truth[counted], ours_fair[counted] == truth[counted]
    fresh = _fresh_rows(night, catalogue, snapshot)
    return Examination(
        champion=champion.info.id,
        challenger=challenger.info.id,
        snapshot=info.id,
        pairs=evaluate.pair_up(right_before, right_now),
        champion_score=evaluate.wilson_score(int(right_before.sum()), len(counted)),
        challenger_score=evaluate.wilson_score(int(right_now.sum()), len(counted)),
        fresh=evaluate.wilson_score(int((theirs.labels[fresh] == truth[fresh]).sum()), len(fresh)),
        newly_found=_newly_found(
            night, catalogue, snapshot, [n for n in fresh if theirs.labels[n] != truth[n]], theirs
        ),
        is_first=not set(champion.info.labels) & set(info.labels),
        regression=_judge_regression(catalogue, night, snapshot, (champion, theirs), (challenger, ours)),
        seeds=_count_seeds(snapshot, load_seeds(night.store, challenger_id)),
        confusion=evaluate.confusion_matrix(truth[counted], ours_fair[counted], info.labels),
        confusion_labels=info.labels,
        curves=load_curves(night.store, challenger_id),
        recipe=challenger.info.recipe,
        device=challenger.info.device,
        notes=(*notes, *challenger.info.notes),
    )


def examine_quietly(night: Night, catalogue: Catalogue) -> Examination:
    """A night without a challenger: no model is loaded; the regression set is shown as the champion read it before."""
    champion = champion_id(night.store)
    images = catalogue.images(night.settings.source, roles=(Role.MISREAD,))
    kept = _known_readings(night, catalogue, champion, {image.sha256 for image in images})
    images = [image for image in {image.sha256: image for image in images}.values() if image.sha256 in kept]
    labels = {image.label for image in images} | {reading.label for reading in kept.values()}
    cases = evaluate.judge_regression(
        images, [kept[image.sha256] for image in images], None, [label for label in labels if label]
    )
    return Examination(champion=champion, regression=cases)


def read_inbox_with(night: Night, catalogue: Catalogue) -> tuple[InboxReading, ...]:
    """What the reigning champion reads in the inbox, least sure first; what it has read before is not read again."""
    images = catalogue.images(night.settings.source, roles=(Role.INBOX,))
    digits = catalogue.digits(NORMALISER_VERSION, {image.sha256 for image in images})
    images = [image for image in images if image.sha256 in digits and digits[image.sha256].pixels]
    if not images:
        return ()
    champion = champion_id(night.store)
    known = _known_readings(night, catalogue, champion, {image.sha256 for image in images})
    unread = sorted({image.sha256 for image in images} - set(known))
    if unread:
        model = load_champion(night.store)
        pixels = np.stack([np.frombuffer(digits[sha].pixels, np.uint8).reshape(28, 28) for sha in unread])
        read = dict(zip(unread, _read(model, pixels).readings, strict=True))
        _keep_readings(catalogue, champion, read)
        known = {**known, **read}
    found = [InboxReading(image.path, image.sha256, known[image.sha256]) for image in images]
    return tuple(sorted(found, key=lambda item: (item.reading.probability, item.path)))


def _known_readings(night: Night, catalogue: Catalogue, model: str, sha256s: set[str]) -> dict[str, Reading]:
    """What a model read before, by sha256; it is not loaded."""
    from tasks.model.bundle import load_info

    kept = catalogue.readings(model, sha256s)
    if not kept:
        return {}
    threshold = load_info(night.store, model).unsure_below
    return {sha: Reading(label, sure, sure < threshold) for sha, (label, sure) in kept.items()}


def _keep_readings(catalogue: Catalogue, model: str, readings: dict[str, Reading]) -> None:
    catalogue.put_readings(model, {sha: (reading.label, reading.probability) for sha, reading in readings.items()})


@dataclass(frozen=True)
class _Read:
    """Labels (N,) str and readings of N images."""

    labels: NDArray[np.str_]
    readings: list[Reading]


def _read(model: LoadedModel, pixels: NDArray[np.uint8]) -> _Read:
    readings = evaluate.read_labels(model.predict(pixels), model.info.labels, model.info.unsure_below)
    return _Read(np.array([reading.label for reading in readings], dtype=np.str_), readings)


def _load_comparable_champion(night: Night) -> tuple[LoadedModel, tuple[str, ...]]:
    """The champion; or the base model when the champion cannot read what today's normaliser makes."""
    from tasks.model.bundle import base_info

    try:
        return load_champion(night.store), ()
    except NormaliserMismatch as error:
        note = f"compared with the base model instead of the champion: {error.what}"
        return load_model_by_id(night.store, base_info().id), (note,)


def _cross_fitted_labels(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> NDArray[np.str_]:
    """(N,) str from (N, K) out-of-fold probabilities; empty where no fold could leave the image out (NaN)."""
    known = ~np.isnan(probabilities).any(axis=1)
    read = np.full(len(probabilities), "", dtype=f"<U{max(map(len, labels))}")
    read[known] = np.array(labels)[probabilities[known].argmax(axis=1)]
    return read


def _counted_rows(
    night: Night, snapshot: Snapshot, champion: LoadedModel, challenger_labels: NDArray[np.str_]
) -> NDArray[np.intp]:
    """Rows that are a fair exam for both: neither the champion nor the model reading for the challenger knows them."""
    is_cross_fitted = (snapshot.splits == TRAIN) & (challenger_labels != "")
    known = _groups_trained_on(night, champion)
    return evaluate.find_fair_rows(snapshot.groups, snapshot.splits == TEST, is_cross_fitted, known)


def _groups_trained_on(night: Night, model: LoadedModel) -> frozenset[str]:
    """Near-duplicate groups the model was trained on, by the snapshot it names; none for the base model."""
    if not model.info.snapshot:
        return frozenset()
    snapshot = load_snapshot(night.store, model.info.snapshot)
    return frozenset(snapshot.groups[snapshot.rows(TRAIN)].tolist())


def _fresh_rows(night: Night, catalogue: Catalogue, snapshot: Snapshot) -> NDArray[np.intp]:
    """Labelled images that no earlier night had: the champion's reading of them is an honest test at no cost."""
    known: set[str] = set()
    for record in reversed(catalogue.nights(night.settings.source)):
        if record.get("snapshot"):
            try:
                known = set(load_snapshot(night.store, str(record["snapshot"])).sha256.tolist())
            except StoreError:  # an old snapshot may have been cleared away; then every image counts as fresh
                known = set()
            break
    is_fresh = np.array([sha not in known for sha in snapshot.sha256.tolist()], dtype=bool)
    return np.flatnonzero(is_fresh & (snapshot.splits != REGRESSION))


def _judge_regression(
    catalogue: Catalogue,
    night: Night,
    snapshot: Snapshot,
    champion: tuple[LoadedModel, _Read],
    challenger: tuple[LoadedModel, _Read],
) -> tuple[RegressionCase, ...]:
    """Judge the regression set, and keep both models' readings, so that a quiet night can show it without them."""
    rows = snapshot.rows(REGRESSION)
    by_content: dict[str, Image] = {
        image.sha256: image for image in catalogue.images(night.settings.source, roles=(Role.MISREAD,))
    }
    shas = snapshot.sha256[rows].tolist()
    for model, read in (champion, challenger):
        _keep_readings(catalogue, model.info.id, {sha: read.readings[row] for sha, row in zip(shas, rows, strict=True)})
    before, now = ([read.readings[row] for row in rows] for _, read in (champion, challenger))
    return evaluate.judge_regression([by_content[sha] for sha in shas], before, now, snapshot.info.labels)


def _count_seeds(snapshot: Snapshot, seeds: NDArray[np.float32]) -> dict[str, tuple[int, int]]:
    """By sha256 of a regression image, how many of the challenger's fold models read it, and how many there are."""
    rows = snapshot.rows(REGRESSION)
    if not seeds.size or seeds.shape[1] != len(rows):
        return {}
    num_right = (seeds.argmax(axis=2) == snapshot.targets[rows]).sum(axis=0)
    shas = snapshot.sha256[rows].tolist()
    return {sha: (int(right), len(seeds)) for sha, right in zip(shas, num_right, strict=True)}


def _newly_found(
    night: Night, catalogue: Catalogue, snapshot: Snapshot, rows: list[int], champion: _Read
) -> tuple[Misreading, ...]:
    """Tonight's labelled images that the champion misread, by path; they are trained on all the same."""
    by_content = {image.sha256: image for image in catalogue.images(night.settings.source, roles=(Role.DIGITS,))}
    found = [
        Misreading(image.path, image.sha256, image.label or "", champion.readings[row])
        for row in rows
        if (image := by_content.get(str(snapshot.sha256[row])))
    ]
    return tuple(sorted(found, key=lambda misreading: misreading.path))
