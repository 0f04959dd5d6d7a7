"""The store: `store.py` tells what lies where, `lease.py` who may work on one that is not on this machine."""

from tenarai.store.store import FORMAT, UPGRADES, Store, find_store, locate_store, open_store

__all__ = ["FORMAT", "UPGRADES", "Store", "find_store", "locate_store", "open_store"]
