"""How far a model agrees with earlier ones of its run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cliqa.engine.work_dir.agreement import Agreement
from cliqa.evaluation.records.predictions import ScorePredictions, save_predictions

X, Y = np.random.default_rng(0).random((2, 30))


def test_it_is_the_correlation_with_the_model_that_had_just_learnt(tmp_path: Path) -> None:
    own = Agreement(tmp_path, ["a", "b"])
    assert own.of("a", 0, X) == {}
    assert own.of("b", 0, X) == {}
    assert own.of("unseen", 1, X) == {}
    found = own.of("a", 1, Y)["agreement"]
    assert found == pytest.approx(stats.spearmanr(X, Y).statistic, abs=1e-12)


def test_a_resumed_run_reads_it(tmp_path: Path) -> None:
    save_predictions(tmp_path, 0, {"a": ScorePredictions(X, X, X, np.array(["i"] * 30))})
    whole = Agreement(tmp_path, ["a", "b"])
    whole.of("a", 0, X)
    assert Agreement(tmp_path, ["a", "b"]).of("a", 1, Y) == whole.of("a", 1, Y)


def test_it_is_not_defined_of_constants_and_of_what_is_gone(tmp_path: Path) -> None:
    own = Agreement(tmp_path, ["a", "b"])
    assert own.of("a", 1, Y) == {"agreement": None}
    own.of("a", 0, X)
    assert own.of("a", 1, np.zeros(30)) == {"agreement": None}
    assert own.of("a", 1, np.full(30, np.nan)) == {"agreement": None}
