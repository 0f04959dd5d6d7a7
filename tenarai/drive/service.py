"""The API as the library knows it, at any root."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from googleapiclient.discovery import build_from_document
from googleapiclient.http import build_http


def build_service(root: str) -> Any:
    """Google's client for version 3 of the Drive API; nothing is sent.

    Args:
        root: Root of the API; `drive/v3/` and `upload/drive/v3/` are appended.
    """
    # with an Http given, the library does not look for credentials by itself
    return build_from_document(_describe_api(root.rstrip("/") + "/"), http=build_http())


def _describe_api(root: str) -> dict[str, Any]:
    """The packaged discovery document, pointed at a root; `api_endpoint` alone leaves uploads at Google's."""
    text = files("googleapiclient.discovery_cache.documents").joinpath("drive.v3.json").read_text(encoding="utf-8")
    document = dict(json.loads(text))
    document.update(rootUrl=root, baseUrl=f"{root}{document['servicePath']}")
    document.pop("mtlsRootUrl", None)
    return document
