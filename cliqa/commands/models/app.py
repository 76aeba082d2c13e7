"""Open the web app: ``cliqa app --work-dirs work_dirs``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_arguments, check_at_least, check_at_most, whole
from cliqa.utils.cli import command
from cliqa.utils.device import check_device
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_folder, shipped_configs
from cliqa.utils.system.extras import install_extra
from cliqa.utils.system.ports import check_port

MB = 2**20

MOST_IMAGES, MOST_JOBS, MOST_MB = 1_000_000, 256, 65_536
"""More is a slip of the finger."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Serve the web app: train, look at runs and studies, score images and compress "
        "models in a browser."
    )
    parser.add_argument(
        "--work-dirs",
        type=Path,
        default=Path("work_dirs"),
        help="folder of runs and studies (default: work_dirs)",
    )
    parser.add_argument(
        "--configs",
        type=Path,
        metavar="FOLDER",
        help="folder of the configs that may be trained (default: config, or those that come with "
        "the package where there is no such folder)",
    )
    parser.add_argument(
        "--jobs", type=whole, default=1, metavar="N", help="runs that train at a time (default: 1)"
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="leave out the tabs Train and Compress: nothing can be started from the browser",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="folder whose images, and those of the folders below it, may be scored from the "
        "browser (default: uploads alone)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone; there is no password)",
    )
    parser.add_argument(
        "--port", type=whole, default=7860, help="port (default: 7860; 0: a free one)"
    )
    parser.add_argument(
        "--allow-host",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further names by which the server is called, e.g. behind a proxy",
    )
    parser.add_argument(
        "--max-upload-mb", type=float, default=50, help="largest uploaded file (default: 50)"
    )
    parser.add_argument(
        "--max-images", type=whole, default=500, help="most images scored at once (default: 500)"
    )
    add_arguments(parser, "--device", "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Serve the app until Ctrl-C."""
    check_device(args.device)
    _check_limits(args)
    _check_folders(args)
    try:
        from cliqa.app.server import serve  # noqa: PLC0415  gradio takes seconds
        from cliqa.app.settings import Settings  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("gradio", "uvicorn", "fastapi", "starlette"):
            raise
        raise ConfigError(
            f"the app needs {error.name}, which is not installed: {install_extra('app')}"
        ) from error
    from cliqa.utils.device import resolve_device  # noqa: PLC0415  imports torch

    resolve_device(args.device)
    settings = Settings(
        work_dirs=args.work_dirs.resolve(),
        configs=args.configs.resolve(),
        device=args.device,
        images=None if args.images is None else args.images.resolve(),
        max_upload_bytes=int(args.max_upload_mb * MB),
        max_images=args.max_images,
        trust=args.trust,
        parallel=args.jobs,
        read_only=args.read_only,
    )
    serve(settings, args.host, args.port, [name.lower() for name in args.allow_host])


def _check_limits(args: argparse.Namespace) -> None:
    """Refuse numbers out of range, and names that no request can have.

    Raises:
        ConfigError: With the option.
    """
    limits = (
        ("--max-images", 1, MOST_IMAGES, args.max_images),
        ("--jobs", 1, MOST_JOBS, args.jobs),
        ("--max-upload-mb", 0.001, MOST_MB, args.max_upload_mb),
    )
    for option, least, most, value in limits:
        check_at_least(least, option, value)
        check_at_most(most, option, value)
    check_port(args.port)
    for name in args.allow_host:
        if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f]*(:[0-9A-Fa-f]*){2,7}", name):
            raise ConfigError(
                f"--allow-host {name}: give the name alone, without http://, port or path: "
                "quality.example.org"
            )


def _check_folders(args: argparse.Namespace) -> None:
    """Refuse folders that are missing or cannot be written to; find that of the configs.

    Raises:
        ConfigError: With the option.
    """
    if not args.read_only:
        check_output_folder(args.work_dirs, "--work-dirs")
    elif not args.work_dirs.is_dir():
        raise ConfigError(
            f"--work-dirs {args.work_dirs}: no such folder, and --read-only shows what is there. "
            "Give the folder of your runs."
        )
    if args.images is not None and not args.images.is_dir():
        raise ConfigError(f"--images {args.images}: no such folder.")
    given = args.configs is not None
    if not given:
        args.configs = Path("config") if Path("config").is_dir() else shipped_configs()
    if not args.configs.is_dir():
        raise ConfigError(f"--configs {args.configs}: no such folder. Give that of your configs.")
    if given and not any(args.configs.glob("*.py")):
        raise ConfigError(f"--configs {args.configs}: no config (*.py) is in it. Give another.")
