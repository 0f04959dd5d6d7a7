"""A night as a report tells of it, made up; fields are given where a test is about them."""

import numpy as np

from tenarai.records import (
    Case,
    Curves,
    Decision,
    Evaluation,
    FreezeResult,
    NightReport,
    PairedCounts,
    Prediction,
    Rejection,
    Score,
    SnapshotInfo,
    SyncResult,
)

EVIL = "inbox/<script>alert(1)</script>](javascript:x)|`$(rm)` \u202egnp.exe"


class NoPictures:
    def thumbnail(self, sha256):
        return None

    def digit(self, sha256):
        return np.eye(28, dtype=np.uint8) * 255


def night(**given):
    """Fields of the evaluation and of the frozen snapshot are given by their own names, without the nesting."""
    fields = {
        "run": "2026-01-02T0200-abc",
        "created": "2026-01-02T02:00:00+00:00",
        "source": "folder:/photos",
        "store": "/store",
        "decision": Decision(
            "promoted", "better", {"won": 9, "lost": 1, "num_images": 20, "p": 0.01, "risk": 0.05, "look": 3}
        ),
        "champion": "m-1",
        "before": "base-1",
        "challenger": "m-1",
        "info": SnapshotInfo("s-1", ("4", "5"), 80, 20, 1, 0, 1),
        "sync": SyncResult(num_seen=101, num_added=3),
        "champion_score": Score(18, 20, 0.7, 0.97),
        "challenger_score": Score(19, 20, 0.76, 0.99),
        "pairs": PairedCounts(2, 1, 16, 1),
        "confusion": ((9, 1), (0, 10)),
        "confusion_labels": ("4", "5"),
        "fresh": Score(2, 3, 0.2, 0.94),
        "regression": (
            Case("misread/4/a.png", "a" * 64, "4", Prediction("5", 0.7, True), Prediction("4", 0.9, False), "fixed"),
        ),
        "inbox": (Case(EVIL, "b" * 64, "", Prediction("5", 0.51, True)),),
        "rejections": (Rejection(EVIL, "the file is empty"),),
        "curves": Curves(
            ({"loss": [1, 0.5], "accuracy": [0.5, 0.9], "val_loss": [1, 0.7], "val_accuracy": [0.4, 0.8]},),
            {"loss": [1, 0.4], "accuracy": [0.5, 0.95]},
        ),
        "recipe": "transfer",
        "notes": ("best epoch of each fold: 2",),
        "device": "CPU",
        "seconds": {"sync": 0.1, "train": 2.0},
        "num_images": 101,
        "history": tuple(
            {"created": f"2026-01-0{n}T02:00:00+00:00", "verdict": "kept", "fresh_images": 5, "fresh_right": n % 6}
            for n in range(5)
        ),
    }
    fields |= given
    evaluation = Evaluation(champion=fields.pop("before"), **_take(fields, Evaluation))
    frozen = FreezeResult(is_new=True, fingerprint="", **_take(fields, FreezeResult))
    return NightReport(frozen=frozen, evaluation=evaluation, **fields)


def _take(fields, record):
    return {name: fields.pop(name) for name in record.__dataclass_fields__ if name in fields and name != "champion"}
