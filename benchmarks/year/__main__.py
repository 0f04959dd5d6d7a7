"""Run the year: python -m benchmarks.year [--nights N] [--seed N] [--out FOLDER] [--write]

Writes planted.md before the first night; then score.md, year.png and year.json. --write also puts card and plot into
`docs/year.md`.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import random
import re
import shutil
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from benchmarks.year.at_night import SPEND, spend_hard_night
from benchmarks.year.card import as_policy_table, as_score_card, as_sentences, judge, judge_second_writer
from benchmarks.year.in_folder import plant
from benchmarks.year.nights import PROJECT, prefect_night, read_report
from benchmarks.year.person import Person, Supply
from benchmarks.year.planted import KINDS, YEAR, Planted, as_table, plan_faults
from benchmarks.year.policies import Policies, draw_year
from benchmarks.year.year import Report, Year
from tenarai.store import open_store
from tests.stand_in import StandInDrive

PREFECT_NIGHTS = 3
BEGINS = date(2027, 1, 1)
MARKS = re.compile(r"(<!-- year -->\n).*(<!-- /year -->)", re.DOTALL)
PLOT = "docs/pictures/year.png"
ALT = (
    "Held-out digits read right over the nights, by half of the writers, with Tenarai's gate and with three other rules"
)


def run_year(
    num_nights: int, seed: int, out: Path, *, kinds: Iterable[str] = KINDS, num_with_server: int = PREFECT_NIGHTS
) -> tuple[Year, Policies, dict[Planted, tuple[bool, str]]]:
    """Spend the nights.

    Args:
        num_nights: How many.
        seed: Decides what is planted when, what the person does, and which digits they write.
        out: Where plan and store are put.
        kinds: Kinds of faults to plant. Default: all.
        num_with_server: How many nights go through a Prefect server.

    Returns:
        The year, how well was read by which rule, and every planted fault, judged.
    """
    planted = plan_faults(num_nights, seed, set(kinds))
    (out / "planted.md").write_text(as_table(planted) + "\n", encoding="utf-8")
    with StandInDrive() as drive:
        _set_environment(drive, out)
        supply = Supply(seed)
        year = Year(
            drive, Person(drive.tree, supply, seed), open_store(str(out / "store")), BEGINS, random.Random(seed)
        )
        policies = Policies(supply, year.store)
        by_night: dict[int, list[Planted]] = {night: [] for night in range(num_nights)}
        for fault in planted:
            by_night[fault.night].append(fault)
        quiet = [night for night in by_night if night and not any(f.kind in SPEND for f in by_night[night])]
        with_server = {quiet[round(len(quiet) * (n + 0.5) / PREFECT_NIGHTS)] for n in range(num_with_server)}
        start = time.monotonic()
        for night, faults in by_night.items():
            report = _spend(night, faults, year, with_server=night in with_server)
            if report is not None:
                year.look_at(report, night)
                policies.measure(night, report)
            if night % 20 == 0:
                gc.collect()
                gc.freeze()  # what the libraries hold by now need not be looked through again and again
                num_caught = sum(was_caught for was_caught, _ in year.caught.values())
                told = f"{num_caught} of {len(year.caught)} faults caught; {policies.last()}"
                print(f"night {night}, {time.monotonic() - start:.0f} s: {told}", flush=True)
        for fault in planted:
            if fault.kind == "second writer arrives":
                year.caught[fault] = judge_second_writer(*policies.second_writer(fault.night))
    return year, policies, judge(planted, year.caught)


def _spend(night: int, faults: list[Planted], year: Year, *, with_server: bool) -> Report | None:
    """A day and its night; a night that ends badly without a planted cause is noted."""
    year.person.spend_day(many=night == 0)
    for fault in faults:
        if fault.kind not in SPEND:
            plant(fault, year)
    year.drive.calls.clear()
    try:
        for fault in faults:
            if fault.kind in SPEND:
                return spend_hard_night(fault, year)
        if not with_server:
            return year.night(night)
        if wrong := prefect_night({"PREFECT_HOME": str(year.store.root.parent / "prefect")}):
            raise RuntimeError(wrong)
        return read_report(year.store.root)
    except Exception as error:  # noqa: BLE001 - the year goes on, as years do, and the card tells of it
        year.failures.append(f"night {night}: {type(error).__name__}: {error}")
        print(year.failures[-1], flush=True)
        return None


def _set_environment(drive: StandInDrive, out: Path) -> None:
    key = out / "key.json"
    key.write_text(json.dumps(drive.people.service_account_key()))
    os.environ |= {
        "TENARAI_SOURCE": f"drive:{drive.tree.root.id}",
        "TENARAI_STORE": str(out / "store"),
        "TENARAI_DRIVE_API_ROOT": drive.root,
        "TENARAI_DRIVE_CREDENTIALS": str(key),
        "TENARAI_DRIVE_FIRST_WAIT": "0.005",
        "TENARAI_DRIVE_QUOTA_PER_MINUTE": "100000000",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }


def write_card(title: str, year: Year, policies: Policies, judged: dict[Planted, tuple[bool, str]]) -> str:
    """Everything that the year came to, in markdown; equal years give equal text."""
    said = as_sentences(year.verdicts, year.failures, year.leaks, len(year.person.named_in_vain))
    return "\n\n".join([f"{title}:", as_score_card(judged), said, as_policy_table(policies.by_name)]) + "\n"


def write_page(card: str, plot: bytes) -> None:
    """Write the plot, and card and plot between the marks in `docs/year.md`."""
    (PROJECT / PLOT).write_bytes(plot)
    page = PROJECT / "docs/year.md"
    text = page.read_text(encoding="utf-8")
    image = f"![{ALT}](pictures/{Path(PLOT).name})"
    written, num_found = MARKS.subn(lambda found: f"{found[1]}{card}\n{image}\n{found[2]}", text)
    if num_found != 1:
        raise SystemExit("docs/year.md needs <!-- year --> and <!-- /year --> once, with the card between them")
    page.write_text(written, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=YEAR)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".tenarai/year"))
    parser.add_argument("--write", action="store_true", help="put card and plot into docs/year.md")
    given = parser.parse_args()
    out = given.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    logging.getLogger("tenarai").setLevel(logging.WARNING)
    start = time.monotonic()
    year, policies, judged = run_year(given.nights, given.seed, out)
    title = f"{given.nights} nights, {len(judged)} faults, seed {given.seed}"
    card, plot = write_card(title, year, policies, judged), draw_year(policies)
    (out / "score.md").write_text(card, encoding="utf-8")
    (out / "year.png").write_bytes(plot)
    told = [{"night": f.night, "kind": f.kind, "caught": ok, "seen": seen} for f, (ok, seen) in judged.items()]
    rows = {name: policy.rows for name, policy in policies.by_name.items()}
    summary = {"seconds": round(time.monotonic() - start), "faults": told, "nights": policies.nights, "accuracy": rows}
    more = {"failures": year.failures, "leaks": year.leaks}
    (out / "year.json").write_text(json.dumps(summary | more, indent=1), encoding="utf-8")
    if given.write:
        write_page(card, plot)
    print(f"{card}\nin {summary['seconds']} s; {out}")


if __name__ == "__main__":
    main()
