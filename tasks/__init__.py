"""The stations a night passes through, one room each.

Imports run one way: `flows → stations → {store, catalogue} → {records, settings, errors}`. Stations do not import each
other; `tests/test_architecture.py` holds this.
"""
