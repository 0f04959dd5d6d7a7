"""The gate: promote the challenger or keep the champion. Pure functions of what the evaluation found.

"Better" is a promise for the whole life of a collection: the chance that even one promotion with this word is wrong is
at most `alpha`. Each look at the evidence spends a part of it:

    look          1 … 20              21         22         23        …
    level         4 % of alpha each   20 % of alpha × 1/2, 1/6, 1/12, …

These parts sum to `alpha`, whatever number of nights there are. A night takes a look only when the collection has grown
by a quarter since the last one, or the recipe changed. `docs/gate.md` has what other rules cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

from tenarai.records import Case, Decision, Evaluation, Look, PairedCounts
from tenarai.settings import GateSettings

FIRST_LOOKS, FIRST_SHARE = 20, 0.8  # the first looks share so much of alpha evenly
LOOK_GROWTH = 1.25  # of the collection, from one look to the next
MIN_EVIDENCE = 20  # images compared; with fewer no look is worth its level

MARGIN = 0.02  # a challenger that is promoted without proof is at most so much worse, 95 % sure
GROWTH, DOUBLED = 1.25, 2.0  # times as many images learned from
MIN_LEARNED = 16  # images; a model that learned from fewer counts as if it had learned from these
Z95 = 1.645  # one-sided 95 % of the normal distribution
WORSE = 0.05  # level of the test that a challenger is worse
EVEN_ODDS = 0.5


def decide(evaluation: Evaluation, settings: GateSettings, look: Look | None) -> Decision:
    """Promote the challenger or keep the champion.

    In this order: a challenger that loses a regression image, or a label that has images, is kept out; the first model
    for labels that nobody reads is promoted; one that is shown to be better is promoted; one that is shown to be worse
    is kept out. Proof is rare, though, and more images of the same hand are known to help. So without proof a
    challenger is promoted that learned from a quarter more images and is at most `MARGIN` worse, or from twice as many
    and is behind by at most one image (`when_unsure`).

    The regression set protects against losses. It is no evidence for a challenger: it holds what a champion misread, so
    any other model reads some of it by chance.

    Args:
        evaluation: Champion and challenger on images that nobody chose by looking at a model.
        settings: The gate's.
        look: Tonight's look, already counted; None on a night without one.
    """
    pairs = evaluation.pairs or PairedCounts(0, 0, 0, 0)
    before, now = evaluation.num_learned
    facts = {
        "won": pairs.won,
        "lost": pairs.lost,
        "num_images": pairs.num_images,
        "p": exact_p(pairs.won, pairs.lost),
        "num_learned": now,
        "num_learned_before": before,
    }

    def because(verdict: str, cause: str, **more: str | int | float) -> Decision:
        return Decision(verdict, cause, {**facts, **more})

    lost = [case for case in evaluation.regression if _is_lost(case)]
    if lost and settings.protect_regression_set:
        read_as = lost[0].challenger.label if lost[0].challenger else ""
        return because("kept", "loses", path=lost[0].path, read_as=read_as, num_more=len(lost) - 1)
    if evaluation.forgotten:
        return because("kept", "forgets", labels=", ".join(evaluation.forgotten))
    if evaluation.is_first:
        return because("promoted", "first")
    if look and facts["p"] <= look.level:
        return because("promoted", "better", look=look.number, risk=settings.alpha)
    if exact_p(pairs.lost, pairs.won) <= WORSE:
        return because("kept", "worse")
    growth, worst = now / max(before, MIN_LEARNED), bound_loss(pairs)
    if settings.when_unsure == "grown" and growth >= GROWTH and worst <= MARGIN:
        return because("promoted", "grown", bound=worst)
    if settings.when_unsure == "grown" and growth >= DOUBLED and pairs.lost <= pairs.won + 1:
        return because("promoted", "doubled")
    if settings.when_unsure == "promote" and pairs.won > pairs.lost:
        return because("promoted", "bold")
    return because("kept", "unsure")


def take_look(evaluation: Evaluation, settings: GateSettings, looks: Sequence[Look]) -> Look | None:
    """Tonight's look at the evidence; None if there is no reason for one, or nothing can be shown by it.

    Looking at the same comparison again, after a night that was interrupted, is the same look.

    Args:
        evaluation: Tonight's.
        settings: The gate's.
        looks: All looks of the collection's life, oldest first.
    """
    pairs = evaluation.pairs or PairedCounts(0, 0, 0, 0)
    names = (evaluation.champion, evaluation.challenger)
    for look in looks:
        if (look.champion, look.challenger) == names:
            return look
    number = len(looks) + 1
    look = Look(number, level_of(number, settings.alpha), *names, evaluation.num_evidence, evaluation.recipe)
    can_show = pairs.num_images >= MIN_EVIDENCE and exact_p(pairs.won + pairs.lost, 0) <= look.level
    is_due = not looks or look.num_images >= LOOK_GROWTH * looks[-1].num_images or look.recipe != looks[-1].recipe
    return look if can_show and is_due else None


def level_of(number: int, alpha: float) -> float:
    """Level of the test at a look, 1 for the first; all levels together are `alpha`."""
    if number <= FIRST_LOOKS:
        return FIRST_SHARE * alpha / FIRST_LOOKS
    later = number - FIRST_LOOKS
    return (1 - FIRST_SHARE) * alpha / (later * (later + 1))


def exact_p(won: int, lost: int) -> float:
    """One-sided exact McNemar test: chance of `won` or more heads in `won + lost` fair coin tosses, 0 to 1.

    The mid-p, which is not exact, would be twice as small at 8 to 0: too small for levels of 0.2 %.
    """
    tosses = won + lost
    return float(sum(comb(tosses, k) for k in range(won, tosses + 1)) / 2**tosses)


def bound_loss(pairs: PairedCounts) -> float:
    """How much worse the challenger is at most, as a share of all images, 95 % sure; 1.0 without images.

    Tango's one-sided score bound (1998) of (lost - won) / images, by bisection.
    """
    won, lost, num = pairs.won, pairs.lost, pairs.num_images
    if not num:
        return 1.0
    low, high = -1.0, (won - lost) / num
    for _ in range(50):
        gain = (low + high) / 2
        b = -won - lost + (2 * num - won + lost) * gain
        c = -lost * gain * (1 - gain)
        share_lost = (sqrt(max(b * b - 8 * num * c, 0.0)) - b) / (4 * num)
        is_too_low = won - lost - num * gain > Z95 * sqrt(num * (2 * share_lost + gain * (1 - gain)))
        low, high = (gain, high) if is_too_low else (low, gain)
    return -low


def _is_lost(case: Case) -> bool:
    """Whether the challenger loses what the champion reads; with less confidence than even odds that was a guess."""
    return case.status == "newly misread" and case.champion is not None and case.champion.confidence >= EVEN_ODDS
