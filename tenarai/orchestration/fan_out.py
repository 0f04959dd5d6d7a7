"""Many collections, each with a source, a store and a champion of its own, such as the pupils of a school.

They are named in one TOML file that the workers know by `TENARAI_COLLECTIONS`. A night that names no collection, source
or store then works on nothing itself: it orders a night of `nightly/collection` for each, and that deployment's
concurrency limit says how many run at a time.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tenarai.errors import SettingsError
from tenarai.settings import Settings

DEPLOYMENT = "nightly/collection"
PAGE = 200


def read_collections(file: str) -> dict[str, Settings]:
    """Settings by collection, in the file's order: each table's fields stand before the environment's.

    Args:
        file: A TOML file; each table is a collection with at least `source` and `store`.

    Raises:
        SettingsError: The file cannot be read, or a table does not fit.
    """
    try:
        tables = tomllib.loads(Path(file).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the collections {file} cannot be read", expected="a TOML file", received=str(error)
        ) from error
    found = {name: _settings(file, name, table) for name, table in tables.items()}
    stores = [settings.store for settings in found.values()]
    for name, settings in found.items():
        if stores.count(settings.store) > 1:
            raise _off(file, name, "a store of its own", settings.store)
    return found


def settings_of(collection: str) -> Settings:
    """Settings of one collection, by the file that this worker knows.

    Raises:
        SettingsError: There is no file, no such collection, or it is off.
    """
    file = Settings().collections  # type: ignore[call-arg]
    if not file:
        raise SettingsError(
            f"the collection {collection!r} is not known here",
            expected="a TOML file of collections in TENARAI_COLLECTIONS",
            received="none",
            fix="set it where this worker is started",
        )
    known = read_collections(file)
    if collection not in known:
        raise SettingsError(
            f"the collection {collection!r} is not known here",
            expected=f"a table of {file}",
            received=f"{len(known)} others",
            fix="check its name",
        )
    return known[collection]


def order_nights(parameters: dict[str, Any], run_id: str) -> str:
    """Order a night for each collection that has none waiting or running; says how many.

    Args:
        parameters: What else each night is told.
        run_id: Id of the run that orders; doing it again orders nothing twice.

    Raises:
        SettingsError: The file of collections is off, or `nightly/collection` is not deployed.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    names = list(read_collections(Settings().collections))  # type: ignore[call-arg]
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound as error:
            raise SettingsError(f"there is no deployment {DEPLOYMENT}", fix="run `tenarai deploy`") from error
        unfinished = _unfinished(client, deployment.id)
        waiting = [name for name in names if name not in unfinished]
        for name in waiting:
            client.create_flow_run_from_deployment(
                deployment.id,
                parameters={**parameters, "collection": name},
                idempotency_key=f"{run_id}-{name}",
                tags=["tenarai", f"collection: {name}"],
            )
    late = len(names) - len(waiting)
    ordered = "ordered 1 night" if len(waiting) == 1 else f"ordered {len(waiting)} nights"
    return ordered + (f"; {late} collections are not done with the last one" if late else "")


def _unfinished(client: Any, deployment_id: Any) -> set[str]:
    from prefect.client.schemas import filters, objects

    types = [one for one in objects.StateType if one not in objects.TERMINAL_STATES]
    state = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=types))
    mine = filters.FlowRunFilter(deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment_id]), state=state)
    found: set[str] = set()
    offset = 0
    while runs := client.read_flow_runs(flow_run_filter=mine, limit=PAGE, offset=offset):
        found |= {run.parameters.get("collection", "") for run in runs}
        offset += PAGE
    return found


def _settings(file: str, name: str, table: Any) -> Settings:
    if not isinstance(table, dict) or not {"source", "store"} <= table.keys() <= Settings.model_fields.keys():
        raise _off(file, name, "a table with source, store and nothing that is no setting", repr(table))
    try:
        return Settings(**table)
    except ValidationError as error:
        first = error.errors()[0]
        raise _off(file, name, first["msg"], f"{first['loc'][0]} = {first['input']!r}") from error


def _off(file: str, name: str, expected: str, received: str) -> SettingsError:
    return SettingsError(f"the collection {name!r} in {file} is off", expected=expected, received=received)
