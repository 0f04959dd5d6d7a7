"""What is known of each image, in SQLAlchemy Core."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from sys import intern
from typing import Any

from sqlalchemy import case, func, insert, select

from tenarai.catalogue import schema
from tenarai.catalogue.database import CHUNK, Database, any_of, chunks, to_values
from tenarai.errors import StoreError
from tenarai.locale import _, load
from tenarai.records import (
    ANSWERS,
    BOX,
    CELL,
    CHARACTER,
    PAGE,
    Digit,
    Event,
    EventKind,
    Fingerprint,
    Image,
    KnownFiles,
    Rejection,
    Role,
    State,
    Unprepared,
)

_ROLES = {role.value: role for role in Role}  # a tenth of the time that `Role(value)` takes
_STATES = {state.value: state for state in State}


class Catalogue(Database):
    """What is known of each image. Open it with `open_catalogue`, as a context manager.

    Every method that writes does so in one transaction, and raises `StoreError` when the database cannot take it
    (a full disk, a lost connection); nothing of that call is then kept.
    """

    # ---- images and events

    def images(
        self,
        source: str,
        *,
        roles: Collection[Role] | None = None,
        states: Collection[State] | None = None,
        file_ids: Collection[str] | None = None,
        sha256s: Collection[str] | None = None,
        only_parts: bool = False,
    ) -> list[Image]:
        """Files of a source, ordered by path.

        Args:
            source: Address of the source.
            roles: Only files of these roles. Default: all.
            states: Only files in these states. Default: usable ones that no person set aside.
            file_ids: Only these files. Default: all.
            sha256s: Only files with these bytes. Default: all.
            only_parts: Only what was cut out of files. Default: False.
        """
        table = schema.images
        wanted = [state.value for state in states or (State.OK,)]
        conditions = [table.c.source == source, table.c.state.in_(wanted)]
        if roles is not None:
            conditions.append(table.c.role.in_([role.value for role in roles]))
        if only_parts:
            conditions.append(table.c.file_id.contains(CELL))
        rows = [
            row
            for is_named, has_bytes in product(any_of(table.c.file_id, file_ids), any_of(table.c.sha256, sha256s))
            for row in self.read(table, to_image, *conditions, is_named, has_bytes)
        ]
        if states is None and (answers := self.answers(source)):
            aside = {key for key, answer in answers.items() if answer is EventKind.SET_ASIDE}
            # what was cut out of a file has its digest as a stamp, and goes with it
            rows = [row for row in rows if aside.isdisjoint({(row.sha256, row.label), (row.stamp, row.label)})]
        return sorted(rows, key=lambda image: (image.path, image.file_id))  # databases differ in how they order text

    def known_files(self, source: str) -> KnownFiles:
        """What a sync compares: no record is made and no checksum verified; what differs is then read by `images`."""
        table = schema.images
        stamp = case(
            (table.c.state == State.REJECTED.value, ""),
            (table.c.path == table.c.file_id, table.c.stamp),
            else_=table.c.stamp + KnownFiles.SEPARATOR + table.c.path,
        )
        query = select(table.c.file_id, table.c.role, table.c.label, stamp)
        query = query.where(table.c.source == source, table.c.state != State.GONE.value)
        found = KnownFiles({}, defaultdict(set))
        with self.reading() as connection:
            for rows in connection.execute(query).partitions(CHUNK):  # few at a time: less for the collector
                for file_id, role, label, seen in rows:
                    if CELL not in file_id:
                        found.stamps[file_id] = seen
                        found.ids[role, label].add(file_id)
        return found

    def files_to_cut(self, source: str, normaliser: int) -> list[Image]:
        """Usable files that are cut into several samples: practice sheets, and where the preparation found parts."""
        table, digits = schema.images, schema.digits
        found = select(digits.c.sha256).where(digits.c.normaliser == normaliser, digits.c.parts > 0)
        return self.read(
            table,
            to_image,
            table.c.source == source,
            table.c.state == State.OK.value,
            table.c.sha256 != "",
            (table.c.role == Role.SHEETS.value) | table.c.sha256.in_(found),
            order=table.c.file_id,
        )

    def live_originals(self) -> list[tuple[str, str]]:
        """sha256 and path of every file of all sources that is usable now, each digest once."""
        table = schema.images
        query = select(table.c.sha256, func.min(table.c.path)).where(
            table.c.state == State.OK.value, table.c.sha256 != ""
        )
        with self.reading() as connection:
            return [(sha256, path) for sha256, path in connection.execute(query.group_by(table.c.sha256)).tuples()]

    def count_labels(self, source: str) -> dict[tuple[Role, str], int]:
        """How many usable files of a source lie under each label, by role; none of the files is looked at."""
        table = schema.images
        query = (
            select(table.c.role, table.c.label, func.count())
            .where(table.c.source == source, table.c.state == State.OK.value, table.c.label.is_not(None))
            .group_by(table.c.role, table.c.label)
        )
        with self.reading() as connection:
            return {(Role(role), label): count for role, label, count in connection.execute(query).tuples()}

    def find_example(self, source: str, label: str) -> Image | None:
        """A usable file of `digits/` under a label, the first by path; None if there is none."""
        table = schema.images
        is_example = (table.c.label == label) & (table.c.role == Role.DIGITS.value) & ~table.c.file_id.contains(CELL)
        is_usable = (table.c.source == source) & (table.c.state == State.OK.value)
        found = self.read(table, to_image, is_example, is_usable, order=table.c.path, limit=1)
        return found[0] if found else None

    def events(self, source: str, run: str | None = None, *, after: str = "") -> list[Event]:
        """What happened to a source's files, oldest first; of one run, or of all.

        Args:
            source: Address of the source.
            run: Only this night's events. Default: all.
            after: Only events of nights after this one, whose names sort by time. Default: all.
        """
        table = schema.events
        conditions = [table.c.source == source]
        if run is not None:
            conditions.append(table.c.run == run)
        if after:
            conditions.append(table.c.run > after)
        return self.read(table, _to_event, *conditions, order=table.c.id)

    def answers(self, source: str) -> dict[tuple[str, str | None], EventKind]:
        """What a person last said of an image, by sha256 and label: `confirmed`, `set aside` or `reopened`."""
        table = schema.events
        is_answer = (table.c.source == source) & table.c.kind.in_([kind.value for kind in ANSWERS])
        events = self.read(table, _to_event, is_answer, order=table.c.id)
        return {(event.sha256, event.label): event.kind for event in events}

    def source_state(self, source: str) -> dict[str, Any]:
        """What a source's last committed sync left for the next one; empty before the first."""
        found = self.read(schema.sources, lambda row: dict(json.loads(row[1])), schema.sources.c.source == source)
        return found[0] if found else {}

    def apply_sync(
        self,
        source: str,
        rows: Sequence[Image],
        events: Sequence[Event],
        state: Mapping[str, object] | None = None,
    ) -> None:
        """Record a sync, or one batch of it: rows, events and state in one transaction; nothing given, nothing written.

        Args:
            source: Address of the source.
            rows: Rows to insert, or to replace by file id.
            events: Events to append.
            state: What the next sync goes on from. Default: leave it as it is.
        """
        if not rows and not events and state is None:
            return
        with self.writing() as connection:
            self.upsert(connection, schema.images, map(to_values, rows))
            for chunk in chunks(events, CHUNK):
                values = [schema.seal(schema.events, {"source": source, **to_values(event)}) for event in chunk]
                connection.execute(insert(schema.events), values)
            if state is not None:
                text = json.dumps(state, sort_keys=True)
                self.upsert(connection, schema.sources, [{"source": source, "state": text}])

    # ---- digits

    def unprepared(
        self, source: str, normaliser: int, characters: Mapping[str | None, int] | None = None
    ) -> list[Unprepared]:
        """Usable originals that have no digit by this version of the normaliser, each once, in order of their digest.

        What was cut out of a photo follows once the photo itself has a digit.

        Args:
            source: Address of the source.
            normaliser: Version of the normaliser.
            characters: How many characters an image under a label is to show, see `Digit`; None stands for images
                without a label. A digit that was made to show another number does not count. Default: 1 for all.
        """
        images, digits, photos = schema.images, schema.digits, schema.digits.alias("photos")
        by_number: dict[int, list[str]] = defaultdict(list)
        for label, number in (characters or {}).items():
            if label is not None:
                by_number[number].append(label)
        is_part = images.c.file_id.contains(CHARACTER) | images.c.file_id.contains(PAGE)
        shown = case(
            (images.c.file_id.contains(CHARACTER) | images.c.file_id.contains(BOX), 0),
            *((images.c.label.in_(labels), number) for number, labels in by_number.items()),
            else_=(characters or {}).get(None, 1),
        )
        wanted = (
            select(
                images.c.sha256,
                func.max(shown).label("characters"),
                func.max(case((is_part, images.c.stamp), else_="")).label("photo"),
            )
            .where(
                images.c.source == source,
                images.c.state == State.OK.value,
                images.c.role.in_([Role.DIGITS.value, Role.MISREAD.value, Role.INBOX.value]),
            )
            .group_by(images.c.sha256)
            .subquery()
        )
        is_of_photo = (photos.c.sha256 == wanted.c.photo) & (photos.c.normaliser == normaliser)
        is_prepared = (digits.c.sha256 == wanted.c.sha256) & (digits.c.normaliser == normaliser)
        is_prepared &= digits.c.characters == wanted.c.characters
        query = (
            select(wanted.c.sha256, wanted.c.characters, photos.c.phash, photos.c.group)
            .select_from(wanted.outerjoin(digits, is_prepared).outerjoin(photos, is_of_photo))
            .where(digits.c.sha256.is_(None), (wanted.c.photo == "") | photos.c.sha256.is_not(None))
            .order_by(wanted.c.sha256)
        )
        with self.reading() as connection:
            rows = connection.execute(query).tuples()
            return [Unprepared(sha, number, phash or b"", group or "") for sha, number, phash, group in rows]

    def put_digits(self, digits: Iterable[Digit]) -> None:
        """Keep prepared images; one that is held already is replaced."""
        with self.writing() as connection:
            self.upsert(connection, schema.digits, map(to_values, digits))

    def digits(self, normaliser: int, sha256s: Collection[str] | None = None) -> dict[str, Digit]:
        """Prepared images by sha256, ascending; those that cannot be used included.

        Args:
            normaliser: Version of the normaliser.
            sha256s: Only these, however many. Default: all.
        """
        table = schema.digits
        found = [
            digit
            for part in any_of(table.c.sha256, sha256s)
            for digit in self.read(table, _to_digit, table.c.normaliser == normaliser, part)
        ]
        return {digit.sha256: digit for digit in sorted(found, key=lambda digit: digit.sha256)}

    def fingerprints(self, normaliser: int) -> dict[str, Fingerprint]:
        """What near-duplicates of all usable digits are found by, by sha256, ascending; no pixels are read."""
        table = schema.digits
        query = (
            select(table.c.sha256, table.c.phash, table.c.group)
            .where(table.c.normaliser == normaliser, table.c.reason == "")
            .order_by(table.c.sha256)
            .execution_options(yield_per=10 * CHUNK)
        )
        with self.reading() as connection:
            rows = connection.execute(query).tuples()
            return {sha: Fingerprint(sha, phash, sha if group == sha else group) for sha, phash, group in rows}

    def groups(self, normaliser: int) -> list[tuple[bytes, str]]:
        """Perceptual hash and group of all digits that have them; nothing else is read."""
        table = schema.digits
        query = select(table.c.phash, table.c.group).where(table.c.normaliser == normaliser, table.c.phash != b"")
        with self.reading() as connection:
            return list(connection.execute(query.order_by(table.c.sha256)).tuples())

    def pixels(self, normaliser: int, sha256s: Iterable[str]) -> Iterator[bytes]:
        """Pixels of prepared images in the order asked for, a few at a time, however many.

        Raises:
            StoreError: One of them is missing or damaged.
        """
        for chunk in chunks(sha256s, CHUNK):
            found = self.digits(normaliser, chunk)
            for sha in chunk:
                if sha not in found:
                    raise StoreError(
                        _("the catalogue holds no digit of {sha256}", sha256=sha), fix=_("run the night again")
                    )
                yield found[sha].pixels

    def rejections(self, source: str, normaliser: int) -> list[Rejection]:
        """Files that cannot be used and why, by path: refused by the sync, or not readable as one character."""
        images, digits = schema.images, schema.digits
        refused = select(images.c.path, images.c.reason).where(
            images.c.source == source, images.c.state == State.REJECTED.value
        )
        unreadable = (
            select(images.c.path, digits.c.reason)
            .join(digits, (digits.c.sha256 == images.c.sha256) & (digits.c.normaliser == normaliser))
            .where(images.c.source == source, images.c.state == State.OK.value, digits.c.reason != "")
            .where(digits.c.parts == 0)
        )
        with self.reading() as connection:
            rows = sorted([*connection.execute(refused).tuples(), *connection.execute(unreadable).tuples()])
        return [Rejection(path, load(reason)) for path, reason in rows]

    # ---- predictions and nights

    def put_predictions(self, model: str, predictions: Mapping[str, tuple[str, float]]) -> None:
        """Keep what a model read.

        Args:
            model: Id of the model.
            predictions: Label and its probability (0 to 1) by sha256.
        """
        values = (
            {"model": model, "sha256": sha256, "label": label, "confidence": float(confidence)}
            for sha256, (label, confidence) in predictions.items()
        )
        with self.writing() as connection:
            self.upsert(connection, schema.predictions, values)

    def predictions(self, model: str, sha256s: Collection[str]) -> dict[str, tuple[str, float]]:
        """What a model read in these images, as far as it is held: label and probability by sha256."""
        table = schema.predictions
        found: dict[str, tuple[str, float]] = {}
        for part in any_of(table.c.sha256, sha256s):
            rows = self.read(table, tuple, table.c.model == model, part)
            found.update({sha256: (label, confidence) for _model, sha256, label, confidence in rows})
        return found

    def put_night(self, run: str, source: str, record: Mapping[str, object]) -> None:
        """Keep the record of a finished night; told again, the later record stands in the earlier one's place."""
        value = {"run": run, "source": source, "record": json.dumps(record, sort_keys=True)}
        with self.writing() as connection:
            self.upsert(connection, schema.nights, [value], key=("run",))

    def nights(self, source: str = "") -> list[dict[str, object]]:
        """Records of finished nights of a source, or of all sources, oldest first."""
        table = schema.nights
        conditions = [table.c.source == source] if source else []
        return self.read(table, lambda row: json.loads(row[2]), *conditions, order=table.c.id)


def to_image(row: Sequence[Any]) -> Image:
    """A row as a record; words that many rows share are held once."""
    source, file_id, path, role, label, sha256, size, state, reason, first, last, stamp = row
    label = None if label is None else intern(label)
    source, first, last = intern(source), intern(first), intern(last)
    file_id = path if file_id == path else file_id  # as in a folder
    return Image(
        source, file_id, path, _ROLES[role], label, sha256, size, _STATES[state], load(reason), first, last, stamp
    )


def _to_event(row: Sequence[Any]) -> Event:
    _source, run, kind, *values = row
    return Event(run, EventKind(kind), *values)


def _to_digit(row: Sequence[Any]) -> Digit:
    normaliser, sha256, pixels, phash, group, reason, doubt, characters, parts = row
    return Digit(sha256, normaliser, pixels, phash, group, load(reason), load(doubt), characters, parts)
