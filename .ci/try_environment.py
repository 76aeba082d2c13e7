"""Try an installed environment: imports, ``--help``, the demo for an epoch, its exported file.

Run it with the environment's Python from the checkout's root.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("torch", "torchvision", "numpy", "pandas", "mmpretrain", "avalanche-lib", "onnxruntime")


def main() -> None:
    """Try everything; the first failure ends the process with its output."""
    packages = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    print(f"Python {platform.python_version()}: {packages}", flush=True)
    _run("-c", "import sys; sys.path.insert(0, '.ci'); import try_environment as t; t.import_all()")
    tools = [path for path in sorted((ROOT / "tools").glob("*.py")) if path.stem != "__init__"]
    for script in [ROOT / "train_config.py", ROOT / "test_config.py", *tools]:
        _run(str(script), "--help")
    with tempfile.TemporaryDirectory() as folder:
        run, out = str(Path(folder) / "run"), str(Path(folder) / "scores.csv")
        data = f"scenario.dataset_root={folder}/data"
        options = ["--cfg-options", data, "cl_strategy.train_epochs=1"]
        _run("train_config.py", "config/demo.py", "--device", "cpu", "--work-dir", run, *options)
        _run("tools/compress.py", "export", run)
        image = next(Path(folder).glob("data/**/*.png"), None) or next(
            Path(folder).glob("data/**/*.jpg")
        )
        _run("tools/predict.py", f"{run}/model.onnx", str(image), "--out", out)
    print("imports, --help, the demo for an epoch, its ONNX file: passed", flush=True)


def import_all() -> None:
    """Import every module of the package."""
    package = importlib.import_module("cliqa")
    for module in pkgutil.walk_packages(package.__path__, "cliqa."):
        importlib.import_module(module.name)


def _run(*arguments: str) -> None:
    """Run the environment's Python; on failure show what it printed and exit."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command: Sequence[str] = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr)
        sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
