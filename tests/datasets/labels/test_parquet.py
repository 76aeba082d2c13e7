from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.parquet import read_parquet
from cliqa.datasets.labels.score_columns import read_scores
from cliqa.utils.errors import DatasetError


def test_without_pyarrow_the_advice_is_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "my.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"needs pyarrow\. Install it \(pip install pyarrow\)"):
        read_parquet(tmp_path / "my.parquet", ())


def test_a_table_is_read_as_a_csv_is(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns: dict[str, list[Any]] = {
        "image": ["a.jpg", "b.jpg"],
        "score": [1, 2.5],
        "group": ["x", "y"],
    }
    parquet.write_table(arrow.table(columns), tmp_path / "my.parquet")
    table = read_scores(tmp_path / "my.parquet")
    assert (table.images, table.groups, table.rows) == (("a.jpg", "b.jpg"), ("x", "y"), (1, 2))
    np.testing.assert_array_equal(table.raw, [1.0, 2.5])
    columns["score"][1] = None
    parquet.write_table(arrow.table(columns), tmp_path / "my.parquet")
    with pytest.raises(DatasetError, match=r"row 2: 'score' is empty"):
        read_scores(tmp_path / "my.parquet")


def test_small_files_that_unpack_to_large_ones_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"image": ["x" * 2**20] * 400, "score": [1.0] * 400}
    parquet.write_table(arrow.table(columns), tmp_path / "my.parquet")
    assert (tmp_path / "my.parquet").stat().st_size < 2**22
    with pytest.raises(DatasetError, match="more than 268435456 bytes"):
        read_scores(tmp_path / "my.parquet")


def test_damaged_files_are_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "my.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(DatasetError, match="no readable parquet file"):
        read_scores(tmp_path / "my.parquet")
