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
from tenarai.records import Case, Change, NightReport, Prediction, Rejection, Score, Suspect
from tenarai.report.progress import NightOfNew, follow_progress

MAX_CARDS = 6
WEEKDAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
MONTHS = (
    _("Jan"), _("Feb"), _("Mar"), _("Apr"), _("May"), _("Jun"),
    _("Jul"), _("Aug"), _("Sep"), _("Oct"), _("Nov"), _("Dec"),
)  # fmt: skip
TITLES = {"promoted": _("New model"), "kept": _("Model kept"), "nothing new": _("Nothing new"), "stopped": _("Stopped")}
CHANGES = {
    "added": lambda name: _("images added: {name}", name=name),
    "gone": lambda name: _("images gone: {name}", name=name),
    "relabelled": lambda name: _("images relabelled: {name}", name=name),
    "setting": lambda name: _("setting {name}", name=name),
    "version": lambda name: _("version of {name}", name=name),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One image.

    Attributes:
        sha256, path: The image.
        label: What was written; empty in the inbox.
        reads: What the model that reads from now on reads; empty where that is not the point.
        note: What is to be said of it.
        tone: `good`, `bad` or empty.
        other_sha256: An image to compare it with, or empty.
    """

    sha256: str
    path: str
    label: str
    reads: str
    note: str = ""
    tone: str = ""
    other_sha256: str = ""

    @property
    def caption(self) -> str:
        """`4 ✓` when it is read right, `4 → 9` when it is misread, else what was written, or read."""
        if not self.label or not self.reads:
            return self.label or self.reads
        return f"{self.label} ✓" if self.label == self.reads else f"{self.label} → {self.reads}"


@dataclass(frozen=True, slots=True)
class Section:
    """Images under a heading; the first `num_cards` are shown larger.

    Attributes:
        name: Anchor in the page and key of the artifact.
        title, note: Heading, and a sentence below it.
        tiles: Images, those that matter most first.
        num_cards: How many of them stand out.
    """

    name: str
    title: Message
    note: Message
    tiles: tuple[Tile, ...]
    num_cards: int = 0


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label that is misread at times: its score, and what it is taken for how often."""

    label: str
    score: Score
    taken_for: tuple[tuple[str, int], ...]


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
        items = [(part.name, part.title) for part in (self.suspects, self.inbox) if part.tiles]
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
            before=_word_share(found.before),
            images=found.now.num_images,
            num_now=found.num_now,
            now=_word_share(found.now),
        )

    def comparison(self) -> list[tuple[Message, Message | str]]:
        """The numbers that the gate decided by; empty on a night without a challenger."""
        evaluation = self.night.evaluation
        ours, theirs, pairs = evaluation.champion_score, evaluation.challenger_score, evaluation.pairs
        if not ours or not theirs or not pairs:
            return []
        rows: list[tuple[Message, Message | str]] = [
            (_("champion: {model}", model=self.name(evaluation.champion)), _word_score(ours)),
            (_("challenger: {model}", model=self.name(evaluation.challenger)), _word_score(theirs)),
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
        when=_word_moment(datetime.fromisoformat(night.created)),
        number=score_models(night).get(night.champion),
        progress=follow_progress(night),
        suspects=_list_suspects(night),
        inbox=_list_inbox(night),
        unusable=night.frozen.rejections,
        hard=_list_hard_cases(night),
        tonight=_list_tonight(night),
        labels=_list_labels(night),
        names=names,
    )


def percent(share: float) -> str:
    """0.904 → `90.4 %`, with a space that does not break."""
    return f"{100 * share:.1f}\u00a0%"


def _moment(past: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(past["created"]))


def _word_score(score: Score) -> Message:
    return _(
        "{right} of {images} ({share}), 95 % interval {low} – {high}",
        right=score.num_right,
        images=score.num_images,
        share=percent(score.accuracy),
        low=percent(score.low),
        high=percent(score.high),
    )


def _word_share(score: Score) -> Message:
    low, high = percent(score.low), percent(score.high)
    return _("{share} (95 % interval {low} – {high})", share=percent(score.accuracy), low=low, high=high)


def word_day(moment: datetime) -> Message:
    """A day without its year: `25 Nov`."""
    return _("{day} {month}", day=moment.day, month=MONTHS[moment.month - 1])


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


def _word_moment(at: datetime) -> Message:
    return _(
        "{weekday}, {day} {year}, {time}",
        weekday=WEEKDAYS[at.weekday()],
        day=word_day(at),
        year=at.year,
        time=f"{at:%H:%M}",
    )


# ---- sections


def _list_suspects(night: NightReport) -> Section:
    tiles = tuple(
        Tile(item.sha256, item.path, item.label, "", _word_suspect(item), other_sha256=item.other_sha256)
        for item in night.evaluation.suspects
    )
    return Section(
        "labels",
        plural("Check {n} label", "Check {n} labels", len(tiles)),
        _("Move a file that lies under the wrong label. A file stays listed until you move it or confirm its label."),
        tiles,
        num_cards=MAX_CARDS,
    )


