"""Mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.fidelity import Fidelity, compare_models
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.integers import mixed_precision as module
from cliqa.deploy.onnx.integers.mixed_precision import (
    node_groups,
    quantize_mixed_precision,
    split_images,
)
from cliqa.deploy.onnx.integers.prepared_graph import prepared
from cliqa.utils.errors import DatasetError

Pictures = Callable[..., list[Tensor]]


@pytest.fixture
def loud(scorer: Any, write_model: Callable[..., Path]) -> Path:
    """Return a file whose widest channel, which nothing reads, leaves few steps to all others."""
    with torch.no_grad():
        scorer.stem[1].weight[0] = 400.0
        scorer.block[0].weight[:, 0] = 0.0
        scorer.head.weight[:, 0] = 0.0
    return write_model(scorer)


def test_eight_bits_are_enough_for_a_good_model(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    source, target = onnx_folder / "linear.onnx", tmp_path / "small.onnx"
    report = quantize_mixed_precision(source, target, pictures(6))
    assert len(report.attempts) == 1
    assert report.reached
    assert (report.activations, report.excluded) == ("uint8", ())
    assert report.bytes_after == target.stat().st_size
    assert report.images == 36  # of 48; 12 are held back
    assert report.fidelity is not None
    assert report.fidelity.images == 12


def test_what_eight_bits_harm_is_found(
    loud: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "small.onnx"
    monkeypatch.setattr(module, "THRESHOLD", 0.98)
    monkeypatch.setattr(module, "DISTINCT", 0.5)
    report = quantize_mixed_precision(loud, target, pictures(8))
    first, second = report.attempts[:2]
    assert (first.activations, second.activations) == ("uint8", "uint16")
    assert first.fidelity is not None
    assert second.fidelity is not None
    assert report.fidelity is not None
    assert first.fidelity.rank < 0.9
    assert second.fidelity.rank > 0.98
    assert report.reached
    assert report.fidelity.rank >= 0.98
    written = compare_models(onnx_forward(loud, 1), onnx_forward(target, 1), pictures(4, seed=5))
    assert written.rank > 0.97
    assert report.choice.startswith(f"chosen: {report.activations}, in float")
    assert len(report.lines()) == len(report.attempts) + 2


def test_most_layers_in_eight_bits_and_the_best_groups_together(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = iter([0.5, 1.0, 0.96, 0.97, 0.95, 0.9])

    def measured(*_: Any) -> Fidelity:
        return Fidelity(16, 0.1, 0.1, 16, 16, srcc=next(ranks))

    monkeypatch.setattr(module, "compare_outputs", measured)
    monkeypatch.setattr(module, "THRESHOLD", 0.96)
    source, target = onnx_folder / "linear.onnx", tmp_path / "small.onnx"
    report = quantize_mixed_precision(source, target, pictures(8))
    names = ["the head", "the head", "all but layers", "block 1/2", "block 2/2"]
    assert [a.in_float for a in report.attempts] == [*names, "block 1/2, all but layers"]
    assert (report.in_float, report.quantized_layers) == ("all but layers", 2)
    assert report.reached


def test_without_more_tries_16_bits_are_chosen(
    loud: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THRESHOLD", 0.98)
    monkeypatch.setattr(module, "TRIES", 2)
    report = quantize_mixed_precision(loud, tmp_path / "small.onnx", pictures(8))
    assert len(report.attempts) == 2
    assert (report.activations, report.reached) == ("uint16", True)
    assert "computed in float: smaller, not faster" in report.choice


def test_the_most_accurate_is_written_if_none_is_accurate_enough(
    loud: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THRESHOLD", 1.1)
    monkeypatch.setattr(module, "TRIES", 4)
    report = quantize_mixed_precision(loud, tmp_path / "small.onnx", pictures(40))
    assert len(report.attempts) == 3  # one block would leave no layer
    assert not report.reached
    ranks = [attempt.fidelity.rank for attempt in report.attempts if attempt.fidelity]
    assert report.fidelity is not None
    assert report.fidelity.rank == max(ranks)
    assert report.choice.endswith("though less than asked for")


def test_the_groups_hold_every_node_but_the_head(onnx_folder: Path) -> None:
    with prepared(onnx_folder / "linear.onnx") as graph:
        groups = node_groups(graph, blocks=2)
        names = [node.name for node in graph.model.graph.node]
    assert list(groups) == ["all but layers", "block 1/2", "block 2/2"]
    blocks = groups["block 1/2"] + groups["block 2/2"]
    assert blocks == [name for name in names if name not in graph.head]
    assert "/block/block.0/Conv" in groups["block 2/2"]


def test_depthwise_convolutions_are_a_group(write_model: Callable[..., Path]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 1, 1))
    with prepared(write_model(model)) as graph:
        groups = node_groups(graph, blocks=5)
    assert groups["depthwise convolutions"] == ["/0/Conv"]
    assert "block 2/2" in groups  # the last convolution is the head


def test_every_fourth_image_is_held_back() -> None:
    images = torch.arange(40.0).view(-1, 1, 1, 1)
    calibrated, held = split_images(images.split(3))
    assert torch.cat(held).flatten().tolist() == list(range(3, 40, 4))
    assert sorted(torch.cat([*held, *calibrated]).flatten().tolist()) == list(range(40))


def test_what_cannot_be_tried(onnx_folder: Path, tmp_path: Path, pictures: Pictures) -> None:
    source, target = onnx_folder / "linear.onnx", tmp_path / "small.onnx"
    with pytest.raises(DatasetError, match=r"24 images are too few: .*Give 32 or more"):
        quantize_mixed_precision(source, target, pictures(3))
    assert not target.exists()
