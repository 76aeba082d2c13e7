"""Kill runs at random moments, go on with them, and compare them with runs that were not killed.

``python -m perf.soak --kills 300 --seed 0 --jobs 2`` ends with a table of the cases, and with the
status 1 if one bit differs. All processes are forked from this one, which has imported everything
and trained nothing; ``train_config`` and ``run_seeds`` are programs of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cliqa.utils.cli import quiet_upstream
from perf.soak.cases import Case, cases, train_sources, write_data
from perf.soak.trial import Series, end, start, torn

REAL = 1
"""Series of a case that starts programs, which takes long; the others go on in turns."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Kill runs, resume them, and compare.")
    parser.add_argument("--kills", type=int, default=300, help="kills that hit (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="series at a time (default: 1)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="cases to run (default: all)"
    )
    parser.add_argument("--out", type=Path, help="folder to work in (default: a temporary one)")
    return parser.parse_args(argv)


def soak(root: Path, chosen: Sequence[Case], kills: int, seed: int, jobs: int) -> list[Series]:
    """Run series until so many kills have hit.

    Args:
        root: Holds the data and what cases start from; the runs go there.
        chosen: The cases, dealt to the jobs.
        kills: How many kills are to hit in all.
        seed: Of the moments.
        jobs: How many series run at a time.

    Returns:
        The series, as they ended; each stands in ``series_*.jsonl`` too.
    """
    jobs = min(jobs, len(chosen))
    children, files = [], [root / f"series_{job}.jsonl" for job in range(jobs)]
    for job, file in enumerate(files):
        share = kills // jobs + (job < kills % jobs)
        file.write_text("")
        work = partial(_run, own=chosen[job::jobs], kills=share, seed=seed, file=file)
        children.append(start(work, root / "runs", root / f"job_{job}.log"))
    for child in children:
        end(child, float("inf"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [Series(**row) for row in rows]


def _run(folder: Path, own: Sequence[Case], kills: int, seed: int, file: Path) -> None:
    """Run one job's series, case after case, and again from the first."""
    folder.mkdir(exist_ok=True)
    hits, turn, left = 0, 0, list(own)
    while hits < kills and left:
        for case in list(left):
            chance = random.Random(f"{case.name} {seed} {turn}")
            try:
                number = 1000 * seed + turn
                kills_of_it = chance.choice((2, 3, 4))
                place = folder / case.name
                series = torn(
                    case.name, case.work, place, number, kills_of_it, tree=case.real or case.tree
                )
            except RuntimeError as error:
                series = Series(case.name, seed, differences=[str(error)])
                left.remove(case)
            hits += series.hits
            with file.open("a") as rows:
                rows.write(json.dumps(series.to_row()) + "\n")
            if case.real and turn + 1 >= REAL and case in left:
                left.remove(case)
            if hits >= kills:
                return
        turn += 1


def table(chosen: Sequence[Case], found: Sequence[Series]) -> list[str]:
    """Return a line a case, and what differed."""
    lines = [f"{'case':22}{'with':18}{'series':>7}{'kills':>7}{'identical':>11}"]
    for case in chosen:
        own = [series for series in found if series.name == case.name]
        same = sum(not series.differences for series in own)
        hits = sum(series.hits for series in own)
        lines.append(f"{case.name:22}{case.variant:18}{len(own):7}{hits:7}{same:11}")
    same = sum(not series.differences for series in found)
    lines.append(f"{'all':40}{len(found):7}{sum(s.hits for s in found):7}{same:11}")
    for series in found:
        lines += [f"{series.name}, seed {series.seed}: {what}" for what in series.differences]
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the soak, print its table, and return whether anything differed."""
    args = parse_args(argv)
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    quiet_upstream()
    started = time.monotonic()
    root = (args.out or Path(tempfile.mkdtemp(prefix="soak."))).resolve()
    (root / "runs").mkdir(parents=True, exist_ok=True)
    if end(start(write_data, root / "data", root / "data.log"), float("inf")):
        raise SystemExit(f"no data; see {root / 'data.log'}")
    train_sources(root)
    chosen = [case for case in cases(root, args.seed) if not args.only or case.name in args.only]
    found = soak(root, chosen, args.kills, args.seed, args.jobs)
    failed = not found or any(series.differences for series in found)
    lines = [*table(chosen, found), f"{time.monotonic() - started:.0f} s, seed {args.seed}"]
    if failed or args.out:
        lines.append(f"runs and logs: {root}")
    else:
        shutil.rmtree(root)
    sys.stdout.write("\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
