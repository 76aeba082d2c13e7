from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import scipy.io

from cliqa.datasets.quality.generated.aigciqa2023 import AIGCIQA2023
from cliqa.utils.errors import ConfigError, DatasetError


def test_places_tell_generator_and_prompt(layout: Callable[[str], Path]) -> None:
    root = layout("AIGCIQA2023")
    table = AIGCIQA2023.read_table(root / "DATA/MOS/mosz1.mat")
    known = table.attributes
    # rows of the authors' pic-index.xlsx: 399 is 099-4.png of Controlnet, 400 is 000-1.png of DALLE
    places = (0, 399, 400, 2399)
    assert [table.images[k] for k in places] == ["0.png", "399.png", "400.png", "2399.png"]
    assert [known["prompt"][k] for k in places] == ["000", "099", "000", "099"]
    assert [known["generator"][k] for k in places] == [
        *("Controlnet", "Controlnet", "DALLE", "Unidiffuser")
    ]
    assert table.groups == known["prompt"]
    assert AIGCIQA2023(root, score="correspondence").raw_scores[0] == pytest.approx(23.0)


def test_other_scores_and_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="score must be one of quality, authenticity, corresp"):
        AIGCIQA2023(tmp_path, score="beauty")  # type: ignore[arg-type]
    path = tmp_path / "mosz1.mat"
    scipy.io.savemat(path, {"MOSz": [[1.0], [2.0]]})
    with pytest.raises(DatasetError, match=r"mosz1\.mat: 2 scores, expected 2400"):
        AIGCIQA2023.read_table(path)
