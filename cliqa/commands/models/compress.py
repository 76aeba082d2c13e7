"""Make a trained model deployable: ``cliqa compress export work_dirs/demo``.

``quantize``, ``prune`` and ``auto`` make it smaller and faster, and measure the loss of quality.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_argument, add_arguments
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file, check_output_folder

Commands = argparse._SubParsersAction


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments; ``run`` is the subcommand's function."""
    parser = argparse.ArgumentParser(description="Make a trained model deployable.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_export, add_quantize, add_prune, add_auto):
        add(commands)
    return parser.parse_args(argv)


def add_export(commands: Commands) -> None:
    """Add ``export``."""
    parser = commands.add_parser(
        "export",
        help="write one ONNX file with weights and preprocessing",
        description="Write a checkpoint's model as one ONNX file, compared with it at several "
        "batch sizes. Adapters are merged; a gate among experiences is in the file.",
    )
    parser.add_argument(
        "checkpoint", help="work_dir or checkpoint; with --self-contained an .onnx file too"
    )
    parser.add_argument("--out", help="file to write (default: model.onnx in the work_dir)")
    parser.add_argument(
        "--self-contained",
        action="store_true",
        help="put preprocessing and scale into the graph: it takes 8-bit pixels of any size",
    )
    add_argument(
        parser,
        "--scale",
        help="of a self-contained file's scores (default: the run's data sets', else 0 1)",
    )
    add_argument(parser, "--dataset", help="the scale of this data set instead")
    parser.add_argument(
        "--size", help="224, or height x width as 384x512 (default: what the preprocessing gives)"
    )
    parser.add_argument(
        "--dynamic-size",
        nargs="?",
        const="always",
        choices=("always", "auto", "never"),
        help="let images have any size: always, or auto: where that can be had (default: auto "
        "where the preprocessing leaves images their own size, else never)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference to the model, relative to outputs above 1 (default: 1e-5; 1e-4 "
        "for Swin transformers and generated weights)",
    )
    add_arguments(parser, "--trust")
    parser.set_defaults(run=export)


def export(args: argparse.Namespace) -> None:
    """Export a checkpoint and print the report."""
    check_output_file(args.out, inputs=[args.checkpoint])
    if not args.self_contained and (args.scale or args.dataset):
        raise ConfigError("--scale and --dataset are of a file that is exported --self-contained.")
    from cliqa.compress.export import (  # noqa: PLC0415  --help answers without it
        export_checkpoint,
        report_lines,
    )
    from cliqa.compress.image_size import parse_size  # noqa: PLC0415

    options = {
        "size": parse_size(args.size, "--size") if args.size else None,
        "dynamic_size": {"always": True, "never": False}.get(args.dynamic_size, args.dynamic_size),
        "tolerance": args.tolerance,
    }
    if args.self_contained:
        from cliqa.compress.self_contained import export_self_contained  # noqa: PLC0415

        scale = {"scale": args.scale, "dataset": args.dataset}
        print(
            "\n".join(export_self_contained(args.checkpoint, args.out, **scale, **options).lines())
        )
        return
    print("\n".join(report_lines(export_checkpoint(args.checkpoint, args.out, **options))))


def add_quantize(commands: Commands) -> None:
    """Add ``quantize``."""
    parser = commands.add_parser(
        "quantize",
        help="write a model in eight or sixteen bits",
        description="Quantize a run's model, or an ONNX file of this package, by training images "
        "of its stream. Where eight bits do harm, layers or activations get more.",
    )
    parser.add_argument("model", help="work_dir, checkpoint or .onnx file")
    parser.add_argument(
        "--precision",
        choices=("int8", "fp16", "bf16", "int8-bf16"),
        default="int8",
        help="bf16 and int8-bf16 (depthwise convolutions in bfloat16) are of openvino",
    )
    parser.add_argument("--backend", choices=("onnxruntime", "openvino"), default="onnxruntime")
    parser.add_argument(
        "--in-float",
        nargs="+",
        default=[],
        metavar="PART",
        help="parts that stay in float: stem, depthwise, squeeze-excite (of onnxruntime int8)",
    )
    parser.add_argument("--images", help="folder of images to calibrate with instead")
    parser.add_argument("--count", type=int, default=128, help="images to look at (default: 128)")
    parser.add_argument("--dataset-root", help="where the stream's data lie now")
    parser.add_argument("--out", help="file to write: .onnx, with openvino .xml")
    add_arguments(parser, "--trust")
    parser.set_defaults(run=quantize)


def quantize(args: argparse.Namespace) -> None:
    """Quantize a model and print the report."""
    check_output_file(args.out, inputs=[args.model])
    from cliqa.compress.quantize import quantize_model  # noqa: PLC0415  --help is fast

    lines = quantize_model(
        args.model,
        args.out,
        precision=args.precision,
        backend=args.backend,
        images=args.images,
        count=args.count,
        dataset_root=args.dataset_root,
        in_float=args.in_float,
    )
    print("\n".join(lines))


def add_prune(commands: Commands) -> None:
    """Add ``prune``."""
    parser = commands.add_parser(
        "prune",
        help="remove channels, and fine-tune what is left",
        description="Remove a share of a run's channels and fine-tune on its training data, taught "
        "by the unpruned model. The same command resumes after a stop.",
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint")
    parser.add_argument("--ratio", type=float, required=True, help="share of the channels, 0..1")
    parser.add_argument("--epochs", type=int, required=True, help="of fine-tuning, each step")
    parser.add_argument("--steps", type=int, default=1, help="in how many steps (default: 1)")
    parser.add_argument("--no-distillation", action="store_true", help="without the teacher")
    parser.add_argument(
        "--round-to", type=int, default=16, help="multiple that a layer keeps (default: 16)"
    )
    parser.add_argument(
        "--importance",
        choices=("magnitude", "bn_scale", "random"),
        default="magnitude",
        help="what ranks channels (default: magnitude)",
    )
    parser.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="PART",
        help="parts to leave out: backbone.layer1",
    )
    parser.add_argument("--out", help="new work_dir (default: WORK_DIR_pruned_RATIO)")
    add_arguments(parser, "--device", "--allow-changed-data", "--format", "--trust")
    parser.set_defaults(run=prune)


def prune(args: argparse.Namespace) -> None:
    """Prune and fine-tune a run."""
    check_output_folder(args.out)
    from cliqa.compress.prune import prune_run  # noqa: PLC0415
    from cliqa.compress.pruning_record import pruning_table  # noqa: PLC0415
    from cliqa.engine.work_dir.checkpoints import find_checkpoint  # noqa: PLC0415  --help is fast

    out = args.out
    if out is None:
        folder = find_checkpoint(args.checkpoint).resolve().parent.parent
        out = folder.with_name(f"{folder.name}_pruned_{100 * args.ratio:g}")
    content = prune_run(
        args.checkpoint,
        ratio=args.ratio,
        out=out,
        epochs=args.epochs,
        steps=args.steps,
        distil=not args.no_distillation,
        round_to=args.round_to,
        importance=args.importance,
        ignore=args.ignore,
        device=args.device,
        allow_changed_data=args.allow_changed_data,
    )
    if args.format != "text":  # which the log has
        print(pruning_table(content, args.format))
    print(out)


def add_auto(commands: Commands) -> None:
    """Add ``auto``."""
    parser = commands.add_parser(
        "auto",
        help="try all of it on this machine, and choose within a budget",
        description="Measure precisions, backends and prunings of a run's model on this machine; "
        "write every file, a table and a figure; name the best within the budget. The same command "
        "resumes after a stop.",
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint")
    parser.add_argument(
        "--preset",
        choices=("research", "cloud", "edge", "mobile", "production"),
        help="target, budget and prunings by where the model is used",
    )
    parser.add_argument("--target", choices=("size", "latency", "quality"), help="default: size")
    limits = parser.add_argument_group("budget (default: --max-drop 0.02)")
    limits.add_argument("--max-drop", type=float, help="SRCC or accuracy that may be lost")
    limits.add_argument("--max-mib", type=float, help="size of the file, in MiB")
    limits.add_argument("--max-ms", type=float, help="CPU time of a pass, in milliseconds")
    limits.add_argument("--min-smaller", type=float, help="times smaller than the run's weights")
    limits.add_argument("--min-faster", type=float, help="times faster than PyTorch in float32")
    parser.add_argument(
        "--prune", nargs="+", type=float, default=[], help="shares of channels to prune: 0.3 0.5"
    )
    parser.add_argument("--epochs", type=int, default=4, help="of fine-tuning (default: 4)")
    parser.add_argument("--no-distillation", action="store_true", help="without the teacher")
    parser.add_argument(
        "--backends",
        nargs="+",
        choices=("onnxruntime", "openvino", "torch"),
        help="default: the first two where they are installed; torch adds bfloat16",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=("fp32", "fp16", "bf16", "int8", "int8-bf16"),
        help="default: all that the backends have; of pruned models fp32 and int8",
    )
    parser.add_argument("--count", type=int, default=128, help="calibration images (default: 128)")
    parser.add_argument("--batch-size", type=int, default=1, help="of a timed pass (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1, steadiest)")
    parser.add_argument("--rounds", type=int, default=15, help="passes timed (default: 15)")
    parser.add_argument("--out", help="folder to write to (default: deploy in the work_dir)")
    add_arguments(parser, "--allow-changed-data", "--format", "--trust")
    parser.set_defaults(run=auto)


def auto(args: argparse.Namespace) -> None:
    """Search for a deployment."""
    check_output_folder(args.out)
    from cliqa.compress.auto import search_deployments  # noqa: PLC0415  --help is fast
    from cliqa.deploy.search.options import DeployOptions  # noqa: PLC0415

    names = ("max_drop", "max_mib", "max_ms", "min_smaller", "min_faster")
    budget = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    asked = {
        "preset": args.preset,
        "target": args.target,
        "budget": budget or None,
        "prunings": args.prune or None,
        "backends": args.backends,
        "precisions": args.precisions,
    }
    options = DeployOptions(
        **{name: value for name, value in asked.items() if value is not None},
        distil=not args.no_distillation,
        epochs=args.epochs,
        images=args.count,
        batch_size=args.batch_size,
        threads=args.threads,
        rounds=args.rounds,
    )
    search_deployments(
        args.checkpoint, args.out, options, args.allow_changed_data, style=args.format
    )


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Run a subcommand."""
    args.run(args)
