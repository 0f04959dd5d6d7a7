"""The history of champions, promoting and rolling back; and the looks at the evidence, counted for life.

    champion.json   every promotion and rollback
    looks.json      every look; written before its verdict is acted on, and kept whatever happens to champions

Both are replaced as a whole: killed anywhere, there is exactly one champion, the old or the new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from tenarai.errors import ModelError
from tenarai.evaluate.gate import decide, take_look
from tenarai.locale import _, dump
from tenarai.model.bundle import base_info
from tenarai.records import Decision, Evaluation, Look, Promotion
from tenarai.settings import GateSettings
from tenarai.store import Store

HISTORY = "champion.json"
LOOKS = "looks.json"

_T = TypeVar("_T")


def settle(
    store: Store, nights: Sequence[Mapping[str, Any]], evaluation: Evaluation, settings: GateSettings
) -> Decision:
    """Count tonight's look, let the gate decide on a challenger, and promote it if the gate says so.

    A challenger that is champion already was promoted by a night that was killed before it finished, or is the outcome
    of settings that were used before.

    Args:
        store: Where the history lies.
        nights: Records of finished nights.
        evaluation: Tonight's, with a challenger.
        settings: The gate's.
    """
    challenger = evaluation.challenger
    if is_rolled_back(store, challenger, evaluation.snapshot):
        return Decision("kept", "rolled back", {"model": challenger})
    promotion = champion(store)
    is_champion = promotion is not None and promotion.model == challenger
    if is_champion and any(record.get("challenger") == challenger for record in nights):
        return Decision("nothing new", "reads already", {"model": challenger})
    looks = read_looks(store)
    look = take_look(evaluation, settings, looks)
    if look and look not in looks:
        _write(store, LOOKS, (*looks, look))
    decision = decide(evaluation, settings, look)
    if is_champion:
        return decision if decision.verdict == "promoted" else Decision("promoted", "resumed", {"model": challenger})
    if decision.verdict == "promoted":
        action = "first" if decision.cause == "first" else "promoted"
        promote(store, challenger, why=dump(decision.reason), by="gate", snapshot=evaluation.snapshot, action=action)
    return decision


def history(store: Store) -> tuple[Promotion, ...]:
    """All promotions, oldest first; empty before the first, when the base model reads.

    Raises:
        StoreError: The history is damaged, or missing though there are models.
    """
    return _read(store, HISTORY, Promotion)


def read_looks(store: Store) -> tuple[Look, ...]:
    """All looks at the evidence, oldest first.

    Raises:
        StoreError: The file is damaged, or missing though there are models.
    """
    return _read(store, LOOKS, Look)


def champion(store: Store) -> Promotion | None:
    """The promotion of the champion, or None while the base model, champion zero, reads."""
    promotions = history(store)
    return promotions[-1] if promotions else None


def promote(store: Store, model: str, *, why: str, by: str, snapshot: str = "", action: str = "promoted") -> Promotion:
    """Make a model champion; it reads from now on.

    Args:
        store: Where the history lies.
        model: Id of a complete model.
        why: Kept in the history.
        by: `gate`, or the person who does it.
        snapshot: Snapshot that it was evaluated on.
        action: first, promoted or rolled back.
    """
    promotions = history(store)
    promotion = Promotion(model, datetime.now(UTC).isoformat(timespec="seconds"), why, by, action, snapshot)
    write_history(store, (*promotions, promotion))
    return promotion


def roll_back(store: Store, *, to: str | None, why: str, by: str) -> Promotion:
    """Put an earlier champion back.

    Args:
        store: Where the history lies.
        to: Id of a former champion or of the base model. Default: the champion before this one.
        why: Kept in the history.
        by: Who does it.

    Raises:
        ModelError: There is no such earlier champion; nothing is changed.
    """
    promotions = history(store)
    if not promotions:
        raise ModelError(_("there is no earlier champion: nothing was promoted since the base model"))
    former = dict.fromkeys([base_info().id, *(promotion.model for promotion in promotions)])
    del former[promotions[-1].model]
    to = to or champion_before(store)
    if to not in former:
        raise ModelError(
            _("{model} cannot be put back", model=to),
            expected=_("one of {models}", models=", ".join(former)),
            received=to,
            fix=_("see `tenarai models`; `tenarai promote` takes a model that was never champion"),
        )
    return promote(store, to, why=why, by=by, action="rolled back")


def champion_before(store: Store) -> str:
    """Id of the champion before this one. What was rolled back does not count, so asking twice goes two back.

    Raises:
        ModelError: There was none.
    """
    standing, _undone = _replay(history(store))
    if not standing:
        raise ModelError(
            _("there is no champion before this one"), fix=_("name one with --to; `tenarai models` lists them")
        )
    return standing[-2].model if len(standing) > 1 else base_info().id


def find_undone(store: Store) -> tuple[Promotion, ...]:
    """Promotions that a person rolled back, and that nobody has put back since, oldest first."""
    _standing, undone = _replay(history(store))
    return undone


def is_rolled_back(store: Store, model: str, snapshot: str) -> bool:
    """Whether a person rolled back this model, or one that was promoted on the same snapshot.

    A forced night gives a model another name and another seed, and evaluates it on the same images.

    Args:
        store: Where the history lies.
        model: Id of a challenger.
        snapshot: Snapshot that it was trained and is evaluated on.
    """
    return any(
        promotion.model == model or (snapshot and promotion.snapshot == snapshot) for promotion in find_undone(store)
    )


def _replay(promotions: Sequence[Promotion]) -> tuple[tuple[Promotion, ...], tuple[Promotion, ...]]:
    """The promotions that stand, the last of them the champion's (none: the base model), and those that were undone."""
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
        if promotion.model != (standing[-1].model if standing else base_info().id):  # a person may promote it again
            standing.append(promotion)
    return tuple(standing), tuple(undone)


def begin_history(store: Store) -> None:
    """Write the empty files of a new store, so that a missing file can be told from one without records."""
    if store.names("models"):
        return
    for name in (HISTORY, LOOKS):
        if not store.exists(name):
            _write(store, name, ())


def write_history(store: Store, promotions: Sequence[Promotion]) -> None:
    """Replace the history by these promotions, oldest first."""
    _write(store, HISTORY, promotions)


def _read(store: Store, name: str, kind: type[_T]) -> tuple[_T, ...]:
    """The records in a file; none where nothing was trained yet."""
    if not store.exists(name) and not store.names("models"):
        return ()
    return tuple(kind(**line) for line in store.read_json(name)["records"])


def _write(store: Store, name: str, records: Sequence[Promotion | Look]) -> None:
    store.write_json({"records": [asdict(record) for record in records]}, name)
