"""What the gate is worth: simulated nights on real digits, judged on images that no night ever had.

.venv/bin/python -m benchmarks.gate seeds OWN POOL.npz…      1,000 nights on which only the seed changes
.venv/bin/python -m benchmarks.gate nights OWN POOL.npz…     20 writers × 30 nights, this gate against two others
.venv/bin/python -m benchmarks.gate power --png FILE         how many images show which gain

OWN is a folder of <set>/<label>/<file>. The splits are those of `tenarai.dataset`, fair pairs and decisions those of
`tenarai.evaluate`; only the models are cheap (see `benchmarks.writers`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # such small products are fastest on one thread

import numpy as np
from numpy.typing import NDArray

from benchmarks.writers import LABELS, Hand, Hands, Head, base_head, fit_head, random_head
from tenarai.dataset import REGRESSION, TEST, TRAIN, Snapshot, freeze
from tenarai.evaluate.compare import pair_up
from tenarai.evaluate.gate import EVEN_ODDS, decide, exact_p, take_look
from tenarai.model.train import split_folds
from tenarai.records import Case, Evaluation, Fingerprint, Image, Look, PairedCounts, Prediction, Role
from tenarai.settings import GateSettings

NUM_NIGHTS, PER_NIGHT = 30, 10
FOLDS = 5
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Exam:
    """One night: what there was, and what its challenger reads.

    Attributes:
        rows: (N,) the writer's images in the order of the snapshot.
        snapshot: As frozen.
        challenger: Trained on all training images.
        cross_fitted: (N,) int64, what may be counted for the challenger; -1 where nothing may.
    """

    rows: NDArray[np.intp]
    snapshot: Snapshot
    challenger: Head
    cross_fitted: NDArray[np.int64]

    @property
    def groups_trained_on(self) -> frozenset[str]:
        return frozenset(self.snapshot.groups[self.snapshot.rows(TRAIN)].tolist())


def hold_night(hand: Hand, rows: NDArray[np.intp], misread: set[int], seed: int) -> Exam:
    """Freeze some of a writer's images, train a challenger, and cross-fit."""
    snapshot, order = _freeze(hand, rows, misread)
    train = snapshot.rows(TRAIN)
    challenger = fit_head(hand, order[train], seed)
    cross_fitted = np.full(len(order), -1, np.int64)
    test = snapshot.rows(TEST)
    cross_fitted[test] = challenger.read(hand.plain[order[test]])
    for learn, held_out in split_folds(snapshot.targets[train], snapshot.groups[train], FOLDS, seed):
        fold = fit_head(hand, order[train[learn]], seed)
        cross_fitted[train[held_out]] = fold.read(hand.plain[order[train[held_out]]])
    return Exam(order, snapshot, challenger, cross_fitted)


