"""Which images are evidence for whom: an image that a model was trained on says nothing about that model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.catalogue import Catalogue
from tenarai.dataset import REGRESSION, TEST, TRAIN, Manifest, Snapshot, load_manifest
from tenarai.errors import NormaliserMismatch, StoreError
from tenarai.evaluate import promotions
from tenarai.evaluate.predictions import Predictions, load_model_by_id
from tenarai.locale import _, plural
from tenarai.model.bundle import LoadedModel, base_info
from tenarai.records import EventKind, ModelInfo, Role
from tenarai.store import Store
from tenarai.sync.names import clean

Nights = Sequence[Mapping[str, Any]]
"""Records of earlier nights, oldest first."""


def load_opponent(store: Store, challenger: str) -> tuple[LoadedModel, tuple[str, ...]]:
    """Load the champion that a challenger is compared with, and say if it is another one than expected.

    The base model replaces a champion of another normaliser. A challenger that is champion already, because its night
    was killed after the promotion, is compared with the champion before it.
    """
    promotion = promotions.champion(store)
    champion = promotion.model if promotion else base_info().id
    if champion == challenger:
        champion = promotions.champion_before(store)
    try:
        return load_model_by_id(store, champion), ()
    except NormaliserMismatch as error:
        note = _("compared with the base model instead of the champion: {reason}", reason=error.what)
        return load_model_by_id(store, base_info().id), (note,)


def cross_fit(snapshot: Snapshot, refitted: Predictions, folds: NDArray[np.float32]) -> Predictions:
    """The challenger's honest predictions: NaN where it has none.

    Args:
        snapshot: N images.
        refitted: Of the challenger itself, which was trained on the training images only.
        folds: (T, K) float32, the training images, each read by the fold model that was not trained on it.
    """
    honest = refitted.probabilities.copy()
    honest[snapshot.rows(TRAIN)] = folds
    return Predictions(refitted.model, honest)


def find_holdout(
    store: Store,
    snapshot: Snapshot,
    champion: ModelInfo,
    challenger_labels: NDArray[np.str_],
    chosen: Collection[str] = (),
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Rows on which champion and challenger can be compared, and notes.

    These are the test images, which nobody is trained on, and training images that are new to the champion, which fold
    models read for the challenger, as far as nobody chose them by looking at a model. Images that decided for a model
    that a person rolled back do not count a second time.

    Args:
        store: Holds the snapshots.
        snapshot: Tonight's.
        champion: The model that is compared.
        challenger_labels: (N,) str, what the challenger reads; empty where it has no honest prediction.
        chosen: sha256 of images that are no evidence, as `find_chosen` finds them.
    """
    is_cross_fitted = (snapshot.splits == TRAIN) & (challenger_labels != "")
    readable = (is_cross_fitted | (snapshot.splits == TEST)) & ~is_chosen(snapshot, chosen)
    notes = []
    try:
        rows = readable & ~_is_in(snapshot, _pairs_trained_on(store, champion))
    except StoreError:  # a damaged snapshot, or one that was removed
        rows = readable & (snapshot.splits == TEST)
        notes.append(_("what the champion was trained on is no longer known: only held-out images count"))
    left = rows & ~_is_in(snapshot, {pair for found in _undone_snapshots(store) for pair in _pairs(found)})
    if num_spent := int(rows.sum() - left.sum()):
        notes.append(
            plural(
                "{n} image does not count again: it decided for a model that was rolled back",
                "{n} images do not count again: they decided for a model that was rolled back",
                num_spent,
            )
        )
    return np.flatnonzero(left), tuple(notes)


def find_chosen(catalogue: Catalogue, source: str) -> frozenset[str]:
    """sha256 of images that a person labelled after looking at what a model read: trained on, but never evidence.

    These are images that lay in the inbox, which shows first what the champion is least sure of, and images that were
    relabelled. Where a whole folder was renamed, no label of that name is left, and nobody chose its images.
    """
    events = catalogue.events(source)
    labels = {label for role, label in catalogue.count_labels(source) if role is Role.DIGITS}
    return frozenset(
        event.sha256
        for event in events
        if lay_in_inbox(event.path)
        or lay_in_inbox(event.old_path)
        or (event.kind is EventKind.RELABELLED and event.old_label in labels)
    )


