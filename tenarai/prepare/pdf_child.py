"""The process that opens a PDF. As a script it imports nothing of Tenarai, so that it starts fast.

A PDF can ask for any amount of memory or time, and PDFium ends its whole process when it finds no memory.
"""

import resource
import sys


def main() -> None:
    """Write the number of pages of the PDF on stdin to stdout, or of one page its height, its width and its pixels.

    Arguments: the page counted from 0, or -1 for the number of pages; the pixels of the longest side, about; the bytes
    of memory and the seconds of CPU time that it may take.
    """
    number, side, memory, seconds = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pypdfium2  # within the limits

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    if number < 0:
        sys.stdout.buffer.write(b"%d" % len(document))
        return
    page = document[number]
    bitmap = page.render(scale=side / max(*page.get_size(), 1.0), rev_byteorder=True, prefer_bgrx=True)
    sys.stdout.buffer.write(b"%d %d\n" % (bitmap.height, bitmap.width))
    sys.stdout.buffer.write(bitmap.buffer)


if __name__ == "__main__":
    main()