def compare(
    hand: Hand, evaluation: Exam, champion: Head, known: frozenset[str]
) -> tuple[PairedCounts, tuple[float, ...], int]:
    """The paired counts, how sure the champion is of each regression image that is lost, and how many are fixed."""
    truth, splits = hand.targets[evaluation.rows], evaluation.snapshot.splits
    is_known = np.isin(evaluation.snapshot.groups, list(known))
    readable = (splits == TEST) | ((splits == TRAIN) & (evaluation.cross_fitted >= 0))
    counted = np.flatnonzero(readable & ~is_known)
    before = champion.read(hand.plain[evaluation.rows]) == truth
    pairs = pair_up(before[counted], evaluation.cross_fitted[counted] == truth[counted])
    misread = evaluation.snapshot.rows(REGRESSION)
    features = hand.plain[evaluation.rows[misread]]
    now = evaluation.challenger.read(features) == truth[misread]
    lost = before[misread] & ~now
    sure = tuple(champion.probabilities(features[lost]).max(axis=1).tolist())
    return pairs, sure, int((now & ~before[misread]).sum())


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
        size: Images of the collection.
    """

    night: int
    champion: int
    pairs: PairedCounts
    lost: tuple[float, ...]
    num_fixed: int
    learned: tuple[int, int]
    size: int

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
            num_evidence=self.size,
            recipe="transfer",
        )


Policy = Callable[[Evidence], bool]


class Gate:
    """The project's gate over one life, its looks counted.

    Args:
        settings: The gate's.
    """

    def __init__(self, settings: GateSettings) -> None:
        self._settings, self._looks = settings, list[Look]()

    def __call__(self, evidence: Evidence) -> bool:
        evaluation = evidence.evaluation()
        look = take_look(evaluation, self._settings, self._looks)
        if look and look not in self._looks:
            self._looks.append(look)
        return decide(evaluation, self._settings, look).verdict == "promoted"


def earlier_gate(evidence: Evidence) -> bool:
    """The gate of before: mid-p at 5 % every night, fixed regression images as evidence, a quarter more images."""
    won, lost = evidence.pairs.won, evidence.pairs.lost
    half = comb(won + lost, won) / 2 ** (won + lost + 1)
    if any(confidence >= EVEN_ODDS for confidence in evidence.lost):
        return False
    if exact_p(won, lost) - half <= 0.05:
        return True
    before, now = evidence.learned
    has_grown = now >= 1.25 * max(before, 16) and lost <= won + evidence.num_fixed + 1
    return exact_p(lost, won) - half > 0.05 and has_grown


POLICIES: dict[str, Callable[[], Policy]] = {
    "always promote": lambda: lambda evidence: True,
    "accuracy ≥ champion": lambda: lambda evidence: evidence.pairs.won >= evidence.pairs.lost,
    "earlier gate": lambda: earlier_gate,
    "gate, keep without proof": lambda: Gate(GateSettings(when_unsure="keep")),
    "default gate": lambda: Gate(GateSettings()),
}


@dataclass
class Record:
    """What one policy made of one writer: accuracy after each night, images lost, promotions, and those that harmed."""

    accuracy: list[float] = field(default_factory=list)
    flips: int = 0
    promotions: int = 0
    harmed: int = 0


@dataclass(frozen=True, eq=False)
class Life:
    """The nights of a writer, and the images that no night has."""

    hand: Hand
    exams: tuple[Exam, ...]
    judge: NDArray[np.intp]


def live(hand: Hand, seed: int) -> Life:
    """30 nights of one writer; every policy will see the same challengers."""
    order = np.random.default_rng([seed, 3]).permutation(len(hand.targets))
    arriving, judge = order[: NUM_NIGHTS * PER_NIGHT], order[NUM_NIGHTS * PER_NIGHT :]
    at_first = base_head().read(hand.plain) == hand.targets
    # every third image that the base misreads is filed as misread by its writer
    misread = {int(n) for n in arriving[~at_first[arriving]][::3]}
    nights = range(1, NUM_NIGHTS + 1)
    exams = (hold_night(hand, arriving[: n * PER_NIGHT], misread, seed * 1000 + n) for n in nights)
    return Life(hand, tuple(exams), judge)


def replay(life: Life, policy: Policy) -> Record:
    """Let a policy decide night by night; judged on the images that no night had."""
    hand, judge, record = life.hand, life.judge, Record()
    champion, known, learned, since = base_head(), frozenset[str](), 0, 0
    right = champion.read(hand.plain[judge]) == hand.targets[judge]
    for night, evaluation in enumerate(life.exams, 1):
        num_train = len(evaluation.snapshot.rows(TRAIN))
        pairs, lost, num_fixed = compare(hand, evaluation, champion, known)
        size = len(evaluation.snapshot.sha256) - len(evaluation.snapshot.rows(REGRESSION))
        if policy(Evidence(night, since, pairs, lost, num_fixed, (learned, num_train), size)):
            now = evaluation.challenger.read(hand.plain[judge]) == hand.targets[judge]
            record.flips += int((right & ~now).sum())
            record.promotions += 1
            record.harmed += bool(right.mean() - now.mean() > 0.005)
            champion, known, learned, right = evaluation.challenger, evaluation.groups_trained_on, num_train, now
            since = night
        record.accuracy.append(float(right.mean()))
    return record


def run_nights(lives: Iterable[Life], policies: dict[str, Callable[[], Policy]]) -> str:
    """A markdown table: each policy's mean accuracy, negative flips and promotions."""
    found: list[dict[str, Record]] = []
    for number, life in enumerate(lives):
        found.append({name: replay(life, make()) for name, make in policies.items()})
        told = ", ".join(f"{name} {np.mean(r.accuracy):.2%} −{r.flips}" for name, r in found[-1].items())
        print(f"writer {number} ({life.hand.name}): {told}", flush=True)
    lines = [
        "| | mean accuracy | last night | lost readings | promotions | worse by over half a point |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in policies:
        records = [one[name] for one in found]
        mean, last = np.mean([r.accuracy for r in records]), np.mean([r.accuracy[-1] for r in records])
        flips, promotions, harmed = (sum(getattr(r, n) for r in records) for n in ("flips", "promotions", "harmed"))
        lines.append(f"| {name} | {mean:.2%} | {last:.2%} | {flips:,} | {promotions} | {harmed} |")
    return "\n".join(lines)


def run_seeds(hands: Hands, num_writers: int, num_each: int, *, from_scratch: bool) -> str:
    """On the same images, challengers that differ from their champion by the seed alone: how many are promoted?"""
    promoted = better = 0
    settings = GateSettings()
    for writer in range(num_writers):
        hand = hands.draw(writer, 270)
        rng = np.random.default_rng([writer, 4])
        order = rng.permutation(len(hand.targets))
        rows = order[: 60 + 30 * (writer % 8)]  # collections of 60 to 270 images
        snapshot, mine = _freeze(hand, rows, set())
        train, test = mine[snapshot.rows(TRAIN)], mine[snapshot.rows(TEST)]

        def fit(seed: int) -> Head:
            return fit_head(hand, train, seed, start=random_head(seed) if from_scratch else None)  # noqa: B023

        champion = fit(0)
        before = champion.read(hand.plain[test]) == hand.targets[test]
        count = 0
        for seed in range(1, num_each + 1):
            now = fit(seed).read(hand.plain[test]) == hand.targets[test]
            evidence = Evidence(seed, 0, pair_up(before, now), (), 0, (len(train), len(train)), len(rows))
            count += Gate(settings)(evidence)
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
        yes = [Gate(settings)(Evidence(1, 0, pairs, (), 0, (0, 0), num_images)) for pairs in outcomes]
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


def _freeze(hand: Hand, rows: NDArray[np.intp], misread: set[int]) -> tuple[Snapshot, NDArray[np.intp]]:
    """The project's snapshot of some of a writer's images, and which of the writer's images its rows are."""
    images, digits, where = [], {}, {}
    for row in rows.tolist():
        sha = hashlib.sha256(f"{hand.name} {row}".encode()).hexdigest()
        role = Role.MISREAD if row in misread else Role.DIGITS
        label = LABELS[hand.targets[row]]
        images.append(Image("folder:simulated", sha, f"{role}/{label}/{row}.png", role, label, sha, 1))
        digits[sha] = Fingerprint(sha, bytes.fromhex(sha), sha)
        where[sha] = row

    def load_pixels(shas: Sequence[str]) -> Iterator[bytes]:
        return (hand.pixels[where[sha]].tobytes() for sha in shas)

    snapshot = freeze(images, digits, load_pixels, normaliser=1, test_share=0.2).snapshot
    order = np.array([where[sha] for sha in snapshot.sha256.tolist()], np.intp)
    return snapshot, order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["seeds", "nights", "power"])
    parser.add_argument("own", type=Path, nargs="?")
    parser.add_argument("pools", type=Path, nargs="*")
    parser.add_argument("--writers", type=int, default=20)
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
    else:
        print(
            run_nights(
                (live(hands.draw(seed), seed) for seed in range(given.first, given.first + given.writers)), POLICIES
            )
        )


if __name__ == "__main__":
    main()
