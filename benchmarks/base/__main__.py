"""Train the base model, or measure it on other people's digits.

.venv/bin/python -m benchmarks.base score DATA      DATA is a folder of <set>/<label>/<file>, one set a writer
.venv/bin/python -m benchmarks.base pretrain        needs hours on a CPU
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tenarai.errors import TenaraiError


def score(given: argparse.Namespace) -> None:
    from benchmarks.base.score import as_table, draw_misread, score_folder

    scores = score_folder(
        given.data,
        draws=given.draws,
        few_shot=not given.base_only,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if given.sheet:
        given.sheet.parent.mkdir(parents=True, exist_ok=True)
        given.sheet.write_bytes(draw_misread(scores))
    print(
        "\n".join(json.dumps(one.as_json(), ensure_ascii=False) for one in scores) if given.json else as_table(scores)
    )


def pretrain(given: argparse.Namespace) -> None:
    from benchmarks.base.pretrain import measure_base, pretrain_base

    options = {"epochs": given.epochs, "seed": given.seed, "share": given.share, "go_on": given.go_on}
    info = (
        measure_base(given.mnist, given.usps, given.out)
        if given.measure_only
        else pretrain_base(given.mnist, given.usps, given.out, **options)
    )
    print(f"{info.id}: {info.metrics}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.base", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("score", help="how many digits the base reads, as it is and after a few samples")
    one.set_defaults(run=score)
    one.add_argument("data", type=Path, metavar="DATA", help="folder of <set>/<label>/<file>")
    one.add_argument("--draws", type=int, default=3, help="how often samples are drawn (default: 3)")
    one.add_argument("--base-only", action="store_true", help="train nothing")
    one.add_argument("--sheet", type=Path, metavar="PNG", help="draw the misread images")
    one.add_argument("--json", action="store_true", help="one JSON object a set")
    other = commands.add_parser("pretrain", help="train the base model; writes weights, record and card")
    other.set_defaults(run=pretrain)
    other.add_argument("--mnist", type=Path, metavar="NPZ", help="MNIST as Keras has it (default: Keras downloads it)")
    other.add_argument("--usps", type=Path, metavar="NPZ", help="the same of USPS (default: without it)")
    other.add_argument("--out", type=Path, default=Path("tenarai/model/base"), help="default: tenarai/model/base")
    other.add_argument("--epochs", type=int, default=18)
    other.add_argument("--seed", type=int, default=0)
    other.add_argument("--share", type=float, default=1.0, help="share of the training images, 0 to 1")
    other.add_argument("--go-on", action="store_true", help="continue from the shipped base")
    other.add_argument(
        "--measure-only", action="store_true", help="keep the shipped weights; measure them with today's normaliser"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    given = parse(arguments)
    try:
        given.run(given)
    except (TenaraiError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
