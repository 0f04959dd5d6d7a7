"""report: write the night's report, show it in the UI, and only then count the night as finished."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate.compare import explain_misread
from tenarai.evaluate.predictions import champion_id
from tenarai.locale import _
from tenarai.night import Night
from tenarai.orchestration.artifacts import publish_artifacts
from tenarai.orchestration.notices import announce_expiry, announce_night
from tenarai.orchestration.runs import VERDICTS, name_run
from tenarai.records import Case, Decision, Evaluation, FreezeResult, NightReport, Outcome, SyncResult
from tenarai.report.describe import add_history, remember_night
from tenarai.sheets import SHEET, draw_next_sheet


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
def publish_report(
    night: Night,
    synced: SyncResult,
    frozen: FreezeResult,
    evaluation: Evaluation,
    decision: Decision,
    inbox: tuple[Case, ...],
) -> Outcome:
    """Write the night's report, show it in the UI, and only then count the night as finished."""
    from tenarai.report import Pictures, build_report, write_report

    with night.step(_("report")) as log, night.catalogue() as catalogue:
        settings = night.settings
        if sheet := draw_next_sheet(settings, night.store, catalogue, date=night.created[:10]):
            night.store.write(sheet, "reports", night.run, SHEET)
        tonight = NightReport(
            run=night.run,
            created=night.created,
            source=settings.source,
            store=settings.store,
            champion=champion_id(night.store),
            sync=synced,
            frozen=frozen,
            evaluation=evaluation,
            decision=decision,
            inbox=inbox,
            explanations=explain_misread(night.store, evaluation),
            sheet=SHEET if sheet else "",
            seconds=dict(night.seconds),
        )
        found = add_history(tonight, catalogue)
        pictures = Pictures(night.store, catalogue)
        files = ["report.html", "summary.png", *([SHEET] if sheet else [])]
        links = {name: f"{settings.reports_url}/{night.run}/{name}" for name in files if settings.reports_url}
        report = build_report(found, pictures, language=settings.language, sheet=sheet, links=links)
        night.check_lock()
        write_report(night.store, night.run, report)
        publish_artifacts(report.artifacts, decision.reason)
        name_run(VERDICTS[decision.verdict], datetime.fromisoformat(night.created))
        catalogue.put_night(night.run, settings.source, remember_night(found))
        place = links.get("report.html", f"{night.store.root}/reports/{night.run}/report.html")
        log.info(place)
        announce_night(found, found.history, place, settings.language, report.files["summary.png"])
        announce_expiry(settings.drive_credentials.get_secret_value(), datetime.now(UTC), settings.language)
        return Outcome(night.run, decision.verdict, decision.summary, decision.state, place)
