"""The README's examples are code that works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.config.components import quick_check
from cliqa.config.load import load_config
from cliqa.registry import DATASETS, MODELS, PLUGINS, ComponentRegistry

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def example(name: str, registry: ComponentRegistry) -> Any:
    """Run the block that defines a class and return the class; the registry forgets it again."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    block = next(block for block in blocks if f"class {name}" in block)
    registry.import_from_location()
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, "README.md", "exec"), scope)
    registry.module_dict.pop(name)
    return scope[name]


def test_the_data_set_reads_its_files(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for k in range(10):
        Image.new("RGB", (8, 8), (k, k, k)).save(tmp_path / "images" / f"{k}.png")
    rows = [f"{k}.png,{1 + 0.4 * k}" for k in range(10)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,mos", *rows]) + "\n")
    data = example("MySet", DATASETS)(root=tmp_path)
    assert len(data) == 10
    assert data.scores.max() == pytest.approx(0.9)


def test_the_method_trains(make_strategy: Callable[..., Any], tiny_stream: Any) -> None:
    strong = make_strategy([example("DecayToMean", PLUGINS)(strength=10.0)], epochs=1)
    plain = make_strategy(epochs=1)
    for strategy in (strong, plain):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert not torch.equal(strong.model.head.weight, plain.model.head.weight)


def test_the_head_gives_one_score_an_image() -> None:
    assert example("MlpScoreHead", MODELS)(in_channels=5)(torch.rand(3, 5)).shape == (3,)


def test_every_named_config_loads() -> None:
    named = set(re.findall(r"config/\w+\.py", README)) - {"config/x.py"}
    assert len(named) >= 4
    for path in named:
        quick_check(load_config(ROOT / path))


def test_every_named_file_exists() -> None:
    for path in set(re.findall(r"(?:tools|perf)/\w+\.py", README)):
        assert (ROOT / path).is_file(), path


def test_commands_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make (\w+)`?", README)) - {"it"}:
        assert f"\n{target}:" in makefile, target
