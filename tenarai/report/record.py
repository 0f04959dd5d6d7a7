"""`report.json`: the night for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tenarai.records import NightReport, Prediction, Score


def as_json(night: NightReport) -> bytes:
    """The night as JSON with sorted keys; equal nights give equal bytes."""
    return (json.dumps(describe(night), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def describe(night: NightReport) -> dict[str, Any]:
    """The night as plain values; shares and probabilities are 0 to 1."""
    return {
        "run": night.run,
        "created": night.created,
        "source": night.source,
        "verdict": night.decision.verdict,
        "reason": night.decision.reason,
        "p_value": night.decision.p_value,
        "champion": night.champion,
        "reigning": night.reigning,
        "challenger": night.challenger,
        "recipe": night.recipe,
        "notes": list(night.notes),
        "snapshot": night.snapshot.id if night.snapshot else "",
        "labels": list(night.snapshot.labels) if night.snapshot else [],
        "num_images": night.num_images,
        "num_rejected": len(night.rejections),
        "num_train": night.snapshot.num_train if night.snapshot else 0,
        "num_test": night.snapshot.num_test if night.snapshot else 0,
        "accuracy": _accuracy(night),
        "pairs": asdict(night.pairs) if night.pairs else None,
        "disputed": [{**asdict(item), "outcome": item.outcome} for item in night.disputed],
        "fresh": _score(night.fresh),
        "confusion": {"labels": list(night.confusion_labels), "counts": [list(row) for row in night.confusion]},
        "regression_set": [
            {
                "path": case.path,
                "sha256": case.sha256,
                "label": case.label,
                "champion": _reading(case.champion),
                "challenger": _reading(case.challenger),
                "status": case.status,
                "story": asdict(case.story) if case.story else None,
            }
            for case in night.regression
        ],
        "newly_found": [asdict(item) for item in night.newly_found],
        "changes": [asdict(item) for item in night.changes],
        "inbox": [{"path": item.path, "sha256": item.sha256, **asdict(item.reading)} for item in night.inbox],
        "explanations": [
            {"sha256": item.sha256, "nearest": [{"sha256": sha, "label": label} for sha, label in item.nearest]}
            for item in night.explanations
        ],
        "suspects": [asdict(item) for item in night.suspects],
        "write_next": [asdict(item) for item in night.write_next],
        "sheet": night.sheet,
        "filed": [asdict(item) for item in night.filed],
        "rejected": [asdict(rejection) for rejection in night.rejections],
        "withheld": list(night.withheld),
        "sync": asdict(night.sync),
        "device": night.device,
        "seconds": night.seconds,
    }


def _accuracy(night: NightReport) -> dict[str, Any]:
    ours, theirs = night.champion_score, night.challenger_score
    counted = theirs or ours
    return {
        "champion": ours.accuracy if ours and ours.num_images else None,
        "challenger": theirs.accuracy if theirs and theirs.num_images else None,
        "num_images": counted.num_images if counted else 0,
        "interval": {"champion": _interval(ours), "challenger": _interval(theirs)},
    }


def _interval(score: Score | None) -> list[float] | None:
    return [round(score.low, 4), round(score.high, 4)] if score and score.num_images else None


def _score(score: Score | None) -> dict[str, Any] | None:
    return {"right": score.num_right, "num_images": score.num_images, "interval": _interval(score)} if score else None


def _reading(reading: Prediction | None) -> dict[str, Any] | None:
    return asdict(reading) if reading else None
