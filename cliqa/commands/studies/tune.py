"""Tune: ``cliqa tune config/demo_ewc.py --search "cl_strategy.strength=log(1, 1e6)"``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from cliqa.config.trust import trusting
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import STUDY, add_argument, add_arguments, add_renamed, check_at_least
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_folder, config_path


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Choose values of a config's keys on the validation data of the first data "
        "sets of its stream: what a user can know before the others come. No test data are used. "
        "The same command continues where it was stopped; a larger --trials goes on."
    )
    parser.add_argument(
        "config", type=config_path, metavar="CONFIG", help="e.g. cliqa::demo_ewc.py"
    )
    parser.add_argument(
        "--search",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=RANGE",
        help="what to try, in quotes: 'cl_strategy.strength=log(1, 1e6)' "
        "'cl_strategy.alpha=uniform(0, 1)' 'cl_strategy.train_epochs=int(4, 12)' "
        "'cl_strategy.mode=[separate, online]'",
    )
    add_renamed(parser, "--tune", "--search")
    parser.add_argument(
        "--space", metavar="FILE", help="config whose dict `tune` has more of these, by KEY"
    )
    parser.add_argument(
        "--trials", type=int, default=12, metavar="N", help="try N sets of values (default: 12)"
    )
    parser.add_argument(
        "--experiences",
        type=int,
        default=2,
        metavar="N",
        help="learn the first N data sets of the stream (default: 2)",
    )
    add_argument(parser, "--seeds", default=[0], help="seeds of each trial (default: 0)")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="measure a trial after every experience, seed by seed, and stop it where it is below "
        "the median of the finished ones at the same step",
    )
    parser.add_argument(
        "--sampler-seed", type=int, default=0, metavar="S", help="seed of the draws (default: 0)"
    )
    shown = "folder of the tuning (default: work_dirs/tune_<config name>)"
    add_argument(parser, "--out", help=shown)
    add_arguments(parser, "--data", *STUDY)
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Tune, write and print the table; the status is 1 if no trial has finished."""
    check_at_least(1, "--trials", args.trials)
    options = BackendOptions.of(args)
    check_output_folder(args.out)
    from cliqa.api.validation import validated  # noqa: PLC0415
    from cliqa.config.load import load_config  # noqa: PLC0415  --help is fast
    from cliqa.datasets.own.options import data_options  # noqa: PLC0415
    from cliqa.evaluation.records.table_styles import render  # noqa: PLC0415
    from cliqa.studies.backends.commands import TRAIN  # noqa: PLC0415
    from cliqa.studies.search_space import as_options, read_space  # noqa: PLC0415
    from cliqa.studies.tuning import Tuning  # noqa: PLC0415
    from cliqa.studies.tuning_files import trial_table, write_tuning  # noqa: PLC0415
    from cliqa.studies.tuning_runs import tune  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415

    device = resolve_device(args.device)
    load = partial(load_config, args.config)
    tuning = Tuning(
        file=Path(args.config),
        out=args.out or Path("work_dirs") / f"tune_{Path(args.config).stem}",
        space=read_space(args.search, args.space),
        trials=args.trials,
        seeds=tuple(args.seeds),
        experiences=args.experiences,
        options=tuple(data_options(args.data, load, args.cfg_options)),
        seed=args.sampler_seed,
        prune=args.prune,
    )
    with options.opened(tuning.out) as backend:
        trials = tune(
            replace(tuning, jobs=backend.parallel),
            TRAIN,
            lambda run, learnt: validated(run.folder, learnt, device, args.allow_changed_data),
            backend,
            device=args.device,
            allow_changed_data=args.allow_changed_data,
        )
    print(render(trial_table(tuning, trials), args.format))
    best, files = write_tuning(tuning, trials, [args.format])
    print(f"best: {' '.join(as_options(best.values))}")
    for file in files:
        print(file)
    return 0
