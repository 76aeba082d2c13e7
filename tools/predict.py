"""Score or classify images: ``python tools/predict.py work_dirs/demo photo.jpg --out s.csv``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.models.predict import main
from cliqa.utils.cli import run_entry_point


def __getattr__(name: str) -> object:
    """Import what earlier scripts take from here; ``--help`` needs none of it."""
    if name not in ("to_csv", "to_json"):
        raise AttributeError(f"{__file__} has no '{name}'.")
    from cliqa.inference import scores  # noqa: PLC0415

    return getattr(scores, name)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
