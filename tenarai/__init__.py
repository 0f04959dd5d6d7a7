"""Tenarai: a recogniser of your own handwriting that gets better every night. This library knows no Prefect."""
