"""Evaluate a config's checkpoint: ``python test_config.py config/demo.py``."""

from __future__ import annotations

import sys

from cliqa.commands.runs.test import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
