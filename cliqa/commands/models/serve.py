"""Serve a trained model over HTTP: ``cliqa serve model.onnx --port 8000``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cliqa.config.trust import trusting
from cliqa.hub.source import on_this_machine
from cliqa.serve.options import ServiceOptions
from cliqa.utils.arguments import SCALE, add_arguments, whole
from cliqa.utils.cli import command
from cliqa.utils.paths import named_checkpoint


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Serve a trained model over HTTP: POST /score, /health, /metrics, /docs."
    )
    parser.add_argument("model", help="work_dir, checkpoint, or exported model (.onnx)")
    parser.add_argument(
        "--host",
        default=ServiceOptions.host,
        help="address to listen at (default: 127.0.0.1, this machine alone); 0.0.0.0 is any, and "
        "anyone who reaches it may score images",
    )
    parser.add_argument(
        "--port", type=whole, default=ServiceOptions.port, help="default: 8000; 0 for a free one"
    )
    parser.add_argument(
        "--processes",
        type=whole,
        metavar="N",
        help="each with a copy of the model (default: one a usable core)",
    )
    text = "images that are scored in one pass, at most"
    parser.add_argument("--batch-size", **_count(ServiceOptions.batch_size, text))
    text = "images that may wait in each process; then the answer is 429"
    parser.add_argument("--queue", **_count(ServiceOptions.queue, text))
    parser.add_argument(
        "--max-images", **_count(ServiceOptions.max_images, "images of a request, at most")
    )
    parser.add_argument(
        "--max-bytes", **_count(ServiceOptions.max_bytes, "bytes of a request's body, at most")
    )
    text = "pixels of an image, at most; checked before it is decoded"
    parser.add_argument("--max-pixels", **_count(ServiceOptions.max_pixels, text))
    parser.add_argument(
        "--max-wait",
        type=float,
        default=1000 * ServiceOptions.max_wait,
        metavar="MS",
        help="milliseconds that an image waits for others to fill its batch (default: 5)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=ServiceOptions.timeout,
        metavar="S",
        help="seconds that a request may take, its arrival included (default: 30)",
    )
    add_arguments(parser, *SCALE)
    parser.add_argument(
        "--allow-urls",
        action="store_true",
        help="let clients name images by public addresses, which the service then fetches",
    )
    parser.add_argument(
        "--access-log",
        action="store_true",
        help="print a line of JSON for every request, without anything of the images",
    )
    add_arguments(parser, "--checkpoint", "--device", "--trust")
    return parser.parse_args(argv)


def _count(default: int, text: str) -> dict[str, Any]:
    """Return how a limit is parsed."""
    return {
        "type": whole,
        "default": default,
        "metavar": "N",
        "help": f"{text} (default: {default})",
    }


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; what is in the queue is answered before the end."""
    from cliqa.serve.supervisor import Supervisor  # noqa: PLC0415  --help is fast
    from cliqa.utils.device import usable_cpus  # noqa: PLC0415

    cores = usable_cpus()
    processes = cores if args.processes is None else args.processes
    values = vars(args) | {
        "model": str(named_checkpoint(on_this_machine(args.model), args.named)),
        "processes": processes,
        "threads": max(1, cores // max(1, processes)),
        "max_wait": args.max_wait / 1000,
        "scale": tuple(args.scale) if args.scale else None,
    }
    del values["named"]
    return Supervisor(ServiceOptions(**values)).run()
