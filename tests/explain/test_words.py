"""Where the words of a trained model look, from a checkpoint to a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.commands.runs.visualize import main
from cliqa.explain.words import MOST_WORDS, WordLooks, draw_words, explain_words
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ArtifactError, ModelError


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


IMAGE = np.full((4, 6, 3), 100, np.uint8)


def looks(name: str, count: int, peak: float = 1.0) -> WordLooks:
    """A prompt of words that count more and more."""
    weights = np.arange(1, count + 1) / (count * (count + 1) / 2)
    maps = np.linspace(0, peak, 24 * count).reshape(count, 4, 6)
    return WordLooks(name, 0.75, tuple(f"w{k}" for k in range(count)), weights, maps)


def test_a_row_shows_a_candidate_with_its_words_and_their_weights() -> None:
    figure = draw_words(IMAGE, "boot.png", [looks("boot", 3), looks("bag", 2)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        *("boot\n0.75", "w0\n0.17", "w1\n0.33", "w2\n0.50"),
        *("bag\n0.75", "w0\n0.33", "w1\n0.67"),
    ]
    assert figure.get_suptitle() == "boot.png"


def test_the_words_that_count_most_are_shown_in_the_order_of_the_text() -> None:
    figure = draw_words(IMAGE, "x", [looks("boot", MOST_WORDS + 2)])
    words = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_title()][1:]
    assert words == [f"w{k}" for k in range(2, MOST_WORDS + 2)]


def test_colours_mean_the_same_in_every_row() -> None:
    figure = draw_words(IMAGE, "x", [looks("a", 2, 1.0), looks("b", 2, 3.0)])
    norms: list[Any] = [axes.images[1].norm for axes in figure.axes if len(axes.images) == 2]
    assert [norm.vmax for norm in norms] == [3.0] * 4


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ArtifactError, match="there is no candidate to draw the words of"):
        draw_words(IMAGE, "x", [])
