"""Figures that need the trained model, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cliqa.explain import attention_figure as attention
from cliqa.explain.figures import save_attention, save_embedding, save_ranking
from cliqa.inference.predict import Predictor
from cliqa.visualization.modes import Target

CPU = torch.device("cpu")


def test_more_images_than_rows_make_more_figures(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "MOST_ROWS", 2)
    images = [str(tiny_data / "a" / f"a0{k}.png") for k in range(3)]
    target = Target(tmp_path, dpi=30)
    files = save_attention(Predictor(tiny_run, CPU), images, target, "backbone.layer1")
    assert [file.name for file in files] == ["attention.png", "attention_2.png"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_rankings_of_images_and_of_their_mean(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    images = [str(tiny_data / "c" / f"c0{k}.png") for k in range(2)]
    target = Target(tmp_path, "svg", 30)
    predictor = Predictor(tiny_run, CPU)
    files = save_ranking(predictor, images, target, ["blur"], levels=2)
    assert [file.name for file in files] == ["ranking_1.svg", "ranking_2.svg", "ranking.svg"]
    assert "c01.png" in files[1].read_text()
    alone = save_ranking(predictor, images[:1], target, ["blur"], levels=2)
    assert [file.name for file in alone] == ["ranking_1.svg"]


def test_maps_of_features(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    target, predictor = Target(tmp_path, "svg", 30), Predictor(tiny_run, CPU)
    (file,) = save_embedding(predictor, target, method="pca", data_sets=["a", "b"])
    assert file.name == "embedding_pca.svg"
    assert "true score" in file.read_text()
    (file,) = save_embedding(predictor, target, method="pca", images=[str(tiny_data / "a")])
    assert "predicted score" in file.read_text()
