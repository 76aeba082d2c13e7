"""Draw a run's figures, or compare runs: ``cliqa visualize work_dirs/demo [MORE]``.

``--mode`` chooses others: ``training evaluation compare matrix tradeoff`` are drawn from files,
``attention words embedding ranking`` with the trained model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.config.trust import trusting
from cliqa.evaluation.records.table_styles import STYLES
from cliqa.utils.arguments import add_arguments, check_at_least
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_files, check_output_folder

if TYPE_CHECKING:
    from cliqa.visualization.modes import Target

FROM_FILES = {
    "training": "loss and scores of every epoch; several runs in one figure",
    "compare-training": "the same for two runs or more",
    "evaluation": "predictions against scores, from eval_results.json",
    "compare": "final scores of several runs, or of several eval_results.json",
    "matrix": "score matrices and forgetting",
    "tradeoff": "plasticity against stability; --labels EWC=0.1 EWC=1 makes a line over values",
}
FROM_MODELS = {
    "attention": "where in --images the model looks: spatial attention, else Grad-CAM",
    "words": "where in --images the words of a FusionModel's likeliest candidates look",
    "embedding": "the model's features as a map of the test images (t-SNE or PCA)",
    "ranking": "scores of --images at rising degradation",
}
ONLY_FOR = {
    "labels": ("training", "compare-training", "evaluation", "compare", "tradeoff", ""),
    "table": ("",),
    "images": ("attention", "words", "embedding", "ranking"),
    "layer": ("attention",),
    "datasets": ("embedding",),
    "method": ("embedding",),
    "samples": ("embedding",),
    "distortions": ("ranking",),
    "levels": ("ranking",),
    "device": tuple(FROM_MODELS),
}
"""The modes that an option applies to; ``""`` is no mode."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    modes = "\n".join(
        f"  {name:<16} {what}" for name, what in {**FROM_FILES, **FROM_MODELS}.items()
    )
    parser = argparse.ArgumentParser(
        description="Draw the figures of one run, or the comparison of several.",
        epilog=f"modes:\n{modes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="WORK_DIR", help="work_dir, or a file in it"
    )
    parser.add_argument("--mode", default="", choices=(*FROM_FILES, *FROM_MODELS), help="see below")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder to write to (default: WORK_DIR/figures; of a comparison: the current one)",
    )
    parser.add_argument("--format", default="png", choices=("png", "pdf", "svg"))
    parser.add_argument("--dpi", type=int, default=200, help="pixels per inch (default: 200)")
    parser.add_argument("--labels", nargs="+", help="names to show, one for each WORK_DIR")
    parser.add_argument(
        "--table",
        nargs="+",
        metavar="FILE",
        help="files for the table of several runs: .md, .txt, .tex, .html or .csv",
    )
    parser.add_argument("--images", nargs="+", help="image files and folders")
    parser.add_argument("--layer", help="layer for --mode attention, e.g. backbone.layer3")
    parser.add_argument(
        "--datasets",
        nargs="+",
        help="data sets of the config, or TYPE=ROOT (default: all)",
    )
    parser.add_argument("--method", choices=("tsne", "pca"), help="map of features (default: tsne)")
    parser.add_argument(
        "--samples", type=int, help="images of each data set in the map (default: 400)"
    )
    parser.add_argument(
        "--distortions",
        nargs="+",
        help="families of degradation, e.g. blur jpeg noise darken (default: the first three)",
    )
    parser.add_argument("--levels", type=int, help="degraded versions (default: 5)")
    parser.add_argument("--device", help="auto (default), cpu, cuda or cuda:N")
    add_arguments(parser, "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Draw, and print the files written (of a comparison of runs, its table too)."""
    check_output_folder(args.out)
    check_output_files(args.table or [], "--table", tuple(STYLES), inputs=args.inputs)
    _check(args)
    from cliqa.visualization.modes import Target, figure_folder  # noqa: PLC0415  --help is fast

    if args.out is None and len(args.inputs) == 1 and args.inputs[0].exists():
        check_output_folder(figure_folder(args.inputs[0]), "figures")
    target = Target(args.out, args.format, args.dpi)
    draw = {"": _draw_runs, **dict.fromkeys(FROM_MODELS, _draw_models)}.get(args.mode, _draw_files)
    for file in draw(args, target):
        print(file)


def _check(args: argparse.Namespace) -> None:
    """Refuse options that are out of range, or do not apply to the mode."""
    if not 10 <= args.dpi <= 2400:
        raise ConfigError(f"--dpi {args.dpi}: must lie between 10 and 2400.")
    for option, modes in ONLY_FOR.items():
        if getattr(args, option) is not None and args.mode not in modes:
            named = ", ".join(mode for mode in modes if mode)
            where = f"to --mode {named}" if named else "without --mode"
            raise ConfigError(f"--{option}: applies only {where}.")
    if args.mode in FROM_MODELS and len(args.inputs) > 1:
        raise ConfigError(f"--mode {args.mode}: give one work_dir or checkpoint.")
    if args.mode in ("attention", "words", "ranking") and not args.images:
        raise ConfigError(f"--mode {args.mode}: give --images, files or folders.")
    check_at_least(2, "--samples", args.samples)
    check_at_least(1, "--levels", args.levels)


def _draw_runs(args: argparse.Namespace, target: Target) -> list[Path]:
    """Draw one run's figures, or the comparison of several with its table."""
    from cliqa.evaluation.records.table_styles import render  # noqa: PLC0415
    from cliqa.evaluation.records.tables import comparison_table  # noqa: PLC0415
    from cliqa.utils.io import write_text  # noqa: PLC0415
    from cliqa.visualization.modes import draw_compared, load_runs  # noqa: PLC0415
    from cliqa.visualization.run import draw_run  # noqa: PLC0415

    if len(args.inputs) == 1:
        if args.table:
            raise ConfigError("--table: compares runs; give two or more.")
        return draw_run(args.inputs[0], args.out, file_format=args.format, dpi=args.dpi)
    files = draw_compared(args.inputs, args.labels or (), target)
    if files[0].stem == "comparison":
        table = comparison_table(load_runs(args.inputs, args.labels or ()))
        print(render(table))
        for name in args.table or ():
            write_text(name, render(table, STYLES[Path(name).suffix]))
            files.append(Path(name))
    return files


def _draw_files(args: argparse.Namespace, target: Target) -> list[Path]:
    """Draw a mode that reads only files."""
    from cliqa.visualization import modes  # noqa: PLC0415

    draw: dict[str, Callable[..., list[Path]]] = {
        "training": modes.draw_training,
        "compare-training": modes.draw_compared_training,
        "evaluation": modes.draw_evaluated,
        "compare": modes.draw_compared,
        "matrix": modes.draw_matrices,
        "tradeoff": modes.draw_tradeoffs,
    }
    return draw[args.mode](args.inputs, args.labels or (), target)


def _draw_models(args: argparse.Namespace, target: Target) -> list[Path]:
    """Draw a mode that runs the trained model."""
    from cliqa.explain import figures  # noqa: PLC0415
    from cliqa.inference.predict import Predictor  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415

    predictor = Predictor(args.inputs[0], resolve_device(args.device or "auto"))
    if args.mode == "attention":
        return figures.save_attention(predictor, args.images, target, args.layer)
    if args.mode == "words":
        return figures.save_words(predictor, args.images, target)
    if args.mode == "ranking":
        kinds, levels = args.distortions or ("blur", "jpeg", "noise"), args.levels or 5
        return figures.save_ranking(predictor, args.images, target, kinds, levels)
    return figures.save_embedding(
        predictor,
        target,
        images=args.images or (),
        data_sets=args.datasets or (),
        method=args.method or "tsne",
        samples=args.samples or 400,
    )
