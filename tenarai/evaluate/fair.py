"""Which images are a fair exam, and for whom: what a model was trained on does not count for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenarai import evaluate
from tenarai.catalogue import Catalogue
from tenarai.dataset import REGRESSION, TEST, TRAIN, Manifest, Snapshot, load_manifest
from tenarai.errors import NormaliserMismatch, StoreError
from tenarai.evaluate import promote
from tenarai.evaluate.champion import load_model_by_id
from tenarai.night import Night
from tenarai.records import ModelInfo

if TYPE_CHECKING:
    from tenarai.model.bundle import LoadedModel


def load_comparable_champion(night: Night, challenger: str) -> tuple[LoadedModel, tuple[str, ...]]:
    """The champion that a challenger is compared with, and notes.

    The base model stands in for a champion that cannot read what today's normaliser makes; and a challenger that reigns
    already, because its night was killed after it was crowned, is compared with the champion before it.
    """
    from tenarai.model.bundle import base_info

    base = base_info().id
    promotion = promote.champion(night.store)
    reigning = promotion.model if promotion else base
    if reigning == challenger:
        reigning = promote.champion_before(night.store, base)
    try:
        return load_model_by_id(night.store, reigning), ()
    except NormaliserMismatch as error:
        note = f"compared with the base model instead of the champion: {error.what}"
        return load_model_by_id(night.store, base), (note,)


def cross_fitted_probabilities(
    snapshot: Snapshot, refitted: NDArray[np.float32], folds: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What may be counted for the challenger: (N, K) float32, NaN where nothing may.

    Args:
        snapshot: N images.
        refitted: (N, K), read by the challenger itself, which never saw test and regression images.
        folds: (T, K), the training images, each read by a fold model that never saw it.
    """
    fair = refitted.copy()
    fair[snapshot.rows(TRAIN)] = folds
    return fair


def labels_of(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> NDArray[np.str_]:
    """(N,) str, the most probable label of each row; empty where the row is NaN."""
    known = ~np.isnan(probabilities).any(axis=1)
    read = np.full(len(probabilities), "", dtype=f"<U{max(map(len, labels))}")
    read[known] = np.array(labels)[probabilities[known].argmax(axis=1)]
    return read


def find_counted_rows(
    night: Night, snapshot: Snapshot, champion: LoadedModel, challenger_labels: NDArray[np.str_]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Rows that are a fair exam for both, and notes; nothing counts twice for what a person rolled back.

    What the champion was trained on does not count, unless it was told another label then: since the owner put that
    right, it is the champion that is behind.
    """
    is_cross_fitted = (snapshot.splits == TRAIN) & (challenger_labels != "")
    is_test = snapshot.splits == TEST
    known = _groups_known_as_now(night, champion, snapshot)
    rows = evaluate.find_fair_rows(snapshot.groups, is_test, is_cross_fitted, known)
    spent = _spent_groups(night, snapshot)
    left = evaluate.find_fair_rows(snapshot.groups, is_test, is_cross_fitted, known | spent)
    if len(left) == len(rows):
        return rows, ()
    note = (
        f"{len(rows) - len(left)} images are not counted: "
        "a model that was rolled back was crowned on them, and the same evidence does not count twice"
    )
    return left, (note,)


def count_learned(night: Night, catalogue: Catalogue, champion: LoadedModel, snapshot: Snapshot) -> tuple[int, int]:
    """From how many of the owner's images the champion learned, and from how many the challenger.

    What a rolled-back model learned from counts for the champion, and so does this very snapshot where an earlier night
    examined it: having learned from more is no argument twice, whatever the seed.
    """
    now = len(snapshot.rows(TRAIN))
    nights = catalogue.nights(night.settings.source)
    if any(record.get("snapshot") == snapshot.info.id and record.get("challenger") for record in nights):
        return now, now
    before = [len(found.rows(TRAIN)) for found in _undone_snapshots(night)]
    if champion.info.snapshot:
        before.append(len(load_manifest(night.store, champion.info.snapshot).rows(TRAIN)))
    return max(before, default=0), now


def groups_trained_on(night: Night, model: ModelInfo) -> frozenset[str]:
    """Near-duplicate groups the model was trained on, by the snapshot it names; none for the base model."""
    if not model.snapshot:
        return frozenset()
    snapshot = load_manifest(night.store, model.snapshot)
    return frozenset(snapshot.groups[snapshot.rows(TRAIN)].tolist())


def find_fresh_rows(night: Night, catalogue: Catalogue, snapshot: Snapshot) -> NDArray[np.intp]:
    """Labelled images that no earlier night had: the champion's reading of them is an honest test at no cost."""
    known: set[str] = set()
    for record in reversed(catalogue.nights(night.settings.source)):
        if record.get("snapshot"):
            try:
                known = set(load_manifest(night.store, str(record["snapshot"])).sha256.tolist())
            except StoreError:  # an old snapshot may have been cleared away; then every image counts as fresh
                known = set()
            break
    is_fresh = np.array([sha not in known for sha in snapshot.sha256.tolist()], dtype=bool)
    return np.flatnonzero(is_fresh & (snapshot.splits != REGRESSION))


def _spent_groups(night: Night, snapshot: Snapshot) -> frozenset[str]:
    """Groups of the snapshot that a rolled-back model was crowned on, unless their label is another one now."""
    spent: set[tuple[str, str]] = set()
    for found in _undone_snapshots(night):
        spent.update(_groups_and_labels(found))
    return frozenset(group for group, label in _groups_and_labels(snapshot) if (group, label) in spent)


def _groups_known_as_now(night: Night, champion: LoadedModel, snapshot: Snapshot) -> frozenset[str]:
    """Groups of the snapshot that the champion was trained on under the label they have now."""
    if not champion.info.snapshot:
        return frozenset()
    learned = load_manifest(night.store, champion.info.snapshot)
    known = {pair for pair, split in zip(_groups_and_labels(learned), learned.splits, strict=True) if split == TRAIN}
    return frozenset(group for group, label in _groups_and_labels(snapshot) if (group, label) in known)


def _undone_snapshots(night: Night) -> list[Manifest]:
    found = []
    for name in sorted({promotion.snapshot for promotion in promote.find_undone(night.store)} - {""}):
        with contextlib.suppress(StoreError):  # an old snapshot may have been cleared away
            found.append(load_manifest(night.store, name))
    return found


def _groups_and_labels(snapshot: Manifest) -> Iterator[tuple[str, str]]:
    return zip(snapshot.groups.tolist(), snapshot.labels().tolist(), strict=True)
