"""The report on its way to Google Drive; a night whose report does not arrive there is still a night."""

from __future__ import annotations

import logging
from dataclasses import replace

from tenarai.errors import TenaraiError
from tenarai.night import Night
from tenarai.report.outcome import Outcome

SENT = (".html", ".pdf")  # what a phone opens by itself

log = logging.getLogger("tenarai.night")


def send_night(night: Night, outcome: Outcome) -> Outcome:
    """Send the report from the store to Drive, if it is to be sent; what fails is told in the outcome."""
    from tenarai.report.sending import send_report, wants_reports

    source, settings = night.settings.source, night.settings
    if not wants_reports(source, settings):
        return outcome
    with night.stage("send") as say:
        try:
            names = [name for name in night.store.names("reports", night.run) if name.endswith(SENT)]
            files = {name: night.store.read("reports", night.run, name) for name in names}
            sent = send_report(source, night.run, outcome.verdict, files, settings)
        except Exception as error:  # noqa: BLE001 - the report lies in the store; the night itself went well
            told = str(error) if isinstance(error, TenaraiError) else f"{type(error).__name__}: {error}"
            problem = f"the report could not be sent to Google Drive: {told}"
            log.warning("%s", problem)
            return replace(outcome, message=f"{outcome.message} ({problem})", problems=(*outcome.problems, problem))
        if sent:
            say(f"{sent.num_written} files written to {sent.folder} on Google Drive: {sent.link}")
        return outcome
