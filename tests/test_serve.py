"""The server of `tenarai up` on SQLite: transactions that read and then write wait for each other."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

from tenarai.orchestration import serve


async def read_then_write_beside_another(file):
    """Two transactions that both read before they write, the second one begun while the first is open."""
    config = AioSqliteConfiguration(f"sqlite+aiosqlite:///{file}")
    engine = await config.engine()
    is_open = asyncio.Event()

    async def add(first):
        if not first:
            await is_open.wait()
        async with await config.session(engine) as session, config.begin_transaction(session):
            (before,) = (await session.execute(sa.text("SELECT count(*) FROM t"))).one()
            if first:
                is_open.set()
                await asyncio.sleep(0.5)
            await session.execute(sa.text("INSERT INTO t VALUES (1)"))
            if not first:
                await asyncio.sleep(0.5)  # without waiting, the first one would write meanwhile
            return before

    try:
        async with engine.connect() as connection:
            (cache,) = (await connection.execute(sa.text("PRAGMA cache_size"))).one()
        assert cache == -serve.CACHE_KIB
        return await asyncio.gather(add(True), add(False))
    finally:
        await engine.dispose()


@pytest.fixture
def file(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    return tmp_path / "x.db"


def test_the_second_transaction_waits_for_the_first(file):
    assert asyncio.run(read_then_write_beside_another(file)) == [0, 1]


def test_as_prefect_begins_them_one_of_the_two_fails(file, monkeypatch):
    """If this fails, Prefect has changed, and `serve` is needed no more."""
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", serve._begin)
    with pytest.raises(sa.exc.OperationalError, match="database is locked"):
        asyncio.run(read_then_write_beside_another(file))
