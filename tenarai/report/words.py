"""Shares, scores, days and times as a report words them."""

from __future__ import annotations

from datetime import datetime

from tenarai.locale import Message, _
from tenarai.records import Score

WEEKDAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
MONTHS = (
    _("Jan"), _("Feb"), _("Mar"), _("Apr"), _("May"), _("Jun"),
    _("Jul"), _("Aug"), _("Sep"), _("Oct"), _("Nov"), _("Dec"),
)  # fmt: skip


def percent(share: float) -> str:
    """0.904 → `90.4 %`, with a space that does not break."""
    return f"{100 * share:.1f}\u00a0%"


def word_score(score: Score) -> Message:
    """A score with its counts and interval."""
    return _(
        "{right} of {images} ({share}), 95 % interval {low} – {high}",
        right=score.num_right,
        images=score.num_images,
        share=percent(score.accuracy),
        low=percent(score.low),
        high=percent(score.high),
    )


def word_share(score: Score) -> Message:
    """A share with its interval."""
    low, high = percent(score.low), percent(score.high)
    return _("{share} (95 % interval {low} – {high})", share=percent(score.accuracy), low=low, high=high)


def word_day(moment: datetime) -> Message:
    """A day without its year: `25 Nov`."""
    return _("{day} {month}", day=moment.day, month=MONTHS[moment.month - 1])


def word_moment(at: datetime) -> Message:
    """A day with its time."""
    return _(
        "{weekday}, {day} {year}, {time}",
        weekday=WEEKDAYS[at.weekday()],
        day=word_day(at),
        year=at.year,
        time=f"{at:%H:%M}",
    )
