"""Remove a picture that its owner deleted from all that the store holds: `tenarai forget PATH…`.

The rows of the catalogue go last, so that a command that was killed is completed by the same command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tenarai.catalogue import Catalogue, forgetting, hold_store, locate_catalogue, open_catalogue
from tenarai.dataset import load_snapshot, save_snapshot, without
from tenarai.errors import SettingsError, SourceError
from tenarai.evaluate.promotions import history, write_history
from tenarai.locale import Message, _, plural
from tenarai.model import bundle
from tenarai.records import Event, EventKind, Image, State
from tenarai.settings import Settings
from tenarai.store import Store, open_store

Say = Callable[[Message], object]


def forget(settings: Settings, path: str, say: Say) -> None:
    """Remove a picture from originals, catalogue, snapshots, reports and the records of models.

    Files with the same bytes and all that was cut from the same photo go, too. What a model learned stays in it.

    Args:
        settings: Where source, store and catalogue are.
        path: The file's path inside the source, as the reports show it.
        say: Receives what was removed, a sentence each.

    Raises:
        SettingsError: No file is known at this path.
        SourceError: The file, or another with the same bytes, still lies in the source; nothing is removed.
    """
    source, store = settings.source, open_store(settings.store, create=False)
    with hold_store(settings, store), open_catalogue(locate_catalogue(settings, store)) as catalogue:
        files = forgetting.find_files(catalogue, source, path)
        if not files:
            raise SettingsError(
                _("no file is known at {path} in {source}", path=path, source=source),
                expected=_("a path inside the source, as the reports show it, such as digits/4/a.png"),
                fix=_("check the path, and --source"),
            )
        _check_gone(files)
        digests = {file.sha256 for file in files} - {""}
        _forget_reports(store, digests | {json.dumps(file.path, ensure_ascii=False) for file in files}, say)
        _forget_in_snapshots(store, catalogue, digests, say)
        for sha256 in digests:
            store.remove("blobs", sha256[:2], sha256)
        run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-forget"
        forgetting.delete_files(catalogue, files, Event(run, EventKind.FORGOTTEN, "", path, None, None, None, ""))
    say(plural("{n} file was forgotten", "{n} files were forgotten", len(files)))


def _check_gone(files: Collection[Image]) -> None:
    """Raise an error if one of the files still lies in its source, since the next night would fetch it again."""
    for file in files:
        root = Path(file.source.removeprefix("folder:")).expanduser()
        can_look = file.source.startswith("folder:") and root.is_dir()
        if os.path.lexists(root / (file.photo_id or file.file_id)) if can_look else file.state is not State.GONE:
            place = {"path": file.path, "source": file.source}
            raise SourceError(
                _("{path} is still in {source}, and the next night would fetch it again", **place),
                fix=_("delete the file there, run `tenarai nightly` if the source is on Google Drive, then forget it"),
            )


def _forget_reports(store: Store, names: Collection[str], say: Say) -> None:
    """Remove reports that name a picture, half-written ones, and the pages of studies, which do not name theirs."""
    num_removed, kept = 0, []
    for run in store.names("reports"):
        if run == "latest":
            continue
        report = store.read("reports", run, "report.json") if store.exists("reports", run, "report.json") else b""
        if not report or any(name.encode() in report for name in names):
            store.remove("reports", run)
            num_removed += 1
        else:
            kept.append(run)
    studies = [name for name in store.names("studies") if name != "trials"]
    for name in studies:
        store.remove("studies", name)
    if kept:
        store.write(f"{kept[-1]}\n".encode(), "reports", "latest")
    else:
        store.remove("reports", "latest")
    if num := num_removed + len(studies):
        say(plural("{n} report that may show it was removed", "{n} reports that may show it were removed", num))


def _forget_in_snapshots(store: Store, catalogue: Catalogue, digests: set[str], say: Say) -> None:
    """Write snapshots again without the pictures, under the new ids that follow, and correct what names them."""
    for old in [name.removesuffix(".npz") for name in store.names("snapshots")]:
        snapshot = load_snapshot(store, old)
        if digests.isdisjoint(snapshot.sha256.tolist()):
            continue
        smaller = without(snapshot, digests)
        new = smaller.info.id
        save_snapshot(store, smaller)
        num_learned = snapshot.info.num_train - smaller.info.num_train
        for model in store.names("models"):
            if store.exists("models", model, "model.json") and bundle.load_info(store, model).snapshot == old:
                if num_learned:
                    say(_("{model} learned from it, and what it learned stays in it", model=model))
                num_others = len(snapshot.sha256) - len(smaller.sha256) - num_learned
                note = _(
                    "forgotten since: {learned} images that it learned from, {others} that it was evaluated on",
                    learned=num_learned,
                    others=num_others,
                )
                bundle.rename_snapshot(store, model, new, note)
        promotions = history(store)
        write_history(store, [replace(p, snapshot=new if p.snapshot == old else p.snapshot) for p in promotions])
        forgetting.rename_snapshot(catalogue, old, new)
        store.remove("snapshots", f"{old}.npz")
