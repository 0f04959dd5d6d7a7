"""Simulated nights of a writer: what arrives when, and the challenger of each night, the same for every gate.

A night brings ten images that came by themselves. Every third of those that the base model misreads is filed as
misread. The splits are those of `tenarai.dataset`; only the models are cheap (see `benchmarks.writers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.writers import LABELS, Hand, Head, base_head, fit_head
from tenarai.dataset import REGRESSION, TEST, TRAIN, Snapshot, freeze
from tenarai.evaluate.compare import pair_up
from tenarai.evaluate.holdout import is_chosen
from tenarai.evaluate.inbox import order_inbox
from tenarai.model.train import split_folds
from tenarai.records import Fingerprint, Image, PairedCounts, Role

NUM_NIGHTS, PER_NIGHT = 30, 10
FOLDS = 5
INBOX, FILED = 20, 2  # unlabelled images that lie there, and how many of them are filed each night

Rows = NDArray[np.intp]


class Scenario(NamedTuple):
    """What a collection is like.

    Attributes:
        filed: Images filed from the inbox each night, in the order of the report.
        slips: Share of images that are filed under a wrong label.
        second: Whether half of what arrives from the 16th night on is by another writer.
    """

    filed: int = 0
    slips: float = 0.0
    second: bool = False


SCENARIOS = {
    "one writer": Scenario(),
    "two images a night from the inbox": Scenario(filed=FILED),
    "3 % label slips": Scenario(slips=0.03),
    "a second writer from night 16": Scenario(second=True),
}


@dataclass(frozen=True, eq=False)
class Exam:
    """One night: what there was, and what its challenger reads.

    Attributes:
        rows: (N,) the writer's images in the order of the snapshot.
        snapshot: As frozen.
        challenger: Trained on all training images.
        cross_fitted: (N,) int64, what may be counted for the challenger; -1 where nothing may.
        num_evidence: Images of the collection that nobody chose by looking at a model.
    """

    rows: Rows
    snapshot: Snapshot
    challenger: Head
    cross_fitted: NDArray[np.int64]
    num_evidence: int

    @property
    def groups_trained_on(self) -> frozenset[str]:
        return frozenset(self.snapshot.groups[self.snapshot.rows(TRAIN)].tolist())


@dataclass(frozen=True, eq=False)
class Life:
    """The nights of a writer.

    Attributes:
        hand: The writer, with the labels that the images were filed under.
        exams: By night.
        judge: Rows of the images that no night has.
        truth: (N,) int64, what was written.
    """

    hand: Hand
    exams: tuple[Exam, ...]
    judge: Rows
    truth: NDArray[np.int64]


def live(hand: Hand, seed: int, scenario: Scenario, other: Hand | None = None) -> Life:
    """30 nights of one writer; every policy will see the same challengers.

    Args:
        hand: The writer.
        seed: Decides the order of arrival, and everything that is random in training.
        scenario: What the collection is like.
        other: The second writer, where there is one.
    """
    rng = np.random.default_rng([seed, 3])
    order = rng.permutation(len(hand.targets))
    if other:
        hand, order = _join(hand, other, order, rng)
    arriving, rest = order[: NUM_NIGHTS * PER_NIGHT], order[NUM_NIGHTS * PER_NIGHT :]
    num_inbox = scenario.filed and INBOX + scenario.filed * NUM_NIGHTS
    inbox, judge, truth = list(rest[:num_inbox]), rest[num_inbox:], hand.targets
    if scenario.slips:
        hand = replace(hand, targets=_slip(hand.targets, arriving, scenario.slips, rng))
    at_first = base_head().read(hand.plain) == truth
    misread = {int(n) for n in arriving[~at_first[arriving]][::3]}
    exams: list[Exam] = []
    filed: list[int] = []
    for night in range(1, NUM_NIGHTS + 1):
        rows = np.concatenate([arriving[: night * PER_NIGHT], np.array(filed, np.intp)])
        exams.append(hold_night(hand, rows, misread, set(filed), seed * 1000 + night))
        if scenario.filed:  # tomorrow's, in the order in which a report by tonight's challenger shows them
            shown = np.array(inbox[:INBOX])
            confidence = exams[-1].challenger.probabilities(hand.plain[shown]).max(axis=1)
            taken = [int(n) for n in shown[order_inbox(confidence, hand.pixels[shown])][: scenario.filed]]
            filed += taken
            inbox = [n for n in inbox if n not in taken]
    return Life(replace(hand, copies=()), tuple(exams), judge, truth)


def hold_night(hand: Hand, rows: Rows, misread: set[int], filed: set[int], seed: int) -> Exam:
    """Freeze some of a writer's images, train a challenger, and cross-fit; filed ones are never counted."""
    snapshot, order, chosen = freeze_some(hand, rows, misread, filed)
    train = snapshot.rows(TRAIN)
    challenger = fit_head(hand, order[train], seed)
    cross_fitted = np.full(len(order), -1, np.int64)
    test = snapshot.rows(TEST)
    cross_fitted[test] = challenger.read(hand.plain[order[test]])
    for learn, held_out in split_folds(snapshot.targets[train], snapshot.groups[train], FOLDS, seed):
        fold = fit_head(hand, order[train[learn]], seed)
        cross_fitted[train[held_out]] = fold.read(hand.plain[order[train[held_out]]])
    is_evidence = ~is_chosen(snapshot, chosen)
    cross_fitted[~is_evidence] = -1
    num_evidence = int((is_evidence & (snapshot.splits != REGRESSION)).sum())
    return Exam(order, snapshot, challenger, cross_fitted, num_evidence)


