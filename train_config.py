"""Train a config: ``python train_config.py config/demo.py --device auto``."""

from __future__ import annotations

import sys

from cliqa.commands.runs.train import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main, in_several=True))
