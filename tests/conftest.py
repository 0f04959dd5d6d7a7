"""Fixtures shared by all tests."""

import os
import tempfile

# Before Prefect is imported: nothing of this machine's own Prefect is touched, and a slow machine gets time.
os.environ.update(
    PREFECT_HOME=tempfile.mkdtemp(prefix="tenarai-prefect-"),
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",  # most tests call the stages as plain functions
    TF_CPP_MIN_LOG_LEVEL="3",
)

import pytest

from tests import services


@pytest.fixture(scope="session")
def prefect():
    """A temporary Prefect server, once for all tests: starting one takes many seconds. Gives its environment."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield {**os.environ, "PREFECT_API_URL": get_current_settings().api.url}


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL, once for all tests that are marked `services`."""
    if services.what_is_missing():
        pytest.skip(services.what_is_missing())
    with services.postgresql() as server:
        yield server
