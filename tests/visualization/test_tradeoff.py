"""The figure of plasticity against stability: which runs make a line, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.utils.io import write_json
from cliqa.visualization.modes import Target, draw_tradeoffs
from cliqa.visualization.tradeoff import Point, draw_tradeoff, named_runs, points_of


def results(stability: float | None, plasticity: float | None, measure: str = "srcc") -> Any:
    """Return results of two experiences with these numbers."""
    summary = {"msi": stability, "mpi": plasticity}
    if measure != "srcc":
        forgotten = None if stability is None else 1 - stability
        summary = {"forgetting": forgotten, f"learning_{measure}": plasticity}
    names = ["a", "b"]
    known = {"status": "finished", "experiences": names, "datasets": names, "summary": summary}
    return {**known, "matrix": {measure: [[0.5, 0.5], [0.5, 0.5]]}}


@pytest.mark.parametrize("measure", ["srcc", "accuracy"])
def test_values_are_ordered_and_seeds_averaged(measure: str) -> None:
    runs = [
        ("EWC=1e2", results(0.9, 0.4, measure)),
        ("EWC=1", results(0.5, 0.7, measure)),
        ("EWC=1", results(0.7, 0.8, measure)),
        ("naive", results(0.2, 0.9, measure)),
        ("joint", results(None, None, measure)),
    ]
    expected = [
        ("naive", None, 0.2, 0.9, 1),
        ("EWC", 1.0, 0.6, 0.75, 2),
        ("EWC", 100.0, 0.9, 0.4, 1),
    ]
    for point, (name, value, x, y, count) in zip(points_of(runs), expected, strict=True):
        assert (point.name, point.value, point.runs) == (name, value, count)
        assert (point.stability, point.plasticity) == pytest.approx((x, y))


def test_a_line_for_each_method_and_its_values_beside_it() -> None:
    points = [
        Point("naive", None, 0.2, 0.9, 1),
        Point("EWC", 1.0, 0.6, 0.75, 2),
        Point("EWC", 100.0, 0.9, 0.4, 1),
    ]
    (axes,) = draw_tradeoff(points).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert np.allclose(lines["EWC"].get_xydata(), [[0.6, 0.75], [0.9, 0.4]])
    assert lines["EWC"].get_linestyle() == "-"
    assert lines["naive"].get_linestyle() == "None"
    assert [text.get_text() for text in axes.texts] == ["1", "100"]
    assert "first model" in axes.get_xlabel()
    (axes,) = draw_tradeoff(points, "accuracy").axes
    assert axes.get_xlabel() == "stability (1 - forgetting of accuracy)"


def test_folders_of_a_study_name_methods_and_values(tmp_path: Path) -> None:
    paths = [tmp_path / f"p_ewc_{s}" / f"seed_{k}" for s in ("0.1", "2e1") for k in (0, 1)]
    for path in [*paths, tmp_path / "p_naive" / "seed_0"]:
        write_json(path / "results.json", results(0.5, 0.5))
    runs = named_runs([*paths, tmp_path / "p_naive" / "seed_0" / "results.json"], ())
    found = [(point.name, point.value, point.runs) for point in points_of(runs)]
    assert found == [("p_naive", None, 1), ("p_ewc", 0.1, 2), ("p_ewc", 20.0, 2)]
    (file,) = draw_tradeoffs(paths, ["A=1", "A=1", "A=2", "A=2"], Target(tmp_path))
    assert file == tmp_path / "tradeoff.png"
    assert file.stat().st_size > 1000


def test_mistakes(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", results(0.5, 0.5))
    with pytest.raises(ConfigError, match=r"--labels: 2 for 1 runs\. Give each one, such as EWC"):
        named_runs([tmp_path], ["a", "b"])
    with pytest.raises(ArtifactError, match="measure accuracy and srcc: no figure compares them"):
        points_of([("a", results(0.5, 0.5)), ("b", results(0.5, 0.5, "accuracy"))])
    with pytest.raises(ArtifactError, match="no run has a plasticity and a stability"):
        points_of([("joint", results(None, None))])
