"""The images of a report, section by section, those that matter most first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tenarai.locale import Message, _, plural
from tenarai.records import Case, NightReport, Score, Suspect
from tenarai.report.words import percent, word_day

MAX_CARDS = 6


@dataclass(frozen=True, slots=True)
class Tile:
    """One image.

    Attributes:
        sha256, path: The image.
        label: What was written; empty in the inbox.
        reads: What is read: by the model that reads from now on, or by those that found a doubtful label; else empty.
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
        return f"{self.label} ✓" if self.is_right else f"{self.label} → {self.reads}"

    @property
    def is_right(self) -> bool:
        """Whether what is read is what was written."""
        return self.reads == self.label


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


def list_suspects(night: NightReport) -> Section:
    """Labels that a person should check."""
    tiles = tuple(
        Tile(item.sha256, item.path, item.label, item.read_as, _word_suspect(item), other_sha256=item.other_sha256)
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
        return _("nearly the same as {other}: one is enough", other=item.other_path)
    if item.kind == "outlier":
        return _("looks like none of your characters")
    return _("looks like {reads} ({sure})", reads=item.read_as, sure=percent(item.confidence))


def list_inbox(night: NightReport) -> Section:
    """What the champion reads in the inbox."""
    tiles = []
    for case in night.inbox:
        if case.champion:
            label, sure = case.champion.label, percent(case.champion.confidence)
            note, tone = (_("{sure}, unsure", sure=sure), "bad") if case.champion.unsure else (sure, "")
            tiles.append(Tile(case.sha256, case.path, "", label, note, tone))
    return Section(
        "inbox",
        plural("File {n} image from your inbox", "File {n} images from your inbox", len(tiles)),
        _("Move them to digits/<label>/, the first ones first: they teach the model most."),
        tuple(tiles),
    )


def list_hard_cases(night: NightReport) -> Section:
    """The regression set; relapsed images and those solved tonight stand out."""
    cases = sorted(night.evaluation.regression, key=lambda case: (_rank(case, night), case.label, case.path))
    tiles = tuple(_make_tile(case, night, _word_story(case, night)) for case in cases)
    note = plural(
        "{right} of {n} image in misread/ is read correctly. It is never trained on.",
        "{right} of {n} images in misread/ are read correctly. They are never trained on.",
        len(tiles),
        right=sum(tile.is_right for tile in tiles),
    )
    num_cards = min(MAX_CARDS, sum(_rank(case, night) < 2 for case in cases))
    return Section("hard-cases", _("Hard cases"), note, tiles, num_cards)


def list_tonight(night: NightReport) -> Section:
    """New images that were misread, and images that only one model reads, each once."""
    evaluation = night.evaluation
    new = {case.sha256 for case in evaluation.newly_found}
    hard = {case.sha256 for case in evaluation.regression}
    merged = {case.sha256: case for case in (*evaluation.newly_found, *evaluation.disputed) if case.sha256 not in hard}
    tiles = (_make_tile(case, night, _word_tonight(case, night, sha256 in new)) for sha256, case in merged.items())
    return Section(
        "won-and-lost",
        _("Tonight's misread images"),
        _(
            "New images that the model misread before it was trained on them, and images that only one of the two "
            "models reads correctly."
        ),
        tuple(sorted(tiles, key=lambda tile: (tile.is_right, tile.label, tile.path))),
    )


def _make_tile(case: Case, night: NightReport, note: str) -> Tile:
    reads = _reads(case, night)
    return Tile(case.sha256, case.path, case.label, reads, note, "good" if reads == case.label else "bad")


def _reads(case: Case, night: NightReport) -> str:
    """What the model that reads from now on reads."""
    is_new = night.champion == night.evaluation.challenger and case.challenger is not None
    prediction = case.challenger if is_new else case.champion
    return prediction.label if prediction else ""


def _rank(case: Case, night: NightReport) -> int:
    """0 relapsed, 1 solved tonight, 2 misread, 3 read correctly as before."""
    if _reads(case, night) != case.label:
        return 0 if case.story and case.story.state == "relapsed" else 2
    return 1 if case.status == "fixed" else 3


def _word_story(case: Case, night: NightReport) -> Message | str:
    if case.story is None:
        return ""
    since = _word_beginning(case.story.since, night)
    if case.story.state == "relapsed":
        return _("relapsed {day}", day=since)
    if case.story.state == "fixed":
        return _("solved tonight") if _rank(case, night) == 1 else _("correct since {day}", day=since)
    return _("misread since {day}", day=since)


def _word_beginning(run: str, night: NightReport) -> Message:
    """The day of a night by the clock of its report; where it is not known any more, that of its name, which is UTC."""
    begun = {past.get("run"): past["created"] for past in night.history} | {night.run: night.created}
    return word_day(datetime.fromisoformat(begun[run]) if run in begun else datetime.strptime(run[:8], "%Y%m%d"))


def _word_tonight(case: Case, night: NightReport, is_new: bool) -> Message:
    promoted = night.champion == night.evaluation.challenger
    other = case.champion if promoted else case.challenger
    if case.champion is None or case.challenger is None or other is None:
        return _("new")
    said = _("before: {reads}", reads=other.label) if promoted else _("new model: {reads}", reads=other.label)
    return _("new, {said}", said=said) if is_new else said


def list_labels(night: NightReport) -> tuple[LabelRow, ...]:
    """Labels with errors, the worst first."""
    labels = night.evaluation.confusion_labels
    rows = []
    for number, counts in enumerate(night.evaluation.confusion):
        wrong = sorted((-count, labels[i]) for i, count in enumerate(counts) if count and i != number)
        if wrong:
            taken_for = tuple((label, -count) for count, label in wrong)
            rows.append(LabelRow(labels[number], Score.of(counts[number], sum(counts)), taken_for))
    return tuple(sorted(rows, key=lambda row: (row.score.accuracy, row.label)))
