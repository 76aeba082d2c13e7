"""The figure of a pretraining."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.pretraining import draw_pretraining

ROWS = [
    {
        "epoch": float(k),
        "total": 0.3 - 0.1 * k,
        "cons": 0.1,
        "pos": 0.1 - 0.05 * k,
        "neg": 0.1 - 0.05 * k,
        "rank_accuracy_blur": 0.5 + 0.2 * k,
        "rank_accuracy_overall": 0.6 + 0.1 * k,
    }
    for k in range(3)
]


def test_parts_and_accuracies_are_drawn_over_epochs_from_one() -> None:
    upper, lower = draw_pretraining(ROWS).axes
    lines = {str(line.get_label()): line for line in upper.lines}
    assert np.asarray(lines["loss"].get_xdata()).tolist() == [1, 2, 3]
    assert np.asarray(lines["loss"].get_ydata()).tolist() == pytest.approx([0.3, 0.2, 0.1])
    assert {"crops agree", "good anchor", "bad anchor"} <= set(lines)
    mean = next(line for line in lower.lines if line.get_label() == "mean")
    assert np.asarray(mean.get_ydata()).tolist() == pytest.approx([0.6, 0.7, 0.8])


def test_without_held_out_images_there_is_one_panel() -> None:
    rows = [{k: v for k, v in row.items() if not k.startswith("rank")} for row in ROWS]
    assert len(draw_pretraining(rows).axes) == 1
    with pytest.raises(ArtifactError, match="no epoch of pretraining has been finished"):
        draw_pretraining([])
