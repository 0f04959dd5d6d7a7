"""Being told: `notify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tenarai.cli.options import say
from tenarai.errors import SettingsError
from tenarai.orchestration.notices import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.option("--slack", metavar="URL", envvar="TENARAI_SLACK_URL", help="An incoming webhook of Slack, Mattermost, …")
@click.option("--webhook", metavar="URL", envvar="TENARAI_WEBHOOK_URL", help="Gets JSON with subject and body by POST.")
@click.option("--email", metavar="ADDRESS", multiple=True, help="By SendGrid, whose key is in SENDGRID_API_KEY.")
@click.option("--sender", metavar="ADDRESS", help="Who the e-mail comes from.")
@click.option(
    "--on", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; again for more. Default: all."
)
@click.option("--try", "try_it", is_flag=True, help="Send a word at once, to see that it arrives.")
@click.option("--off", is_flag=True, help="No notices any more.")
def notify(
    slack: str | None,
    webhook: str | None,
    email: Sequence[str],
    sender: str | None,
    kinds: Sequence[str],
    try_it: bool,
    off: bool,
) -> None:
    """Be told of nights: promoted, kept, failed, quiet (nothing new for a week), token (about to expire).

    Makes a block and automations on the server that PREFECT_API_URL names; doing it again changes nothing.
    """
    from tenarai.orchestration.notices import remove_notices, set_up_notices
    from tenarai.orchestration.server import reach_server

    block = None if off else _make_block(slack, webhook, email, sender)
    reach_server()
    if block is None:
        remove_notices()
        say("no notices any more")
        return
    set_up_notices(block, kinds or KINDS)
    if try_it:
        block.notify("This is how Tenarai will tell you.", subject="Tenarai")
    say(f"notices set up: {', '.join(kinds or KINDS)}")


def _make_block(slack: str | None, webhook: str | None, email: Sequence[str], sender: str | None) -> Any:
    """A notification block of Prefect's; addresses are kept in it as secrets."""
    import os

    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SendgridEmail

    if sum(map(bool, (slack, webhook, email))) != 1:
        raise SettingsError(
            "it is not clear how to tell you",
            expected="one of --slack URL, --webhook URL and --email ADDRESS",
            fix="give one, or --off for no notices",
        )
    if email:
        key = os.environ.get("SENDGRID_API_KEY", "")
        if not key or not sender:
            raise SettingsError(
                "an e-mail needs a sender and a key",
                expected="--sender ADDRESS, and SendGrid's key in SENDGRID_API_KEY",
                fix="set both; Prefect sends e-mail through SendGrid",
            )
        return SendgridEmail(api_key=key, sender_email=sender, to_emails=list(email))  # type: ignore[arg-type]
    told = {"text": "*{{subject}}*\n{{body}}"} if slack else {"subject": "{{subject}}", "body": "{{body}}"}
    return CustomWebhookNotificationBlock(
        name="tenarai",
        url="{{address}}",
        json_data=told,
        secrets={"address": slack or webhook},  # type: ignore[arg-type]
    )
