"""iCaRL: the loss, the exemplars, and the nearest mean of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.losses import ICaRLLossPlugin
from torch import nn
from torch.nn import functional as F

from cliqa.engine.work_dir.checkpoints import deployed_of
from cliqa.training.plugins.rehearsal.icarl import BELOW_ALL, NearestMean, icarl_loss
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]


def test_the_loss_is_a_sum_of_binary_cross_entropies() -> None:
    outputs = torch.tensor([[0.0, 1.0, 2.0, 50.0]])
    truth = torch.tensor([[0.5, -0.5, 9.0, 9.0]])

    def entropy(logit: float, goal: float) -> float:
        p = 1 / (1 + math.exp(-logit))
        return -goal * math.log(p) - (1 - goal) * math.log(1 - p)

    first = icarl_loss(outputs, torch.tensor([1]), [0, 1], None, [])
    assert float(first) == pytest.approx(entropy(0, 0) + entropy(1, 1))
    later = icarl_loss(outputs, torch.tensor([2]), [0, 1, 2], truth, [0, 1])
    old = [1 / (1 + math.exp(-t)) for t in (0.5, -0.5)]
    expected = entropy(0, old[0]) + entropy(1, old[1]) + entropy(2, 1)
    assert float(later) == pytest.approx(expected, rel=1e-5)
    twice = icarl_loss(outputs.repeat(2, 1), torch.tensor([1, 1]), [0, 1], None, [])
    assert float(twice) == pytest.approx(float(first))


def test_the_loss_is_as_many_times_avalanches_as_there_are_outputs() -> None:
    torch.manual_seed(0)
    outputs, truth, targets = torch.randn(6, 5), torch.randn(6, 5), torch.tensor([3, 4, 0, 3, 1, 4])
    theirs: Any = ICaRLLossPlugin()
    theirs.old_logits, theirs.old_classes = truth, [0, 1, 2]
    ours = icarl_loss(outputs, targets, list(range(5)), truth, [0, 1, 2])
    assert float(ours) == pytest.approx(5 * float(theirs(outputs, targets)), rel=1e-5)


class Flat(nn.Module):
    """Features are the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 4)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the inputs."""
        return x


def test_the_nearest_mean_wins_and_unknown_classes_never() -> None:
    means = {2: torch.tensor([0.0, 1.0]), 0: torch.tensor([1.0, 0.0])}
    network = NearestMean(Flat(), means, 4)
    logits = network(torch.tensor([[9.0, 1.0], [0.0, 0.1]]))
    assert logits.argmax(1).tolist() == [0, 2]
    unit = torch.tensor([9.0, 1.0]) / math.sqrt(82)
    distance = (unit - means[2]).square().sum()
    assert float(logits[0, 2]) == pytest.approx(-float(distance), abs=1e-5)
    assert logits[:, [1, 3]].tolist() == [[-BELOW_ALL] * 2] * 2


def test_an_evaluation_has_the_nearest_mean_of_exemplars(over_classes: Make, teach: Make) -> None:
    parts = over_classes(type="ICaRL", mem_size=12)
    teach(parts, 2)
    strategy, memory = parts.strategy, parts.strategy.plugins[0]
    assert memory._class.bincount().tolist() == [3, 3, 3, 3]
    strategy.eval(parts.benchmark.test_stream)
    said = next(iter(parts.predictions.result().values()))[0]
    strategy.model.eval()
    stored = memory.memory(parts.benchmark.train_stream).eval()
    images = torch.stack([stored[i][0] for i in range(12)])
    classes = torch.tensor([int(stored[i][1]) for i in range(12)])
    with torch.no_grad():
        features = F.normalize(strategy.model.backbone(images)[0].mean((2, 3)), dim=1)
        means = [F.normalize(features[classes == k].mean(0), dim=0) for k in range(4)]
        data = parts.benchmark.test_stream[0].dataset
        tests = torch.stack([data[i][0] for i in range(len(data))])
        looked = F.normalize(strategy.model.backbone(tests)[0].mean((2, 3)), dim=1)
        expected = -torch.cdist(looked, torch.stack(means)).square()
        deployed = memory.deployed(strategy.model)(tests)
    assert np.allclose(said[:, :4], expected.numpy(), atol=1e-4)
    assert np.allclose(said, deployed.numpy(), atol=1e-4)
    assert (said[:, 4:] == -BELOW_ALL).all()


def test_a_finished_run_predicts_and_evaluates_by_the_means(
    split_config: dict[str, Any], run_config: Make
) -> None:
    own = split_config["cl_strategy"]
    split_config["cl_strategy"] = {**own, "type": "ICaRL", "mem_size": 20, "train_epochs": 1}
    split_config["scenario"]["n_experiences"] = 2
    folder = run_config(split_config)
    state = load_checkpoint(folder / "checkpoints" / "last.pth")
    model, network = deployed_of({**state, "file": "x"})
    assert isinstance(network, NearestMean)
    assert network.places.shape == (10, 10)
    assert model is network.model


@pytest.mark.parametrize("name", ["over_scores", "over_classes"])
def test_what_it_cannot_learn_is_refused(
    name: str, teach: Make, request: pytest.FixtureRequest
) -> None:
    make = request.getfixturevalue(name)
    scores = name == "over_scores"
    message = "this stream has scores" if scores else "mem_size=3 has no room .* of 4 classes"
    parts = make(type="ICaRL", mem_size=3, train_epochs=1)
    with pytest.raises(ConfigError, match=message):
        teach(parts, 2)


def test_a_model_without_features_is_refused(over_classes: Make) -> None:
    plugin = over_classes(type="ICaRL").strategy.plugins[0]
    with pytest.raises(ModelError, match=r"ICaRL: a Linear has neither .*use ImageClassifier"):
        plugin.prepare(nn.Linear(2, 2))
