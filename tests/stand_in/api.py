"""What the Drive API answers: lists, files, changes, uploads; permissions, scopes and Drive's own error bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from tests.stand_in.people import OWN_FILES, WRITE
from tests.stand_in.query import NotUnderstood, find_parents, keep_fields, parse_fields, parse_query
from tests.stand_in.tree import FOLDER, Item, Tree


class Refused(Exception):
    """An answer of Drive's that is an error."""

    def __init__(self, status: int, reason: str, message: str, location: str = "", **headers: str) -> None:
        super().__init__(message)
        detail = {"message": message, "domain": "global", "reason": reason}
        if location:
            detail |= {"location": location, "locationType": "parameter"}
        self.status, self.headers = status, headers
        self.body = json.dumps({"error": {"code": status, "message": message, "errors": [detail]}}).encode()


def not_found(file_id: str) -> Refused:
    return Refused(404, "notFound", f"File not found: {file_id}.", "fileId")


def bad_page_token() -> Refused:
    return Refused(400, "invalid", "Invalid Value", "pageToken")


@dataclass
class Request:
    """One request, its body and query read."""

    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes
    email: str = ""
    scopes: frozenset[str] = frozenset()
    answer: dict[str, str] = field(default_factory=dict)  # more headers

    def flag(self, name: str) -> bool:
        return self.query.get(name) == "true"


