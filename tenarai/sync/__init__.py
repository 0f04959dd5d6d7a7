"""Bring originals and catalogue up to date with a source: gather what is there, decide what changed, apply it.

`source` is the algorithm, with two implementations: `folder` on disk and `drive` on Google Drive, whose client is only
imported when it is needed. `names` and `layout` say what a place in the folder means, `plan` what changed and what
looks like an accident; `download` reads in threads.
"""

from __future__ import annotations

from tenarai.settings import Settings
from tenarai.sync.source import Source

__all__ = ["Source", "open_source"]


def open_source(settings: Settings) -> Source:
    """The source that the settings name; nothing is read yet.

    Raises:
        CredentialsError: There are no usable credentials for Drive.
    """
    if settings.source.startswith("drive:"):
        from tenarai.sync.drive import DriveSource

        return DriveSource(settings)
    from tenarai.sync.folder import FolderSource

    return FolderSource(settings)
