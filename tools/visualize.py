"""Draw a run's figures, or compare runs: ``python tools/visualize.py work_dirs/demo [MORE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Draw the figures of one run, or the comparison of several."
    )
    parser.add_argument("work_dirs", nargs="+", type=Path, metavar="WORK_DIR")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder to write to (default: WORK_DIR/figures; of a comparison: the current one)",
    )
    parser.add_argument("--format", default="png", choices=("png", "pdf"))
    parser.add_argument("--dpi", type=int, default=200, help="pixels per inch (default: 200)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, and print the files written (of a comparison, its table too)."""
    args = parse_args(argv)
    if not 10 <= args.dpi <= 2400:
        raise ConfigError(f"--dpi {args.dpi}: must lie between 10 and 2400.")
    from cliqa.evaluation.tables import comparison_table, render  # noqa: PLC0415  --help is fast
    from cliqa.visualization.run import draw_run, draw_runs, load_runs  # noqa: PLC0415

    if len(args.work_dirs) == 1:
        files = draw_run(args.work_dirs[0], args.out, file_format=args.format, dpi=args.dpi)
    else:
        out = args.out or Path()
        files = draw_runs(args.work_dirs, out, file_format=args.format, dpi=args.dpi)
        print(render(comparison_table(load_runs(args.work_dirs))))
    for file in files:
        print(file)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
