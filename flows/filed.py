"""What the person filed since the last finished night, and what the champion had read in it: the report's thanks."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.catalogue import Catalogue
from tasks.records import Event, Filed, Image, Role

LABELLED = (Role.DIGITS, Role.MISREAD)


def find_filed(catalogue: Catalogue, source: str, last_night: Mapping[str, object]) -> tuple[Filed, ...]:
    """Images that lay in the inbox and lie under a label now, by path.

    Args:
        catalogue: Knows what moved, and what was read.
        source: Address of the source.
        last_night: What the last finished night left: its run, and the champion whose readings its report showed.
            Empty before the first; then nobody can have filed anything yet.
    """
    if not last_night.get("run"):
        return ()
    labelled = {image.file_id: image for image in catalogue.images(source, roles=LABELLED)}
    since = str(last_night["run"])
    moved = {
        event.file_id: labelled[event.file_id]
        for event in catalogue.events(source)
        if event.run > since and event.file_id in labelled and _came_from_the_inbox(event, labelled[event.file_id])
    }
    known = catalogue.readings(str(last_night.get("champion", "")), {image.sha256 for image in moved.values()})
    filed = (
        Filed(image.path, image.sha256, image.label or "", known.get(image.sha256, ("", 0.0))[0])
        for image in moved.values()
    )
    return tuple(sorted(filed, key=lambda item: item.path))


def _came_from_the_inbox(event: Event, image: Image) -> bool:
    top = (event.old_path or "").split("/")[0].strip().lower()
    return top == Role.INBOX.value and event.sha256 == image.sha256
