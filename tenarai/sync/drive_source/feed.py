"""The short cut: does the changes feed speak of anything in the tree? One call on a quiet night.

The feed says nothing of what lies in a folder that was trashed or renamed, so it never says what changed: only that
something did, and then the tree is listed. Whatever cannot be judged counts as a change.
"""

from __future__ import annotations

from collections.abc import Mapping

from tenarai.drive import SHORTCUT, DriveFile
from tenarai.records import Image, State
from tenarai.sync.drive_source.memory import Memory
from tenarai.sync.drive_source.walk import leads_somewhere, to_path
from tenarai.sync.layout import find_place


def touches_tree(file_id: str, file: DriveFile | None, memory: Memory, known: Mapping[str, Image]) -> bool:
    """Whether a change is of any consequence.

    Args:
        file_id: What changed; empty for a change of a whole shared drive.
        file: As it is now; None when it was deleted or can no longer be seen.
        memory: The tree as it was listed last.
        known: Rows of the catalogue by file id.
    """
    if not file_id:
        return False
    lost = file is None or file.trashed
    row = known.get(file_id)
    was_there = file_id in memory.folders or file_id in memory.targets or (row and row.state is not State.GONE)
    if lost or file is None:
        return bool(was_there)
    if file_id in memory.targets and file.stamp != memory.targets[file_id]:
        return True
    if file_id in memory.folders:
        return _is_folder_changed(file, memory)
    if row and row.state is not State.GONE:
        return _is_file_changed(file, row, memory)
    return _is_new(file, memory)


def _is_folder_changed(file: DriveFile, memory: Memory) -> bool:
    folder = memory.folders[file.id]
    if not folder.parent:
        return not file.is_folder  # the source's own folder may be moved and renamed
    return folder.parent not in file.parents or folder.parts[-1] != file.name


def _is_file_changed(file: DriveFile, row: Image, memory: Memory) -> bool:
    if row.state is State.REJECTED or file.mime == SHORTCUT or not file.can_download or file.stamp != row.stamp:
        return True
    paths = [to_path((*memory.folders[parent].parts, file.name)) for parent in file.parents if parent in memory.folders]
    return row.path not in paths


def _is_new(file: DriveFile, memory: Memory) -> bool:
    for parent in file.parents:
        if parent in memory.folders:
            parts = (*memory.folders[parent].parts, file.name)
            if file.is_folder:
                return leads_somewhere(parts, has_digits=memory.has_digits)
            return find_place(parts, has_digits=memory.has_digits) is not None
    return False
