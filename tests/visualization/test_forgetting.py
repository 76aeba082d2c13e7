"""What is drawn of forgetting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.curves import draw_forgetting

MakeRun = Callable[..., Any]


def test_changes_are_those_of_the_matrix(tmp_path: Path, make_run: MakeRun) -> None:
    results = make_run(tmp_path, reversed_=[(2, 0)])
    axes: Any = draw_forgetting(results).axes[0]
    matrix = results["matrix"]["srcc"]
    changes = [matrix[2][k] - matrix[k][k] for k in range(2)]
    expected = [f"{change:.3f}".replace("-", "\N{MINUS SIGN}") for change in changes]
    assert [text.get_text() for text in axes.texts] == [*expected, "last", "change"]
    assert changes[0] < -1  # reversed
    between = [line for line in axes.lines if line.get_linewidth() == 1.6]
    assert [list(line.get_xdata()) for line in between] == [
        [matrix[k][k], matrix[2][k]] for k in range(3)
    ]
    bwt = results["summary"]["bwt"]
    assert bwt == pytest.approx(sum(changes) / 2)
    assert axes.get_title(loc="left").endswith(f"BWT \N{MINUS SIGN}{-bwt:.3f}")


def test_undefined_scores_have_no_change(tmp_path: Path, make_run: MakeRun) -> None:
    axes = draw_forgetting(make_run(tmp_path, constant=[(2, 0)])).axes[0]
    assert axes.texts[0].get_text() == "n/a"
    assert axes.get_title(loc="left").startswith("forgetting n/a")


def test_needs_two_experiences_in_turn(tmp_path: Path, make_run: MakeRun) -> None:
    for name, options in (("one", {"names": ["eva"]}), ("joint", {"joint": True})):
        with pytest.raises(ArtifactError, match="forgetting needs two experiences"):
            draw_forgetting(make_run(tmp_path / name, **options))
