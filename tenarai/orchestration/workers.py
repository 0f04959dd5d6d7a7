"""The workers of both pools and the pages, in one Python: `tenarai up` runs it beside the server.

Every run is a process of its own, so a run that fails harms nothing here, and runs survive when this process dies.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from threading import Thread

from prefect.workers.process import ProcessWorker

from tenarai.orchestration.pools import CPU_POOL, GPU_POOL


async def work() -> None:
    """Start the runs of both pools, until cancelled."""
    await asyncio.gather(*(ProcessWorker(pool, name=f"{pool}-worker").start() for pool in (CPU_POOL, GPU_POOL)))


def serve_pages(port: int) -> None:
    """Serve reports and the label page on this machine, with the login of the server."""
    import uvicorn

    from tenarai.label.app import make_app
    from tenarai.orchestration.runs import resolve_secrets
    from tenarai.settings import read_settings

    app = make_app(resolve_secrets(read_settings()), login=os.environ["PREFECT_API_AUTH_STRING"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def main(port: int) -> None:
    """Work until SIGTERM or SIGINT.

    Args:
        port: Port of the pages; 0 for none.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if port:
        Thread(target=serve_pages, args=(port,), daemon=True).start()
    with suppress(KeyboardInterrupt):
        asyncio.run(work())


if __name__ == "__main__":
    main(int(sys.argv[1]))