def _word_suspect(item: Suspect) -> Message:
    if item.kind == "duplicate":
        return _("nearly the same as {other}", other=item.other_path)
    if item.kind == "outlier":
        return _("filed under {label}, looks like none of your characters", label=item.label)
    sure = percent(item.confidence)
    return _("filed under {label}, looks like {reads} ({sure})", label=item.label, reads=item.read_as, sure=sure)


def _list_inbox(night: NightReport) -> Section:
    tiles = tuple(
        Tile(case.sha256, case.path, "", case.champion.label, _word_confidence(case.champion), _doubt(case.champion))
        for case in night.inbox
        if case.champion
    )
    return Section(
        "inbox",
        plural("File {n} image from your inbox", "File {n} images from your inbox", len(tiles)),
        _("Move them to digits/<label>/, the first ones first: they teach the model most."),
        tiles,
    )


def _word_confidence(prediction: Prediction) -> str:
    sure = percent(prediction.confidence)
    return _("{sure}, unsure", sure=sure) if prediction.unsure else sure


def _doubt(prediction: Prediction) -> str:
    return "bad" if prediction.unsure else ""


def _list_hard_cases(night: NightReport) -> Section:
    cases = sorted(night.evaluation.regression, key=lambda case: _rank(case, night))
    tiles = tuple(
        Tile(case.sha256, case.path, case.label, _reads(case, night), _word_story(case, night), _tone(case, night))
        for case in cases
    )
    num_right = sum(tile.label == tile.reads for tile in tiles)
    note = plural(
        "{right} of {n} image in misread/ is read correctly. It is never trained on.",
        "{right} of {n} images in misread/ are read correctly. They are never trained on.",
        len(tiles),
        right=num_right,
    )
    return Section(
        "hard-cases",
        _("Hard cases"),
        note,
        tiles,
        num_cards=min(MAX_CARDS, sum(_rank(case, night)[0] < 2 for case in cases)),
    )


def _reads(case: Case, night: NightReport) -> str:
    """What the model that reads from now on reads."""
    is_new = night.champion == night.evaluation.challenger and case.challenger is not None
    prediction = case.challenger if is_new else case.champion
    return prediction.label if prediction else ""


def _rank(case: Case, night: NightReport) -> tuple[int, str, str]:
    """Relapsed images first, then those solved tonight, then misread ones, then the rest."""
    is_right = _reads(case, night) == case.label
    state = case.story.state if case.story else ""
    if not is_right:
        return (0 if state == "relapsed" else 2, case.label, case.path)
    return (1 if _is_solved_tonight(case, night) else 3, case.label, case.path)


def _is_solved_tonight(case: Case, night: NightReport) -> bool:
    return bool(night.history and case.story and case.story.state == "fixed" and case.story.since == night.run)


def _word_story(case: Case, night: NightReport) -> Message | str:
    if case.story is None:
        return ""
    since = _word_run(case.story.since)
    if case.story.state == "relapsed":
        return _("relapsed {day}", day=since)
    if case.story.state == "fixed":
        return _("solved tonight") if _is_solved_tonight(case, night) else _("solved {day}", day=since)
    return _("misread since {day}", day=since)


def _word_run(run: str) -> Message | str:
    """The day in a night's name, `20261124-…`."""
    try:
        return word_day(datetime.strptime(run[:8], "%Y%m%d"))
    except ValueError:
        return run


def _tone(case: Case, night: NightReport) -> str:
    return "good" if _reads(case, night) == case.label else "bad"


def _list_tonight(night: NightReport) -> Section:
    new = {case.sha256 for case in night.evaluation.newly_found}
    merged = {case.sha256: case for case in (*night.evaluation.newly_found, *night.evaluation.disputed)}
    hard = {case.sha256 for case in night.evaluation.regression}
    cases = sorted(
        (case for sha256, case in merged.items() if sha256 not in hard),
        key=lambda case: (_reads(case, night) == case.label, case.label, case.path),
    )
    tiles = tuple(
        Tile(c.sha256, c.path, c.label, _reads(c, night), _word_tonight(c, night, c.sha256 in new), _tone(c, night))
        for c in cases
    )
    note = _(
        "New images that the model misread before it was trained on them, and images that only one of the two models "
        "reads correctly."
    )
    return Section("won-and-lost", _("Tonight's misread images"), note, tiles)


def _word_tonight(case: Case, night: NightReport, is_new: bool) -> Message:
    promoted = night.champion == night.evaluation.challenger
    other = case.champion if promoted else case.challenger
    if case.champion is None or case.challenger is None or other is None:
        return _("new")
    said = _("before: {reads}", reads=other.label) if promoted else _("new model: {reads}", reads=other.label)
    return _("new, {said}", said=said) if is_new else said


def _list_labels(night: NightReport) -> tuple[LabelRow, ...]:
    labels = night.evaluation.confusion_labels
    rows = []
    for number, counts in enumerate(night.evaluation.confusion):
        wrong = sorted((-count, labels[i]) for i, count in enumerate(counts) if count and i != number)
        if wrong:
            taken_for = tuple((label, -count) for count, label in wrong)
            rows.append(LabelRow(labels[number], Score.of(counts[number], sum(counts)), taken_for))
    return tuple(sorted(rows, key=lambda row: (row.score.accuracy, row.label)))
