"""Bring originals and catalogue up to date with a source: gather what is there, decide what changed, apply it.

`source` is the algorithm, with two implementations: `folder` on disk and `drive` on Google Drive, whose client is only
imported when it is needed. `layout` says what a place in the folder means, `plan` what changed, `guards` what looks
like an accident; `download` reads in threads.
"""

from __future__ import annotations

from tenarai.errors import SettingsError
from tenarai.locale import _
from tenarai.settings import Settings
from tenarai.sync.source import Source

__all__ = ["Source", "open_source"]


def open_source(settings: Settings) -> Source:
    """The source that the settings name; nothing is read yet.

    Raises:
        SettingsError: The address is not valid.
        CredentialsError: There are no usable credentials for Drive.
    """
    kind = settings.source.partition(":")[0]
    if kind == "folder":
        from tenarai.sync.folder import FolderSource

        return FolderSource(settings)
    if kind == "drive":
        from tenarai.sync.drive import DriveSource

        return DriveSource(settings)
    raise SettingsError(
        _("the source {source} is not valid", source=repr(settings.source)),
        expected=_("folder:<path> or drive:<folder id>"),
        fix=_("set TENARAI_SOURCE or --source"),
    )
