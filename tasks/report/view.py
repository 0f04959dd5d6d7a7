"""What HTML and markdown both show, ready to be laid out: names resolved, numbers rounded, lists cut to length."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.records import NightReport, Reading, RegressionCase, Score
from tasks.report.texts import TEXTS


@dataclass(frozen=True)
class View:
    """A night and the texts of one language."""

    night: NightReport
    texts: dict[str, str]

    def who(self, model: str) -> str:
        """A model's name for people."""
        return self.texts["base"] if model.startswith("base") else model

    def score(self, score: Score | None) -> str:
        """`90.0 %`, or a dash where nothing was examined."""
        return percent(score.accuracy) if score and score.num_images else "–"

    def rests_on(self, score: Score | None) -> str:
        """On how many images a score rests, with its interval."""
        if not score or not score.num_images:
            return "–"
        return self.texts["of"].format(
            right=score.num_right, images=score.num_images, low=percent(score.low), high=percent(score.high)
        )

    def reading(self, role: str, reading: Reading | None) -> str:
        """`champion reads 5 (71 %)`; empty without a reading."""
        if reading is None:
            return ""
        return self.texts["reads"].format(who=self.texts[role], label=reading.label, sure=percent(reading.probability))

    def per_label(self) -> list[dict[str, object]]:
        """One row a label: label, images, right, share, taken_for."""
        rows: list[dict[str, object]] = []
        labels = self.night.confusion_labels
        for number, counts in enumerate(self.night.confusion):
            total, right = sum(counts), counts[number]
            wrong = sorted((-n, labels[i]) for i, n in enumerate(counts) if n and i != number)
            rows.append(
                {
                    "label": labels[number],
                    "images": total,
                    "right": right,
                    "share": percent(right / total) if total else "–",
                    "taken_for": ", ".join(f"{label} ({-n})" for n, label in wrong) or "–",
                }
            )
        return rows

    def cases(self, limit: int) -> list[RegressionCase]:
        """The first cases; those that need attention come first."""
        return list(self.night.regression[:limit])

    def sync(self) -> str:
        """What the sync did, in a sentence."""
        s = self.night.sync
        return self.texts["sync"].format(
            seen=s.num_seen,
            added=s.num_added,
            changed=s.num_changed,
            moved=s.num_moved,
            relabelled=s.num_relabelled,
            gone=s.num_gone,
            back=s.num_back,
        )


def make_view(night: NightReport, language: str) -> View:
    """The night in a language."""
    return View(night, TEXTS[language])


def percent(share: float) -> str:
    """0.904 → `90.4 %`."""
    return f"{100 * share:.1f} %"
