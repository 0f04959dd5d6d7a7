"""The score card of the year, in markdown; misses stay in it, by night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.year.planted import KINDS, Planted
from benchmarks.year.policies import Policy

Judged = Mapping[Planted, tuple[bool, str]]


def judge(planted: Iterable[Planted], caught: Judged) -> dict[Planted, tuple[bool, str]]:
    """Every fault that was planted, judged; one that no report told of before the year ended counts as missed."""
    return {fault: caught.get(fault, (False, "the year ended first")) for fault in planted}


def as_score_card(judged: Judged) -> str:
    """The table of kinds, then the misses one by one.

    Args:
        judged: Every planted fault: whether it was caught, and a word on what was seen.
    """
    lines = ["| planted | caught | missed | expected |", "| --- | ---: | ---: | --- |"]
    for kind, about in KINDS.items():
        found = [was_caught for fault, (was_caught, _) in judged.items() if fault.kind == kind]
        if found:
            lines.append(f"| {kind} | {sum(found)} | {len(found) - sum(found)} | {about.expected} |")
    total = sum(was_caught for was_caught, _ in judged.values())
    lines.append(f"| **all** | **{total}** | **{len(judged) - total}** | |")
    misses = [
        f"* night {fault.night}, {fault.kind}: {seen}"
        for fault, (was_caught, seen) in sorted(judged.items(), key=lambda entry: (entry[0].night, entry[0].kind))
        if not was_caught
    ]
    return "\n".join([*lines, "", *(["Missed:", "", *misses] if misses else ["Nothing was missed."])])


def as_policy_table(policies: Mapping[str, Policy]) -> str:
    """Mean accuracy, that of the last night, readings lost and changes, by rule; and what these are."""
    lines = [
        "| rule | mean over the nights | last night | readings lost | promotions |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, policy in policies.items():
        last = sum(policy.rows[-1]) / 2
        lines.append(f"| {name} | {policy.mean:.2%} | {last:.2%} | {policy.num_lost} | {policy.num_changes} |")
    told = (
        "Read by the champion of each rule: held-out digits of both halves of the writers, never in the folder. "
        "Lost are those that were read right until another model took over, and wrong after it."
    )
    return "\n".join([*lines, "", told]).replace("%", " %")


def judge_second_writer(before: float, after: float) -> tuple[bool, str]:
    """Whether the second writers' held-out digits are read no worse at the end than when they came."""
    return after >= before, f"{before:.1%} read right before, {after:.1%} at the end"


def as_sentences(verdicts: Sequence[str], failures: Sequence[str], leaks: Sequence[str], num_in_vain: int) -> str:
    """What else the year showed, in a sentence each."""
    told = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
    return (
        f"Nights that published a report: {len(verdicts)} ({told}); "
        f"that ended badly without a planted cause: {len(failures)}. "
        f"Regression images that were ever trained on: {len(leaks)}. "
        f"Files under their right label that were named as a suspect: {num_in_vain}."
    )
