"""Check folders of quality data sets, or write one as csv: ``tools/iqa_dataset.py check D``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.data.iqa_dataset import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
