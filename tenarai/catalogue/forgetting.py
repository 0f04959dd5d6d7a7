"""Find and delete all that a catalogue knows of a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tenarai.catalogue import schema
from tenarai.catalogue.catalogue import Catalogue, to_image
from tenarai.catalogue.database import to_values
from tenarai.records import Event, Image


def find_files(catalogue: Catalogue, source: str, path: str) -> list[Image]:
    """The files at a path, those with the same bytes in any source, and all that was cut from the same photos."""
    everything = catalogue.read(schema.images, to_image)
    found = [image for image in everything if image.source == source and image.path == path]
    while True:
        origins = {(image.source, image.photo_id or image.file_id) for image in found}
        digests = {image.sha256 for image in found} - {""}
        more = [i for i in everything if (i.source, i.photo_id or i.file_id) in origins or i.sha256 in digests]
        if len(more) == len(found):
            return found
        found = more


def delete_files(catalogue: Catalogue, files: Sequence[Image], event: Event) -> None:
    """Delete rows, digits, predictions and events of files, and what the nights noted of them, in one transaction.

    Args:
        catalogue: An open catalogue; SQLite overwrites what is deleted.
        files: Files that share no bytes with other files.
        event: What is noted instead, for the source of the first file.
    """
    digests = {image.sha256 for image in files} - {""}
    noted = schema.seal(schema.events, {"source": files[0].source, **to_values(event)})
    with catalogue.writing() as connection:
        for table in (schema.digits, schema.predictions, schema.events):
            for sha256 in digests:
                connection.execute(delete(table).where(table.c.sha256 == sha256))
        for image in files:
            for table in (schema.events, schema.images):
                is_same = (table.c.source == image.source) & (table.c.file_id == image.file_id)
                connection.execute(delete(table).where(is_same))
        connection.execute(insert(schema.events), noted)
        _edit_nights(connection, lambda record: _without(record, digests))


def rename_snapshot(catalogue: Catalogue, old: str, new: str) -> None:
    """Give a snapshot another id in the records of the nights."""
    with catalogue.writing() as connection:
        _edit_nights(connection, lambda record: {**record, "snapshot": new} if record["snapshot"] == old else record)


def _edit_nights(connection: Connection, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    nights = schema.nights
    for row in connection.execute(select(nights)).mappings().all():
        record = json.dumps(change(json.loads(row["record"])), sort_keys=True)
        if record != row["record"]:
            values = schema.seal(nights, {**row, "record": record})
            connection.execute(update(nights).where(nights.c.id == row["id"]).values(values))


def _without(value: Any, digests: Set[str]) -> Any:
    """A record without the entries of these images."""
    if isinstance(value, dict):
        return {key: _without(item, digests) for key, item in value.items() if key not in digests}
    if isinstance(value, list):
        return [_without(i, digests) for i in value if not (isinstance(i, dict) and digests & {*map(str, i.values())})]
    return value
