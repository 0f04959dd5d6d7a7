"""The store: the files that a collection's nights leave, and where they are."""

from tenarai.store.store import Store, find_store, locate_store, open_store, seal_json

__all__ = ["Store", "find_store", "locate_store", "open_store", "seal_json"]
