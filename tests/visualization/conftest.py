"""A run's written files, without a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.predictions import ScorePredictions, save_predictions
from cliqa.evaluation.records.results import Results
from cliqa.utils.io import write_json, write_jsonl

MakeRun = Callable[..., Results]


@pytest.fixture
def make_run() -> MakeRun:
    """Return a function that writes a work_dir and returns its results.

    The model forgets a little with every experience; cells in `constant` predict nothing, those
    in `reversed_` predict the wrong way round.
    """

    def make(
        work_dir: Path,
        names: Sequence[str] = ("eva", "ava", "koniq"),
        *,
        extra: Sequence[str] = (),
        joint: bool = False,
        constant: Sequence[tuple[int, int]] = (),
        reversed_: Sequence[tuple[int, int]] = (),
        config: str = "config/iqa_replay.py",
    ) -> Results:
        random = np.random.default_rng(0)
        datasets = [*names, *extra]
        rows: list[dict[str, Any]] = []
        epochs: list[dict[str, Any]] = []
        for t in range(1 if joint else len(names)):
            for k, name in enumerate(datasets):
                y = random.random(40)
                x = 0.5 + 0.4 * (y - 0.5) + 0.05 * (1 + abs(t - k)) * random.normal(size=40)
                if (t, k) in constant:
                    x[:] = 0.5
                if (t, k) in reversed_:
                    x = 1 - x
                images = np.array([f"{i}.jpg" for i in range(40)])
                found = ScorePredictions(x, y, 1 + 9 * y, images)
                save_predictions(work_dir, t, {name: found}, add=True)
                report = quality_metrics(x, y, bootstrap=30)
                rows.append({"kind": "eval", "experience": t, "dataset": name, **report.to_row()})
            for epoch in range(1, 4):
                loss, score = 0.2 * math.exp(-epoch), None if epoch == 2 else 0.2 * epoch
                row = {"kind": "epoch", "experience": t, "name": names[t], "epoch": epoch}
                epochs.append({**row, "loss": loss, "lr": 0.1, "val_srcc": score})
        results = build_results(
            rows,
            experiences=names,
            datasets=datasets,
            status="finished",
            seed=0,
            config=config,
            joint=joint,
        )
        write_json(work_dir / "results.json", results)
        write_jsonl(work_dir / "metrics.jsonl", [*epochs, *rows])
        return results

    return make
