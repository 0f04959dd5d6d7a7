"""Image bombs: what each costs in memory and CPU time, each decoded in a process of its own, then all in one folder.

.venv/bin/python benchmarks/bombs.py [NAME…]

Small or legal files that ask for a lot. Prints a table: the peak memory of the process (with that of the child that
opens a PDF), CPU seconds with start and imports, and how it ended. Exits with 1 if a file takes more than 1 GiB, or
all of them in eight threads more than 1.5 GiB.
"""

from __future__ import annotations

import binascii
import io
import re
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

MAX_MEBIBYTES, MAX_TOGETHER = 1024, 1536
THREADS = 8
SHEET_SIDE = 4200  # pixels at which a photo of a practice sheet is read


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))


def pack_rows(row: bytes, number: int) -> bytes:
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row * 64) for _ in range(number // 64))
    return packed + packer.compress(row * (number % 64)) + packer.flush()


def png(width: int, height: int, *, depth: int = 8, colour: int = 6, interlaced: int = 0, more: bytes = b"") -> bytes:
    """A PNG of one colour: 0 grey, 2 RGB, 3 table, 6 RGBA."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    table = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    packed = pack_rows(b"\0" + bytes((width * depth * channels + 7) // 8), height)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    parts = (chunk(b"IHDR", header), table, more, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def apng(width: int, height: int, frames: int) -> bytes:
    packed = pack_rows(b"\0" + bytes(4 * width), height)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))]
    parts.append(chunk(b"acTL", struct.pack(">II", frames, 0)))
    number = 0
    for frame in range(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 1, 1)))
        number += 1
        if frame:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + packed))
            number += 1
        else:
            parts.append(chunk(b"IDAT", packed))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def saved(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def webp(width: int, height: int) -> bytes:
    """34 bytes: a lossless WebP of one colour, its size written over that of a small one."""
    data = bytearray(saved("WEBP", (16, 16), lossless=True))
    at = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[at : at + 4], "little")
    bits = bits & ~0xFFFFFFF | (width - 1) | (height - 1) << 14
    data[at : at + 4] = bits.to_bytes(4, "little")
    return bytes(data)


def scans(size: tuple[int, int], number: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = saved("JPEG", size, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * number + data[-2:]


def gif(width: int, height: int, frames: int) -> bytes:
    data = saved("GIF", (width, height), "P")
    start = data.index(b"\x2c")
    control = b"\x21\xf9\x04\x04\x01\x00\x00\x00"
    return data[:start] + (control + data[start:-1]) * frames + b";"


def resized(kind: str, marker: bytes, offset: int, *, width: int, height: int, **options: object) -> bytes:
    """A file of 64 × 64 pixels that says it has others: two 32-bit numbers after a marker."""
    data = bytearray(saved(kind, (64, 64), **options))
    at = data.index(marker) + len(marker) + offset
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def tiff(width: int, height: int, *, strips: bytes = b"") -> bytes:
    """An uncompressed, or deflated, TIFF of 8-bit RGBA."""
    tags = ((256, width), (257, height), (258, 8), (259, 8 if strips else 1), (262, 2), (277, 4), (278, height))
    tags += ((273, 200), (279, len(strips) or min(4 * width * height, 2**32 - 1)))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + strips


def tga(width: int, height: int) -> bytes:
    packets = b"\xff\0\0\0\0" * (width * height // 128 + 1)
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, 32, 8) + packets


def pdf(contents: bytes, *, box: str = "0 0 600 800", resources: bytes = b"", objects: Iterable[bytes] = ()) -> bytes:
    """A PDF of one page; `resources` may refer to the further objects by their numbers, from 5."""
    return pdf_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 4 0 R/Resources<<".encode() + resources + b">>>>",
        stream(contents),
        *objects,
    )


def pdf_of(*objects: bytes) -> bytes:
    parts, offsets, size = [b"%PDF-1.7\n"], [], 9
    for number, content in enumerate(objects, 1):
        offsets.append(size)
        parts.append(b"%d 0 obj" % number + content + b"endobj\n")
        size += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
    return b"".join(parts) + end + b"trailer<</Root 1 0 R/Size %d>>startxref\n%d\n%%%%EOF" % (len(objects) + 1, size)


def stream(data: bytes, head: bytes = b"") -> bytes:
    return b"<<" + head + b"/Length %d>>stream\n" % len(data) + data + b"\nendstream "


def pdf_image(width: int, height: int) -> bytes:
    head = f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/BitsPerComponent 8/ColorSpace/DeviceRGB"
    picture = stream(pack_rows(bytes(3 * width), height), head.encode() + b"/Filter/FlateDecode")
    return pdf(b"600 0 0 800 0 0 cm /I Do", resources=b"/XObject<</I 5 0 R>>", objects=[picture])


FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]"


def pdf_forms(depth: int, wide: int) -> bytes:
    """Forms that show the next one several times: `wide` to the power of `depth` in all."""
    forms = [
        stream(
            b"/F Do " * wide, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>" % (6 + n)
        )
        for n in range(depth)
    ]
    last = stream(b"0 0 9 9 re f", FORM)
    return pdf(b"/F Do", resources=b"/XObject<</F 5 0 R>>", objects=[*forms, last])


def pdf_pattern() -> bytes:
    steps = b"/BBox[0 0 1 1]/XStep .01/YStep .01/Resources<<>>"
    tile = stream(b"0 0 .1 .1 re f", b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1" + steps)
    return pdf(b"/Pattern cs /P scn 0 0 600 800 re f", resources=b"/Pattern<</P 5 0 R>>", objects=[tile])


def pdf_pages(number: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (n + 3) for n in range(number))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]>>"
    pages = b"<</Type/Pages/Count %d/Kids[" % number + kids + b"]>>"
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", pages, *[page] * number)


LEGAL = (10500, 10500)  # 110 million pixels, just within the limits
ZEROS = zlib.compress(bytes(500_000_000), 1)

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG, 32,768 × 32,768, 1 bit": lambda: png(32768, 32768, depth=1, colour=0),
    "PNG, 10,500 × 10,500, RGBA": lambda: png(*LEGAL),
    "PNG, 10,500 × 10,500, 16-bit grey": lambda: png(*LEGAL, depth=16, colour=0),
    "PNG, 10,500 × 10,500, colour table": lambda: png(*LEGAL, depth=8, colour=3),
    "PNG, 10,500 × 10,500, 1 bit": lambda: png(*LEGAL, depth=1, colour=0),
    "PNG, 24.9 Mpx, 16-bit RGBA": lambda: png(4990, 4990, depth=16),
    "PNG, text of 500 MB": lambda: png(90, 90, more=chunk(b"zTXt", b"Comment\0\0" + ZEROS)),
    "PNG, profile of 500 MB": lambda: png(90, 90, more=chunk(b"iCCP", b"icc\0\0" + ZEROS)),
    "APNG, 5,000 frames of 100 × 100": lambda: apng(100, 100, 5000),
    "APNG, 400 frames of 2,000 × 2,000": lambda: apng(2000, 2000, 400),
    "GIF, 65,535 × 65,535": lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",",
    "GIF, 200,000 frames of 8 × 8": lambda: gif(8, 8, 200_000),
    "GIF, 300 frames of 4,000 × 4,000": lambda: gif(4000, 4000, 300),
    "WebP, 16,383 × 7,000 in 34 bytes": lambda: webp(16383, 7000),
    "WebP, 9,000 × 6,000 in 34 bytes": lambda: webp(9000, 6000),
    "WebP, animation of 500 frames": lambda: saved_animation(500),
    "JPEG, 20,000 × 10,000": lambda: saved("JPEG", (20000, 10000)),
    "JPEG, progressive, 5,000 × 5,000, 100 more scans": lambda: scans((5000, 5000), 100),
    "JPEG, progressive, 1,000 × 1,000, 3,000 more scans": lambda: scans((1000, 1000), 3000),
    "JPEG, progressive, 10,000 × 6,000": lambda: saved("JPEG", (10000, 6000), progressive=True),
    "JPEG, CMYK, 10,000 × 8,000": lambda: saved("JPEG", (10000, 8000), "CMYK"),
    "TIFF, 60,000 × 60,000": lambda: tiff(60000, 60000),
    "TIFF, 10,500 × 10,500, deflated": lambda: tiff(*LEGAL, strips=pack_rows(bytes(4 * LEGAL[0]), LEGAL[1])),
    "BMP, 40,000 × 40,000": lambda: (
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, 40000, 40000, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    "TGA, 10,496 × 10,500, packed": lambda: tga(10496, 10500),
    "PNM, 60,000 × 60,000": lambda: b"P6 60000 60000 255\n",
    "PNM, 10,500 × 10,500, cut off": lambda: b"P6 10500 10500 255\n" + bytes(1000),
    "JPEG 2000, 60,000 × 60,000": lambda: resized("JPEG2000", b"ihdr", 0, width=60000, height=60000),
    "JPEG 2000, 6,000 × 6,000": lambda: saved("JPEG2000", (6000, 6000)),
    "AVIF, 60,000 × 60,000": lambda: resized("AVIF", b"ispe", 4, width=60000, height=60000),
    "AVIF, 6,000 × 6,000": lambda: saved("AVIF", (6000, 6000), speed=10),
    "HEIC, 60,000 × 60,000": lambda: resized("HEIF", b"ispe", 4, width=60000, height=60000),
    "HEIC, 8,000 × 8,000": lambda: saved("HEIF", (8000, 8000)),
    "ICO": lambda: saved("ICO", (256, 256)),
    "PDF, page of 200 inches": lambda: pdf(b"0 0 9 9 re f", box="0 0 14400 14400"),
    "PDF, page of 10^9 points": lambda: pdf(b"0 0 9 9 re f", box="0 0 1000000000 1"),
    "PDF, image of 10,500 × 10,500": lambda: pdf_image(*LEGAL),
    "PDF, image of 30,000 × 30,000": lambda: pdf_image(30000, 30000),
    "PDF, arrays nested a million deep": lambda: pdf(b"q " + b"[" * 1_000_000),
    "PDF, forms within forms, 10^9 in all": lambda: pdf_forms(9, 10),
    "PDF, pattern of half a billion tiles": pdf_pattern,
    "PDF, 100,000 pages": lambda: pdf_pages(100_000),
    "sheet, JPEG of 12,000 × 10,000": lambda: saved("JPEG", (12000, 10000), quality=5),
    "sheet, PNG of 10,500 × 10,500, RGBA": lambda: png(*LEGAL),
}


def saved_animation(frames: int) -> bytes:
    from PIL import Image

    first, *others = [Image.new("RGB", (1500, 1500), (n % 256, n // 256, 0)) for n in range(frames)]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, lossless=True, method=0)
    return buffer.getvalue()


def read(file: Path) -> str:
    """What a night does with the file, and how it ends."""
    from tenarai.errors import ImageError
    from tenarai.prepare import decode, normalise

    try:
        if file.name.startswith("sheet"):
            from tenarai.sheets.find import find_sheet

            find_sheet(decode(file.read_bytes(), max_side=SHEET_SIDE), chr)
            return "a sheet"
        normalise(decode(file.read_bytes()))
    except ImageError as error:
        return error.what
    return "a digit"


def measure(files: list[Path]) -> tuple[float, float, str]:
    """MiB at the peak, CPU seconds, and how the last file ended, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bombs", "--read", *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return 0.0, 0.0, f"DIED: {done.returncode} {done.stderr[-300:]}"
    mebibytes, seconds, end = done.stdout.strip().splitlines()[-1].split("\t")
    return float(mebibytes), float(seconds), end


def resident() -> int:
    """Bytes of memory that this process and those that it started hold now."""
    pages = 0
    for process in [Path("/proc/self"), *(Path("/proc") / pid for pid in children())]:
        with suppress(OSError):  # it ended meanwhile
            pages += int((process / "statm").read_text().split()[1])
    return pages * resource.getpagesize()


def children() -> list[str]:
    """Ids of the processes that the threads of this one started."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += (thread / "children").read_text().split()
    return found


@contextmanager
def watch() -> Iterator[list[int]]:
    """The most that `resident` gave so far, asked every few milliseconds."""
    peak, done = [0], Event()

    def look() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident())

    watcher = Thread(target=look)
    watcher.start()
    yield peak
    done.set()
    watcher.join()


def report_read(files: list[Path]) -> None:
    with watch() as peak, ThreadPoolExecutor(THREADS) as pool:
        ends = list(pool.map(read, files))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())  # what was between two looks
    mebibytes = max(peak[0] / 2**20, int(own[1]) / 1024 if own else 0)
    seconds = sum(one.ru_utime + one.ru_stime for one in used)
    print(f"{mebibytes:.0f}\t{seconds:.1f}\t{ends[-1]}")


def main() -> int:
    if sys.argv[1:2] == ["--read"]:
        report_read([Path(name) for name in sys.argv[2:]])
        return 0
    wanted = sys.argv[1:]
    print("| file | bytes | peak MiB | CPU s | ended |\n| --- | ---: | ---: | ---: | --- |", flush=True)
    failed = False
    with tempfile.TemporaryDirectory(prefix="tenarai-bombs-") as folder:
        files = []
        for number, (name, make) in enumerate(BOMBS.items()):
            if wanted and not any(word in name for word in wanted):
                continue
            file = Path(folder) / f"{'sheet' if name.startswith('sheet') else 'picture'} {number}"
            file.write_bytes(make())
            files.append(file)
            mebibytes, seconds, end = measure([file])
            failed |= not 0 < mebibytes <= MAX_MEBIBYTES
            print(f"| {name} | {file.stat().st_size:,} | {mebibytes:.0f} | {seconds:.1f} | {end} |", flush=True)
        mebibytes, seconds, _end = measure([*files, *files])
        failed |= not 0 < mebibytes <= MAX_TOGETHER
        total = sum(2 * file.stat().st_size for file in files)
        print(f"| all of them twice, in {THREADS} threads | {total:,} | {mebibytes:.0f} | {seconds:.1f} | |")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
