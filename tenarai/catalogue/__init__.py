"""The catalogue: what is known of each image. SQLite inside the store by default, PostgreSQL by address.

    images      one row a file of a source; soft deletes, so a row is never lost
    events      what happened to files, append-only
    sources     how far each source was read (Drive's page token), committed together with the rows it vouches for
    digits      prepared images by (normaliser, sha256), so that a night prepares only what is new
    readings    what a model read, by (model, sha256)
    nights      one record a finished night

Originals are kept first, then one transaction tells of them: whatever kills the process, no row speaks of bytes that
are not there.
"""

from tenarai.catalogue.catalogue import Catalogue, open_catalogue
from tenarai.catalogue.copying import copy_catalogue

CATALOGUE_FILE = "catalogue.sqlite"
"""Its name inside a local store."""

__all__ = ["CATALOGUE_FILE", "Catalogue", "copy_catalogue", "open_catalogue"]
