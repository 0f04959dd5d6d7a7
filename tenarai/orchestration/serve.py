"""Prefect's own command, with two changes to its SQLite. `tenarai up` and the unit of systemd start the server with it.

* Transactions take the write lock when they begin, and so wait their turn. Prefect begins them deferred: one that
  reads, and writes after another one has written, fails at once with "database is locked", whatever the busy timeout
  is, and its event or heartbeat is lost.
* Each connection caches 4 MB. Prefect's 80 MB a connection let the server grow with its database.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration

CACHE_KIB = 4000
_begin, _set_up = AioSqliteConfiguration.begin_transaction, AioSqliteConfiguration.setup_sqlite


def begin_immediate(
    self: AioSqliteConfiguration, session: Any, with_for_update: bool = True
) -> AbstractAsyncContextManager[Any]:
    """Begin a transaction that may write."""
    return _begin(self, session, with_for_update=True)


def set_up(self: AioSqliteConfiguration, connection: Any, record: Any) -> None:
    """Set up a new connection."""
    _set_up(self, connection, record)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    cursor.close()


AioSqliteConfiguration.begin_transaction = begin_immediate  # type: ignore[assignment,method-assign]
AioSqliteConfiguration.setup_sqlite = set_up  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    from prefect.cli import app

    app()
