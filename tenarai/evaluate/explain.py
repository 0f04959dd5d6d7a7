"""Why regression images are misread by the model that reads from now on."""

from __future__ import annotations

from tenarai.dataset import TRAIN, load_snapshot
from tenarai.evaluate.champion import champion_id, load_model_by_id
from tenarai.night import Night
from tenarai.records import Case, Evaluation, Explanation

MAX_EXPLAINED = 24
NUM_NEAREST = 5


def explain_misread(night: Night, examined: Evaluation) -> tuple[Explanation, ...]:
    """Explain the regression images that the reigning model misreads, as many as a report has room for.

    A night without a challenger explains nothing: it loads no model.

    Raises:
        ModelError, StoreError: The model or the snapshot is missing or damaged.
    """
    reigning = champion_id(night.store)
    misread = [case.sha256 for case in examined.regression if not _is_read(case, reigning, examined)][:MAX_EXPLAINED]
    if not examined.challenger or not misread:
        return ()
    from tenarai.model.explain import find_nearest, map_occlusion

    model = load_model_by_id(night.store, reigning)
    snapshot = load_snapshot(night.store, examined.snapshot)
    row_of = {sha256: row for row, sha256 in enumerate(snapshot.sha256.tolist())}
    pixels = snapshot.pixels[[row_of[sha256] for sha256 in misread]]
    train = snapshot.rows(TRAIN)
    nearest = find_nearest(model, pixels, snapshot.pixels[train], number=NUM_NEAREST)
    labels = snapshot.info.labels
    return tuple(
        Explanation(
            sha256,
            tuple((str(snapshot.sha256[row]), labels[snapshot.targets[row]]) for row in train[near]),
            heat.tobytes(),
        )
        for sha256, near, heat in zip(misread, nearest, map_occlusion(model, pixels), strict=True)
    )


def _is_read(case: Case, reigning: str, examined: Evaluation) -> bool:
    reading = case.challenger if case.challenger and reigning == examined.challenger else case.champion
    return reading is not None and reading.label == case.label
