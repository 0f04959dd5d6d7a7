"""What is left to do: an item stays open until a person acts on the file or answers, on quiet nights too.

Labels belong to the folder alone. An answer is an event in the catalogue, keyed by sha256 and label: a file that gets
another label, or other bytes, is asked about again.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenarai.catalogue import Catalogue
from tenarai.records import Event, EventKind, Role, State, Suspect

LABELLED = (Role.DIGITS, Role.MISREAD)


def confirm(catalogue: Catalogue, source: str, sha256: str, label: str | None, run: str) -> None:
    """The label is right as it is: the image is no longer listed as a suspect."""
    _answer(catalogue, source, sha256, label, run, EventKind.CONFIRMED)


def set_aside(catalogue: Catalogue, source: str, sha256: str, label: str | None, run: str) -> None:
    """It is not a character: the file stays, and training, evaluation and inbox leave it out."""
    _answer(catalogue, source, sha256, label, run, EventKind.SET_ASIDE)


def take_back(catalogue: Catalogue, source: str, sha256: str, label: str | None, run: str) -> None:
    """Undo the last answer about an image under this label."""
    _answer(catalogue, source, sha256, label, run, EventKind.REOPENED)


def open_suspects(catalogue: Catalogue, source: str, found: Iterable[Suspect] = ()) -> tuple[Suspect, ...]:
    """Labels to check: tonight's suspects, then those of earlier nights, without what a person acted on.

    Args:
        catalogue: Holds the images, the answers, and what earlier nights found.
        source: Address of the source.
        found: What tonight's evaluation found. Default: nothing, as on a quiet night.
    """
    nights = catalogue.nights(source)
    earlier = [Suspect(**item) for item in nights[-1].get("suspects", ())] if nights else []  # type: ignore[attr-defined]
    suspects = {(item.path, item.sha256, item.label): item for item in (*earlier, *found)}  # tonight's evidence wins
    order = dict.fromkeys((item.path, item.sha256, item.label) for item in (*found, *earlier))
    sha256s = {sha256 for item in suspects.values() for sha256 in (item.sha256, item.other_sha256) if sha256}
    images = catalogue.images(source, roles=LABELLED, sha256s=sha256s)
    files = {(image.path, image.sha256, image.label) for image in images}
    answers = catalogue.answers(source)

    def is_open(item: Suspect) -> bool:
        others = [path for path, sha256, _ in files if sha256 == item.other_sha256 and path != item.path]
        is_confirmed = answers.get((item.sha256, item.label)) is EventKind.CONFIRMED
        return not is_confirmed and (not item.other_sha256 or bool(others))

    return tuple(suspects[key] for key in order if key in files and is_open(suspects[key]))


def _answer(catalogue: Catalogue, source: str, sha256: str, label: str | None, run: str, kind: EventKind) -> None:
    files = [image for image in catalogue.images(source, states=tuple(State), sha256s=[sha256]) if image.label == label]
    file_id, path = (files[0].file_id, files[0].path) if files else ("", "")
    catalogue.apply_sync(source, (), [Event(run, kind, file_id, path, label, None, None, sha256)])
