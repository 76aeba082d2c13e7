"""A study's forecast beside what it then took: ``python perf/study_forecast.py --rounds 7``.

Both are CPU times of one thread, so that a busy machine changes both alike: the forecast of
``tools/run_seeds.py --dry-run`` in a process of its own whose clock is its CPU time, and the runs
of the same command without it. The baseline is the study itself: 1.00 is a right forecast.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch

from cliqa.studies.bracket import Bracket
from cliqa.studies.forecast.report import Machines, forecast_study
from cliqa.studies.plan import plan_study
from perf.rounds import ROUNDS, print_row, spread

NAMES = ("demo_ewc", "demo")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Compare forecasts of studies with the studies.")
    parser.add_argument("--configs", nargs="+", default=[f"config/{name}.py" for name in NAMES])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only-forecast", action="store_true", help="print it in CPU seconds")
    return parser.parse_args(argv)


def forecast(configs: Sequence[str], options: Sequence[str]) -> float:
    """Return a forecast in CPU seconds of this process, which has done nothing else."""
    time.perf_counter = time.process_time
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bracket = Bracket(None, None, look=False)
        plan = plan_study(configs, [0], Path(folder) / "out", bracket=bracket, options=options)
        return forecast_study(plan, Machines(), torch.device("cpu")).seconds


def study(configs: Sequence[str], options: Sequence[str]) -> float:
    """Run the study, and return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "tools/run_seeds.py", *configs, "--no-bracket", "--seeds", "0"]
        command += ["--device", "cpu", "--out", folder]
        command += ["--cfg-options", *options] if options else []
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(argv: Sequence[str] | None = None) -> int:
    """Forecast and run in turns, and print the row."""
    args = parse_args(argv)
    if args.only_forecast:
        print(forecast(args.configs, args.cfg_options))
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    ratios = []
    own = [sys.executable, __file__, "--only-forecast", "--configs", *args.configs]
    own += ["--cfg-options", *args.cfg_options] if args.cfg_options else []
    for _ in range(args.rounds):
        told = subprocess.run(own, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        ratios.append(float(told.split()[-1]) / study(args.configs, args.cfg_options))
        print(f"forecast / real: {ratios[-1]:.2f}", flush=True)
    what = " and ".join(Path(config).stem for config in args.configs)
    print_row("a study's forecast", "perf/study_forecast.py", f"{what}: {spread(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
