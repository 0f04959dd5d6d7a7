"""Everything about a Prefect server: up, deploy, notices, artifacts, and secrets in blocks."""

from pathlib import Path

FILES = Path(__file__).parent
"""Holds prefect.yaml and prefect.toml, in a checkout as in an installed wheel. A Prefect process that is started in
this folder finds its settings in prefect.toml."""

KINDS = ("promoted", "kept", "failed", "quiet", "token")
"""What `tenarai notify` sends notices about."""
