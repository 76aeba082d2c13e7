from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.folders.convert import csv_text, generic_section
from cliqa.datasets.folders.known import find_set, readers
from cliqa.registry import DATASETS, build_component

KINDS = sorted(readers())


@pytest.mark.parametrize("kind", KINDS)
def test_the_generic_reader_reads_it_back_identically(
    kind: str, layout: Callable[[str], Path]
) -> None:
    root = layout(kind)
    data = find_set(root).data
    assert data is not None
    out = root / "generic.csv"
    out.write_text(csv_text(data), encoding="utf-8")
    section = {**generic_section(data, out), "root": str(root)}
    again = build_component(DATASETS, section, "scenario.datasets.0")
    assert again.raw_scores.tolist() == data.raw_scores.tolist()  # to the last bit
    assert np.array_equal(again.scores, data.scores)
    assert (again.std is None) == (data.std is None)
    assert data.std is None or again.std.tolist() == data.std.tolist()
    assert (again.groups, again.splits) == (data.groups, data.splits)
    assert (again.files, again.keys) == (data.files, data.keys)
    assert (again.score_range, again.higher_is_better) == (data.score_range, data.higher_is_better)
    for name, cells in data.table.attributes.items():
        assert again.table.attributes[name] == cells


def test_a_file_elsewhere_is_named_by_its_whole_path(
    layout: Callable[[str], Path], tmp_path: Path
) -> None:
    data = find_set(layout("BID")).data
    assert data is not None
    section = generic_section(data, tmp_path / "elsewhere.csv")
    assert section["labels"] == str(tmp_path / "elsewhere.csv")
    assert generic_section(data, data.root / "a.csv")["labels"] == "a.csv"
