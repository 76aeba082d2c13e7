"""Tests of cliqa.app.scoring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cliqa
from cliqa.api.models import Model
from cliqa.app.scoring import (
    UNIT,
    Batch,
    Scored,
    as_table,
    dataset_of,
    different,
    score_files,
    thumbnail,
    uploaded,
    write_csv,
)
from cliqa.utils.errors import ConfigError


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    """Return a trained model of scores."""
    return cliqa.load(tiny_run, device="cpu")


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def test_scores_are_sorted_and_those_without_come_last(
    model: Model, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = [tmp_path / "bad.png", *sorted((tiny_data / "a").glob("*.png"))]
    told: list[tuple[int, int]] = []
    rows = score_files(model, paths, None, lambda *done: told.append(done))
    assert told == [(32, 41), (41, 41)]
    assert rows[-1].name == "bad.png"
    assert str(rows[-1].error).startswith("bad.png: ")
    values = [row.value for row in rows[:-1]]
    assert values == sorted(values, reverse=True)
    expected = model.predict(tiny_data / "a", scale=(0, 1))["score"]
    assert values == pytest.approx(sorted(expected, reverse=True), abs=1e-6)


def test_where_lower_is_better_the_lowest_comes_first(
    model: Model, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((tiny_data / "a").glob("*.png"))[:3]
    scale = model.scale_of("a")
    turned = type(scale)(scale.low, scale.high, higher_is_better=False)
    monkeypatch.setattr(Model, "scale_of", lambda self, name: turned)
    values = [row.value for row in score_files(model, paths, "a")]
    assert values == sorted(values)


def test_tables_and_csv_say_the_same(uploads: Path) -> None:
    rows = [Scored("b.png", Path("b.png"), 0.91234567), Scored("x", Path("x"), np.nan, None, "why")]
    table = as_table(rows, of_classes=False)
    assert table.to_dict("list") == {
        "image": ["b.png", "x"],
        "score": ["0.912", ""],
        "note": ["", "why"],
    }
    file = write_csv(rows, of_classes=False)
    assert file.is_relative_to(uploads)
    assert file.read_text() == "image,score,error\nb.png,0.912346,\nx,,why\n"
    sure = [Scored("c.png", Path("c.png"), 0.5, "cat")]
    assert list(as_table(sure, of_classes=True).columns) == ["image", "class", "probability"]
    assert write_csv(sure, True).read_text().splitlines()[1] == "c.png,cat,0.500000,"


def test_only_uploads_are_opened(uploads: Path, tmp_path: Path) -> None:
    (uploads / "a").mkdir()
    (uploads / "a" / "x.png").write_text("")
    (tmp_path / "y.png").write_text("")
    (uploads / "z.png").symlink_to(tmp_path / "y.png")
    assert uploaded(str(uploads / "a" / "x.png")).name == "x.png"
    for path in ("/etc/passwd", tmp_path / "y.png", uploads / "z.png", uploads, uploads / "no"):
        with pytest.raises(ConfigError, match="no uploaded file"):
            uploaded(str(path))


def test_names_differ_and_are_found_again() -> None:
    assert different(["a", "a", "b"]) == ["a", "a (2)", "b"]
    batch = Batch("m", None, (Scored("a", Path("a"), 1.0),))
    assert batch.row("a").value == 1.0
    with pytest.raises(ConfigError, match="not among those scored"):
        batch.row("b")


def test_the_scale_of_0_to_1_is_no_data_sets() -> None:
    assert dataset_of(UNIT) is None
    assert dataset_of("koniq") == "koniq"
    with pytest.raises(ConfigError, match="Choose a scale"):
        dataset_of(None)


def test_thumbnails_are_small(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((600, 3000, 3), np.uint8)).save(tmp_path / "wide.png")
    found = thumbnail(tmp_path / "wide.png")
    assert found is not None
    assert max(found.size) <= 512
    (tmp_path / "bad.png").write_text("")
    assert thumbnail(tmp_path / "bad.png") is None