def compare(
    hand: Hand, evaluation: Exam, champion: Head, known: frozenset[str]
) -> tuple[PairedCounts, tuple[float, ...], int]:
    """The paired counts, how sure the champion is of each regression image that is lost, and how many are fixed."""
    truth = hand.targets[evaluation.rows]
    is_known = np.isin(evaluation.snapshot.groups, list(known))
    counted = np.flatnonzero((evaluation.cross_fitted >= 0) & ~is_known)
    before = champion.read(hand.plain[evaluation.rows]) == truth
    pairs = pair_up(before[counted], evaluation.cross_fitted[counted] == truth[counted])
    misread = evaluation.snapshot.rows(REGRESSION)
    features = hand.plain[evaluation.rows[misread]]
    now = evaluation.challenger.read(features) == truth[misread]
    lost = before[misread] & ~now
    sure = tuple(champion.probabilities(features[lost]).max(axis=1).tolist())
    return pairs, sure, int((now & ~before[misread]).sum())


def freeze_some(hand: Hand, rows: Rows, misread: set[int], filed: set[int]) -> tuple[Snapshot, Rows, frozenset[str]]:
    """The project's snapshot of some of a writer's images, which of them its rows are, and sha256 of the filed ones."""
    images, digits, where, chosen = [], {}, {}, set()
    for row in rows.tolist():
        sha = hashlib.sha256(f"{hand.name} {row}".encode()).hexdigest()
        role = Role.MISREAD if row in misread else Role.DIGITS
        label = LABELS[hand.targets[row]]
        images.append(Image("folder:simulated", sha, f"{role}/{label}/{row}.png", role, label, sha, 1))
        digits[sha] = Fingerprint(sha, bytes.fromhex(sha), sha)
        where[sha] = row
        if row in filed:
            chosen.add(sha)

    def load_pixels(shas: Sequence[str]) -> Iterator[bytes]:
        return (hand.pixels[where[sha]].tobytes() for sha in shas)

    frozen = freeze(images, digits, load_pixels, normaliser=1, test_share=0.2, chosen=frozenset(chosen))
    order = np.array([where[sha] for sha in frozen.snapshot.sha256.tolist()], np.intp)
    return frozen.snapshot, order, frozenset(chosen)


def _join(first: Hand, second: Hand, order: Rows, rng: np.random.Generator) -> tuple[Hand, Rows]:
    """Two writers in one collection: the first alone for half of the nights, then both in turn; both are judged."""
    both = Hand(
        f"{first.name} and {second.name}",
        np.concatenate([first.pixels, second.pixels]),
        np.concatenate([first.targets, second.targets]),
        np.concatenate([first.plain, second.plain]),
        tuple(np.concatenate(pair) for pair in zip(first.copies, second.copies, strict=True)),
    )
    num_alone = NUM_NIGHTS * PER_NIGHT // 2
    new = len(first.targets) + rng.permutation(len(second.targets))
    num = min(len(order) - num_alone, len(new))
    mixed = np.stack([order[num_alone : num_alone + num], new[:num]], axis=1).ravel()
    return both, np.concatenate([order[:num_alone], mixed])


def _slip(targets: NDArray[np.int64], rows: Rows, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Labels, some of them wrong."""
    slipped = rng.choice(rows, round(share * len(rows)), replace=False)
    filed = targets.copy()
    filed[slipped] = (targets[slipped] + rng.integers(1, len(LABELS), len(slipped))) % len(LABELS)
    return filed
