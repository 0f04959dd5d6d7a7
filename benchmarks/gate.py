"""What the gate is worth: simulated nights on real digits, judged on images that no night ever had.

.venv/bin/python -m benchmarks.gate seeds OWN POOL.npz…      1,000 nights on which only the seed changes
.venv/bin/python -m benchmarks.gate nights OWN POOL.npz…     20 writers × 30 nights, this gate against four other rules
.venv/bin/python -m benchmarks.gate power --png FILE         how many images show which gain

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

from benchmarks.nights import SCENARIOS, Life, compare, freeze_some, live
from benchmarks.writers import Hands, Head, base_head, fit_head, random_head
from tenarai.dataset import TEST, TRAIN
from tenarai.evaluate.compare import pair_up
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


def run_seeds(hands: Hands, num_writers: int, num_each: int, *, from_scratch: bool) -> str:
    """On the same images, challengers that differ from their champion by the seed alone: how many are promoted?"""
    promoted = better = 0
    settings = GateSettings()
    for writer in range(num_writers):
        hand = hands.draw(writer, 270)
        rng = np.random.default_rng([writer, 4])
        order = rng.permutation(len(hand.targets))
        rows = order[: 60 + 30 * (writer % 8)]  # collections of 60 to 270 images
        snapshot, mine, _filed = freeze_some(hand, rows, set(), set())
        train, test = mine[snapshot.rows(TRAIN)], mine[snapshot.rows(TEST)]

        def fit(seed: int) -> Head:
            return fit_head(hand, train, seed, start=random_head(seed) if from_scratch else None)  # noqa: B023

        champion = fit(0)
        before = champion.read(hand.plain[test]) == hand.targets[test]
        count = 0
        for seed in range(1, num_each + 1):
            now = fit(seed).read(hand.plain[test]) == hand.targets[test]
            evidence = Evidence(seed, 0, pair_up(before, now), (), 0, (len(train), len(train)), len(rows))
            count += bool(Gate(settings)(evidence))
            better += int(now.sum()) >= int(before.sum())
        promoted += count
        print(f"writer {writer} ({hand.name}, {len(rows)} images): {count} of {num_each}", flush=True)
    nights = num_writers * num_each
    return (
        f"{nights:,} nights on which only the seed changed: {promoted} promoted ({promoted / nights:.1%}); "
        f"by accuracy ≥ champion {better} ({better / nights:.1%})"
    )


def find_power(num_images: int, gain: float, lost: float, settings: GateSettings) -> float:
    """Chance that the gate promotes a challenger that wins `lost + gain` and loses `lost` of all images, exactly."""
    from scipy.stats import binom

    share, total = lost + gain + lost, 0.0
    differing = np.arange(num_images + 1)
    for n, weight in zip(differing, binom.pmf(differing, num_images, share), strict=True):
        if weight < 1e-9:
            continue
        won = np.arange(n + 1)
        outcomes = [PairedCounts(int(w), int(n - w), num_images - int(n), 0) for w in won]
        yes = [bool(Gate(settings)(Evidence(1, 0, pairs, (), 0, (0, 0), num_images))) for pairs in outcomes]
        total += weight * float(binom.pmf(won, n, (lost + gain) / share)[np.array(yes)].sum())
    return total


def draw_power(png: Path, lost: float) -> str:
    """Draw the power curve, and tell where each gain is seen four times in five."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sizes = np.unique(np.geomspace(10, 1000, 28).astype(int))
    figure, axes = plt.subplots(figsize=(6.4, 3.6), dpi=110)
    told = []
    for gain in (0.01, 0.02, 0.04, 0.08):
        power = [find_power(int(n), gain, lost, GateSettings()) for n in sizes]
        axes.plot(sizes, power, label=f"+{gain:.0%}")
        enough = [int(n) for n, p in zip(sizes, power, strict=True) if p >= 0.8]
        told.append(f"+{gain:.0%}: {f'from {enough[0]} images' if enough else 'more than 1,000 images'}")
    axes.set(xscale="log", xlabel="images compared", ylabel="promoted", ylim=(0, 1.02))
    axes.axhline(0.8, color="grey", linewidth=0.6, linestyle=":")
    axes.grid(alpha=0.2)
    axes.legend(title="truly better by", frameon=False)
    figure.tight_layout()
    figure.savefig(png, metadata={"Software": None})
    return "seen in four nights of five: " + "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["seeds", "nights", "power"])
    parser.add_argument("own", type=Path, nargs="?")
    parser.add_argument("pools", type=Path, nargs="*")
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="nights: default: all of them")
    parser.add_argument("--keep", type=Path, help="nights: a folder of lives that were drawn; other rules replay them")
    parser.add_argument("--from-scratch", action="store_true", help="seeds: heads that do not begin with the base's")
    parser.add_argument("--first", type=int, default=0, help="seed of the first writer")
    parser.add_argument("--lost", type=float, default=0.005, help="power: share of images a challenger loses")
    parser.add_argument("--png", type=Path, default=Path("docs/pictures/power.png"))
    given = parser.parse_intermixed_args()
    if given.what == "power":
        print(draw_power(given.png, given.lost))
        return
    hands = Hands(given.own, given.pools)
    if given.what == "seeds":
        print(run_seeds(hands, given.writers, 1000 // given.writers, from_scratch=given.from_scratch))
        return
    writers = range(given.first, given.first + given.writers)
    for name in given.scenario or SCENARIOS:
        print(f"\n{name}:\n\n{run_nights(draw_lives(hands, writers, name, given.keep), POLICIES)}", flush=True)


if __name__ == "__main__":
    main()
