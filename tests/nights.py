"""Made-up nights as a report shows them; a test gives the fields that it is about."""

import cv2
import numpy as np

from tenarai.locale import _, dump
from tenarai.records import (
    Case,
    CaseStory,
    Change,
    Curves,
    Decision,
    Doubling,
    Evaluation,
    Explanation,
    FreezeResult,
    NightReport,
    PairedCounts,
    Prediction,
    Rejection,
    Score,
    SnapshotInfo,
    Suspect,
    SyncResult,
)
from tests.collections_of_digits import picture, real_digits

EVIL = "inbox/<script>alert(1)</script>](javascript:x)|`$(rm)` \u202egnp.exe"
RUN = "20261125-020000-ab12"


class NoPictures:
    def thumbnail(self, sha256):
        return None

    def digit(self, sha256):
        return np.eye(28, dtype=np.uint8) * 255


class RealDigits:
    """Digits by number; their sha256 is `sha(number)`."""

    def thumbnail(self, sha256):
        return cv2.imencode(".jpg", picture(int(sha256) % 1700))[1].tobytes()

    def digit(self, sha256):
        return 255 - cv2.resize(picture(int(sha256) % 1700), (28, 28), interpolation=cv2.INTER_AREA)


def sha(number):
    return f"{number:064}"


def night(**given):
    """Fields of the evaluation and of the frozen snapshot are given by their own names, without the nesting."""
    fields = {
        "run": "2026-01-02T0200-abc",
        "created": "2026-01-02T02:00:00+00:00",
        "source": "folder:/photos",
        "store": "/store",
        "decision": Decision(
            "promoted", "better", {"won": 9, "lost": 1, "num_images": 20, "p": 0.01, "risk": 0.05, "look": 3}
        ),
        "champion": "m-1",
        "before": "base-1",
        "challenger": "m-1",
        "info": SnapshotInfo("s-1", ("4", "5"), 80, 20, 1, 0, 1),
        "sync": SyncResult(num_seen=101, num_added=3),
        "champion_score": Score(18, 20, 0.7, 0.97),
        "challenger_score": Score(19, 20, 0.76, 0.99),
        "pairs": PairedCounts(2, 1, 16, 1),
        "confusion": ((9, 1), (0, 10)),
        "confusion_labels": ("4", "5"),
        "fresh": Score(2, 3, 0.2, 0.94),
        "regression": (
            Case("misread/4/a.png", "a" * 64, "4", Prediction("5", 0.7, True), Prediction("4", 0.9, False), "fixed"),
        ),
        "inbox": (Case(EVIL, "b" * 64, "", Prediction("5", 0.51, True)),),
        "rejections": (Rejection(EVIL, dump(_("the file is empty"))),),
        "curves": Curves(
            ({"loss": [1, 0.5], "accuracy": [0.5, 0.9], "val_loss": [1, 0.7], "val_accuracy": [0.4, 0.8]},),
            {"loss": [1, 0.4], "accuracy": [0.5, 0.95]},
        ),
        "recipe": "transfer",
        "notes": ("best epoch of each fold: 2",),
        "device": "CPU",
        "seconds": {"sync": 0.1, "train": 2.0},
        "num_images": 101,
        "history": tuple(_past(f"2026-01-0{n}", "kept", "base-1", fresh=(n % 6, 5)) for n in range(1, 2)),
    }
    fields |= given
    evaluation = Evaluation(champion=fields.pop("before"), **_take(fields, Evaluation))
    frozen = FreezeResult(is_new=True, fingerprint="", **_take(fields, FreezeResult))
    return NightReport(frozen=frozen, evaluation=evaluation, **fields)


def _take(fields, record):
    return {name: fields.pop(name) for name in record.__dataclass_fields__ if name in fields and name != "champion"}


def _past(day, verdict, champion, challenger="", *, fresh=(0, 0), scores=None):
    return {
        "run": f"{day.replace('-', '')}-020000-0000",
        "created": f"{day}T02:00:00+09:00",
        "verdict": verdict,
        "champion": champion,
        "challenger": challenger,
        "fresh_right": fresh[0],
        "fresh_images": fresh[1],
        "scores": scores or {},
    }


HISTORY = (
    _past("2026-11-19", "promoted", "m-a", "m-a", fresh=(37, 40), scores={"m-a": (180, 190), "base-1": (176, 190)}),
    _past("2026-11-20", "nothing new", "m-a"),
    _past("2026-11-21", "kept", "m-a", "m-b", fresh=(11, 12), scores={"m-a": (190, 199), "m-b": (190, 199)}),
    _past("2026-11-22", "kept", "m-a", "m-c", fresh=(14, 15), scores={"m-a": (204, 214)}),
    _past("2026-11-23", "promoted", "m-d", "m-d", fresh=(19, 20), scores={"m-d": (225, 231), "m-a": (218, 231)}),
    _past("2026-11-24", "nothing new", "m-d"),
)


