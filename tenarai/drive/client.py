"""The requests to Google Drive that this project needs, over google-api-python-client."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from googleapiclient.discovery import build_from_document
from googleapiclient.http import MediaInMemoryUpload, build_http

from tenarai.drive.credentials import Account, find_account
from tenarai.drive.faults import BadBody, is_bad_page_token, status_of
from tenarai.drive.files import FIELDS, Changes, DriveFile, to_file
from tenarai.drive.sending import MAX_TRIES, Cost, Sender
from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.settings import Settings

SAME_BYTES_TO_BELIEVE = 6
PAGE_SIZE = 1000

_ALL = {"supportsAllDrives": True}
_LISTED = {**_ALL, "includeItemsFromAllDrives": True}  # the second alone is refused
_BAD_TOKEN = {400, 404, 410}
_JPEG = (b"\xff\xd8", b"\xff\xd9")


class Drive:
    """Requests to Google Drive, from any number of threads. Made by `open_drive`.

    Every method raises `SourceError`, or `CredentialsError` if Google refuses the account, when eight tries with
    growing waits failed or trying again does not help.
    """

    def __init__(self, account: Account, sender: Sender, service: Any) -> None:
        """Wrap Google's client; nothing is sent yet."""
        self.account, self._sender = account, sender
        self._files, self._changes, self._about = service.files(), service.changes(), service.about()

    # ---- reading

    def get(self, file_id: str, resource_key: str = "") -> DriveFile:
        """What Drive says of one file or folder, trashed ones included.

        Raises:
            SourceError: It is not there, or not shared with the account (Drive does not say which).
        """
        request = partial(self._files.get, fileId=file_id, fields=FIELDS, **_ALL)
        what = _("the file or folder {id} cannot be seen on Google Drive", id=file_id)
        return to_file(self._sender.ask(request, what, Cost.GET, {file_id: resource_key}))

    def find(self, file_id: str, resource_key: str = "") -> DriveFile | None:
        """The same, or None for what is deleted or not shared."""
        try:
            return self.get(file_id, resource_key)
        except SourceError as error:
            if status_of(error) == 404:
                return None
            raise

    def list_folder(self, folder_id: str, *, drive_id: str = "", resource_key: str = "") -> list[DriveFile]:
        """Files and folders directly in a folder, without those in the trash.

        One folder a query: with several, Drive is known to leave files out silently.

        Raises:
            SourceError: Also if Drive says that the answer is incomplete.
        """
        where = {"corpora": "drive", "driveId": drive_id} if drive_id else {}
        query = f"'{folder_id}' in parents and trashed=false"
        what = _("the folder {id} cannot be listed", id=folder_id)
        return self._list(query, what, {folder_id: resource_key}, **where)

    def download(self, file: DriveFile) -> bytes:
        """A file's bytes, checked by size and digest.

        Some JPEGs are never delivered as Drive lists them (rclone issue 2207): whole ones that arrive alike six times
        in a row are believed.

        Raises:
            SourceError: They cannot be had.
        """
        others: list[bytes] = []

        def fetch() -> bytes:
            request = self._files.get_media(fileId=file.id, **_ALL)
            data = self._sender.send(request, Cost.DOWNLOAD, {file.id: file.resource_key})
            if not isinstance(data, bytes):
                raise BadBody("an answer without bytes")
            if _is_as_listed(data, file):
                return data
            others.append(hashlib.sha256(data).digest())
            last, is_whole_jpeg = others[-SAME_BYTES_TO_BELIEVE:], (data[:2], data[-2:]) == _JPEG
            if is_whole_jpeg and len(last) == SAME_BYTES_TO_BELIEVE and len(set(last)) == 1:
                return data
            raise BadBody(f"{len(data)} bytes that are not those listed ({file.size})")

        return self._sender.persist(fetch, _("the file {name} cannot be downloaded", name=file.name))

    def start_token(self, drive_id: str = "") -> str:
        """Where the changes feed stands now."""
        where = {"driveId": drive_id} if drive_id else {}
        request = partial(self._changes.getStartPageToken, **_ALL, **where)
        return str(self._sender.ask(request, _("the changes feed cannot be read"), Cost.GET)["startPageToken"])

    def changes(self, token: str, drive_id: str = "") -> Changes | None:
        """All changes since a token; None if Drive no longer accepts it."""
        where = {"driveId": drive_id} if drive_id else {}
        fields = f"nextPageToken,newStartPageToken,changes(fileId,removed,file({FIELDS}))"
        found: list[tuple[str, DriveFile | None]] = []
        while True:
            request = partial(
                self._changes.list,
                pageToken=token,
                pageSize=PAGE_SIZE,
                includeRemoved=True,
                fields=fields,
                **_LISTED,
                **where,
            )
            try:
                answer = self._sender.ask(request, _("the changes feed cannot be read"), Cost.LIST)
            except SourceError as error:
                if status_of(error) in _BAD_TOKEN:
                    return None
                raise
            for change in answer.get("changes", []):
                file = change.get("file")
                found.append((change.get("fileId", ""), to_file(file) if file and not change.get("removed") else None))
            if "newStartPageToken" in answer:
                return Changes(tuple(found), answer["newStartPageToken"])
            token = answer["nextPageToken"]

    def who(self) -> str:
        """Name and address of the account, as Drive knows it."""
        request = partial(self._about.get, fields="user(displayName,emailAddress)")
        user = self._sender.ask(request, _("Google Drive does not answer"), Cost.GET).get("user", {})
        return " ".join(filter(None, [user.get("displayName", ""), f"<{user.get('emailAddress', '')}>"]))

    # ---- writing

    def find_own(self, key: str, value: str) -> list[DriveFile]:
        """Files of this application that have a property and are not in the trash."""
        query = f"appProperties has {{ key='{_quote(key)}' and value='{_quote(value)}' }} and trashed=false"
        return self._list(query, _("the reports on Google Drive cannot be listed"), {})

    def create(
        self, name: str, folder_id: str, data: bytes | None, mime: str, properties: Mapping[str, str]
    ) -> DriveFile:
        """Create a file (or, without data, a folder), once: its id is fetched first, so a lost answer does no harm."""
        what = _("{name} cannot be written to Google Drive", name=name)
        generate = partial(self._files.generateIds, count=1, space="drive")
        file_id = self._sender.ask(generate, what, Cost.GET)["ids"][0]
        body = {"id": file_id, "name": name, "mimeType": mime, "appProperties": dict(properties)}
        options: dict[str, Any] = {"body": body | ({"parents": [folder_id]} if folder_id else {})}
        if data is not None:
            options["media_body"] = MediaInMemoryUpload(data, mimetype=mime)  # multipart: chunks do not survive retries
        request = partial(self._files.create, fields=FIELDS, **_ALL, **options)
        try:
            return to_file(self._sender.ask(request, what, Cost.WRITE))
        except SourceError as error:
            if status_of(error) == 409:  # an earlier try succeeded, and only its answer was lost
                return self.get(file_id)
            raise

    def update(self, file: DriveFile, data: bytes, mime: str) -> DriveFile:
        """Replace a file's bytes."""

        def request() -> Any:
            body = MediaInMemoryUpload(data, mimetype=mime)
            return self._files.update(fileId=file.id, media_body=body, fields=FIELDS, **_ALL)

        what = _("{name} cannot be updated on Google Drive", name=file.name)
        return to_file(self._sender.ask(request, what, Cost.WRITE))

    def move(self, file: DriveFile, folder_id: str) -> DriveFile:
        """Move a file into another folder; it keeps its id and its content."""
        before = ",".join(file.parents)
        request = partial(
            self._files.update, fileId=file.id, addParents=folder_id, removeParents=before, fields=FIELDS, **_ALL
        )
        try:
            what = _("{name} cannot be moved on Google Drive", name=file.name)
            return to_file(self._sender.ask(request, what, Cost.WRITE))
        except SourceError:
            now = self.find(file.id)
            if now and now.parents == (folder_id,):  # only the answer was lost
                return now
            raise

    def trash(self, file: DriveFile) -> None:
        """Move a file to the trash, where a person can still take it out."""
        request = partial(self._files.update, fileId=file.id, body={"trashed": True}, fields="id", **_ALL)
        self._sender.ask(request, _("{name} cannot be moved to the trash", name=file.name), Cost.WRITE)

    # ---- lists of pages

    def _list(self, query: str, what: str, keys: Mapping[str, str], **where: str) -> list[DriveFile]:
        """All files that fit; from the start again if Drive no longer accepts the token of a page."""
        for _try in range(MAX_TRIES - 1):
            try:
                return self._list_once(query, what, keys, **where)
            except SourceError as error:
                if not is_bad_page_token(error):
                    raise
        return self._list_once(query, what, keys, **where)

    def _list_once(self, query: str, what: str, keys: Mapping[str, str], **where: str) -> list[DriveFile]:
        fields = f"nextPageToken,incompleteSearch,files({FIELDS})"
        found: list[DriveFile] = []
        token: str | None = None
        while True:
            request = partial(
                self._files.list, q=query, pageSize=PAGE_SIZE, pageToken=token, fields=fields, **_LISTED, **where
            )
            answer = self._sender.ask(request, what, Cost.LIST, keys)
            if answer.get("incompleteSearch"):
                raise SourceError(
                    what,
                    received=_("Drive says that its answer is not complete"),
                    fix=_("nothing was changed; the next night tries again"),
                )
            found.extend(map(to_file, answer.get("files", [])))
            token = answer.get("nextPageToken")
            if not token:
                return found


