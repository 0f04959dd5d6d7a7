"""The gate, the champion's alias, and its history.

`decide` is a pure function of the paired counts, the regression set and the settings. The history is one file, replaced
whole: killed anywhere, there is exactly one champion, the old or the new one.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import comb

from tenarai.catalogue import hold_store
from tenarai.errors import ModelError, StoreError
from tenarai.locale import Message, _
from tenarai.records import Case, Decision, PairedCounts, Promotion
from tenarai.settings import GateSettings, Settings
from tenarai.store import Store, open_store

HISTORY = "champion.json"
EVEN_ODDS = 0.5
GROWTH = 1.25  # chosen, like the next, by `benchmarks/gate.py nights`
MIN_LEARNED = 16  # images; below 20 in training a first model of one's own is worse than the base as often as better


def decide(
    pairs: PairedCounts,
    regression: Sequence[Case],
    settings: GateSettings,
    *,
    learned: tuple[int, int] = (0, 0),
    is_first: bool = False,
) -> Decision:
    """Promote the challenger or keep the champion, with a reason in a sentence.

    The challenger must be shown to be better: images won against images lost, by the one-sided exact McNemar test with
    the mid-p correction (Fagerland, Lydersen and Laake, 2013). "At least as accurate" would promote worse models almost
    half of the time on small exams. But small exams rarely show anything, and more images of the same hand are known to
    help: where neither model is shown to be better, one that learned from notably more takes over (`when_unsure`).

    Args:
        pairs: Champion and challenger on the same images.
        regression: The previously misread images, read by both.
        settings: The gate's settings.
        learned: From how many of the owner's images the champion learned, and from how many the challenger.
        is_first: Whether the champion knows none of the labels, so that nobody could read them yet.
    """
    p = mid_p_value(pairs.won, pairs.lost)
    facts = {"won": pairs.won, "lost": pairs.lost, "num_images": pairs.num_images, "p": p}

    def because(verdict: str, cause: str, **more: str | int) -> Decision:
        return Decision(verdict, cause, {**facts, **more})

    relapsed = [case for case in regression if _is_lost(case)]
    if is_first:
        return because("promoted", "first")
    if relapsed and settings.protect_regression_set:
        first, num_more = relapsed[0], len(relapsed) - 1
        read_as = first.challenger.label if first.challenger else "?"
        return because("kept", "loses", path=first.path, read_as=read_as, num_more=num_more)
    if p <= settings.alpha:
        return because("promoted", "better")
    if mid_p_value(pairs.lost, pairs.won) <= settings.alpha:
        return because("kept", "worse")
    fixed = sum(case.status == "fixed" for case in regression)
    before, now = learned
    if settings.when_unsure == "grown" and has_grown(before, now) and pairs.lost <= pairs.won + fixed + 1:
        return because("promoted", "grown", num_learned=now, num_learned_before=before)
    if settings.when_unsure == "promote" and pairs.won + fixed > pairs.lost:
        return because("promoted", "bold")
    return because("kept", "unsure")


def _is_lost(case: Case) -> bool:
    """Whether the challenger loses what the champion could read; what it held for less than even odds was a guess."""
    return case.status == "newly misread" and case.champion is not None and case.champion.confidence >= EVEN_ODDS


def has_grown(before: int, now: int) -> bool:
    """Whether a challenger learned from so much more than the champion that it is likely to be better."""
    return now >= GROWTH * max(before, MIN_LEARNED)


def mid_p_value(won: int, lost: int) -> float:
    """One-sided mid-p of winning `won` of `won + lost` fair coin tosses: 0 to 1; 0.5 of no tosses."""
    tosses = won + lost
    above = sum(comb(tosses, k) for k in range(won + 1, tosses + 1))
    return float((above + 0.5 * comb(tosses, won)) / 2**tosses)


def history(store: Store) -> tuple[Promotion, ...]:
    """Who was champion, oldest first; empty before the first promotion, when the base model reads.

    Raises:
        StoreError: The history is damaged.
    """
    if not store.exists(HISTORY):
        return ()
    found = store.read_json(HISTORY)
    try:
        return tuple(Promotion(**line) for line in found)
    except TypeError as error:
        raise StoreError(
            f"{HISTORY} in the store {store.address} is damaged", received=str(error), fix="restore it from a backup"
        ) from error


def champion(store: Store) -> Promotion | None:
    """The reigning champion, or None while the base model, champion zero, reads."""
    promotions = history(store)
    return promotions[-1] if promotions else None


def promote(store: Store, model: str, *, why: str, by: str, snapshot: str = "", action: str = "promoted") -> Promotion:
    """Make a model champion; the next reading uses it.

    Args:
        store: Where the history lies.
        model: Id of a complete model.
        why: Kept in the history.
        by: `gate`, or who overrode it.
        snapshot: Snapshot whose exam decided.
        action: first, promoted or rolled back.
    """
    promotions = history(store)
    promotion = Promotion(model, datetime.now(UTC).isoformat(timespec="seconds"), why, by, action, snapshot)
    store.write_json([asdict(line) for line in (*promotions, promotion)], HISTORY)
    return promotion


def roll_back(store: Store, *, to: str | None, base: str, why: str, by: str) -> Promotion:
    """Put an earlier champion back.

    Args:
        store: Where the history lies.
        to: Id of a former champion or of the base model. Default: the champion before this one.
        base: Id of the base model, which everyone's history begins with.
        why: Kept in the history.
        by: Who does it.

    Raises:
        ModelError: There is no such earlier champion; nothing is changed.
    """
    promotions = history(store)
    if not promotions:
        raise ModelError("there is no earlier champion: the base model has been reading all along")
    former = list(dict.fromkeys([base, *(promotion.model for promotion in promotions)]))
    if to is None:
        to = champion_before(store, base)
    if to not in former or to == promotions[-1].model:
        raise ModelError(
            f"{to} cannot be put back",
            expected=f"one of {', '.join(name for name in former if name != promotions[-1].model)}",
            received=to,
            fix="see `tenarai models`; `tenarai promote` crowns a model that never reigned",
        )
    return promote(store, to, why=why, by=by, action="rolled back")


def champion_before(store: Store, base: str) -> str:
    """Who reigned before this champion; what was rolled back does not count, so asking twice goes two back, not forth.

    Raises:
        ModelError: There was none.
    """
    standing, _ = _tell_standing(history(store))
    if not standing:
        raise ModelError(
            "there is no champion before this one", fix="name one with --to; see `tenarai models` for who there was"
        )
    return standing[-2].model if len(standing) > 1 else base


def find_undone(store: Store) -> tuple[Promotion, ...]:
    """Reigns that a person undid by rolling back, and that nobody has put back since, oldest first."""
    _, undone = _tell_standing(history(store))
    return undone


def is_rolled_back(store: Store, model: str, snapshot: str) -> bool:
    """Whether a person rolled this very model back, or one that was crowned on the same evidence.

    A forced night gives a model another name and another seed, and sits the same exam.

    Args:
        store: Where the history lies.
        model: Id of a challenger.
        snapshot: Snapshot that it learned from and is examined on.
    """
    return any(
        promotion.model == model or (snapshot and promotion.snapshot == snapshot) for promotion in find_undone(store)
    )


def _tell_standing(promotions: Sequence[Promotion]) -> tuple[tuple[Promotion, ...], tuple[Promotion, ...]]:
    """The reigns that stand, the last of them reigning (none: the base model), and those that were undone."""
    standing: list[Promotion] = []
    undone: list[Promotion] = []
    for promotion in promotions:
        if promotion.action == "rolled back":
            kept = next((n + 1 for n in reversed(range(len(standing))) if standing[n].model == promotion.model), 0)
            is_forth = not kept and any(other.model == promotion.model for other in undone)
            if not is_forth:
                undone += standing[kept:]
                del standing[kept:]
                continue
        undone = [other for other in undone if other.model != promotion.model]
        standing.append(promotion)
    return tuple(standing), tuple(undone)


def roll_back_champion(settings: Settings, *, to: str | None, why: str) -> Message:
    """Put an earlier champion back.

    Raises:
        ModelError: There is no earlier champion, or the one named cannot be loaded; nothing is changed then.
    """
    from tenarai.evaluate.champion import load_model_by_id
    from tenarai.model.bundle import base_info

    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        if to:
            load_model_by_id(store, to)  # a model that cannot be loaded must not become champion
        promotion = roll_back(store, to=to, base=base_info().id, why=why, by=_find_user())
    reason = promotion.why or _("no reason given")
    return _("{model} is champion again: {reason}", model=promotion.model, reason=reason)


def promote_by_hand(settings: Settings, model: str, *, why: str) -> Message:
    """Make a model champion whatever the gate said; the history keeps who and why.

    Raises:
        ModelError: The model is missing, damaged or of another normaliser; nothing is changed then.
    """
    from tenarai.evaluate.champion import load_model_by_id

    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        info = load_model_by_id(store, model).info
        promote(store, model, why=why, by=_find_user(), snapshot=info.snapshot)
    return _("{model} is champion by hand: {reason}", model=model, reason=why)


def _find_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "someone"
