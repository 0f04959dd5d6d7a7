"""What the person filed since the last finished night, and what the champion had read in it: the report's thanks."""

from __future__ import annotations

from collections.abc import Mapping

from tenarai.catalogue import Catalogue
from tenarai.records import Case, Event, Role

LABELLED = (Role.DIGITS, Role.MISREAD)


def find_filed(catalogue: Catalogue, source: str, last_night: Mapping[str, object]) -> tuple[Case, ...]:
    """Images that lay in the inbox and lie under a label now, by path.

    Args:
        catalogue: Knows what moved, and what was read.
        source: Address of the source.
        last_night: What the last finished night left: its run, and the champion whose readings its report showed.
            Empty before the first; then nobody can have filed anything yet.
    """
    if not last_night.get("run"):
        return ()
    events = [event for event in catalogue.events(source, after=str(last_night["run"])) if _left_the_inbox(event)]
    if not events:
        return ()
    labelled = {image.file_id: image for image in catalogue.images(source, roles=LABELLED)}
    moved = {
        event.file_id: labelled[event.file_id]
        for event in events
        if event.file_id in labelled and event.sha256 == labelled[event.file_id].sha256
    }
    known = catalogue.predictions(str(last_night.get("champion", "")), {image.sha256 for image in moved.values()})
    filed = (
        Case(image.path, image.sha256, image.label or "", was_read_as=known.get(image.sha256, ("", 0.0))[0])
        for image in moved.values()
    )
    return tuple(sorted(filed, key=lambda item: item.path))


def _left_the_inbox(event: Event) -> bool:
    return (event.old_path or "").split("/")[0].strip().lower() == Role.INBOX.value