def open_drive(settings: Settings, *, write: bool = False) -> Drive:
    """A client for the account that the settings name; nothing is sent yet.

    Args:
        settings: Credentials, root of the API and pace.
        write: Request the scope for writing, too. Default: False.

    Raises:
        CredentialsError: There are no credentials, or they are damaged.
    """
    account = find_account(settings.drive_credentials, write=write)
    sender = Sender(account, quota_per_minute=settings.drive_quota_per_minute, first_wait=settings.drive_first_wait)
    # with an Http given, the library does not look for credentials by itself
    service = build_from_document(_describe_api(settings.drive_api_root.rstrip("/") + "/"), http=build_http())
    return Drive(account, sender, service)


def _describe_api(root: str) -> dict[str, Any]:
    """The packaged discovery document, pointed at a root; `api_endpoint` alone leaves uploads at Google's."""
    text = files("googleapiclient.discovery_cache.documents").joinpath("drive.v3.json").read_text(encoding="utf-8")
    document = dict(json.loads(text))
    document.update(rootUrl=root, baseUrl=f"{root}{document['servicePath']}")
    document.pop("mtlsRootUrl", None)
    return document


def _is_as_listed(data: bytes, file: DriveFile) -> bool:
    if file.size is not None and len(data) != file.size:
        return False
    if file.sha256:
        return hashlib.sha256(data).hexdigest() == file.sha256
    return not file.md5 or hashlib.md5(data, usedforsecurity=False).hexdigest() == file.md5


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
