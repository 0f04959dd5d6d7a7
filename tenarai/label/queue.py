"""Which images a person is asked about: labels to check, then the inbox, the least sure and most varied first."""

from __future__ import annotations

from dataclasses import dataclass

from tenarai.catalogue import Catalogue
from tenarai.dataset import sort_labels
from tenarai.evaluate.inbox import read_inbox
from tenarai.evaluate.predictions import champion_id
from tenarai.model.bundle import load_info
from tenarai.records import Image, Role
from tenarai.report.todo import LABELLED, open_suspects
from tenarai.store import Store


@dataclass(frozen=True, slots=True)
class Item:
    """An image to ask about.

    Attributes:
        image: Its file, as the last sync saw it.
        kind: `inbox`, or why its label is doubtful: `label`, `duplicate` or `outlier`.
        read_as: The label that was read; empty if none was.
        confidence: Of that reading, 0 to 1.
        other_path: The file that a duplicate is a copy of.
    """

    image: Image
    kind: str
    read_as: str = ""
    confidence: float = 0.0
    other_path: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Names the file with its content: other content under the same name is another item."""
        return self.image.file_id, self.image.sha256

    @property
    def is_on_sheet(self) -> bool:
        """Whether it was cut from the photo of a practice sheet, so that there is no file to move."""
        return bool(self.image.photo_id)


def list_items(store: Store, catalogue: Catalogue, source: str) -> list[Item]:
    """Everything that is open, in order.

    Raises:
        ModelError: The champion is needed for the inbox, and is missing or damaged.
    """
    suspects = open_suspects(catalogue, source)
    labelled = catalogue.images(source, roles=LABELLED, sha256s={suspect.sha256 for suspect in suspects})
    files = {(image.path, image.sha256): image for image in labelled}
    items = [
        Item(files[s.path, s.sha256], s.kind, s.read_as, s.confidence, s.other_path)
        for s in suspects
        if (s.path, s.sha256) in files
    ]
    inbox = {(image.path, image.sha256): image for image in catalogue.images(source, roles=(Role.INBOX,))}
    for case in read_inbox(store, catalogue, source):
        if case.champion:
            image = inbox[case.path, case.sha256]
            items.append(Item(image, "inbox", case.champion.label, case.champion.confidence))
    return items


def list_labels(store: Store, catalogue: Catalogue, source: str) -> tuple[str, ...]:
    """The labels to choose from: those of the source and those of the champion."""
    return sort_labels(
        {label for _role, label in catalogue.count_labels(source)} | set(load_info(store, champion_id(store)).labels)
    )
