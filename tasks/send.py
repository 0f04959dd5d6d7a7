"""send: send the report to Google Drive. A night whose report does not arrive there is still a night."""

from __future__ import annotations

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.errors import TenaraiError
from tenarai.locale import _
from tenarai.night import Night
from tenarai.orchestration.artifacts import link_report
from tenarai.records import Outcome

SENT = (".html", ".png", ".pdf")


@task(name="send", task_run_name="send", cache_policy=NO_CACHE)
def send_report(night: Night, outcome: Outcome) -> Outcome:
    """Send the report from the store to Google Drive if the settings ask for it; a failure is noted in the outcome."""
    from tenarai.report.sending import send_report as send
    from tenarai.report.sending import wants_reports

    source, settings = night.settings.source, night.settings
    if not wants_reports(source, settings):
        return outcome
    with night.step(_("send")) as log:
        try:
            names = [name for name in night.store.names("reports", night.run) if name.endswith(SENT)]
            files = {name: night.store.read("reports", night.run, name) for name in names}
            sent = send(source, night.run, outcome.verdict, files, settings)
        except Exception as error:  # noqa: BLE001 - the report is in the store; the night itself went well
            reason = str(error) if isinstance(error, TenaraiError) else f"{type(error).__name__}: {error}"
            problem = _("the report could not be sent to Google Drive: {reason}", reason=reason)
            log.warning(problem)
            message = _("{message} ({problem})", message=outcome.message, problem=problem)
            return replace(outcome, message=message, problems=(*outcome.problems, problem))
        if sent:
            facts = {"folder": sent.folder, "link": sent.link}
            link_report(sent.links, settings.language)
            log.info(_("{n} files written to {folder} on Google Drive: {link}", n=sent.num_written, **facts))
        return outcome
