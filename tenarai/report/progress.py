"""How well new images are read over the nights: test-then-train, every image counts once, in the night it came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tenarai.records import NightReport, Score

WINDOW = 100  # images that the line looks back over, where there are as many


@dataclass(frozen=True, slots=True)
class NightOfNew:
    """A night that brought new labelled images.

    Attributes:
        day: When it began.
        night: The champion's score on that night's new images, before anything was trained on them.
        pooled: The same over that night and as many before it as make up `WINDOW` images.
        promoted: Whether the challenger was promoted that night.
    """

    day: datetime
    night: Score
    pooled: Score
    promoted: bool


def follow_progress(report: NightReport) -> tuple[NightOfNew, ...]:
    """Nights with new labelled images, oldest first, tonight last; nights without are left out."""
    nights = [
        (str(past["created"]), past["fresh_right"], past["fresh_images"], past["verdict"])
        for past in report.history
        if past.get("fresh_images")
    ]
    if (fresh := report.evaluation.fresh) and fresh.num_images:
        nights.append((report.created, fresh.num_right, fresh.num_images, report.decision.verdict))
    found = []
    for number, (created, right, images, verdict) in enumerate(nights):
        pooled_right, pooled_images = right, images
        for _, earlier_right, earlier_images, _ in reversed(nights[:number]):
            if pooled_images >= WINDOW:
                break
            pooled_right, pooled_images = pooled_right + earlier_right, pooled_images + earlier_images
        pooled = Score.of(pooled_right, pooled_images)
        found.append(
            NightOfNew(datetime.fromisoformat(created), Score.of(right, images), pooled, verdict == "promoted")
        )
    return tuple(found)
