"""Bring originals and catalogue up to date with the source: gather, decide, apply.

`layout` says what a place in the folder means, `plan` decides what changed, `folder` and `drive_source` are the shells
around it for a local folder and for Google Drive, whose client is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable

from tenarai.catalogue import Catalogue
from tenarai.errors import SettingsError
from tenarai.records import SyncResult
from tenarai.settings import Settings
from tenarai.store import Store
from tenarai.sync.folder import sync_folder

__all__ = ["sync"]


def sync(
    source: str,
    store: Store,
    catalogue: Catalogue,
    run: str,
    settings: Settings,
    *,
    on_progress: Callable[[str], None] | None = None,
    allow_mass_deletion: bool = False,
) -> SyncResult:
    """Bring originals and catalogue up to date with a source.

    Originals are kept first; then one transaction tells the catalogue. A night on which nothing changed writes nothing.

    Args:
        source: `folder:<path>` or `drive:<folder id>`.
        store: Where originals are kept.
        catalogue: What is known of the source's files.
        run: Name of the night.
        settings: Limits, and how to reach Drive.
        on_progress: Takes words of progress. Default: nobody listens.
        allow_mass_deletion: Believe it when many files vanished. Default: False.

    Raises:
        SettingsError: The address is not understood.
        SourceError: The source cannot be read, or holds nothing.
        CredentialsError: Drive refused the credentials.
        MassDeletionError: Too many files vanished; nothing was changed.
        StoreError: Originals or catalogue cannot be written; the catalogue is as it was.
    """
    say = on_progress or (lambda words: None)
    if source.startswith("folder:"):
        return sync_folder(
            source,
            store,
            catalogue,
            run,
            max_image_bytes=settings.max_image_bytes,
            allow_mass_deletion=allow_mass_deletion,
            say=say,
        )
    if source.startswith("drive:"):
        from tenarai.sync.drive_source import sync_drive

        return sync_drive(
            source,
            store,
            catalogue,
            run,
            settings,
            allow_mass_deletion=allow_mass_deletion,
            say=say,
        )
    raise SettingsError(
        f"the source {source!r} is not understood",
        expected="folder:<path> or drive:<folder id>",
        fix="set TENARAI_SOURCE or --source",
    )
