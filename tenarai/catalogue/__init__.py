"""The catalogue: what is known of each image. SQLite inside the store by default, PostgreSQL by address.

    images       one row a file of a source; marked as gone, deleted only by `tenarai forget`
    events       what happened to files, append-only but for `tenarai forget`
    sources      how far each source was read (Drive's page token), committed with the rows it belongs to
    digits       prepared images by (normaliser, sha256), so that a night prepares only what is new
    predictions  what a model read, by (model, sha256)
    nights       one record a finished night

Originals are written first, then one transaction records them, so a row never refers to bytes that are not there.
"""

from tenarai.catalogue.catalogue import Catalogue
from tenarai.catalogue.opening import CATALOGUE_FILE, hold_store, locate_catalogue, open_catalogue

__all__ = ["CATALOGUE_FILE", "Catalogue", "hold_store", "locate_catalogue", "open_catalogue"]
