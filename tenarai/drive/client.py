"""The client: Google Drive in the words of this project, over google-api-python-client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from googleapiclient.http import MediaInMemoryUpload

from tenarai.drive.credentials import Account, find_account
from tenarai.drive.faults import BadBody, is_bad_page_token, status_of
from tenarai.drive.files import FIELDS, Changes, DriveFile, to_file
from tenarai.drive.sending import MAX_TRIES, Sender
from tenarai.drive.service import build_service
from tenarai.errors import SourceError
from tenarai.settings import Settings

SAME_BYTES_TO_BELIEVE = 6
PAGE_SIZE = 1000

_EVERYWHERE = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}  # the second alone is refused
_BAD_TOKEN = {400, 404, 410}
_JPEG = (b"\xff\xd8", b"\xff\xd9")


class Drive:
    """Requests to Google Drive, from any number of threads. Made by `open_drive`.

    Every method raises `SourceError`, or `CredentialsError` where Google refuses the account, when eight tries with
    growing waits did not help or no trying would.
    """

    def __init__(self, account: Account, *, api_root: str, requests_per_second: float, first_wait: float = 1.0) -> None:
        """Make a client; nothing is sent yet.

        Args:
            account: Who asks.
            api_root: Root of the API, ending in a slash.
            requests_per_second: Ceiling for all threads together.
            first_wait: Longest wait before the second try, in seconds; doubles with each try, up to 64. Default: 1.
        """
        self.account = account
        self._sender = Sender(account, requests_per_second=requests_per_second, first_wait=first_wait)
        service = build_service(api_root)
        self._files, self._changes, self._about = service.files(), service.changes(), service.about()

    # ---- reading

    def get(self, file_id: str, resource_key: str = "") -> DriveFile:
        """What Drive says of one file or folder, trashed ones included.

        Raises:
            SourceError: It is not there, or not shared with the account (Drive does not say which).
        """
        return self._get(file_id, resource_key, f"the file or folder {file_id} cannot be seen on Google Drive")

    def find(self, file_id: str, resource_key: str = "") -> DriveFile | None:
        """The same, or None for what is deleted or not shared."""
        try:
            return self._get(file_id, resource_key, f"the file {file_id} cannot be looked at on Google Drive")
        except SourceError as error:
            if status_of(error) == 404:
                return None
            raise

    def list_folder(self, folder_id: str, *, drive_id: str = "", resource_key: str = "") -> list[DriveFile]:
        """Files and folders directly in a folder, without those in the trash.

        One folder a query: with several, Drive is known to leave files out without a word.

        Raises:
            SourceError: Also when Drive says that the answer is not complete.
        """
        where = {"corpora": "drive", "driveId": drive_id} if drive_id else {}
        return self._list(
            f"'{folder_id}' in parents and trashed=false",
            f"the folder {folder_id} cannot be listed",
            {folder_id: resource_key},
            **where,
        )

    def download(self, file: DriveFile) -> bytes:
        """A file's bytes, checked by size and digest.

        Some JPEGs are never delivered as Drive lists them (rclone issue 2207): whole ones that arrive alike six times
        in a row are believed.

        Raises:
            SourceError: They cannot be had.
        """
        others: list[bytes] = []

        def fetch() -> bytes:
            request = self._files.get_media(fileId=file.id, supportsAllDrives=True)
            data = self._sender.send(request, {file.id: file.resource_key})
            if not isinstance(data, bytes):
                raise BadBody("an answer without bytes")
            if _is_as_listed(data, file):
                return data
            others.append(hashlib.sha256(data).digest())
            last, is_whole_jpeg = others[-SAME_BYTES_TO_BELIEVE:], (data[:2], data[-2:]) == _JPEG
            if is_whole_jpeg and len(last) == SAME_BYTES_TO_BELIEVE and len(set(last)) == 1:
                return data
            raise BadBody(f"{len(data)} bytes that are not those listed ({file.size})")

        return self._sender.persist(fetch, f"the file {file.id} cannot be downloaded")

    def start_token(self, drive_id: str = "") -> str:
        """Where the changes feed stands now."""
        where = {"driveId": drive_id} if drive_id else {}
        ask = partial(self._changes.getStartPageToken, supportsAllDrives=True, **where)
        return str(self._sender.ask(ask, "the changes feed cannot be opened")["startPageToken"])

    def changes(self, token: str, drive_id: str = "") -> Changes | None:
        """All changes since a token; None when Drive no longer accepts it."""
        where = {"driveId": drive_id} if drive_id else {}
        found: list[tuple[str, DriveFile | None]] = []
        while True:
            ask = partial(
                self._changes.list,
                pageToken=token,
                pageSize=PAGE_SIZE,
                includeRemoved=True,
                fields=f"nextPageToken,newStartPageToken,changes(fileId,removed,file({FIELDS}))",
                **_EVERYWHERE,
                **where,
            )
            try:
                answer = self._sender.ask(ask, "the changes feed cannot be read")
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
        ask = partial(self._about.get, fields="user(displayName,emailAddress)")
        answer = self._sender.ask(ask, "Google Drive does not answer")
        user = answer.get("user", {})
        return " ".join(filter(None, [user.get("displayName", ""), f"<{user.get('emailAddress', '')}>"]))

    # ---- writing

    def find_own(self, key: str, value: str) -> list[DriveFile]:
        """Files of this application that bear a property and are not in the trash."""
        query = f"appProperties has {{ key='{_quote(key)}' and value='{_quote(value)}' }} and trashed=false"
        return self._list(query, "the reports on Google Drive cannot be listed", {})

    def create(
        self, name: str, folder_id: str, data: bytes | None, mime: str, properties: Mapping[str, str]
    ) -> DriveFile:
        """Make a file (or, without data, a folder), once: under an id made beforehand, so that a lost answer does no
        harm."""
        what = f"{name} cannot be written to Google Drive"
        generate = partial(self._files.generateIds, count=1, space="drive")
        file_id = self._sender.ask(generate, what)["ids"][0]
        body = {"id": file_id, "name": name, "mimeType": mime, "appProperties": dict(properties)}
        if folder_id:
            body["parents"] = [folder_id]
        options: dict[str, Any] = {"body": body, "fields": FIELDS, "supportsAllDrives": True}
        if data is not None:
            options["media_body"] = MediaInMemoryUpload(data, mimetype=mime)  # multipart: chunks do not survive retries
        try:
            return to_file(self._sender.ask(lambda: self._files.create(**options), what))
        except SourceError as error:
            if status_of(error) == 409:  # an earlier try got through, and only its answer was lost
                return self.get(file_id)
            raise

    def update(self, file: DriveFile, data: bytes, mime: str) -> DriveFile:
        """Replace a file's bytes."""

        def request() -> Any:
            return self._files.update(
                fileId=file.id,
                media_body=MediaInMemoryUpload(data, mimetype=mime),
                fields=FIELDS,
                supportsAllDrives=True,
            )

        return to_file(self._sender.ask(request, f"{file.name} cannot be updated on Google Drive"))

    def trash(self, file: DriveFile) -> None:
        """Move a file to the trash, where a person can still take it out."""
        ask = partial(self._files.update, fileId=file.id, body={"trashed": True}, fields="id", supportsAllDrives=True)
        self._sender.ask(ask, f"{file.name} cannot be moved to the trash")

    # ---- one request, or one list of pages

    def _get(self, file_id: str, resource_key: str, what: str) -> DriveFile:
        return to_file(
            self._sender.ask(
                lambda: self._files.get(fileId=file_id, fields=FIELDS, supportsAllDrives=True),
                what,
                {file_id: resource_key},
            )
        )

    def _list(self, query: str, what: str, keys: Mapping[str, str], **where: str) -> list[DriveFile]:
        """All files that fit; from the start again when Drive no longer knows the token of a page."""
        for _ in range(MAX_TRIES - 1):
            try:
                return self._list_once(query, what, keys, **where)
            except SourceError as error:
                if not is_bad_page_token(error):
                    raise
        return self._list_once(query, what, keys, **where)

    def _list_once(self, query: str, what: str, keys: Mapping[str, str], **where: str) -> list[DriveFile]:
        found: list[DriveFile] = []
        token: str | None = None
        while True:
            ask = partial(
                self._files.list,
                q=query,
                pageSize=PAGE_SIZE,
                pageToken=token,
                fields=f"nextPageToken,incompleteSearch,files({FIELDS})",
                **_EVERYWHERE,
                **where,
            )
            answer = self._sender.ask(ask, what, keys)
            if answer.get("incompleteSearch"):
                raise SourceError(
                    what,
                    received="Drive says that its answer is not complete",
                    fix="nothing was changed; the next night tries again",
                )
            found.extend(map(to_file, answer.get("files", [])))
            token = answer.get("nextPageToken")
            if not token:
                return found


def open_drive(settings: Settings, *, write: bool = False) -> Drive:
    """A client for the account that the settings name; nothing is sent yet.

    Args:
        settings: Credentials, root and pace.
        write: Ask for writing, too. Default: False.

    Raises:
        CredentialsError: There are no credentials, or they are damaged.
    """
    account = find_account(settings.drive_credentials, write=write)
    return Drive(
        account,
        api_root=settings.drive_api_root,
        requests_per_second=settings.drive_requests_per_second,
        first_wait=settings.drive_first_wait,
    )


def _is_as_listed(data: bytes, file: DriveFile) -> bool:
    if file.size is not None and len(data) != file.size:
        return False
    if file.sha256:
        return hashlib.sha256(data).hexdigest() == file.sha256
    return not file.md5 or hashlib.md5(data, usedforsecurity=False).hexdigest() == file.md5


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
