"""Check a whole store, and repair what can be made again: `tenarai check [--repair]`.

Everything in a store can be verified: originals are named by their digest, the rows of the catalogue and the files of a
model carry checksums, snapshots are named by their content. What is damaged and can be made again is removed, so that
the next night makes it. What nobody can make again is listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table

from tenarai.catalogue import CATALOGUE_FILE, Catalogue, hold_store, locate_catalogue, open_catalogue, repair
from tenarai.catalogue.repair import Listener
from tenarai.dataset import load_manifest
from tenarai.errors import StoreError, StoreVersionError, TenaraiError
from tenarai.evaluate.promotions import history, write_history
from tenarai.locale import _, plural
from tenarai.model.bundle import is_base, verify_model
from tenarai.records import Promotion
from tenarai.settings import Settings
from tenarai.store import Store, open_store

LAST_CHECK = "last-check.json"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a store that is missing or damaged.

    Attributes:
        where: The file or the table.
        what: What is wrong.
        repaired: What was done about it; empty: nothing.
        fix: What a person can do; empty where nothing is left to do.
    """

    where: str
    what: str
    repaired: str = ""
    fix: str = ""


def check_store(settings: Settings, *, repairing: bool = False, listen: Listener = lambda *_: None) -> list[Fault]:
    """Check every file and row of a store.

    Args:
        settings: Where store and catalogue are.
        repairing: Remove what is damaged and can be made again. Default: False, nothing is changed.
        listen: Receives the subject, how much of it is done, and how much there is. Default: no one.

    Raises:
        StoreError: There is no store, it cannot be read at all, or another version of Tenarai wrote it.
        StoreBusyError: A night is running on it.
    """
    store = open_store(settings.store, create=False)
    with hold_store(settings, store):
        faults = list(_check_database(settings, store, repairing))
        if all(fault.repaired for fault in faults):
            with open_catalogue(locate_catalogue(settings, store)) as catalogue:
                faults += _check_rows(catalogue, repairing)
                faults += _check_originals(store, catalogue, repairing, listen)
                faults += _check_promotions(store, catalogue, repairing)
        faults += _check_snapshots(store, repairing, listen)
        faults += _check_reports(store, repairing)
        write_last_check(store, faults)
        return faults


def write_last_check(store: Store, faults: Sequence[Fault]) -> None:
    """Keep when the store was checked and how many faults it has left; a store that is read-only keeps nothing."""
    left = sum(not fault.repaired for fault in faults)
    with suppress(StoreError):
        store.write_json({"checked": datetime.now(UTC).isoformat(timespec="seconds"), "num_faults": left}, LAST_CHECK)


def last_check(store: Store) -> tuple[str, int] | None:
    """When the store was last checked, ISO 8601 in UTC, and how many faults it had left; None before the first check.

    Raises:
        StoreError: The file is damaged.
    """
    if not store.exists(LAST_CHECK):
        return None
    found = store.read_json(LAST_CHECK)
    return found["checked"], found["num_faults"]


def _check_database(settings: Settings, store: Store, repairing: bool) -> Iterator[Fault]:
    """Whether the database can be read; a SQLite file that cannot is rebuilt from the rows that can."""
    url = locate_catalogue(settings, store)
    is_sqlite = url.get_backend_name() == "sqlite"
    place = str(url.database)
    if is_sqlite and store.local and not settings.catalogue and not (store.local / CATALOGUE_FILE).exists():
        yield Fault(place, _("the catalogue is missing"), fix=_("run a night: it reads the source again"))
        return
    try:
        with open_catalogue(url) as catalogue:
            damage = list(repair.find_damage(catalogue))
    except StoreVersionError:
        raise
    except StoreError as error:
        damage = [error.received or error.what]
    if damage:
        yield _fault(place, damage[0], repair.salvage(url) if repairing and is_sqlite else "")


def _check_rows(catalogue: Catalogue, repairing: bool) -> Iterator[Fault]:
    """Rows with a wrong checksum, by table."""
    bad: dict[Table, list[tuple[Any, ...]]] = defaultdict(list)
    for table, key in repair.find_bad_rows(catalogue):
        bad[table].append(key)
    for table, keys in bad.items():
        what = plural("{n} damaged row", "{n} damaged rows", len(keys))
        yield _fault(f"catalogue: {table.name}", what, repair.remove_rows(catalogue, table, keys) if repairing else "")


def _check_originals(store: Store, catalogue: Catalogue, repairing: bool, listen: Listener) -> Iterator[Fault]:
    """Originals that are missing or damaged, by the path of their file in the source."""
    paths = dict(catalogue.live_originals())
    bad = repair.find_bad_originals(store, catalogue, listen=listen)
    if repairing:
        repair.fetch_again(store, catalogue, bad)
    for sha256, what in bad.items():
        yield _fault(paths[sha256], what, _("the next night fetches it from the source again") if repairing else "")


def _check_promotions(store: Store, catalogue: Catalogue, repairing: bool) -> Iterator[Fault]:
    """The history of promotions and the models it names."""
    promoted: list[Promotion] = []
    with suppress(StoreError):  # the damaged rows are listed already
        promoted = _promotions_of_nights(catalogue)
    try:
        promotions = history(store)
        problem = _("the history of promotions is empty") if promoted and not promotions else ""
    except StoreError as error:
        promotions, problem = (), error.what
    if problem:
        if repairing:
            write_history(store, promoted)
        done = plural("{n} promotion was restored", "{n} promotions were restored", len(promoted)) if repairing else ""
        yield _fault("champion.json", problem, done)
    for model in dict.fromkeys(promotion.model for promotion in promotions):
        try:
            verify_model(store, model)
        except TenaraiError as error:
            yield Fault(f"models/{model}", error.what, fix=error.fix)


def _promotions_of_nights(catalogue: Catalogue) -> list[Promotion]:
    """The promotions that the records of the nights know of."""
    found: list[Promotion] = []
    for night in catalogue.nights():
        model = str(night.get("champion", ""))
        if model and not is_base(model) and model != (found[-1].model if found else ""):
            why = _("restored from the record of the night {run}", run=str(night.get("run", "")))
            since, snapshot = str(night.get("created", "")), str(night.get("snapshot", ""))
            found.append(Promotion(model, since, why, "tenarai check", "promoted", snapshot))
    return found


def _check_snapshots(store: Store, repairing: bool, listen: Listener) -> Iterator[Fault]:
    names = store.names("snapshots")
    for number, name in enumerate(names):
        listen("snapshots", number, len(names))
        try:
            load_manifest(store, name.removesuffix(".npz"))
        except TenaraiError as error:
            if repairing:
                store.remove("snapshots", name)
            done = _("it was removed; what a model learned from it is no longer known") if repairing else ""
            yield _fault(f"snapshots/{name}", error.what, done)


def _check_reports(store: Store, repairing: bool) -> Iterator[Fault]:
    """Folders of reports that no finished night wrote."""
    for name in store.names("reports"):
        if name == "latest" or store.exists("reports", name, "report.json"):
            continue
        if repairing:
            store.remove("reports", name)
        yield _fault(f"reports/{name}", _("the report is incomplete"), _("it was removed") if repairing else "")


def _fault(where: str, what: str, done: str) -> Fault:
    return Fault(where, what, done, "" if done else _("run `tenarai check --repair`"))
