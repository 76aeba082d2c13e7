"""Where the words of a trained model look, from a checkpoint to a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.explain.words import explain_words
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ModelError
from tools.visualize import main


@pytest.fixture
def work_dir(tiny_config: dict[str, Any], run_config: Callable[..., Path]) -> Path:
    """Return the run of a model whose words attend, over two small crops an image."""
    tiny_config["model"] = {
        "type": "FusionModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 8, "layers": 1, "heads": 2},
        "texts": "quality_levels",
        "in_channels": 8,
        "width": 8,
    }
    tiny_config["cl_strategy"]["train_epochs"] = 1
    return run_config(tiny_config)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_maps_are_those_of_the_model(work_dir: Path, image: Path) -> None:
    predictor = Predictor(work_dir, torch.device("cpu"))
    model: Any = predictor.model
    shown, found = explain_words(predictor, image, most=5)
    assert shown.shape == (16, 24, 3)
    inputs = predictor.transform(torch.from_numpy(shown).permute(2, 0, 1))[None]
    shares = model.logits(inputs)[0].softmax(0)
    assert [each.share for each in found] == pytest.approx(
        shares.sort(descending=True).values.tolist(), abs=1e-5
    )
    assert {each.name for each in found} == set(model.texts.names)
    for each in found:
        assert each.weights.sum() == pytest.approx(1, abs=1e-5)
        assert each.maps.shape == (len(each.words), 16, 24)
        assert each.maps.mean((1, 2)) == pytest.approx(np.ones(len(each.words)), abs=0.1)
        fits = model.head(model.regions(inputs), *model.words())[0]
        own = model.texts.ids_of(model.texts.names.index(each.name))
        best = max(own, key=lambda i: float(fits[i].detach()))
        assert list(each.words) == model.text_encoder.tokens([model.texts.flat[best]])[0]


def test_the_tool_draws_a_figure_an_image(
    work_dir: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--mode", "words", "--out", str(tmp_path / "out"), "--device", "cpu"]
    main([str(work_dir), *arguments, "--images", str(image)])
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / "words_1.png")]
    assert (tmp_path / "out" / "words_1.png").is_file()


def test_a_model_without_words_that_look_is_refused(tiny_run: Path, image: Path) -> None:
    predictor = Predictor(tiny_run, torch.device("cpu"))
    with pytest.raises(ModelError, match="a QualityModel has no words that attend to an image"):
        explain_words(predictor, image)
