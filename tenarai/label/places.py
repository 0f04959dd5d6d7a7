"""Move files between the folders of a source, on disk or on Google Drive. Nothing is ever overwritten or deleted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from tenarai.drive import FOLDER, SHORTCUT, DriveFile, open_drive, parse_drive_address, status_of
from tenarai.drive.credentials import WRITE_SCOPE
from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.records import Image, Role
from tenarai.settings import Settings
from tenarai.sync.layout import has_digits_folder, is_ignored, is_role

Undo = Callable[[], object]


class FolderPlace:
    """A local folder."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is read yet."""
        self.root = Path(settings.source.removeprefix("folder:")).expanduser().resolve()

    def is_unchanged(self, image: Image) -> bool:
        """Whether the file has the bytes that the last sync saw."""
        try:
            return hashlib.sha256(self._inside(image.path).read_bytes()).hexdigest() == image.sha256
        except (OSError, SourceError):
            return False

    def move(self, image: Image, label: str, example: Image | None) -> tuple[str, Undo]:
        """Move a file to where images of a label lie; its new path, and how to move it back.

        A free name is taken where the folder has one of that name.

        Args:
            image: The file.
            label: Its label.
            example: A file under that label; None if there is none yet.

        Raises:
            SourceError: It changed, vanished, or cannot be moved.
        """
        if not self.is_unchanged(image):
            raise _changed(image)
        source = self._inside(image.path)
        try:
            target = _move_into(source, self._find_folder(label, example))
        except OSError as error:
            raise SourceError(
                _("{path} cannot be moved", path=image.path), received=error.strerror or str(error)
            ) from error
        return target.relative_to(self.root).as_posix(), lambda: self._move_back(target, source)

    def link(self, image: Image) -> str:
        """Where a person can move the file by hand; empty, since the path says it."""
        return ""

    def _inside(self, path: str) -> Path:
        """A file of the folder, and of no other one, whatever its name says."""
        file = self.root / path
        if not file.parent.resolve().is_relative_to(self.root) or file.is_symlink():
            raise SourceError(_("{path} is not a file of this folder", path=path), fix=_("move it by hand"))
        return file

    def _find_folder(self, label: str, example: Image | None) -> Path:
        if example:
            folder = self._inside(example.path).parent
        else:
            base = _find_base(entry.name for entry in os.scandir(self.root) if entry.is_dir())
            folder = self.root / base / label
            if folder.resolve() != folder or folder.parent != self.root / base:  # such as `..` or `a/b`
                raise SourceError(_("{label} cannot be a folder's name", label=repr(label)), fix=_("move it by hand"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _move_back(self, target: Path, source: Path) -> None:
        try:
            _rename(target, source)
        except OSError as error:
            raise SourceError(
                _("{path} cannot be moved back", path=target.relative_to(self.root).as_posix()),
                received=error.strerror or str(error),
                fix=_("move it by hand"),
            ) from error


class DrivePlace:
    """A folder on Google Drive."""

    def __init__(self, settings: Settings) -> None:
        """Open the client; nothing is sent yet."""
        self.root, _key = parse_drive_address(settings.source)
        self.drive = open_drive(settings, write=True)

    def is_unchanged(self, image: Image) -> bool:
        """Whether the file is there with the same content, in a folder of the same name."""
        file = self.drive.find(image.file_id)
        if file is None or file.trashed or (file.mime != SHORTCUT and file.stamp != image.stamp):
            return False
        folder = image.path.rpartition("/")[0].rpartition("/")[2]
        return not file.parents or self.drive.get(file.parents[0]).name == folder

    def move(self, image: Image, label: str, example: Image | None) -> tuple[str, Undo]:
        """Move a file by exchanging its parent; as `FolderPlace.move`."""
        if not self.is_unchanged(image):
            raise _changed(image)
        file = self.drive.get(image.file_id)
        before = file.parents[0] if file.parents else self.root
        try:
            folder, path = self._find_folder(label, example)
            moved = self.drive.move(file, folder)
        except SourceError as error:
            raise self._explain(error, image) from error
        return f"{path}/{moved.name}", lambda: self._move_back(moved, before)

    def link(self, image: Image) -> str:
        """The file's own page on Drive."""
        return f"https://drive.google.com/file/d/{image.file_id}/view"

    def _move_back(self, moved: DriveFile, before: str) -> None:
        self.drive.move(self.drive.get(moved.id), before)

    def _find_folder(self, label: str, example: Image | None) -> tuple[str, str]:
        """Id and path of the folder of a label, made if there is none."""
        if example and (file := self.drive.find(example.file_id)) and file.parents:
            return file.parents[0], example.path.rpartition("/")[0]
        base = _find_base(file.name for file in self.drive.list_folder(self.root) if file.mime == FOLDER)
        parent = self._find_or_make(base, self.root) if base else self.root
        return self._find_or_make(label, parent), f"{base}/{label}".lstrip("/")

    def _find_or_make(self, name: str, parent: str) -> str:
        folders = (file for file in self.drive.list_folder(parent) if file.mime == FOLDER)
        if known := next((folder.id for folder in folders if folder.name == name), ""):
            return known
        try:
            return self.drive.create(name, parent, None, FOLDER, {}).id
        except SourceError as error:
            raise SourceError(
                _("the folder {name} cannot be made on Google Drive", name=name),
                received=error.received,
                fix=_("make it by hand, in digits/, and tap again"),
            ) from error

    def _explain(self, error: SourceError, image: Image) -> SourceError:
        """What Drive's refusal means for a person."""
        account = self.drive.account
        if status_of(error) not in {401, 403, 404}:
            return error
        if account.kind == "authorized_user":
            fix = _("run `tenarai connect --client FILE --reports-anywhere`, or move {path} by hand", path=image.path)
        else:
            given = {"account": account.name, "path": image.path}
            fix = _("share the folder with {account} as Editor, or move {path} by hand", **given)
        return SourceError(
            _("{account} may not move files on Google Drive", account=account.name),
            expected=_("permission to edit the folder ({scope})", scope=WRITE_SCOPE),
            fix=fix,
        )


Place = FolderPlace | DrivePlace


def open_place(settings: Settings) -> Place:
    """The source that the settings name.

    Raises:
        SettingsError, CredentialsError: Its address or its credentials are not valid.
    """
    return DrivePlace(settings) if settings.source.startswith("drive:") else FolderPlace(settings)


def _move_into(source: Path, folder: Path) -> Path:
    """Move a file into a folder, under the first name that is free there."""
    for number in count(1):
        target = folder / (source.name if number == 1 else f"{source.stem}-{number}{source.suffix}")
        with suppress(FileExistsError):
            _rename(source, target)
            break
    return target


def _rename(source: Path, target: Path) -> None:
    """Rename a file. The new name is reserved first, so that no other file is overwritten."""
    target.touch(exist_ok=False)
    try:
        source.replace(target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _find_base(top: Iterable[str]) -> str:
    """The folder for the folder of a new label: `digits`, or the top where labels lie there."""
    names = sorted(top)
    if any(not is_role(name) and not is_ignored((name, "")) for name in names) and not has_digits_folder(names):
        return ""
    return next((name for name in names if has_digits_folder([name])), Role.DIGITS.value)


def _changed(image: Image) -> SourceError:
    return SourceError(
        _("{path} was changed, moved or deleted since the last sync; it was left alone", path=image.path),
        fix=_("run `tenarai nightly` to see the folder as it is now"),
    )
