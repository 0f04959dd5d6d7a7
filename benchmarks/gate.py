"""What the gate is worth: simulated nights on real digits, judged on images that no night ever had.

.venv/bin/python -m benchmarks.gate OWN POOL.npz… [--first SEED] [--writers N] [--scenario NAME] [--keep FOLDER]

OWN is a folder of <set>/<label>/<file>. What arrives in the nights is in `benchmarks.nights`; decisions are those of
`tenarai.evaluate`.
"""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # such small products are fastest on one thread

import numpy as np

from benchmarks.nights import SCENARIOS, Life, compare, live
from benchmarks.writers import Hands, base_head
from tenarai.dataset import TRAIN
from tenarai.evaluate.gate import EVEN_ODDS, decide, exact_p, take_look
from tenarai.model.bundle import base_info
from tenarai.records import Case, Evaluation, Look, PairedCounts, Prediction
from tenarai.settings import GateSettings

HARM = 0.005  # a promotion harms if the champion before it reads so much more, as a share of all images
EARLIER = "the gate of before"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a policy decides by.

    Attributes:
        night: Names the challenger.
        champion: Night whose challenger is champion; 0 for the base model.
        pairs: Champion and challenger on the same images.
        lost: How sure the champion is of each regression image that it reads and the challenger does not, 0 to 1.
        num_fixed: Regression images that the challenger reads and the champion does not.
        learned: From how many images the champion has learned, and from how many the challenger.
        num_evidence: Images of the collection that nobody chose by looking at a model.
    """

    night: int
    champion: int
    pairs: PairedCounts
    lost: tuple[float, ...]
    num_fixed: int
    learned: tuple[int, int]
    num_evidence: int

    def evaluation(self) -> Evaluation:
        """The same as the gate takes it."""
        sure = [Prediction("4", confidence, False) for confidence in self.lost]
        wrong = Prediction("9", 1.0, False)
        cases = [Case("x.png", "0" * 64, "4", prediction, wrong, "newly misread") for prediction in sure]
        return Evaluation(
            f"m-{self.champion}",
            f"m-{self.night}",
            pairs=self.pairs,
            regression=tuple(cases),
            num_learned=self.learned,
            num_evidence=self.num_evidence,
            recipe="transfer",
        )


Policy = Callable[[Evidence], str]
"""Why the challenger is promoted; empty where it is not."""


class Gate:
    """The project's gate over one life, its looks counted.

    Args:
        settings: The gate's.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings, self._looks = settings, list[Look]()

    def __call__(self, evidence: Evidence) -> str:
        evaluation = evidence.evaluation()
        look = take_look(evaluation, self._settings, self._looks)
        if look and look not in self._looks:
            self._looks.append(look)
        decision = decide(evaluation, self._settings, look)
        return decision.cause if decision.verdict == "promoted" else ""


def earlier_gate(evidence: Evidence) -> str:
    """The gate of before: mid-p at 5 % every night, fixed regression images as evidence, a quarter more images."""
    won, lost = evidence.pairs.won, evidence.pairs.lost
    half = comb(won + lost, won) / 2 ** (won + lost + 1)
    if any(confidence >= EVEN_ODDS for confidence in evidence.lost):
        return ""
    if exact_p(won, lost) - half <= 0.05:
        return "better"
    before, now = evidence.learned
    has_grown = now >= 1.25 * max(before, 16) and lost <= won + evidence.num_fixed + 1
    return "grown" if exact_p(lost, won) - half > 0.05 and has_grown else ""


POLICIES: dict[str, Callable[[], Policy]] = {
    "always promote": lambda: lambda evidence: "always",
    "accuracy ≥ champion": lambda: lambda evidence: "as good" if evidence.pairs.won >= evidence.pairs.lost else "",
    EARLIER: lambda: earlier_gate,
    "this gate, only with proof": lambda: Gate(GateSettings(when_unsure="keep")),
    "this gate": lambda: Gate(GateSettings()),
}


