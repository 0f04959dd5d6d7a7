"""The Prefect server that `PREFECT_API_URL` names."""

from __future__ import annotations

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from tenarai.errors import SettingsError, TenaraiError
from tenarai.locale import _


def reach_server() -> None:
    """Make sure that a server is named, answers, and accepts the password.

    Without an address Prefect would start a server for this command alone, and lose what is set up there.

    Raises:
        SettingsError: No server is named.
        TenaraiError: It does not answer, or refuses.
    """
    url = get_current_settings().api.url
    if not url:
        raise SettingsError(
            _("no Prefect server is named"),
            expected=_("its address in PREFECT_API_URL, such as http://127.0.0.1:4200/api"),
            fix=_("start one with `tenarai up`, then set PREFECT_API_URL, and PREFECT_API_AUTH_STRING to its password"),
        )
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pools(limit=1)
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise no_answer(url, error) from error


def no_answer(url: str, error: Exception) -> TenaraiError:
    """The error for a server that does not answer or refuses."""
    return TenaraiError(
        _("the Prefect server at {url} does not answer", url=url),
        received=next(iter(str(error).splitlines()), type(error).__name__),  # a time-out has no text
        fix=_("start it with `tenarai up`, check PREFECT_API_URL and PREFECT_API_AUTH_STRING, or unset them"),
    )
