"""How well new images were read over the nights: test-then-train, every image counted once, in the night it came."""

from __future__ import annotations

from dataclasses import dataclass

from tenarai.records import NightReport, Score

WINDOW = 100  # images that the line looks back over, at least, as far as there are as many


@dataclass(frozen=True, slots=True)
class NightOfNew:
    """A night that brought new labelled images.

    Attributes:
        day: ISO 8601 date.
        night: The champion's readings of that night's new images, before anything was trained on them.
        pooled: The same over that night and as many before it as make up `WINDOW` images.
        promoted: Whether a challenger became champion at its end.
    """

    day: str
    night: Score
    pooled: Score
    promoted: bool


def follow_progress(report: NightReport) -> tuple[NightOfNew, ...]:
    """Nights with new labelled images, oldest first, tonight last; nights without are left out."""
    nights = [
        (str(past.get("created", ""))[:10], _count(past, "fresh_right"), _count(past, "fresh_images"), past["verdict"])
        for past in report.history
        if _count(past, "fresh_images")
    ]
    if report.evaluation.fresh and report.evaluation.fresh.num_images:
        fresh = report.evaluation.fresh
        nights.append((report.created[:10], fresh.num_right, fresh.num_images, report.decision.verdict))
    found = []
    for number, (day, right, images, verdict) in enumerate(nights):
        pooled_right, pooled_images = right, images
        for _, earlier_right, earlier_images, _ in reversed(nights[:number]):
            if pooled_images >= WINDOW:
                break
            pooled_right, pooled_images = pooled_right + earlier_right, pooled_images + earlier_images
        pooled = Score.of(pooled_right, pooled_images)
        found.append(NightOfNew(day, Score.of(right, images), pooled, verdict == "promoted"))
    return tuple(found)


def _count(past: dict[str, object], name: str) -> int:
    value = past.get(name)
    return int(value) if isinstance(value, int | float) else 0
