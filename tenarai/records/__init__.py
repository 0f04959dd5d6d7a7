"""Frozen records that pass between packages: ids, counts and small facts, never pixels by the thousand."""

from __future__ import annotations

from tenarai.records.evaluation import (
    Case,
    CaseStory,
    Change,
    Evaluation,
    Explanation,
    PairedCounts,
    Prediction,
    Score,
    Suspect,
)
from tenarai.records.images import (
    ANSWERS,
    CELL,
    Digit,
    Event,
    EventKind,
    Fingerprint,
    Image,
    PrepareResult,
    Rejection,
    Role,
    SheetsResult,
    State,
    SyncResult,
    told_by_name,
)
from tenarai.records.models import Curves, ModelInfo, Promotion, SnapshotInfo
from tenarai.records.night import CAUSES, Decision, FreezeResult, Look, NightReport, Outcome

__all__ = [
    "ANSWERS",
    "CAUSES",
    "CELL",
    "Case",
    "CaseStory",
    "Change",
    "Curves",
    "Decision",
    "Digit",
    "Evaluation",
    "Event",
    "EventKind",
    "Explanation",
    "Fingerprint",
    "FreezeResult",
    "Image",
    "Look",
    "ModelInfo",
    "NightReport",
    "Outcome",
    "PairedCounts",
    "Prediction",
    "PrepareResult",
    "Promotion",
    "Rejection",
    "Role",
    "Score",
    "SheetsResult",
    "SnapshotInfo",
    "State",
    "Suspect",
    "SyncResult",
    "told_by_name",
]
