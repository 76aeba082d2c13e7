"""Runs whose loss reads what raters said of each image, from the label files to the predictions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cliqa.engine.build import build
from cliqa.engine.rehearsal import rehearse
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.losses.ratings import EMDLoss, Wanted
from cliqa.utils.errors import ConfigError, DatasetError

Config = dict[str, Any]
CPU = torch.device("cpu")

LEVELS: Config = {"type": "EMDLoss", "levels": 4, "default_std": 0.1}


@pytest.fixture
def config(tiny_config: Config) -> Config:
    """Return a config over a small network with a head of four levels."""
    tiny_config["model"]["backbone"] = {"type": "SmallConvNet", "in_channels": 3, "channels": [8]}
    tiny_config["model"]["head"] = {"type": "LevelScoreHead", "in_channels": 8, "levels": 4}
    tiny_config["cl_strategy"].pop("mem_size")
    tiny_config["cl_strategy"] |= {"type": "Naive", "loss": LEVELS}
    return tiny_config


METHODS: dict[str, Config] = {
    "dark replay, teacher": {
        **{"type": "DER", "mem_size": 10, "beta": 1.0},
        "plugins": [{"type": "LwF", "distill": "fidelity"}],
    },
    "heads": {"type": "MultiHead"},
    "joint": {"type": "JointTraining", "plugins": [{"type": "EMA"}]},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_distributions_and_resumes_with_the_same_bits(
    method: str,
    config: Config,
    run_config: Callable[..., Path],
    assert_same: Callable[[Any, Any], None],
) -> None:
    config["cl_strategy"] |= METHODS[method]
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(copy.deepcopy(config), "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    places = sorted((whole / "checkpoints").glob("exp_*.pth"))
    folder = run_config(copy.deepcopy(config), "resumed", resume=str(places[len(places) // 2]))
    state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
    assert_same(state["strategy"], final["strategy"])
    scores = load_predictions(whole, 0 if method == "joint" else 2, "a").prediction
    assert scores.shape == (12,)
    assert ((scores >= 0) & (scores <= 1)).all()


def with_deviations(config: Config, data: Path, folder: Path, names: str = "abc") -> None:
    """Give some data sets a standard deviation: a fifth of the score."""
    for index, name in enumerate("abc"):
        lines = (data / name / "scores.csv").read_text().split()
        rows = [line.split(",") for line in lines[1:]]
        own = folder / f"{name}.csv"
        head = "image,score,std" if name in names else "image,score"
        cells = [[i, s, f"{float(s) / 5:.6f}"][: head.count(",") + 1] for i, s in rows]
        own.write_text("\n".join([head, *map(",".join, cells)]))
        config["scenario"]["datasets"][index] |= {"labels": str(own), "images": str(data / name)}


def test_a_batch_holds_each_images_own_ratings_and_a_memorys(
    config: Config, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_deviations(config, tiny_data, tmp_path)
    config["cl_strategy"] |= {"type": "Replay", "mem_size": 10, "train_epochs": 1}
    config["cl_strategy"]["loss"] = {"type": "EMDLoss", "levels": 4}
    parts = build(config, CPU)
    seen: list[tuple[Tensor, Tensor]] = []
    distance = EMDLoss.distance

    def watch(self: EMDLoss, outputs: Tensor, target: Tensor, ratings: Tensor) -> Tensor:
        seen.append((target, ratings))
        return distance(self, outputs, target, ratings)

    monkeypatch.setattr(EMDLoss, "distance", watch)
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)[:2]):
        parts.strategy.train_step(index, step)
    assert max(len(target) for target, _ in seen) == 16  # new ones and a memory's
    for target, ratings in seen:
        assert ratings.shape == (len(target), 5)
        assert torch.allclose(ratings[:, 0], target / 5, atol=1e-5)
        places = torch.linspace(0, 1, 4)
        assert torch.allclose(ratings[:, 1:] @ places, target, atol=0.06)  # clipped at the ends


def test_data_sets_without_a_spread_are_named_before_training(
    config: Config, tiny_data: Path, tmp_path: Path
) -> None:
    with_deviations(config, tiny_data, tmp_path, names="b")
    config["cl_strategy"]["loss"] = {"type": "FidelityLoss", "raters": True}
    config["model"]["head"] = {"type": "LinearScoreHead", "in_channels": 8}
    with pytest.raises(DatasetError, match=r"a: the loss reads(?s:.*)c: the loss reads") as caught:
        build(config, CPU)
    assert "default_std=0.1" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2
    config["cl_strategy"]["loss"]["default_std"] = 0.2
    stream = build(config, CPU).benchmark.train_stream
    spreads = [np.array([s[2].item() for s in e.dataset]) for e in stream]
    assert spreads[0] == pytest.approx(0.2)
    assert spreads[1].std() > 0.01


def test_a_head_that_does_not_fit_is_refused_before_training(config: Config) -> None:
    config["model"]["head"] = {"type": "LinearScoreHead", "in_channels": 8}
    with pytest.raises(ConfigError, match=r"reads 4 numbers.*LevelScoreHead"):
        rehearse(build(config, CPU))


def test_a_stream_of_classes_has_no_raters(split_config: Config) -> None:
    split_config["cl_strategy"]["loss"] = LEVELS
    with pytest.raises(ConfigError, match=r"EMDLoss reads what raters said.*QualityStream"):
        build(split_config, CPU)


def test_a_loss_of_scores_alone_adds_nothing(config: Config) -> None:
    config["cl_strategy"]["loss"] = {"type": "L1Loss"}
    config["model"]["head"] = {"type": "LinearScoreHead", "in_channels": 8}
    benchmark = build(config, CPU).benchmark
    assert len(benchmark.train_stream[0].dataset[0]) == 2
    benchmark.rate(Wanted(0, 0.1))
    assert len(benchmark.train_stream[0].dataset[0]) == 3
    assert len(benchmark.test_stream[0].dataset[0]) == 2
