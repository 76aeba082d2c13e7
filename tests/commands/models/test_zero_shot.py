"""``tools/zero_shot.py`` as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.commands.models.zero_shot import main
from cliqa.config.load import load_config
from cliqa.engine.train import train
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Return a folder of six red and six blue images."""
    for name in ("red", "blue"):
        (tmp_path / "colours" / name).mkdir(parents=True)
        for k in range(6):
            shade = (200 + 5 * k, 0, 0) if name == "red" else (0, 0, 200 + 5 * k)
            Image.new("RGB", (16, 16), shade).save(tmp_path / "colours" / name / f"{k}.png")
    return tmp_path / "colours"


@pytest.fixture
def call(text_run: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the tool: exit status, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        given = [str(text_run), *map(str, arguments), "--device", "cpu"]
        return run_entry_point(lambda: main(given)), *capfd.readouterr()

    return run


def test_new_classes_and_new_scores(
    call: Call, colours: Path, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "rows.json"
    status, table, error = call("--data", colours, "--shots", 0, 1, 3, "--out", out)
    assert (status, error) == (0, "")
    rows = json.loads(out.read_text())["rows"]
    assert [(row["shots"], row["images"]) for row in rows] == [(0, 12), (1, 6), (3, 6)]
    assert all(row["chance"] == 0.5 for row in rows)
    assert "accuracy" in table
    assert "Wilson's interval" in table
    data = f"{tiny_data / 'a' / 'scores.csv'}={tiny_data / 'a'}"
    status, table, error = call("--data", data, "--score-range", 0, 1, "--seeds", 0)
    assert (status, error) == (0, "")
    assert "SRCC" in table
    assert "bootstrap over images" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shots", -1), "--shots -1: must be at least 0"),
        (("--seeds", -1), "--seeds -1: a seed is an integer >= 0"),
        (("--text-weight", -1), "--text-weight -1: must be at least 0"),
        (("--text-weight", 0), "without a text there must be images. Leave 0 out of --shots"),
        (("--score-range", 1, 0), "--score-range 1 0: LOW must be below HIGH"),
        (("--out", "rows.csv"), "--out rows.csv: the name must end in .json"),
        (("--texts", "cifar10"), "--texts cifar10: not the classes of"),
        (("--shots", 6), "--shots 6: class 'blue' has 6 images, and one at least"),
    ],
)
def test_mistakes_are_told_in_a_line(
    options: tuple[object, ...], message: str, call: Call, colours: Path
) -> None:
    status, table, error = call("--data", colours, *options)
    assert (status, table) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_a_clip_model_needs_its_file_for_training_alone(
    tiny_run: Path, colours: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = pytest.importorskip("clip")
    vision = {"image_resolution": 32, "vision_layers": 1, "vision_width": 64}
    text = {"transformer_width": 8, "transformer_heads": 1, "transformer_layers": 1}
    arch = {"embed_dim": 16, "vision_patch_size": 16, **vision, **text}
    arch |= {"context_length": 77, "vocab_size": 49408}
    weights = tmp_path / "tiny.pt"
    torch.save(clip.model.CLIP(**arch).state_dict(), weights)
    towers = {"arch": arch, "pretrained": str(weights)}
    config: dict[str, Any] = load_config(tiny_run / "config.py")
    tensor = [{"type": "Resize", "size": [32, 32]}, {"type": "ToTensor"}]
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:1]
    config["scenario"] |= {"train_transform": tensor, "eval_transform": tensor}
    config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "CLIPVision", **towers},
        "text_encoder": {"type": "CLIPText", **towers},
        "texts": "quality_antonyms",
        "in_channels": 16,
        "width": None,
    }
    train(config, config_file="config/tiny.py", work_dir=tmp_path / "run", device="cpu")
    weights.unlink()
    capfd.readouterr()
    given = [str(tmp_path / "run"), "--data", str(colours), "--shots", "0", "2", "--device", "cpu"]
    assert run_entry_point(lambda: main(given)) == 0
    assert "accuracy" in capfd.readouterr().out
