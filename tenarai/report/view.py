"""What a report shows, in the order in which it is read: verdict, number, what to do, hard cases, tonight's images.

HTML, markdown, `summary.png` and `report.json` are all made from one `View`. Its texts are messages: each medium words
them in its language and escapes them in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tenarai.locale import Message, _, plural
from tenarai.records import Change, NightReport, Rejection, Score
from tenarai.report.progress import NightOfNew, follow_progress
from tenarai.report.sections import (
    LabelRow,
    Section,
    list_hard_cases,
    list_inbox,
    list_labels,
    list_suspects,
    list_tonight,
)
from tenarai.report.words import percent, word_day, word_moment, word_score, word_share

TITLES = {"promoted": _("New model"), "kept": _("Model kept"), "nothing new": _("Nothing new"), "stopped": _("Stopped")}
CHANGES = {
    "added": lambda name: _("images added: {name}", name=name),
    "gone": lambda name: _("images gone: {name}", name=name),
    "relabelled": lambda name: _("images relabelled: {name}", name=name),
    "setting": lambda name: _("setting {name}", name=name),
    "version": lambda name: _("version of {name}", name=name),
}


@dataclass(frozen=True)
class View:
    """A night, ready to be laid out.

    Attributes:
        night: What each step found; the details at the end of a report are taken from it.
        title, sentence: The verdict and why.
        when: Date and time.
        number: How the model that reads from now on reads images that it was never trained on; None before it was
            evaluated.
        progress: The trend over nights.
        suspects, inbox: Images that wait for a person.
        unusable: Files that could not be used.
        hard: The regression set.
        tonight: New images that were misread, and compared images that only one model reads, each once.
        labels: Labels with errors, the worst first.
        names: Names of models for people, by id.
    """

    night: NightReport
    title: Message
    sentence: Message
    when: Message
    number: Score | None
    progress: tuple[NightOfNew, ...]
    suspects: Section
    inbox: Section
    unusable: tuple[Rejection, ...]
    hard: Section
    tonight: Section
    labels: tuple[LabelRow, ...]
    names: Mapping[str, Message]

    def name(self, model: str) -> str:
        """A model's name for people; its id where it is not known."""
        return self.names.get(model, model)

    def number_of(self) -> Message:
        """What `number` is a share of."""
        score = self.number or Score.of(0, 0)
        return _(
            "read correctly: {right} of {images} images that it was never trained on",
            right=score.num_right,
            images=score.num_images,
        )

    def today(self) -> list[tuple[str, Message]]:
        """What to do, in order of worth: anchor and sentence. Empty when there is nothing to do."""
        fix = self.night.decision.facts.get("fix")  # of a night that stopped, or had too little to train on
        items = [("today", _("Fix: {fix}", fix=fix))] if fix else []
        items += [(part.name, part.title) for part in (self.suspects, self.inbox) if part.tiles]
        return items + ([("unusable", self.unusable_title())] if self.unusable else [])

    def unusable_title(self) -> Message:
        """How many files could not be used."""
        n = len(self.unusable)
        return plural("Replace {n} file that could not be used", "Replace {n} files that could not be used", n)

    def thanks(self) -> Message | None:
        """Thanks for what was filed since the last night; None when nothing was."""
        filed = self.night.filed
        right = sum(case.was_read_as == case.label for case in filed)
        return filed and plural(
            "Thank you for filing {n} image; {right} of {n} had been read correctly.",
            "Thank you for filing {n} images; {right} of {n} had been read correctly.",
            len(filed),
            right=right,
        )  # type: ignore[return-value]

    def doubling(self) -> Message | None:
        """What twice as many images brought, in one sentence; None where it was not measured."""
        found = self.night.evaluation.doubling
        if found is None:
            return None
        return _(
            "With {num_before} images it read {before} of the same {images} held-out images; with {num_now} images it "
            "reads {now}.",
            num_before=found.num_before,
            before=word_share(found.before),
            images=found.now.num_images,
            num_now=found.num_now,
            now=word_share(found.now),
        )

    def comparison(self) -> list[tuple[Message, Message | str]]:
        """The numbers that the gate decided by; empty on a night without a challenger."""
        evaluation = self.night.evaluation
        ours, theirs, pairs = evaluation.champion_score, evaluation.challenger_score, evaluation.pairs
        if not ours or not theirs or not pairs:
            return []
        rows: list[tuple[Message, Message | str]] = [
            (_("champion: {model}", model=self.name(evaluation.champion)), word_score(ours)),
            (_("challenger: {model}", model=self.name(evaluation.challenger)), word_score(theirs)),
            (_("only the challenger correct"), str(pairs.won)),
            (_("only the champion correct"), str(pairs.lost)),
            (_("both correct"), str(pairs.both_right)),
            (_("both wrong"), str(pairs.both_wrong)),
        ]
        if isinstance(p := self.night.decision.facts.get("p"), float):
            rows.append((_("p-value (exact McNemar test, one-sided)"), f"{p:.2g}"))
        return rows

    def facts(self) -> list[tuple[Message, str]]:
        """Names and sizes for whoever looks into the store."""
        night, info = self.night, self.night.frozen.info
        rows = [(_("run"), night.run), (_("source"), night.source), (_("champion"), night.champion)]
        if night.evaluation.challenger:
            rows.append((_("challenger"), night.evaluation.challenger))
            rows.append((_("trained by"), f"{night.evaluation.recipe}, {night.evaluation.device}"))
        if info:
            rows.append((_("snapshot"), info.id))
            counts = {"train": info.num_train, "test": info.num_test, "hard": info.num_regression}
            rows.append((_("images"), _("{train} in training, {test} held out, {hard} hard cases", **counts)))
        return rows

    def champions(self) -> list[tuple[Message, Message, str, str]]:
        """Nights, oldest first: day, verdict, the model that read afterwards, and its score where it was evaluated."""
        night = self.night
        tonight: dict[str, Any] = {
            "created": night.created,
            "verdict": night.decision.verdict,
            "champion": night.champion,
        }
        score = score_models(replace(night, history=())).get(night.champion)
        tonight["scores"] = {night.champion: (score.num_right, score.num_images)} if score else {}
        rows = []
        for past in (*night.history, tonight):
            champion = str(past["champion"])
            counts = past.get("scores", {}).get(champion)
            share = f"{percent(counts[0] / counts[1])} ({counts[0]} / {counts[1]})" if counts else "–"
            rows.append((word_day(_moment(past)), TITLES[str(past["verdict"])], self.name(champion), share))
        return rows

    def changes(self) -> list[tuple[Message, Change]]:
        """What differs between the training of champion and challenger."""
        return [(CHANGES[item.kind](item.name), item) for item in self.night.evaluation.changes]