@dataclass
class Record:
    """What one policy made of one writer: accuracy after each night, readings lost, and promotions.

    Attributes:
        unproven: Promotions for another reason than "better"; `harmed` are those of them that harmed.
    """

    accuracy: list[float] = field(default_factory=list)
    lost: int = 0
    promotions: int = 0
    unproven: int = 0
    harmed: int = 0


def replay(life: Life, policy: Policy) -> Record:
    """Let a policy decide night by night; judged on the images that no night had, by what was written."""
    hand, record = life.hand, Record()
    features, truth = hand.plain[life.judge], life.truth[life.judge]
    champion, known, learned, since = base_head(), frozenset[str](), 0, 0
    right = champion.read(features) == truth
    for night, evaluation in enumerate(life.exams, 1):
        num_train = len(evaluation.snapshot.rows(TRAIN))
        pairs, lost, num_fixed = compare(hand, evaluation, champion, known)
        counts = learned, num_train
        if why := policy(Evidence(night, since, pairs, lost, num_fixed, counts, evaluation.num_evidence)):
            now = evaluation.challenger.read(features) == truth
            record.lost += int((right & ~now).sum())
            record.promotions += 1
            record.unproven += why != "better"
            record.harmed += why != "better" and bool(right.mean() - now.mean() > HARM)
            champion, known, learned, right = evaluation.challenger, evaluation.groups_trained_on, num_train, now
            since = night
        record.accuracy.append(float(right.mean()))
    return record


def run_nights(lives: Iterable[Life], policies: dict[str, Callable[[], Policy]]) -> str:
    """A markdown table: what each policy made of all writers."""
    found: list[dict[str, Record]] = []
    for life in lives:
        found.append({name: replay(life, make()) for name, make in policies.items()})
        told = ", ".join(f"{name} {np.mean(r.accuracy):.2%} −{r.lost}" for name, r in found[-1].items())
        print(f"writer {len(found)} ({life.hand.name}): {told}", flush=True)
    lines = [
        "| | mean accuracy | against the gate of before, points | last night | lost readings | promotions "
        "| of these without proof | of these worse by over half a point |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    means = {name: np.array([np.mean(one[name].accuracy) for one in found]) for name in policies}
    for name, mean in means.items():
        records = [one[name] for one in found]
        gains = 100 * (mean - means[EARLIER])
        points = f"{gains.mean():+.3f} ± {1.96 * gains.std(ddof=1) / np.sqrt(len(gains)):.3f}"
        last = np.mean([r.accuracy[-1] for r in records])
        lost, *counts = (sum(getattr(r, n) for r in records) for n in ("lost", "promotions", "unproven", "harmed"))
        counted = " | ".join(map(str, counts))
        lines.append(f"| {name} | {mean.mean():.2%} | {points} | {last:.2%} | {lost:,} | {counted} |")
    return "\n".join(lines)


def draw_lives(hands: Hands, writers: range, name: str, keep: Path | None) -> Iterator[Life]:
    """The nights of each writer, in a scenario; a second writer is the one after next, of another source of digits."""
    scenario = SCENARIOS[name]
    for seed in writers:
        kept = keep and keep / f"{base_info().id}, {name}, {seed}.pickle"
        if kept and kept.exists():
            yield pickle.loads(kept.read_bytes())  # noqa: S301 - written by the lines below
            continue
        life = live(hands.draw(seed), seed, scenario, hands.draw(seed + 2) if scenario.second else None)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps(life))
        yield life


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path)
    parser.add_argument("pools", type=Path, nargs="*")
    parser.add_argument("--first", type=int, default=0, help="seed of the first writer")
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="default: all of them")
    parser.add_argument("--keep", type=Path, help="a folder of lives that were drawn; other rules replay them")
    given = parser.parse_intermixed_args()
    hands, writers = Hands(given.own, given.pools), range(given.first, given.first + given.writers)
    for name in given.scenario or SCENARIOS:
        print(f"\n{name}:\n\n{run_nights(draw_lives(hands, writers, name, given.keep), POLICIES)}", flush=True)


if __name__ == "__main__":
    main()
