"""A folder that a stranger fills with the worst: each file is rejected or read, within bounds of memory and time."""

import binascii
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.collections_of_digits import fill, picture, save

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
GATHER = """
import json, resource, sys
from tenarai.night import open_night
from tasks.prepare import prepare
from tasks.sync import sync
from tenarai.prepare import NORMALISER_VERSION
from tenarai.settings import Settings
night = open_night(Settings(source="folder:" + sys.argv[1], store=sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sync.fn(night), prepare.fn(night)
with night.catalogue() as catalogue:
    rejected = {one.path: one.reason for one in catalogue.rejections(night.settings.source, NORMALISER_VERSION)}
    digits = catalogue.digits(NORMALISER_VERSION)
    read = [i.path for i in catalogue.images(night.settings.source) if i.sha256 in digits and digits[i.sha256].pixels]
mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"rejected": rejected, "read": read, "mebibytes": mebibytes}))
"""


def gather(folder, store, *, seconds):
    """Sync and prepare in a process of its own; its memory beyond the imports, in MiB, is measured."""
    done = subprocess.run(
        [sys.executable, "-c", GATHER, str(folder), str(store)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=seconds,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))


def png(width, height, *, depth=1, colour=0, more=b""):
    """A whole PNG of one colour, however large; a few hundred kilobytes."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = b"\0" + bytes((width * depth * channels + 7) // 8)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row * 64) for _ in range(height // 64))
    packed += packer.compress(row * (height % 64)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), more, chunk(b"IDAT", packed), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def folder(tmp_path):
    """Two honest images a label, which have to be read in any company."""
    return fill(tmp_path / "folder", num_each=2, labels="04")


def test_bombs_are_refused_by_their_headers_and_legal_giants_one_at_a_time(folder, tmp_path):
    place = folder / "digits/4"
    (place / "gigapixel.png").write_bytes(png(32768, 32768))
    (place / "half a gigapixel.png").write_bytes(png(65000, 8000, depth=8, colour=2))
    (place / "text.png").write_bytes(
        png(90, 90, more=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(500_000_000), 1)))
    )
    (place / "profile.png").write_bytes(
        png(90, 90, more=chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(500_000_000), 1)))
    )
    (place / "gigapixel.gif").write_bytes(b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",")
    (place / "gigapixel.bmp").write_bytes(
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, 40000, 40000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    for number in range(2):  # each just within the limit; as many at once as there are threads
        (place / f"giant {number}.png").write_bytes(png(10900, 11000 - number, depth=8, colour=6))
        (place / f"deep {number}.png").write_bytes(png(10900, 11000 - number, depth=16))
    found = gather(folder, tmp_path / "store", seconds=300)
    assert len(found["read"]) == 4
    names = {path.rsplit("/", 1)[-1]: reason for path, reason in found["rejected"].items()}
    assert set(names) == {path.name for path in place.iterdir()} - {Path(path).name for path in found["read"]}
    for name in ("gigapixel.png", "half a gigapixel.png"):
        assert "too many pixels" in names[name]
    assert found["mebibytes"] < 1500


def test_what_pretends_to_be_a_picture_is_refused_or_is_one(folder, tmp_path):
    place = folder / "digits/4"
    honest = (save(tmp_path / "honest.png", picture(4))).read_bytes()
    with zipfile.ZipFile(place / "zip.png", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(100_000_000))
    (place / "page.png").write_text("<html><script>alert(1)</script></html>")
    (place / "entities.svg").write_text('<!DOCTYPE s [<!ENTITY a "aaaa">]><svg>&a;</svg>')
    (place / "program.jpg").write_bytes(b"\x7fELF" + bytes(1000))
    (place / "letter.pdf").write_bytes(b"%PDF-1.4\n" + bytes(1000))
    (place / "script.png").write_text("#!/bin/sh\ntouch /tmp/pwned\n")
    (place / "postscript.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n")
    (place / "polyglot.png").write_bytes(honest + b"<script>alert(1)</script>")
    (place / "polyglot zip.png").write_bytes(honest + (place / "zip.png").read_bytes())
    found = gather(folder, tmp_path / "store", seconds=120)
    read = {Path(path).name for path in found["read"]}
    assert {"polyglot.png", "polyglot zip.png"} < read  # pictures; what hangs behind them is never looked at
    assert len(read) == 6
    assert len(found["rejected"]) == 7
    assert found["mebibytes"] < 500


def test_names_links_pipes_and_nests_lead_nowhere(folder, tmp_path):
    place = folder / "digits/4"
    names = [
        b"$(touch pwned).png",
        b"-rf.png",
        b"..%2f..%2fetc%2fpasswd.png",
        b"line\nbreak\r\t.png",
        b"<img src=x onerror=alert(1)>.png",
        b"|table|cell|`code`.png",
        "\u202egnp.exe".encode(),
        b"not \xff utf-8 \xfe.png",
        b"CON.png",
        b"n" * 251 + b".png",
    ]
    honest = save(tmp_path / "honest.png", picture(4)).read_bytes()
    for name in names:
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(honest)
    (tmp_path / "secret.png").write_bytes(honest)
    (place / "link.png").symlink_to(tmp_path / "secret.png")
    (place / "password.png").symlink_to("/etc/passwd")
    (place / "loop").symlink_to(folder)
    (place / "nowhere.png").symlink_to("nowhere")
    os.mkfifo(place / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(place)
        listener.bind("socket.png")
        os.chdir(PROJECT)
    deep = place
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "deep.png").write_bytes(honest)
    found = gather(folder, tmp_path / "store", seconds=120)
    program = "digits/4/\u202egnp.exe"  # refused by its ending, whatever it looks like
    assert program in found["rejected"]
    assert len([path for path in found["read"] if path.count("/") == 2]) == 4 + len(names) - 1
    assert not list(PROJECT.glob("pwned"))
    for name in ("link.png", "password.png", "loop", "nowhere.png", "pipe.png", "socket.png"):
        assert f"digits/4/{name}" not in found["read"]
    stored = {path.read_bytes() for path in (tmp_path / "store/blobs").rglob("*") if path.is_file()}
    assert Path("/etc/passwd").read_bytes() not in stored
    assert found["mebibytes"] < 500


def test_ten_thousand_files_of_rubbish_are_listed_in_a_report_and_cost_little(folder, tmp_path):
    for number in range(10_000):
        (folder / "inbox").mkdir(exist_ok=True)
        (folder / "inbox" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(40))
    found = gather(folder, tmp_path / "store", seconds=400)
    assert len(found["rejected"]) == 10_000
    assert len(found["read"]) == 4
    assert found["mebibytes"] < 500
