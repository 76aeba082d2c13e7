"""Serve a trained model over HTTP: ``python tools/serve.py model.onnx --port 8000``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.models.serve import main
from cliqa.utils.cli import run_entry_point

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
