"""Frozen records that pass between rooms: ids, counts and small facts, never pixels by the thousand."""

from __future__ import annotations

from tasks.records.exam import (
    CaseStory,
    Change,
    Decision,
    Explanation,
    InboxReading,
    Misreading,
    PairedCounts,
    Reading,
    RegressionCase,
    Score,
    StyleHint,
    Suspect,
)
from tasks.records.images import (
    CELL,
    Digit,
    Event,
    EventKind,
    Filed,
    Fingerprint,
    Image,
    PrepareResult,
    Rejection,
    Role,
    State,
    SyncResult,
    told_by_name,
)
from tasks.records.models import Curves, ModelInfo, Reign, SnapshotInfo
from tasks.records.night import NightReport

__all__ = [
    "CELL",
    "CaseStory",
    "Change",
    "Curves",
    "Decision",
    "Digit",
    "Event",
    "EventKind",
    "Explanation",
    "Filed",
    "Fingerprint",
    "Image",
    "InboxReading",
    "Misreading",
    "ModelInfo",
    "NightReport",
    "PairedCounts",
    "PrepareResult",
    "Reading",
    "RegressionCase",
    "Reign",
    "Rejection",
    "Role",
    "Score",
    "SnapshotInfo",
    "State",
    "StyleHint",
    "Suspect",
    "SyncResult",
    "told_by_name",
]
