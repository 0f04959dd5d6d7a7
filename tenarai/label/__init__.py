"""The label page: one doubtful image at a time, and a tap moves its file into the folder of its label.

queue   which images are asked about, in order
places  moves files, in a local folder or on Google Drive
desk    what a person did, and how it is undone
app     the page, over HTTP
"""

from __future__ import annotations

from tenarai.label.app import make_app

__all__ = ["make_app"]