def make_view(night: NightReport) -> View:
    """Put what a night found into the order of a report."""
    names = name_models(night)
    return View(
        night=night,
        title=TITLES[night.decision.verdict],
        sentence=_word_verdict(night, names),
        when=word_moment(datetime.fromisoformat(night.created)),
        number=score_models(night).get(night.champion),
        progress=follow_progress(night),
        suspects=list_suspects(night),
        inbox=list_inbox(night),
        unusable=night.frozen.rejections,
        hard=list_hard_cases(night),
        tonight=list_tonight(night),
        labels=list_labels(night),
        names=names,
    )


def _moment(past: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(past["created"]))


def name_models(night: NightReport) -> dict[str, Message]:
    """Names of models by id: `Model 4 · 25 Nov`, numbered in the order in which they were trained."""
    nights = [*night.history, {"challenger": night.evaluation.challenger, "created": night.created}]
    trained: dict[str, str] = {}
    for past in nights:
        if past.get("challenger"):
            trained.setdefault(str(past["challenger"]), str(past["created"]))
    names = {
        model: _("Model {number} · {day}", number=number, day=word_day(datetime.fromisoformat(created)))
        for number, (model, created) in enumerate(trained.items(), start=1)
    }
    base = {model for model in (night.champion, night.evaluation.champion) if model.startswith("base")}
    return {**names, **dict.fromkeys(base, _("The base model"))}


def score_models(night: NightReport) -> dict[str, Score]:
    """The newest score of each model that was evaluated tonight or before, on images it was never trained on."""
    found = {model: Score.of(*counts) for past in night.history for model, counts in past.get("scores", {}).items()}
    evaluation = night.evaluation
    tonight = {evaluation.champion: evaluation.champion_score, evaluation.challenger: evaluation.challenger_score}
    return {**found, **{model: score for model, score in tonight.items() if model and score and score.num_images}}


def _word_verdict(night: NightReport, names: Mapping[str, Message]) -> Message:
    model = names.get(night.champion, night.champion)
    if night.decision.verdict == "promoted":
        return _("{model} reads your handwriting from now on: {why}.", model=model, why=night.decision.reason)
    if night.decision.verdict == "stopped":
        return _(
            "{model} goes on reading your handwriting, and nothing was changed: {why}.",
            model=model,
            why=night.decision.reason,
        )
    return _("{model} goes on reading your handwriting: {why}.", model=model, why=night.decision.reason)
