"""What a gate did is told beside equal weights and the oracle."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cliqa.evaluation.functional import srcc
from cliqa.training.views.trace import GateTrace, gate_rows

WEIGHTS = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
OUTPUTS = torch.tensor([[1.0, 3.0], [2.0, 2.0], [3.0, 5.0]])
TARGETS = torch.tensor([0.1, 0.2, 0.3])


def test_numbers_of_a_learnt_data_set() -> None:
    trace = GateTrace(0)
    trace.add(WEIGHTS[:2], OUTPUTS[:2], TARGETS[:2])
    trace.add(WEIGHTS[2:], OUTPUTS[2:], TARGETS[2:])
    row = trace.row(srcc)
    assert row["views"] == 2
    assert row["images"] == 3
    assert row["own_weight"] == pytest.approx(1.9 / 3)
    assert row["own_first"] == pytest.approx(2 / 3)
    assert row["largest"] == pytest.approx(2.1 / 3)
    assert row["oracle"] == pytest.approx(1.0)
    assert row["equal"] == pytest.approx(srcc(np.array([2.0, 2.0, 4.0]), TARGETS.numpy()))


def test_a_data_set_that_is_not_learnt_has_no_own_view() -> None:
    trace = GateTrace(2)
    trace.add(WEIGHTS, OUTPUTS, TARGETS)
    row = trace.row(srcc)
    assert (row["own_weight"], row["own_first"], row["oracle"]) == (None, None, None)
    assert row["equal"] is not None


def test_logits_are_averaged_by_class() -> None:
    trace = GateTrace(1)
    trace.add(WEIGHTS, OUTPUTS[:, :, None].expand(3, 2, 4), TARGETS)
    row = trace.row(lambda outputs, _: float(outputs.shape[1]))
    assert (row["equal"], row["oracle"]) == (4.0, 4.0)


def test_only_plugins_with_a_gate_have_rows() -> None:
    trace = GateTrace(0)
    trace.add(WEIGHTS, OUTPUTS * float("nan"), TARGETS)
    rows = gate_rows([object(), SimpleNamespace(traces={"eva": trace})], srcc)
    assert list(rows) == ["eva"]
    assert rows["eva"]["equal"] is None  # a diverged model
