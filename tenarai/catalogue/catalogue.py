"""What is known of each image, in SQLAlchemy Core."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from sys import intern
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Table, case, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from tenarai.catalogue import schema
from tenarai.errors import StoreError
from tenarai.locale import Message, _, dump, load
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
    Rejection,
    Role,
    State,
    Unprepared,
)

_ROLES = {role.value: role for role in Role}  # a tenth of the time that `Role(value)` takes
_STATES = {state.value: state for state in State}

_TEXTS = (Role, State, EventKind, Message)  # kinds of text that a row holds as plain text

CHUNK = 500  # parameters of one IN (…), rows of one insert: below every database's limit

_T = TypeVar("_T")


class Catalogue:
    """What is known of each image. Open it with `open_catalogue`, as a context manager.

    Every method that writes does so in one transaction, and raises `StoreError` when the database cannot take it
    (a full disk, a lost connection); nothing of that call is then kept.
    """

    def __init__(self, engine: Engine) -> None:
        """Wrap an engine that `open_catalogue` has checked."""
        self.engine = engine

    def __enter__(self) -> Self:
        """Nothing to do: connections are opened when needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # ---- images and events

    def images(
        self,
        source: str,
        *,
        roles: Collection[Role] | None = None,
        states: Collection[State] | None = None,
        sha256s: Collection[str] | None = None,
        only_parts: bool = False,
    ) -> list[Image]:
        """Files of a source, ordered by path.

        Args:
            source: Address of the source.
            roles: Only files of these roles. Default: all.
            states: Only files in these states. Default: usable ones that no person set aside.
            sha256s: Only files with these bytes, a few hundred at most. Default: all.
            only_parts: Only what was cut out of files. Default: False.
        """
        table = schema.images
        wanted = [state.value for state in states or (State.OK,)]
        conditions = [table.c.source == source, table.c.state.in_(wanted)]
        if roles is not None:
            conditions.append(table.c.role.in_([role.value for role in roles]))
        if only_parts:
            conditions.append(table.c.file_id.contains(CELL))
        if sha256s is not None:
            conditions.append(table.c.sha256.in_(sha256s))
        rows = self.read(table, to_image, *conditions)
        if states is None and (answers := self.answers(source)):
            rows = [row for row in rows if answers.get((row.sha256, row.label)) is not EventKind.SET_ASIDE]
        return sorted(rows, key=lambda image: (image.path, image.file_id))  # databases differ in how they order text

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
            self._upsert(connection, schema.images, map(to_values, rows))
            for chunk in _chunks(events, CHUNK):
                values = [schema.seal(schema.events, {"source": source, **to_values(event)}) for event in chunk]
                connection.execute(insert(schema.events), values)
            if state is not None:
                text = json.dumps(state, sort_keys=True)
                self._upsert(connection, schema.sources, [{"source": source, "state": text}])

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
            self._upsert(connection, schema.digits, map(to_values, digits))

    def digits(self, normaliser: int, sha256s: Collection[str] | None = None) -> dict[str, Digit]:
        """Prepared images by sha256, ascending; those that cannot be used included.

        Args:
            normaliser: Version of the normaliser.
            sha256s: Only these, however many. Default: all.
        """
        table = schema.digits
        parts = [True] if sha256s is None else [table.c.sha256.in_(chunk) for chunk in _chunks(sha256s, CHUNK)]
        found = [
            digit for part in parts for digit in self.read(table, _to_digit, table.c.normaliser == normaliser, part)
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
        for chunk in _chunks(sha256s, CHUNK):
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
            self._upsert(connection, schema.predictions, values)

    def predictions(self, model: str, sha256s: Collection[str]) -> dict[str, tuple[str, float]]:
        """What a model read in these images, as far as it is held: label and probability by sha256."""
        table = schema.predictions
        found: dict[str, tuple[str, float]] = {}
        for chunk in _chunks(sha256s, CHUNK):
            rows = self.read(table, tuple, table.c.model == model, table.c.sha256.in_(chunk))
            found.update({sha256: (label, confidence) for _model, sha256, label, confidence in rows})
        return found

    def put_night(self, run: str, source: str, record: Mapping[str, object]) -> None:
        """Keep the record of a finished night; told again, the later record stands in the earlier one's place."""
        value = {"run": run, "source": source, "record": json.dumps(record, sort_keys=True)}
        with self.writing() as connection:
            self._upsert(connection, schema.nights, [value], key=("run",))

    def nights(self, source: str = "") -> list[dict[str, object]]:
        """Records of finished nights of a source, or of all sources, oldest first."""
        table = schema.nights
        conditions = [table.c.source == source] if source else []
        return self.read(table, lambda row: json.loads(row[2]), *conditions, order=table.c.id)

    # ---- reading and writing

    def read(
        self,
        table: Table,
        make: Callable[[Sequence[Any]], _T],
        *conditions: Any,
        order: Any = None,
        limit: int | None = None,
    ) -> list[_T]:
        """What is made of the rows of a table, each checked against its checksum.

        Args:
            table: One of `schema.SEALED`.
            make: Makes a record of a row's values: all columns without the row's own number.
            conditions: Which rows. Default: all.
            order: A column to sort by. Default: as the database has them.
            limit: So many at most. Default: all.

        Raises:
            StoreError: A row is damaged.
        """
        columns = [table.c[name] for name in (*schema.sealed_columns(table), "checksum")]
        query = select(*columns).where(*conditions).order_by(order).limit(limit)
        query = query.execution_options(yield_per=10 * CHUNK)  # at a million, all rows beside all records would be 1 GB
        made = []
        with self.reading() as connection:
            for *values, checksum in connection.execute(query).tuples():
                if schema.checksum(values) != checksum:
                    raise ValueError(f"the row {values[:2]} of {table.name} does not fit its checksum")
                made.append(make(values))
        return made

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; its errors are ours."""
        with self._errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; its errors are ours, and then nothing of it is kept."""
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn an error of the database into one of ours."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(
                _("the catalogue {place} cannot be read or written", place=schema.shown(self.engine.url)),
                received=str(getattr(error, "orig", None) or error),
                fix=_("free space on the disk, or run `tenarai check`; nothing of this step was kept"),
            ) from error
        except (LookupError, ValueError, TypeError) as error:
            raise StoreError(
                _("the catalogue {place} is damaged", place=schema.shown(self.engine.url)),
                received=f"{type(error).__name__}: {error}",
                fix=_("run `tenarai check --repair`"),
            ) from error

    def _upsert(
        self, connection: Connection, table: Table, values: Iterable[dict[str, Any]], key: Sequence[str] = ()
    ) -> None:
        """Insert rows, or replace those with the same key (the primary key, unless one is given)."""
        names = [column.name for column in table.columns if not (column.primary_key and column.autoincrement is True)]
        keys = list(key) or [column.name for column in table.primary_key]
        # both dialects write it alike; each is imported only where it is spoken, which spares a quiet night 0.1 s
        dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
        statement = dialect.insert(table)
        replaced = {name: statement.excluded[name] for name in names if name not in keys}
        upsert = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
        for chunk in _chunks(values, CHUNK):
            connection.execute(upsert, [schema.seal(table, row) for row in chunk])


