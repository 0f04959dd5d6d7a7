"""Wiring: what runs when. Each flow reads like the diagram in the README; the work is done in `tasks`."""
