"""Prefect's own command, with transactions on SQLite that take the write lock when they begin.

Prefect begins them deferred: one that reads, and writes after another one has written, fails at once with "database is
locked", whatever the busy timeout is, and its event or heartbeat is lost. One that begins immediate waits its turn.
`tenarai up` starts its server with this module.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration

_begin = AioSqliteConfiguration.begin_transaction


def begin_immediate(
    self: AioSqliteConfiguration, session: Any, with_for_update: bool = True
) -> AbstractAsyncContextManager[Any]:
    """Begin a transaction that may write."""
    return _begin(self, session, with_for_update=True)


AioSqliteConfiguration.begin_transaction = begin_immediate  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    from prefect.cli import app

    app()
