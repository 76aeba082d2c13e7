"""All measurements of speed, one after the other: ``make perf``, ``python -m perf pipeline``.

Each script prints its figures, and rows of the table in docs/results.md; the rows are repeated at
the end, under the name of the machine. Nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]

COMMANDS = {
    "image_pipeline": "perf/image_pipeline.py",
    "patch_sampling": "perf/patch_sampling.py --workers 0",
    "training_overhead": "perf/training_overhead.py",
    "training_overhead_bn": "perf/training_overhead.py --norm BN",
    "fisher": "perf/fisher.py",
    "precision": "perf/precision.py config/koniq_hyperiqa.py --cfg-options model.pretrained=False",
    "large_streams": "perf/large_streams.py",
    "many_experiences": "perf/many_experiences.py",
    "study_forecast": "perf/study_forecast.py",
    "scaling": "perf/scaling.py",
    "quantization": "perf/quantization.py",
    "crops_light": "perf/evaluation_crops.py --models mobilenet_v3_small --images 2",
    "crops_resnet": "perf/evaluation_crops.py --models resnet18 --images 1",
    "crops_resized": "perf/evaluation_crops.py --models mobilenet_v3_small resnet18 --images 2 "
    "--resize 384 512",
    "crops_hyperiqa": "perf/evaluation_crops.py --models hyperiqa --images 1",
    "study_backends": "perf/study_backends.py",
    "serve": "perf/serve.py",
    "serve_tiny": "perf/serve.py --model tiny",
}
"""By name, the scripts with their arguments."""


def machine() -> str:
    """Return the machine and the packages that figures depend on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0].partition(":")[2].strip() if models else name
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{name}, {torch.get_num_threads()} threads{gpu}, torch {torch.__version__}"


def run(name: str) -> list[str] | None:
    """Run a script, show what it prints, and return its rows; None if it failed."""
    print(f"\n# python {COMMANDS[name]}", flush=True)
    command = [sys.executable, *shlex.split(COMMANDS[name])]
    rows = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("| "):
                rows.append(line.rstrip())
    return None if process.returncode else rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scripts that are asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(COMMANDS)}; all by default")
    names = parser.parse_args(argv).names or list(COMMANDS)
    unknown = [name for name in names if name not in COMMANDS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}. There are {', '.join(COMMANDS)}.")
    rows: list[str] = []
    failed = []
    for name in names:
        found = run(name)
        failed += [name] if found is None else []
        rows += found or []
    print(f"\n{machine()}\n\n| what | command | measured |\n|---|---|---|")
    print("\n".join(rows))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
