"""Convert mmpretrain's configs: ``python tools/from_mmpretrain.py CONFIG --out config/mine.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.runs.from_mmpretrain import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
