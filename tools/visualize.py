"""Draw a run's figures, or compare runs: ``python tools/visualize.py work_dirs/demo [MORE]``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.runs.visualize import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
