"""What HTML and markdown both show, ready to be laid out: numbers rounded, and sentences in one language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tenarai.locale import translate
from tenarai.records import Case, Change, NightReport, Prediction, Score, Suspect
from tenarai.report.progress import NightOfNew, follow_progress
from tenarai.report.texts import TEXTS


@dataclass(frozen=True, slots=True)
class Figure:
    """A share of right readings, large: whose, of what, on how many images."""

    who: str
    of_what: str
    score: Score


@dataclass(frozen=True)
class View:
    """A night and the texts of one language."""

    night: NightReport
    texts: dict[str, str]
    language: str

    # ---- the verdict

    def when(self) -> str:
        """`Tuesday, 24 November 2026, 02:00`, by the clock of where the night was run."""
        at = datetime.fromisoformat(self.night.created)
        weekday, month = self.texts["weekdays"].split(",")[at.weekday()], self.texts["months"].split(",")[at.month - 1]
        return self.texts["when"].format(
            weekday=weekday, day=at.day, month=month, year=at.year, time=f"{at.hour}:{at.minute:02}"
        )

    def because(self) -> str:
        """The gate's reason."""
        reason = translate(self.night.decision.reason, self.language)
        return reason[:1].upper() + reason[1:]

    def thanks(self) -> str:
        """Thanks for what was filed since last night; empty when nothing was."""
        filed = self.night.filed
        right = sum(item.was_read_as == item.label for item in filed)
        return self.texts["thanks"].format(number=len(filed), right=right) if filed else ""

    def filed(self, item: Case) -> str:
        """What the champion had read in a filed image."""
        if not item.was_read_as:
            return self.texts["filed_unread"]
        key = "filed_right" if item.was_read_as == item.label else "filed_wrong"
        return self.texts[key].format(read_as=item.was_read_as)

    # ---- numbers

    def figures(self) -> list[Figure]:
        """The shares to show large, whoever reads from now on first."""
        night, t = self.night, self.texts
        ours = Figure(
            f"{t['champion']} · {self.who(night.evaluation.champion)}",
            t["unseen"],
            night.evaluation.champion_score or Score.of(0, 0),
        )
        theirs = Figure(t["challenger"], t["unseen"], night.evaluation.challenger_score or Score.of(0, 0))
        pair = [theirs, ours] if night.decision.verdict == "promoted" else [ours, theirs]
        progress = self.progress()
        if night.evaluation.fresh and night.evaluation.fresh.num_images:
            pair.append(
                Figure(f"{t['champion']} · {self.who(night.evaluation.champion)}", t["fresh"], night.evaluation.fresh)
            )
        elif progress:
            pair.append(Figure(t["champion"], t["pooled"], progress[-1].pooled))
        return [figure for figure in pair if figure.score.num_images]

    def rests_on(self, score: Score) -> str:
        """On how many images a score rests, with its interval."""
        return self.texts["of"].format(
            right=score.num_right, images=score.num_images, low=percent(score.low), high=percent(score.high)
        )

    def pairs(self) -> str:
        """Champion against challenger, image by image; empty without a challenger."""
        pairs = self.night.evaluation.pairs
        if not pairs or not pairs.num_images:
            return ""
        return self.texts["pairs"].format(
            won=pairs.won, lost=pairs.lost, both_right=pairs.both_right, both_wrong=pairs.both_wrong
        )

    def progress(self) -> tuple[NightOfNew, ...]:
        """How new images were read over the nights."""
        return follow_progress(self.night)

    def glance(self) -> list[tuple[str, str]]:
        """What the page holds, in counts: (anchor, text)."""
        night, t = self.night, self.texts
        counts = {
            "misread": self._regression_counts(),
            "new": t["newly_found_counts"].format(number=len(night.evaluation.newly_found))
            if night.evaluation.newly_found
            else "",
            "look": t["suspects_counts"].format(number=len(night.evaluation.suspects))
            if night.evaluation.suspects
            else "",
            "inbox": t["inbox_counts"].format(
                number=len(night.inbox),
                unsure=sum(item.champion is not None and item.champion.unsure for item in night.inbox),
            )
            if night.inbox
            else "",
            "rejected": t["rejected_counts"].format(number=len(night.frozen.rejections))
            if night.frozen.rejections
            else "",
        }
        return [(anchor, text) for anchor, text in counts.items() if text]

    def _regression_counts(self) -> str:
        cases = self.night.evaluation.regression
        if not cases:
            return ""
        read = sum((reads := self._reader(case)) is not None and reads.label == case.label for case in cases)
        relapsed = sum(case.story is not None and case.story.state == "relapsed" for case in cases)
        key = "regression_counts_relapsed" if relapsed else "regression_counts"
        return self.texts[key].format(total=len(cases), read=read, open=len(cases) - read, relapsed=relapsed)

    def per_label(self) -> list[dict[str, object]]:
        """One row a label: label, images, right, share and interval in percent, taken_for."""
        rows: list[dict[str, object]] = []
        labels = self.night.evaluation.confusion_labels
        for number, counts in enumerate(self.night.evaluation.confusion):
            score = Score.of(counts[number], sum(counts))
            wrong = sorted((-n, labels[i]) for i, n in enumerate(counts) if n and i != number)
            seen = score.num_images > 0
            rows.append(
                {
                    "label": labels[number],
                    "images": score.num_images,
                    "right": score.num_right,
                    "share": f"{100 * score.accuracy:.1f}" if seen else "–",
                    "interval": f"{100 * score.low:.1f} – {100 * score.high:.1f}" if seen else "–",
                    "taken_for": ", ".join(f"{label} ({-n})" for n, label in wrong) or "–",
                }
            )
        return rows

    # ---- images

    def _reader(self, case: Case) -> Prediction | None:
        """What the model that reads from now on reads."""
        return case.challenger if case.challenger and self.night.decision.verdict == "promoted" else case.champion

    def status(self, case: Case) -> tuple[str, str]:
        """How a once misread image stands tonight: (good, bad or soft; words).

        What a challenger that was not promoted reads is told as that: nothing is fixed or lost by it.
        """
        if self.night.decision.verdict != "promoted":
            words = {"fixed": "would fix", "newly misread": "would lose"}.get(case.status, case.status)
        else:
            words = case.status
        tone = {"fixed": "good", "read": "good", "would fix": "soft", "would lose": "soft"}.get(words, "bad")
        return tone, self.texts[words]

    def story(self, case: Case) -> str:
        """Since when it stands as it does, and with how many seeds it is read; empty before anyone kept that."""
        if case.story is None:
            return ""
        told = [self.texts[f"state {case.story.state}"].format(since=_day(case.story.since))]
        if case.story.num_seeds:
            told.append(self.texts["seeds"].format(num_right=case.story.num_right, num_seeds=case.story.num_seeds))
        return ", ".join(told)

    def suspect(self, item: Suspect) -> str:
        """Why a file should be looked at."""
        return self.texts[f"suspect {item.kind}"].format(
            label=item.label, read_as=item.read_as, sure=percent(item.confidence), other=item.other_path
        )

    # ---- the rest

    def who(self, model: str) -> str:
        """A model's name for people."""
        return self.texts["base"] if model.startswith("base") else model

    def said(self, sentence: str) -> str:
        """A reason or a note in this language."""
        return translate(sentence, self.language)

    def change(self, item: Change) -> str:
        """What kind of thing changed, and which."""
        return f"{self.texts[f'change {item.kind}']} {item.name}".strip()

    def sync(self) -> str:
        """What the sync did, in a sentence."""
        s = self.night.sync
        counts = {
            "added": s.num_added,
            "changed": s.num_changed,
            "moved": s.num_moved,
            "relabelled": s.num_relabelled,
            "gone": s.num_gone,
            "back": s.num_back,
        }
        told = [self.texts[f"sync {kind}"].format(number=number) for kind, number in counts.items() if number]
        return self.texts["sync"].format(seen=s.num_seen, changes=", ".join(told) or self.texts["sync nothing"])


def make_view(night: NightReport, language: str) -> View:
    """The night in a language."""
    return View(night, TEXTS[language], language)


def pictured(night: NightReport) -> set[str]:
    """sha256 of every image the page may show."""
    found = {
        item.sha256
        for items in (night.evaluation.regression, night.inbox, night.evaluation.newly_found, night.filed)
        for item in items
    }
    found |= {item.sha256 for items in (night.evaluation.suspects, night.evaluation.disputed) for item in items}
    found |= {item.other_sha256 for item in night.evaluation.suspects}
    return (found | {sha256 for item in night.explanations for sha256, _ in item.nearest}) - {""}


def percent(share: float) -> str:
    """0.904 → `90.4 %`."""
    return f"{100 * share:.1f} %"


def _day(run: str) -> str:
    """The day in a night's name, `20261124-…` → `2026-11-24`; other text as it is."""
    return f"{run[:4]}-{run[4:6]}-{run[6:8]}" if run[:8].isdigit() else run[:10]
