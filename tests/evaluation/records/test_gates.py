"""Results tell what a gate did, and warn of one that gates no better than chance."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.gates import chance, gate_notes, gate_section
from cliqa.evaluation.records.tables import report


def gate(first: float | None, weight: float | None, views: int = 2) -> dict[str, Any]:
    oracle = None if first is None else 0.9
    return {
        **{"views": views, "images": 200, "largest": 0.7, "equal": 0.4, "oracle": oracle},
        **{"own_first": first, "own_weight": weight},
    }


def results(first: float, weight: float) -> dict[str, Any]:
    """Return the results of a run over two data sets, with a gate after the second."""
    rows: list[dict[str, Any]] = []
    for t in range(2):
        for name in "ab":
            row = {"kind": "eval", "experience": t, "dataset": name, "srcc": 0.8, "n": 200}
            rows.append({**row, **({"gate": gate(first, weight)} if t else {})})
    names = ["a", "b"]
    facts: dict[str, Any] = {"status": "finished", "seed": 0, "config": "c.py"}
    return build_results(rows, experiences=names, datasets=names, **facts)


def test_results_have_a_matrix_of_each_number() -> None:
    found = results(0.9, 0.7)
    assert found["gate"]["own_weight"] == [[None, None], [0.7, 0.7]]
    assert "gate" not in found["matrix"]
    assert not [text for text in found["warnings"] if text.startswith("gate")]
    table = report(found)
    assert "Gate, after the last experience" in table
    assert table.splitlines()[-1] != ""
    assert "gate_own_first,b,a,0.9," in report(found, "csv")
    assert gate_section({(0, "a"): {"srcc": 0.5}}, ["a"]) == {}


@pytest.mark.parametrize(
    ("first", "weight", "message"),
    [
        (0.52, 0.51, "comes first in 0.52 of the images, no better than chance (0.50)"),
        (0.75, 0.53, "its weights are nearly equal: an image's own view has 0.53 of the weight"),
    ],
)
def test_a_gate_without_effect_is_warned_of(first: float, weight: float, message: str) -> None:
    warnings = [text for text in results(first, weight)["warnings"] if text.startswith("gate: ")]
    assert len(warnings) == 1
    assert message in warnings[0]
    assert "Did" not in warnings[0]
    assert "try pretrained weights, other levels" in warnings[0]


def test_chance_needs_a_learnt_data_set() -> None:
    assert chance([]) == ""
    assert chance([gate(None, None)]) == ""


def test_lines_of_an_evaluation() -> None:
    lines = gate_notes({"a": gate(0.9, 0.71), "new": gate(None, None)})
    assert lines[0].startswith("a: gate: the own view has 0.71 of the weight, and the largest in")
    assert lines[0].endswith("it alone gives 0.900, equal weights give 0.400")
    assert lines[1] == "new: gate: not learnt, so that no view is its own; equal weights give 0.400"
    assert len(lines) == 2
