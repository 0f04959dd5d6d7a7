"""Outcomes of cells → what a study found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tenarai.records import Score
from tenarai.settings import StudySettings
from tenarai.study.cells import Cell, Outcome
from tenarai.study.extrapolate import TARGETS, forecast
from tenarai.study.material import Material
from tenarai.study.plan import SWITCHES, Plan
from tenarai.study.results import (
    Answer,
    ArticleRow,
    Band,
    EpochRow,
    Forecast,
    Learning,
    SampleRow,
    Share,
    Spread,
    Study,
    SwitchRow,
    TryRow,
)
from tenarai.study.sentences import answer_question, say_held_out, summarise

OVERFIT = 1.05  # held-out loss at the end against its lowest
Outcomes = Mapping[Cell, Outcome]
MakeScore = Callable[[int, int], Score]


class Findings:
    """Makes sense of outcomes.

    Args:
        material: What was trained on.
        plan: What was trained.
        outcomes: What came out of each cell.
        make_score: Right answers of a number of images, with their interval, as the exam counts them.
    """

    def __init__(self, material: Material, plan: Plan, outcomes: Outcomes, make_score: MakeScore) -> None:
        """Keep them."""
        self._material, self._plan, self._outcomes, self._make_score = material, plan, outcomes, make_score

    def study(self, form: StudySettings, source: str, environment: dict[str, str]) -> Study:
        """Everything that was found."""
        material = self._material
        article, epochs, learning = tuple(self._article()), tuple(self._epochs(form)), tuple(self._learning())
        samples, switches = tuple(self._samples()), tuple(self._switches())
        forecasts = tuple(self._forecasts(samples))
        answer = self._answer()
        found = Study(
            source=source,
            num_images=material.num_images,
            labels=material.labels,
            per_label=round(material.per_label, 2),
            seeds=form.seeds,
            held_out=say_held_out(material, form),
            sentences={},
            article=article,
            epochs=epochs,
            learning=learning,
            samples=samples,
            forecasts=forecasts,
            switches=switches,
            answer=answer,
            environment=environment,
        )
        return Study(**{**{name: getattr(found, name) for name in Study.__slots__}, "sentences": summarise(found)})

    def _article(self) -> Iterator[ArticleRow]:
        for (reading, epochs), cells in self._plan.article.items():
            found = self._of(cells)
            yield ArticleRow(
                trained_on=reading,
                epochs=int(epochs),
                training=self._training(found, -1),
                as_the_article=self._held_out(cells, [_share(one.article_right) for one in found]),
                as_trained=self._held_out(cells, [_share(one.right) for one in found]),
            )

    def _epochs(self, form: StudySettings) -> Iterator[EpochRow]:
        for (recipe, how), cells in self._plan.epochs.items():
            found = self._of(cells)
            if how == "stopping":
                shares = [_share(one.right) for one in found]
                epochs = _spread([one.epochs for one in found])
                yield EpochRow(recipe, how, epochs, self._training(found, -1), self._held_out(cells, shares), None)
                continue
            for number in form.epochs:
                shares = [one.history.get("val_accuracy", [None] * number)[number - 1] for one in found]
                losses = [one.history["val_loss"][number - 1] for one in found if "val_loss" in one.history]
                yield EpochRow(
                    recipe,
                    how,
                    Spread(number, number, number),
                    self._training(found, number - 1),
                    self._held_out(cells, shares),
                    round(float(np.mean(losses)), 4) if losses else None,
                )

    def _learning(self) -> Iterator[Learning]:
        for (recipe, how), cells in self._plan.epochs.items():
            if how == "stopping":
                continue
            histories = [one.history for one in self._of(cells)]
            curves = {name: _band([history[name] for history in histories]) for name in sorted(histories[0])}
            if "val_loss" not in curves:
                yield Learning(recipe, curves, None, False)
                continue
            best = _spread([int(np.argmin(history["val_loss"])) + 1 for history in histories])
            losses = curves["val_loss"].mean
            yield Learning(recipe, curves, best, losses[-1] > OVERFIT * min(losses))

    def _samples(self) -> Iterator[SampleRow]:
        for (recipe, _), cells in self._plan.samples.items():
            found = self._of(cells)
            held_out = self._held_out(cells, [_share(one.right) for one in found])
            if held_out:
                per_label = float(np.mean([one.num_train for one in found])) / len(self._material.labels)
                yield SampleRow(recipe, round(per_label, 1), held_out)

    def _forecasts(self, rows: Sequence[SampleRow]) -> Iterator[Forecast]:
        for recipe in dict.fromkeys(row.recipe for row in rows if row.recipe != "base"):
            lines = [cells for (name, _), cells in self._plan.samples.items() if name == recipe]
            shares = [[_share(one.right) or 0.0 for one in self._of(cells)] for cells in lines]
            sizes = [row.per_label for row in rows if row.recipe == recipe]
            num_images = next(row.held_out.num_images for row in rows)
            for target in TARGETS:
                yield forecast(recipe, sizes, shares, num_images, target)

    def _switches(self) -> Iterator[SwitchRow]:
        normal = next(iter(SWITCHES))
        for (recipe, switch), cells in self._plan.switches.items():
            found, before = self._of(cells), self._of(self._plan.switches[recipe, normal])
            held_out = self._held_out(cells, [_share(one.right) for one in found])
            if not held_out:
                continue
            pairs = [
                pair for old, new in zip(before, found, strict=True) for pair in zip(old.right, new.right, strict=True)
            ]
            reference = float(np.mean([_share(one.right) or 0.0 for one in before]))
            yield SwitchRow(
                recipe,
                switch,
                held_out,
                round(held_out.mean - reference, 6),
                pairs.count(("0", "1")),
                pairs.count(("1", "0")),
            )

    def _answer(self) -> Answer | None:
        question = self._material.question
        if question is None:
            return None
        tries = tuple(self._try(name, cells, question.label) for (name,), cells in self._plan.question.items())
        nearest = next(one.nearest for cells in self._plan.question.values() for one in self._of(cells) if one.nearest)
        near = tuple((row, self._material.labels[self._material.targets[row]]) for row in nearest)
        return Answer(question.name, question.label, answer_question(question.label, tries, near), tries, near)

    def _try(self, name: str, cells: Sequence[Cell], label: str) -> TryRow:
        found = self._of(cells)
        answers = Counter(one.answer for one in found)
        ordered = tuple(sorted(answers.items(), key=lambda item: (-item[1], item[0])))
        return TryRow(
            name, ordered, answers[label], len(found), round(float(np.mean([o.confidence for o in found])), 4)
        )

    def _of(self, cells: Sequence[Cell]) -> list[Outcome]:
        return [self._outcomes[cell] for cell in cells]

    def _training(self, found: Sequence[Outcome], epoch: int) -> Share:
        shares = [one.history["accuracy"][epoch] for one in found]
        return self._make_share(shares, round(float(np.mean([one.num_train for one in found]))))

    def _held_out(self, cells: Sequence[Cell], shares: Sequence[float | None]) -> Share | None:
        known = [share for share in shares if share is not None]
        if not known:
            return None
        rows = np.concatenate([self._material.draw(cell.seed, cell.draw)[1] for cell in cells])
        return self._make_share(known, len(np.unique(rows)))

    def _make_share(self, shares: Sequence[float], num_images: int) -> Share:
        mean = float(np.mean(shares))
        score = self._make_score(round(mean * num_images), num_images)
        low, high = min(score.low, mean), max(score.high, mean)
        return Share(
            round(mean, 6), round(min(shares), 6), round(max(shares), 6), num_images, round(low, 4), round(high, 4)
        )


def _share(marks: str) -> float | None:
    """Share of right marks; None of none."""
    return marks.count("1") / len(marks) if marks else None


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def _band(curves: Sequence[Sequence[float]]) -> Band:
    table = np.array([list(curve) for curve in curves])
    mean, lowest, highest = table.mean(axis=0), table.min(axis=0), table.max(axis=0)
    return Band(*(tuple(round(float(value), 5) for value in line) for line in (mean, lowest, highest)))
