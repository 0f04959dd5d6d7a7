"""report: write the night's report, show it in the UI, and only then count the night as finished."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.evaluate.compare import explain_misread
from tenarai.night import Night
from tenarai.orchestration.artifacts import name_run, publish_artifacts
from tenarai.orchestration.notices import announce_expiry, announce_night
from tenarai.prepare import NORMALISER_VERSION
from tenarai.records import Case, Decision, Evaluation, FreezeResult, SyncResult
from tenarai.report.describe import describe_night, remember_night
from tenarai.report.filed import find_filed
from tenarai.report.outcome import Outcome
from tenarai.sheets import SHEET, draw_next_sheet


@task(name="report", cache_policy=NO_CACHE)
def publish_report(
    night: Night,
    synced: SyncResult,
    frozen: FreezeResult,
    evaluation: Evaluation,
    decision: Decision,
    inbox: tuple[Case, ...],
) -> Outcome:
    """Write the night's report, show it in the UI, and only then count the night as finished."""
    from tenarai.report import build_report, pictured, write_report
    from tenarai.report.store_pictures import StorePictures

    with night.step("report") as log, night.catalogue() as catalogue:
        settings = night.settings
        nights = catalogue.nights(settings.source)
        filed = find_filed(catalogue, settings.source, nights[-1] if nights else {})
        explanations = explain_misread(night.store, evaluation)
        found = describe_night(night, nights, synced, frozen, evaluation, decision, inbox, filed, explanations)
        if sheet := draw_next_sheet(settings, night.store, catalogue, date=night.created[:10]):
            night.store.write(sheet, "reports", night.run, SHEET)
            found = replace(found, sheet=SHEET)
        pictures = StorePictures(night.store, catalogue.digits(NORMALISER_VERSION, pictured(found)))
        report = build_report(found, pictures, language=settings.language)
        night.check_lock()
        write_report(night.store, night.run, report)
        publish_artifacts(found, report.markdown)
        name_run(found)
        catalogue.put_night(night.run, settings.source, remember_night(found))
        place = f"{night.store.root}/reports/{night.run}/report.html"
        log.info(place)
        announce_night(found, nights, place, settings.language)
        announce_expiry(settings.drive_credentials.get_secret_value(), datetime.now(UTC), settings.language)
        return Outcome(night.run, decision.verdict, decision.summary, decision.state, place)