class DriveApi:
    """Answers requests out of a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.refusal: Refused | None = None  # answered to everything

    def answer(self, request: Request) -> bytes:
        """What Drive answers to a request that bears a good token; raises `Refused`."""
        if self.refusal:
            raise self.refusal
        for method, pattern, act in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                with self.tree.lock:
                    told = act(self, request, *found.groups())
                if isinstance(told, bytes):
                    return told
                fields = request.query.get("fields", "*")
                request.answer["Content-Type"] = "application/json; charset=UTF-8"
                return json.dumps(keep_fields(told, parse_fields(fields))).encode()
        raise Refused(404, "notFound", f"{request.method} {request.path}")

    # ---- reading

    def _see(self, request: Request, file_id: str, *, write: bool = False) -> Item:
        item = self.tree.items.get(file_id)
        role = self.tree.role_of(item, request.email) if item else ""
        keys = request.headers.get("X-Goog-Drive-Resource-Keys", "").split(",")
        if item is None or not role or (item.key and role == "reader" and f"{file_id}/{item.key}" not in keys):
            raise not_found(file_id)
        if item.drive_id and not request.flag("supportsAllDrives"):
            raise not_found(file_id)
        if write:
            if not {WRITE, OWN_FILES} & request.scopes:
                raise Refused(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
            if role == "reader":
                message = "The user does not have sufficient permissions for this file."
                raise Refused(403, "insufficientFilePermissions", message)
            if WRITE not in request.scopes and not item.made_by_app:
                message = f"The user has not granted the app write access to the file {file_id}."
                raise Refused(403, "appNotAuthorizedToFile", message)
        return item

    def _get(self, request: Request, file_id: str) -> dict[str, Any] | bytes:
        item = self._see(request, file_id)
        if request.query.get("alt") != "media":
            return self.tree.describe(item, request.email)
        if item.data is None:
            raise Refused(403, "fileNotDownloadable", "Only files with binary content can be downloaded.", "alt")
        if not item.can_download:
            raise Refused(403, "cannotDownloadFile", "This file cannot be downloaded by the user.")
        request.answer["Content-Type"] = item.mime
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            return item.data[int(found[1]) : int(found[2]) + 1 if found[2] else None]
        return item.data

    def _list(self, request: Request) -> dict[str, Any]:
        everywhere = request.flag("includeItemsFromAllDrives")
        if everywhere and not request.flag("supportsAllDrives"):
            raise Refused(403, "teamDrivesNotSupported", "supportsAllDrives must be set.", "supportsAllDrives")
        if request.query.get("corpora") == "drive" and request.query.get("driveId") not in self.tree.members:
            raise Refused(404, "notFound", f"Shared drive not found: {request.query.get('driveId')}", "driveId")
        try:
            fits = parse_query(request.query.get("q", ""))
        except NotUnderstood as error:
            raise Refused(400, "invalid", "Invalid Value", "q") from error
        found = []
        if parents := find_parents(request.query.get("q", "")):
            folders = [self._see(request, parent) for parent in parents]
            candidates = [child for folder in folders for child in self.tree.children(folder)]
        else:
            candidates = list(self.tree.items.values())
        for item in candidates:
            if (item.drive_id and not everywhere) or not self.tree.role_of(item, request.email):
                continue
            told = self.tree.describe(item, request.email)
            if fits(told):
                found.append(told)
        return self._page(request, found, "files")

    def _page(self, request: Request, found: list[Any], name: str) -> dict[str, Any]:
        size, start = min(int(request.query.get("pageSize", 100)), 1000), 0
        if token := request.query.get("pageToken"):
            if not (known := re.fullmatch(r"~!!~(\d+)", token)):
                raise bad_page_token()
            start = int(known[1])
        told: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False, name: found[start : start + size]}
        if start + size < len(found):
            told["nextPageToken"] = f"~!!~{start + size}"
        return told

    def _start_token(self, request: Request) -> dict[str, Any]:
        return {"startPageToken": str(len(self.tree.feed) + 1)}

    def _changes(self, request: Request) -> dict[str, Any]:
        token, size = request.query.get("pageToken", ""), min(int(request.query.get("pageSize", 100)), 1000)
        if not token.isdecimal() or int(token) > len(self.tree.feed) + 1:
            raise bad_page_token()
        start, drive_id = int(token) - 1, request.query.get("driveId", "")
        end = min(start + size, len(self.tree.feed))
        told: list[dict[str, Any]] = []
        for file_id in dict.fromkeys(self.tree.feed[start:end]):
            item = self.tree.items.get(file_id)
            if item and (item.drive_id != drive_id if drive_id else item.drive_id and not self._wants_all(request)):
                continue
            if item and self.tree.role_of(item, request.email):
                file = self.tree.describe(item, request.email)
                told.append({"changeType": "file", "fileId": file_id, "removed": False, "file": file})
            else:
                told.append({"changeType": "file", "fileId": file_id, "removed": True})
        more = end < len(self.tree.feed)
        return {"changes": told, "nextPageToken" if more else "newStartPageToken": str(end + 1)}

    def _wants_all(self, request: Request) -> bool:
        return request.flag("includeItemsFromAllDrives")

    def _about(self, request: Request) -> dict[str, Any]:
        name = request.email.split("@")[0].title()
        return {"user": {"displayName": name, "emailAddress": request.email}}

    # ---- writing

    def _generate_ids(self, request: Request) -> dict[str, Any]:
        return {"ids": [self.tree.new_id() for _ in range(int(request.query.get("count", 10)))]}

    def _create(self, request: Request) -> dict[str, Any]:
        told, data = _read_body(request)
        if told.get("id") in self.tree.items:
            raise Refused(409, "fileIdInUse", "A file already exists with the provided ID.")
        parent = told.get("parents", [self.tree.my_drive.id])[0]
        if not {WRITE, OWN_FILES} & request.scopes:
            raise Refused(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        folder = self.tree.my_drive if parent == self.tree.my_drive.id else self._see(request, parent, write=True)
        if request.email.endswith("gserviceaccount.com") and not folder.drive_id:
            message = "Service Accounts do not have storage quota. Leverage shared drives, or use OAuth delegation."
            raise Refused(403, "storageQuotaExceeded", message)
        item = Item(
            told.get("id") or self.tree.new_id(),
            told["name"],
            told.get("mimeType", "application/octet-stream"),
            [folder.id],
            data=None if told.get("mimeType") == FOLDER else data,
            drive_id=folder.drive_id,
            owner=request.email,
            properties=dict(told.get("appProperties", {})),
            made_by_app=True,
        )
        return self.tree.describe(self.tree._add(item), request.email)

    def _update(self, request: Request, file_id: str) -> dict[str, Any]:
        item = self._see(request, file_id, write=True)
        told, data = _read_body(request)
        if data is not None:
            self.tree.edit(item, data)
        if "trashed" in told:
            self.tree.trash(item, told["trashed"])
        if added := request.query.get("addParents"):
            folder = self._see(request, added, write=True)
            if request.query.get("removeParents", "") != ",".join(item.parents):
                raise not_found(request.query["removeParents"])
            self.tree.move(item, folder)
        item.name = told.get("name", item.name)
        item.properties |= told.get("appProperties", {})
        return self.tree.describe(item, request.email)


ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/drive/v3/files", DriveApi._list),
    ("GET", "/drive/v3/files/generateIds", DriveApi._generate_ids),
    ("GET", r"/drive/v3/files/([\w-]+)", DriveApi._get),
    ("GET", "/drive/v3/changes/startPageToken", DriveApi._start_token),
    ("GET", "/drive/v3/changes", DriveApi._changes),
    ("GET", "/drive/v3/about", DriveApi._about),
    ("POST", "/drive/v3/files", DriveApi._create),
    ("POST", "/upload/drive/v3/files", DriveApi._create),
    ("PATCH", r"/drive/v3/files/([\w-]+)", DriveApi._update),
    ("PATCH", r"/upload/drive/v3/files/([\w-]+)", DriveApi._update),
]


def _read_body(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """Metadata and bytes: JSON, multipart/related, or (an update without metadata) the bytes alone."""
    kind = request.headers.get("Content-Type", "")
    if kind.startswith("multipart/related"):
        parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body).get_payload()
        about, content = (part.get_payload(decode=True) for part in parts)  # type: ignore[union-attr]
        return json.loads(about), content
    if request.path.startswith("/upload/"):
        return {}, request.body
    return json.loads(request.body or b"{}"), None
