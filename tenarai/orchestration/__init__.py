"""Everything about a Prefect server: up, deploy, notices, artifacts, and secrets in blocks."""