def to_image(row: Sequence[Any]) -> Image:
    """A row as a record; words that many rows share are held once."""
    source, file_id, path, role, label, sha256, size, modified, state, reason, first, last, owner, stamp = row
    label = None if label is None else intern(label)
    source, first, last, owner = intern(source), intern(first), intern(last), intern(owner)
    file_id = path if file_id == path else file_id  # as in a folder
    return Image(
        source, file_id, path, _ROLES[role], label, sha256, size, modified, _STATES[state], load(reason), first, last,
        owner, stamp,
    )  # fmt: skip


def _to_event(row: Sequence[Any]) -> Event:
    _source, run, kind, *values = row
    return Event(run, EventKind(kind), *values)


def _to_digit(row: Sequence[Any]) -> Digit:
    normaliser, sha256, pixels, phash, group, reason, doubt, characters, parts = row
    return Digit(sha256, normaliser, pixels, phash, group, load(reason), load(doubt), characters, parts)


def to_values(record: Image | Event | Digit) -> dict[str, Any]:
    """A record's fields by name; `dataclasses.asdict` copies deeply and takes four times as long."""
    values = {name: getattr(record, name) for name in record.__slots__}
    for name, value in values.items():
        if type(value) in _TEXTS:
            values[name] = dump(value)
    return values


def _chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
