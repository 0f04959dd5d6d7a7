"""Wiring: what runs when. Each flow reads like the diagram in the README; the work is done in `tasks`."""

import logging

# What a stage says belongs into the run's log; Prefect takes over our logger, but leaves its level at warnings.
logging.getLogger("tenarai").setLevel(logging.INFO)
