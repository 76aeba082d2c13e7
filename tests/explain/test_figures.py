"""Figures that need the trained model, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cliqa.explain import attention_figure as attention
from cliqa.explain.figures import draw_attention, draw_embedding, draw_ranking
from cliqa.visualization.modes import Target

CPU = torch.device("cpu")


def test_more_images_than_rows_make_more_figures(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MOST_ROWS", 2)
    images = [str(tiny_data / "a" / f"a0{k}.png") for k in range(3)]
    files = draw_attention(tiny_run, images, Target(tmp_path, dpi=30), CPU, "backbone.layer1")
    assert [file.name for file in files] == ["attention.png", "attention_2.png"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_rankings_of_images_and_of_their_mean(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    images = [str(tiny_data / "c" / f"c0{k}.png") for k in range(2)]
    target = Target(tmp_path, "svg", 30)
    files = draw_ranking(tiny_run, images, target, CPU, ["blur"], levels=2)
    assert [file.name for file in files] == ["ranking_1.svg", "ranking_2.svg", "ranking.svg"]
    assert "c01.png" in files[1].read_text()
    alone = draw_ranking(tiny_run, images[:1], target, CPU, ["blur"], levels=2)
    assert [file.name for file in alone] == ["ranking_1.svg"]


def test_maps_of_features(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    target = Target(tmp_path, "svg", 30)
    (file,) = draw_embedding(tiny_run, target, CPU, method="pca", data_sets=["a", "b"])
    assert file.name == "embedding_pca.svg"
    assert "true score" in file.read_text()
    (file,) = draw_embedding(tiny_run, target, CPU, method="pca", images=[str(tiny_data / "a")])
    assert "predicted score" in file.read_text()
