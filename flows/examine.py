"""The exam of a night: loads the models, lets them read, and has `tasks.evaluate` count what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.champion import load_champion
from flows.night import Night
from tasks.catalogue import Catalogue
from tasks.dataset import REGRESSION, TEST, TRAIN, Snapshot, load_snapshot
from tasks.records import (
    Curves,
    PairedCounts,
    Reading,
    RegressionCase,
    Score,
    SnapshotInfo,
)


@dataclass(frozen=True)
class Examination:
    """What the exam showed; `challenger` is empty on a night without one.

    Scores and pairs are on the same images: those that neither model was trained on.
    """

    champion: str
    challenger: str = ""
    snapshot: str = ""
    pairs: PairedCounts = PairedCounts(0, 0, 0, 0)
    champion_score: Score | None = None
    challenger_score: Score | None = None
    fresh: Score | None = None
    regression: tuple[RegressionCase, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    curves: Curves | None = None
    recipe: str = ""
    device: str = ""
    notes: tuple[str, ...] = ()
