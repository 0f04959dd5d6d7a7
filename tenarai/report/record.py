"""`report.json`: the night for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tenarai.locale import to_json
from tenarai.records import Case, NightReport, Score


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
        "reason": to_json(night.decision.reason),
        "cause": night.decision.cause,
        "facts": night.decision.facts,
        "champion": night.evaluation.champion,
        "reigning": night.champion,
        "challenger": night.evaluation.challenger,
        "recipe": night.evaluation.recipe,
        "notes": list(night.evaluation.notes),
        "snapshot": night.frozen.info.id if night.frozen.info else "",
        "labels": list(night.frozen.info.labels) if night.frozen.info else [],
        "num_images": night.frozen.num_images,
        "num_rejected": len(night.frozen.rejections),
        "num_train": night.frozen.info.num_train if night.frozen.info else 0,
        "num_test": night.frozen.info.num_test if night.frozen.info else 0,
        "accuracy": _accuracy(night),
        "pairs": asdict(night.evaluation.pairs) if night.evaluation.pairs else None,
        "disputed": [_case(item) for item in night.evaluation.disputed],
        "fresh": _score(night.evaluation.fresh),
        "confusion": {
            "labels": list(night.evaluation.confusion_labels),
            "counts": [list(row) for row in night.evaluation.confusion],
        },
        "regression_set": [_case(case) for case in night.evaluation.regression],
        "newly_found": [_case(item) for item in night.evaluation.newly_found],
        "changes": [asdict(item) for item in night.evaluation.changes],
        "inbox": [_case(item) for item in night.inbox],
        "explanations": [
            {"sha256": item.sha256, "nearest": [{"sha256": sha, "label": label} for sha, label in item.nearest]}
            for item in night.explanations
        ],
        "suspects": [asdict(item) for item in night.evaluation.suspects],
        "sheet": night.sheet,
        "filed": [_case(item) for item in night.filed],
        "rejected": [asdict(rejection) for rejection in night.frozen.rejections],
        "withheld": list(night.frozen.withheld),
        "sync": asdict(night.sync),
        "device": night.evaluation.device,
        "seconds": night.seconds,
    }


def _accuracy(night: NightReport) -> dict[str, Any]:
    ours, theirs = night.evaluation.champion_score, night.evaluation.challenger_score
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


def _case(case: Case) -> dict[str, Any]:
    return {name: value for name, value in asdict(case).items() if value not in (None, "")}
