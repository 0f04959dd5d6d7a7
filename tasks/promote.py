"""The gate, the champion's alias, and its history.

`decide` is a pure function of the paired counts, the regression set and the settings. The history is one file, replaced
whole: killed anywhere, there is exactly one champion, the old or the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from math import comb

from tasks.errors import ModelError, StoreError
from tasks.records import Decision, PairedCounts, RegressionCase, Reign
from tasks.settings import GateSettings
from tasks.store import Store

HISTORY = "champion.json"


def decide(
    pairs: PairedCounts, regression: Sequence[RegressionCase], settings: GateSettings, *, is_first: bool = False
) -> Decision:
    """Promote the challenger or keep the champion, with a reason in a sentence.

    The challenger must be shown to be better: images won against images lost, by the one-sided exact McNemar test with
    the mid-p correction (Fagerland, Lydersen and Laake, 2013). "At least as accurate" would promote worse models almost
    half of the time on small exams.

    Args:
        pairs: Champion and challenger on the same images.
        regression: The previously misread images, read by both.
        settings: The gate's settings.
        is_first: Whether the champion knows none of the labels, so that nobody could read them yet.
    """
    p = mid_p_value(pairs.won, pairs.lost)
    counts = f"won {pairs.won}, lost {pairs.lost} of {pairs.num_images} images, p = {p:.2g}"
    facts = {"won": pairs.won, "lost": pairs.lost, "num_images": pairs.num_images, "p": p}

    def say(verdict: str, cause: str, sentence: str, **more: str | int) -> Decision:
        return Decision(verdict, f"{sentence} ({counts})", p, cause, {**facts, **more})

    relapsed = [case for case in regression if case.status == "newly misread"]
    if is_first:
        return say("promoted", "first", "first to read these labels")
    if relapsed and settings.protect_regression_set:
        first, num_more = relapsed[0], len(relapsed) - 1
        read = first.challenger.label if first.challenger else "?"
        sentence = f"loses regression image {first.path}, read as {read}" + (
            f" and {num_more} more" if num_more else ""
        )
        return say("kept", "loses", sentence, path=first.path, read_as=read, num_more=num_more)
    if p <= settings.alpha:
        return say("promoted", "better", "better on images neither was trained on")
    if mid_p_value(pairs.lost, pairs.won) <= settings.alpha:
        return say("kept", "worse", "worse")
    fixed = sum(case.status == "fixed" for case in regression)
    if settings.when_unsure == "promote" and pairs.won + fixed > pairs.lost:
        return say("promoted", "bold", "not shown to be worse, and promoting when unsure is set")
    return say("kept", "unsure", "not enough evidence")


def mid_p_value(won: int, lost: int) -> float:
    """One-sided mid-p of winning `won` of `won + lost` fair coin tosses: 0 to 1; 0.5 of no tosses."""
    tosses = won + lost
    above = sum(comb(tosses, k) for k in range(won + 1, tosses + 1))
    return float((above + 0.5 * comb(tosses, won)) / 2**tosses)


def history(store: Store) -> tuple[Reign, ...]:
    """Who was champion, oldest first; empty before the first promotion, when the base model reads.

    Raises:
        StoreError: The history is damaged.
    """
    if not store.exists(HISTORY):
        return ()
    found = store.read_json(HISTORY)
    try:
        return tuple(Reign(**line) for line in found)
    except TypeError as error:
        raise StoreError(
            f"{HISTORY} in the store {store.address} is damaged", received=str(error), mend="restore it from a backup"
        ) from error


def champion(store: Store) -> Reign | None:
    """The reigning champion, or None while the base model, champion zero, reads."""
    reigns = history(store)
    return reigns[-1] if reigns else None


def promote(store: Store, model: str, *, why: str, by: str, snapshot: str = "", action: str = "promoted") -> Reign:
    """Make a model champion; the next reading uses it.

    Args:
        store: Where the history lies.
        model: Id of a complete model.
        why: Kept in the history.
        by: `gate`, or who overrode it.
        snapshot: Snapshot whose exam decided.
        action: first, promoted or rolled back.
    """
    reigns = history(store)
    reign = Reign(model, datetime.now(UTC).isoformat(timespec="seconds"), why, by, action, snapshot)
    store.write_json([asdict(line) for line in (*reigns, reign)], HISTORY)
    return reign


def roll_back(store: Store, *, to: str | None, base: str, why: str, by: str) -> Reign:
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
    reigns = history(store)
    if not reigns:
        raise ModelError("there is no earlier champion: the base model has been reading all along")
    former = list(dict.fromkeys([base, *(reign.model for reign in reigns)]))
    if to is None:
        to = _champion_before(reigns, base)
    if to not in former or to == reigns[-1].model:
        raise ModelError(
            f"{to} cannot be put back",
            expected=f"one of {', '.join(name for name in former if name != reigns[-1].model)}",
            received=to,
            mend="see `tenarai models`; `tenarai promote` crowns a model that never reigned",
        )
    return promote(store, to, why=why, by=by, action="rolled back")


def is_rolled_back(store: Store, model: str) -> bool:
    """Whether a person has rolled this very model back; the same evidence shall not promote it again."""
    reigns = history(store)
    return any(before.model == model and after.action == "rolled back" for before, after in pairwise(reigns))


def _champion_before(reigns: Sequence[Reign], base: str) -> str:
    """Undo what undid: rolling back twice goes two champions back, not forth and back."""
    standing: list[str] = [base]
    for reign in reigns:
        if reign.action == "rolled back" and reign.model in standing:
            standing = standing[: standing.index(reign.model) + 1]
        else:
            standing.append(reign.model)
    if len(standing) < 2:
        raise ModelError(
            "there is no champion before this one", mend="name one with --to; see `tenarai models` for who there was"
        )
    return standing[-2]
