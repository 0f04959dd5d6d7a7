"""The first sync of many small files from Drive, against rclone and against the bare client in as many threads.

The stand-in Drive, in a process of its own, answers after 30 ms; our limiter and rclone's pacing are off. rclone, which
knows no address but Google's, reaches it through a TLS proxy; it is left out where it is not installed. Also: the calls
of a quiet night, and of a night with one new file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.measure import Row
from tenarai.catalogue import open_catalogue
from tenarai.drive import open_drive
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.sync import open_source

THREADS = 16


class Server:
    """The stand-in in its process."""

    def __init__(self, num: int, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.speed.drive_server", str(num), str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.folder, self.proxy, self.certificate, self.key = (
            str(told[name]) for name in ("folder", "proxy", "certificate", "key")
        )
        self.settings = Settings(
            _env_file=None,
            source=f"drive:{self.folder}",
            drive_api_root=told["root"],
            drive_credentials=self.key,
            drive_quota_per_minute=10**8,
            drive_threads=THREADS,
        )

    def count(self, word: str = "") -> int:
        """Calls since the last time that this was asked; "add" puts a file into the folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def sync_ours(server: Server, place: Path) -> float:
    """Seconds of one sync into the store at a place; the first one takes everything."""
    store, start = open_store(str(place / "store")), time.perf_counter()
    with open_catalogue(f"sqlite:///{place}/store/catalogue.sqlite") as catalogue:
        open_source(server.settings).sync(store, catalogue, "r")
    return time.perf_counter() - start


def download_bare(server: Server, place: Path) -> float:
    """List and download with the client alone, each file written as it comes: no digest, no fsync, no catalogue."""
    client, start = open_drive(server.settings), time.perf_counter()
    folders, files = [server.folder], []
    while folders:
        for item in client.list_folder(folders.pop()):
            (folders.append(item.id) if item.is_folder else files.append(item))
    place.mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda item: (place / item.id).write_bytes(client.download(item)), files))
    return time.perf_counter() - start


def copy_with_rclone(server: Server, place: Path) -> float | None:
    """`rclone copy`, unpaced, with as many transfers; None where it is not there or does not get through."""
    if not shutil.which("rclone"):
        return None
    command = [
        "rclone", "copy", ":drive:", str(place), "--config", os.devnull,
        "--drive-service-account-file", server.key, "--drive-root-folder-id", server.folder,
        "--drive-pacer-min-sleep", "0", "--drive-pacer-burst", "1000",
        "--transfers", str(THREADS), "--checkers", str(THREADS),
    ]  # fmt: skip
    env = {**os.environ, "HTTPS_PROXY": server.proxy, "SSL_CERT_FILE": server.certificate}
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-400:], file=sys.stderr)
        return None
    return time.perf_counter() - start


def measure(num: int, folder: Path, server: Server) -> None:
    ours = sync_ours(server, folder / "ours")
    bare = download_bare(server, folder / "bare")
    rclone = copy_with_rclone(server, folder / "rclone")
    rivals = (("the bare client in as many threads", bare), ("rclone, unpaced, as many transfers", rclone))
    for name, theirs in rivals:
        Row(
            f"first Drive sync of {num:,} small files, 30 ms latency, {THREADS} threads",
            name,
            f"{theirs / ours:.2f} × its speed" if theirs else "not run: no rclone that could be used",
            "ahead",
            bool(theirs and theirs > ours),
            f"{num / ours:.0f} files/s",
        ).print()
    server.count()
    sync_ours(server, folder / "ours")
    quiet = server.count("add")
    sync_ours(server, folder / "ours")
    one_new = server.count()
    reached = f"{quiet}; with one new file {one_new}"
    Row(f"API calls of a quiet night, {num:,} files", "one", reached, "1", quiet == 1).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    num = parser.parse_args().files
    with TemporaryDirectory() as folder:
        server = Server(num, Path(folder))
        try:
            measure(num, Path(folder), server)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
