"""Everyone who was champion, re-scored on today's exam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenarai.dataset import REGRESSION, TEST, Snapshot, load_snapshot
from tenarai.errors import ModelError
from tenarai.evaluate import promote, wilson_score
from tenarai.evaluate.champion import champion_id, load_model_by_id
from tenarai.records import Promotion, Score
from tenarai.settings import Settings
from tenarai.store import Store, open_store


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One line of `tenarai models`: who reigned, since when, why, and what it scores today."""

    promotion: Promotion
    is_champion: bool
    recipe: str
    score: Score | None
    regression: Score | None
    problem: str = ""

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        return {
            "model": self.promotion.model,
            "champion": self.is_champion,
            "since": self.promotion.since,
            "action": self.promotion.action,
            "why": self.promotion.why,
            "by": self.promotion.by,
            "recipe": self.recipe,
            "accuracy": _as_json(self.score),
            "regression_set": _as_json(self.regression),
            "problem": self.problem,
        }

    def as_line(self) -> str:
        """For people."""
        mark = "*" if self.is_champion else " "
        since = self.promotion.since[:16].replace("T", " ") or "–"
        head = f"{mark} {self.promotion.model:<18} {self.recipe:<9} since {since:<16}"
        scores = self.problem or f"test {_as_text(self.score)}, once misread {_as_text(self.regression)}"
        return f"{head}  {scores}  ({self.promotion.action}: {self.promotion.why})"


def list_models(settings: Settings, *, score: bool = True) -> Iterator[ModelLine]:
    """The base model and every champion since, oldest first, each scored on the newest snapshot.

    Args:
        settings: Where the store is.
        score: Load and re-score each. Default: True.

    Raises:
        StoreError: There is no store.
    """
    from tenarai.model.bundle import base_info

    store = open_store(settings.store, create=False)
    evaluation = _newest_exam(store) if score else None
    reigning = champion_id(store)
    base = Promotion(base_info().id, "", "ships with Tenarai", "Tenarai", "champion zero")
    for promotion in _last_reigns((base, *promote.history(store))):
        yield _score_line(store, promotion, promotion.model == reigning, evaluation)


def _last_reigns(promotions: tuple[Promotion, ...]) -> list[Promotion]:
    """One line a model: its latest reign, in the order of first reigns."""
    return list({promotion.model: promotion for promotion in promotions}.values())


def _newest_exam(store: Store) -> Snapshot | None:
    """The snapshot of the newest report, or None before the first."""
    if not store.exists("reports", "latest"):
        return None
    run = store.read("reports", "latest").decode().strip()
    report = store.read_json("reports", run, "report.json")
    snapshot = report.get("snapshot")
    return load_snapshot(store, str(snapshot)) if snapshot else None


def _score_line(store: Store, promotion: Promotion, is_champion: bool, evaluation: Snapshot | None) -> ModelLine:
    try:
        model = load_model_by_id(store, promotion.model)
    except ModelError as error:
        return ModelLine(promotion, is_champion, "?", None, None, error.what)
    if evaluation is None:
        return ModelLine(promotion, is_champion, model.info.recipe, None, None)
    labels = model.info.labels
    scores = []
    for split in (TEST, REGRESSION):
        rows = evaluation.rows(split)
        read = model.predict(evaluation.pixels[rows]).argmax(axis=1) if len(rows) else []
        right = sum(labels[r] == evaluation.info.labels[t] for r, t in zip(read, evaluation.targets[rows], strict=True))
        scores.append(wilson_score(right, len(rows)))
    return ModelLine(promotion, is_champion, model.info.recipe, scores[0], scores[1])


def _as_json(score: Score | None) -> dict[str, object] | None:
    if score is None:
        return None
    return {"right": score.num_right, "images": score.num_images, "low": score.low, "high": score.high}


def _as_text(score: Score | None) -> str:
    if score is None or not score.num_images:
        return "–"
    return f"{score.num_right}/{score.num_images} ({score.low:.0%}–{score.high:.0%})"
