"""What a run shows in the Prefect UI: its name, the report as markdown, and two tables with a history by key."""

from __future__ import annotations

from tenarai.records import NightReport, Score


def publish_artifacts(night: NightReport, markdown: str) -> None:
    """Publish the artifacts of the current run; where there is no run, there is nobody to show them to.

    Args:
        night: The night.
        markdown: The report with its pictures inside, under 500 KB.
    """
    from prefect.artifacts import create_markdown_artifact, create_table_artifact
    from prefect.runtime import flow_run

    if not flow_run.id:
        return

    title = f"{night.decision.verdict}: {night.decision.reason}"
    create_markdown_artifact(markdown, key="nightly-report", description=title)
    if night.confusion:
        create_table_artifact(per_digit_rows(night), key="per-digit", description="Right and wrong by what was written")
    if night.regression:
        create_table_artifact(
            regression_rows(night),
            key="regression-set",
            description="Images once misread, and how they are read tonight",
        )


def name_run(night: NightReport) -> None:
    """Call the current run by its date and verdict, such as `2026-11-24 promoted`; outside of a run, do nothing."""
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, name=f"{night.created[:10]} {night.decision.verdict}")


def per_digit_rows(night: NightReport) -> list[dict[str, object]]:
    """One row a label: images, right answers, share and interval in percent, what it is taken for."""
    rows: list[dict[str, object]] = []
    for number, (label, counts) in enumerate(zip(night.confusion_labels, night.confusion, strict=True)):
        total, right = sum(counts), counts[number]
        wrong = {night.confusion_labels[i]: n for i, n in enumerate(counts) if n and i != number}
        taken_for = ", ".join(
            f"{read} ({n})" for read, n in sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
        )
        score = Score.of(right, total)
        rows.append(
            {
                "written": label,
                "images": total,
                "right": right,
                "share": f"{score.accuracy:.1%}" if total else "–",
                "95 % interval": f"{score.low:.1%} – {score.high:.1%}" if total else "–",
                "taken for": taken_for or "–",
            }
        )
    return rows


def regression_rows(night: NightReport) -> list[dict[str, object]]:
    """One row an image of the regression set."""
    return [
        {
            "image": case.path,
            "written": case.label,
            "champion reads": case.champion.label,
            "challenger reads": case.challenger.label if case.challenger else "–",
            "status": case.status,
        }
        for case in night.regression
    ]