def busy_night(**given):
    """A night with something under every heading."""
    return night(
        **{
            "run": RUN,
            "created": "2026-11-25T02:00:00+09:00",
            "champion": "m-e",
            "before": "m-d",
            "challenger": "m-e",
            "decision": Decision(
                "promoted", "better", {"won": 9, "lost": 2, "num_images": 243, "p": 0.0193, "risk": 0.05, "look": 7}
            ),
            "champion_score": Score.of(233, 243),
            "challenger_score": Score.of(240, 243),
            "pairs": PairedCounts(9, 2, 231, 1),
            "doubling": Doubling(118, 243, Score.of(57, 60), Score.of(59, 60)),
            "fresh": Score.of(21, 23),
            "regression": (
                _hard(1, "7", "7", "still misread", CaseStory("relapsed", "20261122-020000-0000", "m-c")),
                _hard(2, "9", "2", "fixed", CaseStory("fixed", RUN, "m-e")),
                _hard(3, "5", "3", "fixed", CaseStory("fixed", RUN, "m-e")),
                _hard(4, "9", "9", "still misread", CaseStory("open", "20261119-020000-0000", "m-a")),
                *(
                    _hard(n, _label(n), _label(n), "read", CaseStory("fixed", "20261120-020000-0000", "m-a"))
                    for n in range(5, 15)
                ),
            ),
            "history": HISTORY,
            "explanations": (
                Explanation(sha(1), tuple((sha(n), _label(n)) for n in range(100, 105)), bytes(range(196))),
            ),
            "newly_found": (_case(20, "3"), _case(21, "7")),
            "disputed": (
                _case(21, "7", _label(21), "won"),
                *(_case(n, "0", _label(n), "won") for n in range(22, 30)),
                _case(31, _label(31), "4", "lost"),
            ),
            "suspects": (
                Suspect("digits/4/IMG_2032.png", sha(32), "4", "label", _label(32), 0.987),
                Suspect("digits/7/IMG_2034.png", sha(34), "7", "outlier", confidence=0.4),
                Suspect("digits/5/copy.png", sha(35), "5", "duplicate", "", 0.0, "misread/5/scan 3.png", sha(35)),
            ),
            "inbox": tuple(
                Case(f"inbox/IMG_20{n}.png", sha(n), "", Prediction(_label(n), 0.03 * n - 0.8, n < 48))
                for n in range(40, 60)
            ),
            "filed": (
                Case("digits/7/b.png", sha(21), "7", was_read_as="1"),
                Case("digits/7/c.png", sha(22), "7", was_read_as="7"),
            ),
            "rejections": (
                Rejection("digits/1/IMG_0001.heic", "the file is empty"),
                Rejection("inbox/notes.txt", "not an image"),
            ),
            "confusion": tuple(
                tuple(24 if row == column else int((row * 7 + column) % 31 == 0) for column in range(10))
                for row in range(10)
            ),
            "confusion_labels": tuple("0123456789"),
            "curves": Curves(
                tuple(
                    {
                        "loss": [1 / n for n in range(1, 13)],
                        "accuracy": [1 - 0.4 / n for n in range(1, 13)],
                        "val_loss": [0.1 + 1 / n for n in range(1, 13)],
                        "val_accuracy": [0.97 - 0.3 / n - 0.01 * fold for n in range(1, 13)],
                    }
                    for fold in range(5)
                ),
                {"loss": [1 / n for n in range(1, 10)], "accuracy": [1 - 0.4 / n for n in range(1, 10)]},
            ),
            "info": SnapshotInfo("s-12ab34", tuple("0123456789"), 243, 20, 14, 2, 1),
            "withheld": ("digits/4/copy.png",),
            "changes": (Change("added", "4", "18", "26"), Change("setting", "max_epochs", "60", "25")),
            **given,
        }
    )


def quiet_night(**given):
    """The night after `busy_night`, on which nothing is new and nobody did anything."""
    return busy_night(
        **{
            "run": "20261126-020000-ab12",
            "created": "2026-11-26T02:00:00+09:00",
            "before": "m-e",
            "challenger": "",
            "decision": Decision("nothing new", "unchanged"),
            "champion_score": None,
            "challenger_score": None,
            "pairs": None,
            "doubling": None,
            "fresh": None,
            "confusion": (),
            "curves": None,
            "disputed": (),
            "newly_found": (),
            "changes": (),
            "explanations": (),
            "filed": (),
            "history": (
                *HISTORY,
                _past(
                    "2026-11-25",
                    "promoted",
                    "m-e",
                    "m-e",
                    fresh=(21, 23),
                    scores={"m-e": (240, 243), "m-d": (233, 243)},
                ),
            ),
            **given,
        }
    )


def _label(number):
    return str(real_digits()[1][number])


def _case(number, champion, challenger=None, status="", folder="digits"):
    label = _label(number)
    theirs = Prediction(challenger, 0.9, False) if challenger else None
    return Case(
        f"{folder}/{label}/IMG_20{number}.png", sha(number), label, Prediction(champion, 0.93, False), theirs, status
    )


def _hard(number, champion, challenger, status, story):
    case = _case(number, champion, challenger, status, folder="misread")
    return Case(case.path, case.sha256, case.label, case.champion, case.challenger, status, "", story)
