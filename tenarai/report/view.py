"""What a report shows, in the order in which it is read: verdict, number, what to do, hard cases, tonight's images.

HTML, markdown, `summary.png` and `report.json` are all made from one `View`. Its texts are messages: each medium words
them in its language and escapes them in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from tenarai.locale import Message, _, load, plural, to_json
from tenarai.model.bundle import is_base
from tenarai.records import Change, NightReport, Rejection, Score
from tenarai.report.describe import remember_night
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
from tenarai.store import seal_json

FEW = 10  # images of each label; with fewer than that on average, more of them help most
WINDOW = 100  # images that the trend looks back over, where there are as many
LEFT_OUT = {"history", "curves", "heat"}  # earlier nights have their own reports; `history.json` holds the curves

Nights = Sequence[Mapping[str, Any]]
"""Records of nights as `remember_night` makes them, oldest first."""

TITLES = {"promoted": _("New model"), "kept": _("Model kept"), "nothing new": _("Nothing new"), "stopped": _("Stopped")}
CHANGES = {
    "added": lambda name: _("images added: {name}", name=name),
    "gone": lambda name: _("images gone: {name}", name=name),
    "relabelled": lambda name: _("images relabelled: {name}", name=name),
    "setting": lambda name: _("setting {name}", name=name),
    "version": lambda name: _("version of {name}", name=name),
}


@dataclass(frozen=True, slots=True)
class NightOfNew:
    """A night that brought new labelled images: test-then-train, each image counts once, in the night it came.

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


@dataclass(frozen=True)
class View:
    """A night, ready to be laid out.

    Attributes:
        night: What each step found; the details at the end of a report are taken from it.
        nights: Records of earlier nights and of tonight, oldest first.
        title: The verdict.
        when: Date and time.
        number: How the model that reads from now on reads images that it was never trained on; None before it was
            evaluated.
        progress: The trend over nights.
        suspects, inbox: Images that wait for a person.
        unusable: Files that could not be used.
        hard: The regression set.
        tonight: New images that were misread, and compared images that only one model reads, each once.
        labels: Labels with errors, the worst first.
        names: Names of trained models for people, by id.
    """

    night: NightReport
    nights: Nights
    title: Message
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
        return _("The base model") if is_base(model) else self.names.get(model, model)

    @property
    def sentence(self) -> Message:
        """The verdict with its reason, for people."""
        decision = self.night.decision
        given = {"model": self.name(self.night.champion), "why": decision.reason}
        if decision.verdict == "promoted":
            return _("{model} reads your handwriting from now on: {why}.", **given)
        if decision.verdict == "stopped":
            return _("{model} goes on reading your handwriting, and nothing was changed: {why}.", **given)
        return _("{model} goes on reading your handwriting: {why}.", **given)

    def number_of(self) -> Message:
        """What `number` is a share of."""
        score = self.number or Score.of(0, 0)
        return _(
            "read correctly: {right} of {images} images, each by a model that was not trained on it",
            right=score.num_right,
            images=score.num_images,
        )

    def today(self) -> list[tuple[str, Message]]:
        """What to do, in order of worth: anchor and sentence. Empty when there is nothing to do."""
        fix = self.night.decision.facts.get("fix")  # of a night that stopped, or had too little to train on
        items = [("today", _("Fix: {fix}", fix=fix))] if fix else []
        info = self.night.frozen.info
        if info and (n := info.num_train + info.num_test) < FEW * len(info.labels):
            facts = {"n": n, "labels": len(info.labels)}
            more = _("Add images: there are {n} of {labels} labels, and twenty of each make a difference.", **facts)
            items.append(("today", more))
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
        rows = []
        for past in self.nights:
            champion = str(past["champion"])
            counts = past.get("scores", {}).get(champion)
            share = f"{percent(counts[0] / counts[1])} ({counts[0]} / {counts[1]})" if counts else "–"
            rows.append((word_day(_begin(past)), TITLES[str(past["verdict"])], self.name(champion), share))
        return rows

    def changes(self) -> list[tuple[Message, Change]]:
        """What differs between the training of champion and challenger."""
        return [(CHANGES[item.kind](item.name), item) for item in self.night.evaluation.changes]

    def as_json(self) -> bytes:
        """The night as JSON with sorted keys; equal nights give equal bytes. Shares and confidences are 0 to 1."""
        night = self.night
        found = {
            **_plain(night),
            "verdict": night.decision.verdict,
            "reason": to_json(night.decision.reason),
            "challenger": night.evaluation.challenger,
            "snapshot": night.frozen.info.id if night.frozen.info else "",
            "number": _plain(self.number),
            "today": [to_json(sentence) for _anchor, sentence in self.today()],
        }
        return seal_json(found, "report.json")


def make_view(night: NightReport) -> View:
    """Put what a night found into the order of a report."""
    nights = (*night.history, remember_night(night))
    return View(
        night=night,
        nights=nights,
        title=TITLES[night.decision.verdict],
        when=word_moment(datetime.fromisoformat(night.created)),
        number=find_score(nights, night.champion),
        progress=follow_progress(nights),
        suspects=list_suspects(night),
        inbox=list_inbox(night),
        unusable=night.frozen.rejections,
        hard=list_hard_cases(night),
        tonight=list_tonight(night),
        labels=list_labels(night),
        names=name_models(nights),
    )


def name_models(nights: Nights) -> dict[str, Message]:
    """Names of models by id: `Model 4 · 25 Nov`, numbered in the order in which they were trained."""
    trained: dict[str, datetime] = {}
    for past in nights:
        if past.get("challenger"):
            trained.setdefault(str(past["challenger"]), _begin(past))
    return {
        model: _("Model {number} · {day}", number=number, day=word_day(begin))
        for number, (model, begin) in enumerate(trained.items(), start=1)
    }


def find_score(nights: Nights, model: str) -> Score | None:
    """The newest score of a model on images that it was never trained on; None where it was not evaluated."""
    counts = [past["scores"][model] for past in nights if model in past.get("scores", {})]
    return Score.of(*counts[-1]) if counts else None


def follow_progress(nights: Nights) -> tuple[NightOfNew, ...]:
    """Nights with new labelled images, oldest first; nights without are left out."""
    new, found = [past for past in nights if past.get("fresh_images")], []
    for number, past in enumerate(new, start=1):
        right = images = 0
        for earlier in reversed(new[:number]):
            if images < WINDOW:
                right, images = right + earlier["fresh_right"], images + earlier["fresh_images"]
        score, is_promoted = Score.of(past["fresh_right"], past["fresh_images"]), past["verdict"] == "promoted"
        found.append(NightOfNew(_begin(past), score, Score.of(right, images), is_promoted))
    return tuple(found)


def _begin(past: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(past["created"]))


def _plain(value: Any) -> Any:
    """Records as dicts, messages with their fields, so that they can be read in any language."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.name not in LEFT_OUT}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return to_json(load(value)) if isinstance(value, str) and not isinstance(value, Enum) else value
