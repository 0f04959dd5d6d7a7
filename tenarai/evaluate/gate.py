"""The gate: promote the challenger or keep the champion. A pure function of what the evaluation found."""

from __future__ import annotations

from math import comb

from tenarai.records import Case, Decision, Evaluation, PairedCounts
from tenarai.settings import GateSettings

EVEN_ODDS = 0.5
GROWTH = 1.25  # chosen, like the next, by `benchmarks/gate.py nights`
MIN_LEARNED = 16  # images; below 20 in training a first model is worse than the base as often as better


def decide(evaluation: Evaluation, settings: GateSettings) -> Decision:
    """Promote the challenger or keep the champion.

    The challenger must be shown to be better: images won against images lost, by the one-sided exact McNemar test with
    the mid-p correction (Fagerland, Lydersen and Laake, 2013). "At least as accurate" would promote worse models almost
    half of the time on small samples. But small samples rarely show anything, and more images of the same hand are
    known to help: where neither model is shown to be better, one that learned from notably more takes over
    (`when_unsure`).
    """
    pairs = evaluation.pairs or PairedCounts(0, 0, 0, 0)
    p = mid_p_value(pairs.won, pairs.lost)
    facts = {"won": pairs.won, "lost": pairs.lost, "num_images": pairs.num_images, "p": p}

    def because(verdict: str, cause: str, **more: str | int) -> Decision:
        return Decision(verdict, cause, {**facts, **more})

    lost = [case for case in evaluation.regression if _is_lost(case)]
    if evaluation.is_first:
        return because("promoted", "first")
    if lost and settings.protect_regression_set:
        read_as = lost[0].challenger.label if lost[0].challenger else ""
        return because("kept", "loses", path=lost[0].path, read_as=read_as, num_more=len(lost) - 1)
    if p <= settings.alpha:
        return because("promoted", "better")
    if mid_p_value(pairs.lost, pairs.won) <= settings.alpha:
        return because("kept", "worse")
    num_fixed = sum(case.status == "fixed" for case in evaluation.regression)
    before, now = evaluation.num_learned
    if settings.when_unsure == "grown" and has_grown(before, now) and pairs.lost <= pairs.won + num_fixed + 1:
        return because("promoted", "grown", num_learned=now, num_learned_before=before)
    if settings.when_unsure == "promote" and pairs.won + num_fixed > pairs.lost:
        return because("promoted", "bold")
    return because("kept", "unsure")


def has_grown(before: int, now: int) -> bool:
    """Whether a challenger learned from so much more than the champion that it is likely to be better."""
    return now >= GROWTH * max(before, MIN_LEARNED)


def mid_p_value(won: int, lost: int) -> float:
    """One-sided mid-p of winning `won` of `won + lost` fair coin tosses, 0 to 1; 0.5 without tosses."""
    tosses = won + lost
    above = sum(comb(tosses, k) for k in range(won + 1, tosses + 1))
    return float((above + 0.5 * comb(tosses, won)) / 2**tosses)


def _is_lost(case: Case) -> bool:
    """Whether the challenger loses what the champion reads; with less confidence than even odds that was a guess."""
    return case.status == "newly misread" and case.champion is not None and case.champion.confidence >= EVEN_ODDS
