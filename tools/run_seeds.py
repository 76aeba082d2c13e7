"""Compare configs over seeds: ``python tools/run_seeds.py config/demo.py --seeds 0 1 2``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.studies.run_seeds import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
