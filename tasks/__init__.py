"""What Prefect runs, retries and shows: one task a file.

A task opens what it needs, calls the library in `tenarai` and logs one line. Nothing is cached: every step finds out by
itself what is done already.
"""
