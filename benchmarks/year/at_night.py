"""Faults of the night itself: Drive, disk, process, recipe and roll back; each spends its night and judges it."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.year.nights import WORSE, kill_night, starve_night
from benchmarks.year.planted import Planted
from benchmarks.year.year import Report, Year
from tenarai.errors import CredentialsError, SourceError, TenaraiError, UnusualChangesError
from tenarai.evaluate import promotions
from tenarai.evaluate.champions import promote_by_hand, roll_back_champion
from tenarai.evaluate.predictions import champion_id, load_model_by_id
from tenarai.locale import from_json
from tenarai.settings import Settings
from tests.stand_in import FAULTS, ROBOT

RATE = 0.04  # of each kind of fault: with ten kinds a third of all requests fail
MOST_STEPS = 45  # of a night that trains on a few new files, counted; a kill beyond the last step comes right after it
PILE = 0.3  # images more; from a quarter on the gate promotes whatever learned from them and is not behind


def spend_hard_night(fault: Planted, year: Year) -> Report | None:
    """Spend the night under the fault, judge it, and hand in the report of the night, if there was one."""
    return SPEND[fault.kind](fault, year)


def _under_faults(fault: Planted, year: Year) -> Report | None:
    faults = year.drive.faults
    before = faults.done.total()
    for _ in range(3):
        year.person.file(year.person.take())
    faults.seed, faults.rates = fault.night, dict.fromkeys(FAULTS, RATE)
    try:
        report = year.night(fault.night)
    except TenaraiError as error:
        year.caught[fault] = (False, f"the night gave up: {error}"[:120])
        return None
    finally:
        faults.rates = {}
    num_done, same = faults.done.total() - before, year.catalogue_is_the_folder()
    seen = f"{num_done} answers broken, the catalogue {'is' if same else 'differs from'} the folder"
    year.caught[fault] = (same and num_done > 0, seen)
    return report


def _refused(fault: Planted, year: Year, kind: type[Exception]) -> None:
    before = year.state()
    try:
        year.night(fault.night)
    except kind as error:
        same = year.state() == before
        _expect_recovery(fault, year, same, str(error)[:90] if same else "something was changed")
    else:
        year.caught[fault] = (False, "the night did not notice")


def _expect_recovery(
    fault: Planted, year: Year, ok: bool, seen: str, check: Callable[[Report], bool] | None = None
) -> None:
    """Judge the fault by the night after, which must hand in its report."""

    def look(report: Report, night: int) -> tuple[bool, str]:
        recovered = night == fault.night + 1 and year.catalogue_is_the_folder()
        return ok and recovered and (check is None or check(report)), seen if recovered else "the next night failed"

    year.watch(fault, look)


def _revoked(fault: Planted, year: Year) -> None:
    people = year.drive.people
    exchange, tokens = people.exchange, people.tokens.copy()
    told = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    people.tokens.clear()
    people.exchange = lambda body, authorisation="": (400, told)  # type: ignore[method-assign]
    try:
        _refused(fault, year, CredentialsError)
    finally:
        people.exchange = exchange  # type: ignore[method-assign]
        people.tokens.update(tokens)


def _unshared(fault: Planted, year: Year) -> None:
    root = year.drive.tree.root
    role = root.shares[ROBOT]
    year.drive.tree.unshare(root, ROBOT)
    try:
        _refused(fault, year, SourceError)
    finally:
        root.shares[ROBOT] = role


def _half_deleted(fault: Planted, year: Year) -> None:
    lost = year.person.labelled()[::2]
    for item in lost:
        year.drive.tree.trash(item)
    try:
        _refused(fault, year, UnusualChangesError)
    finally:
        for item in lost:
            year.drive.tree.trash(item, False)


def _starved(fault: Planted, year: Year) -> None:
    before = champion_id(year.store)
    for _ in range(3):
        year.person.file(year.person.take())
    is_clear, said = starve_night(fault.night, year.day(fault.night))
    same = champion_id(year.store) == before
    _expect_recovery(fault, year, is_clear and bool(said) and same, said[:120] or "it ended well on a full disk")


def _killed(fault: Planted, year: Year) -> None:
    for _ in range(2):
        year.person.file(year.person.take())
    was_killed, said = kill_night(fault.night, year.day(fault.night), year.rng.randint(1, MOST_STEPS))
    held = champion_id(year.store)
    try:
        load_model_by_id(year.store, held)
    except TenaraiError as error:
        year.caught[fault] = (False, f"{said}; the champion cannot be loaded: {error}"[:120])
        return
    _expect_recovery(
        fault, year, was_killed, said, lambda report: held in (report["champion"], report["evaluation"]["champion"])
    )


def _worse(fault: Planted, year: Year) -> Report:
    year.person.file(year.person.take())
    report = year.night(fault.night, training=WORSE)
    year.caught[fault] = (report["verdict"] == "kept", f"{report['verdict']}: {from_json(report['reason'])}"[:120])
    return report


def _rolled_back(fault: Planted, year: Year) -> Report:
    """A pile of images gets a model promoted, the person rolls it back, and the night runs once more."""
    for _ in range(round(PILE * len(year.person.labelled()))):
        year.person.file(year.person.take())
    report = year.night(fault.night)
    if report["verdict"] != "promoted":
        promote_by_hand(Settings(), report["challenger"], why="the simulated person wants to see what it reads")
    roll_back_champion(Settings(), to=None, why="the simulated person does not like it")
    held, num_promotions = champion_id(year.store), len(promotions.history(year.store))
    again = year.night(fault.night, force=True, hour=4)
    same = champion_id(year.store) == held and len(promotions.history(year.store)) == num_promotions
    year.caught[fault] = (same and again["verdict"] == "kept", f"{again['verdict']}: {again['reason']}"[:120])
    return again


SPEND: dict[str, Callable[[Planted, Year], Report | None]] = {
    "Drive answers with faults": _under_faults,
    "token revoked": _revoked,
    "folder no longer shared": _unshared,
    "half of the files deleted at once": _half_deleted,
    "disk full": _starved,
    "kill -9": _killed,
    "recipe that makes models worse": _worse,
    "rolled back by hand": _rolled_back,
}
