"""Check folders of quality data sets, or write one as csv: ``cliqa data iqa check D``.

``check`` says which data set a folder holds, what is missing, unreadable or left over, what its
scores are like, and the lines of a config that read it. ``convert`` writes any of them as the one
csv file of the generic reader, ``ScoreFile``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.config.option_values import parse_value
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file

PROBLEMS = 1
"""The exit status of ``check`` where something is wrong in a folder."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Check folders of image quality data sets, or write one as a csv file."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="which data set a folder holds, and what is wrong with it",
        description="Say which data set each folder holds, what is missing, unreadable or left "
        "over, and what its scores are like. The exit status is 1 where something is wrong.",
    )
    check.add_argument(
        "roots", nargs="+", metavar="ROOT", help="data sets' folders, or a folder of them"
    )
    check.add_argument(
        "--images", action="store_true", help="decode every image (default: read their headers)"
    )
    check.add_argument("--json", action="store_true", help="print all of it as JSON")
    convert = commands.add_parser(
        "convert",
        help="write a data set as one csv file",
        description="Write a data set as the csv file of the generic reader: image, score, and "
        "std, group, split and attributes where it has them. Images without a file are left out.",
    )
    convert.add_argument("root", help="the data set's folder")
    convert.add_argument("out", metavar="OUT.csv", help="the file to write")
    convert.add_argument("--force", action="store_true", help="replace the file if it is there")
    for command in (check, convert):
        command.add_argument(
            "--type", metavar="NAME", help="the data set's reader (default: recognised)"
        )
        command.add_argument(
            "--option",
            nargs="+",
            action="extend",
            default=[],
            metavar="KEY=VALUE",
            help="arguments of the reader, e.g. score=align fractions=(0,0,1)",
        )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    args = parse_args(argv)
    section = _section(args)
    return _check(args, section) if args.command == "check" else _convert(args, section)


def _section(args: argparse.Namespace) -> dict[str, Any]:
    """Return the reader and its arguments that the user gave."""
    section: dict[str, Any] = {"type": args.type} if args.type else {}
    for option in args.option:
        key, sign, value = option.partition("=")
        if not sign or not key.isidentifier():
            raise ConfigError(f"--option {option}: expected KEY=VALUE.")
        section[key] = parse_value(value, "", f"--option {key}")
    return section


def _check(args: argparse.Namespace, section: dict[str, Any]) -> int:
    from cliqa.datasets.folders.known import find_sets, scenario_text  # noqa: PLC0415  --help is fast
    from cliqa.datasets.folders.report import describe  # noqa: PLC0415
    from cliqa.datasets.folders.shared import shared_lines  # noqa: PLC0415
    from cliqa.datasets.folders.text import HEADER, summary_rows, text_lines  # noqa: PLC0415
    from cliqa.evaluation.records.table_styles import Table, render  # noqa: PLC0415
    from cliqa.utils.io import to_json  # noqa: PLC0415

    folders = [root for root in args.roots if not Path(root).is_file()]  # a shell's data/*
    sets = [one for root in folders or args.roots for one in find_sets(root, section)]
    reports = [describe(one, args.images) for one in sets]
    shared = shared_lines(sets)
    if args.json:
        print(to_json({"folders": [one.to_dict() for one in reports], "shared": shared}, indent=2))
    else:
        for report in reports:
            print("\n".join(text_lines(report)), end="\n\n")
        if len(reports) > 1:
            print(render(Table("Data sets", HEADER, tuple(summary_rows(reports)))))
            print("\n".join(shared), end="\n\n" if shared else "")
        print(scenario_text(sets))
    return PROBLEMS if any(one.problems for one in reports) else 0


def _convert(args: argparse.Namespace, section: dict[str, Any]) -> int:
    check_output_file(args.out, "OUT.csv", suffixes=(".csv",))
    if Path(args.out).exists() and not args.force:
        raise ConfigError(f"{args.out} exists already. Give --force to replace it.")
    from cliqa.datasets.folders.convert import csv_text, generic_section  # noqa: PLC0415
    from cliqa.datasets.folders.known import config_text, find_set  # noqa: PLC0415
    from cliqa.utils.errors import DatasetError  # noqa: PLC0415
    from cliqa.utils.io import write_text  # noqa: PLC0415

    found = find_set(args.root, section)
    data = found.data
    if data is None:
        raise DatasetError("\n".join([f"{found.root}: cannot be read.", *found.mistakes]))
    if Path(args.out).absolute() == data.table.source.absolute():
        raise ConfigError(f"{args.out} is the data set's own label file. Choose another name.")
    write_text(args.out, csv_text(data))
    print(f"{args.out}: {len(data)} images of {found.section['type']}. In a config:")
    print(config_text(generic_section(data, args.out), data.root))
    if data.absent:
        print(f"{len(data.absent)} images without a file are left out.")
    if data.table.shares is not None:
        print("The raters' distributions have no column: read the official files for them.")
    return 0
