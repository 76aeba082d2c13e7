"""Tune: ``python tools/tune.py config/demo_ewc.py --search "cl_strategy.strength=log(1, 1e6)"``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.studies.tune import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
