"""The Prefect server that `PREFECT_API_URL` names."""

from __future__ import annotations

from tenarai.errors import SettingsError, TenaraiError


def reach_server() -> None:
    """Make sure that a server is named, answers, and lets this account in.

    Without a name Prefect would start one for this command alone, and what is set up there would be gone with it.

    Raises:
        SettingsError: None is named.
        TenaraiError: It does not answer as it should.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise SettingsError(
            "no Prefect server is named",
            expected="its address in PREFECT_API_URL, such as http://127.0.0.1:4200/api",
            received="none",
            fix="start one with `tenarai up`, then set PREFECT_API_URL, and PREFECT_API_AUTH_STRING to its password",
        )
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pools(limit=1)
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise no_good_answer(url, error) from error


def no_good_answer(url: str, error: Exception) -> TenaraiError:
    """What to say of a server that is away or refuses."""
    return TenaraiError(
        f"the Prefect server at {url} does not answer as it should",
        received=next(iter(str(error).splitlines()), type(error).__name__),  # a timeout has no words
        fix="start it with `tenarai up`, check PREFECT_API_URL and PREFECT_API_AUTH_STRING, or unset them",
    )