def count_learned(store: Store, nights: Nights, champion: ModelInfo, snapshot: Snapshot) -> tuple[int, int]:
    """From how many of the owner's images the champion learned, and from how many the challenger.

    The images of a rolled-back model count for the champion, and so does this very snapshot where an earlier night
    evaluated it: having learned from more is no argument twice, whatever the seed.
    """
    now = len(snapshot.rows(TRAIN))
    if any(record.get("snapshot") == snapshot.info.id and record.get("challenger") for record in nights):
        return now, now
    before = [len(found.rows(TRAIN)) for found in _undone_snapshots(store)]
    if champion.snapshot:
        try:
            before.append(len(load_manifest(store, champion.snapshot).rows(TRAIN)))
        except StoreError:
            before.append(int(champion.metrics.get("num_images", now)))
    return max(before, default=0), now


def groups_trained_on(store: Store, model: ModelInfo) -> frozenset[str]:
    """Near-duplicate groups that a model was trained on; none for the base model."""
    return frozenset(group for group, _label in _pairs_trained_on(store, model))


def find_fresh_rows(store: Store, nights: Nights, snapshot: Snapshot, chosen: Collection[str] = ()) -> NDArray[np.intp]:
    """Labelled images that no earlier night had, and that nobody chose: an honest test of the champion at no cost."""
    last = next((str(record["snapshot"]) for record in reversed(nights) if record.get("snapshot")), "")
    known: set[str] = set()
    with suppress(StoreError):  # an old snapshot may have been deleted; then every image counts as fresh
        known = set(load_manifest(store, last).sha256.tolist()) if last else set()
    is_fresh = np.array([sha not in known for sha in snapshot.sha256.tolist()], dtype=bool)
    return np.flatnonzero(is_fresh & (snapshot.splits != REGRESSION) & ~is_chosen(snapshot, chosen))


def is_chosen(snapshot: Manifest, chosen: Collection[str]) -> NDArray[np.bool_]:
    """(N,) bool, images that were chosen, and their near-duplicates."""
    groups = set(snapshot.groups[np.isin(snapshot.sha256, list(chosen))].tolist())
    return np.isin(snapshot.groups, list(groups))


def lay_in_inbox(path: str | None) -> bool:
    """Whether a path leads into the inbox, however its name is written."""
    return _is_inbox((path or "").split("/")[0])


@cache
def _is_inbox(top: str) -> bool:
    return clean(top).lower() == Role.INBOX.value


def _pairs(snapshot: Manifest) -> Iterator[tuple[str, str]]:
    """Near-duplicate group and label of each image."""
    return zip(snapshot.groups.tolist(), snapshot.labels().tolist(), strict=True)


def _is_in(snapshot: Snapshot, known: set[tuple[str, str]]) -> NDArray[np.bool_]:
    """(N,) bool, the images whose near-duplicate group is known under the label of one of its images."""
    groups = {pair[0] for pair in _pairs(snapshot) if pair in known}
    return np.array([group in groups for group in snapshot.groups.tolist()], dtype=bool)


def _pairs_trained_on(store: Store, model: ModelInfo) -> set[tuple[str, str]]:
    if not model.snapshot:
        return set()
    learned = load_manifest(store, model.snapshot)
    return {pair for pair, split in zip(_pairs(learned), learned.splits, strict=True) if split == TRAIN}


def _undone_snapshots(store: Store) -> list[Manifest]:
    found = []
    for name in sorted({promotion.snapshot for promotion in promotions.find_undone(store)} - {""}):
        with suppress(StoreError):  # an old snapshot may have been deleted
            found.append(load_manifest(store, name))
    return found
