"""The stations a night passes through, one room each.

Imports run one way: `flows → stations → {store, catalogue} → {records, settings, errors}`. Stations do not import each
other; contracts in `pyproject.toml` hold this.
"""
