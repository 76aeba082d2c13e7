"""Memory-aware synapses: values by hand, and what they do not depend on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import MASPlugin
from torch import Tensor, nn
from torch.utils.data import Dataset

from cliqa.training.importance.per_sample import PerSampleGradients
from cliqa.training.plugins.regularization.mas import MAS, squared_norm
from cliqa.utils.errors import ConfigError


class Known(MAS):
    """MAS with importances that the test gives."""

    found: dict[str, Tensor]

    def measure(self, strategy: Any) -> dict[str, Tensor]:
        return self.found


class _Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model


Holder: Any = _Holder  # not all of the protocol


def learn(plugin: Known, importance: list[float], weight: list[float]) -> nn.Linear:
    """Let an experience end at weights with importances; return the model."""
    model = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([weight]))
    plugin.found = {"weight": torch.tensor([importance])}
    plugin.after_training_exp(Holder(model))
    return model


def test_a_linear_score_by_hand() -> None:
    """``d f^2 / d w = 2 f x``: samples of opposite signs do not cancel out."""
    linear = nn.Linear(2, 1, bias=False)
    model = nn.Sequential(linear, nn.Flatten(0))
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -2.0]]))
    features = torch.tensor([[3.0, 1.0], [-1.0, 1.0], [0.0, 2.0]])  # f = 1, -3, -4
    gradients = PerSampleGradients(model, power=1)
    gradients.add(squared_norm, features, torch.zeros(3))
    expected = [(2 * 3 + 2 * 3 + 0) / 3, (2 * 1 + 2 * 3 + 2 * 8) / 3]
    assert gradients.means(3)["0.weight"][0].tolist() == pytest.approx(expected)


def test_logits_by_hand() -> None:
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0], [2.0, -1.0]]))
        model.bias.copy_(torch.tensor([0.5, 0.0]))
    gradients = PerSampleGradients(model, power=1)
    gradients.add(squared_norm, torch.tensor([[1.0, -3.0]]), torch.zeros(1))  # f = 1.5, 5
    found = gradients.means(1)
    assert torch.allclose(found["weight"], torch.tensor([[3.0, 9.0], [10.0, 30.0]]))
    assert torch.allclose(found["bias"], torch.tensor([3.0, 10.0]))


class Rows(Dataset[Any]):
    """Samples as Avalanche's plugins read them: inputs, classes and a task."""

    def __init__(self, inputs: Tensor, classes: Tensor) -> None:
        self.inputs, self.classes = inputs, classes

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        return self.inputs[index], int(self.classes[index]), 0


def test_the_same_arguments_mean_what_they_mean_in_avalanche() -> None:
    """One sample a batch: Avalanche takes the absolute value of a batch's mean gradient."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4))
    data = Rows(torch.randn(9, 5), torch.randint(4, (9,)))
    loop: Any = SimpleNamespace(
        model=model,
        experience=SimpleNamespace(dataset=data),
        train_mb_size=1,
        device="cpu",
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        clock=SimpleNamespace(train_exp_counter=0),
    )
    theirs, ours = MASPlugin(lambda_reg=1.7, alpha=0.3), Known(strength=1.7, alpha=0.3)
    for experience in range(2):
        loop.clock.train_exp_counter = experience
        gradients = PerSampleGradients(model, power=1)
        gradients.add(squared_norm, data.inputs, torch.zeros(9))
        ours.found = gradients.means(9)
        ours.after_training_exp(Holder(model))
        theirs.after_training_exp(loop)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
    loop.loss = torch.ones(())
    theirs.before_backward(loop)
    assert float(ours.penalty(model)) == pytest.approx(float(loop.loss.detach()) - 1, rel=1e-4)


def test_experiences_are_a_running_mean() -> None:
    plugin = Known(strength=2.0, alpha=0.75)
    learn(plugin, [1.0, 2.0], [0.0, 0.0])
    assert plugin.importance["weight"][0].tolist() == [1.0, 2.0]
    model = learn(plugin, [5.0, 0.0], [1.0, 1.0])
    assert plugin.importance["weight"][0].tolist() == [0.75 + 1.25, 1.5]
    nn.init.constant_(model.weight, 4.0)
    assert plugin.penalty(model).item() == pytest.approx(2.0 * (2.0 + 1.5) * 3**2)
    learn(plugin, [4.0, 4.0, 8.0], [0.0, 0.0, 0.0])  # a column more, which was nothing before
    assert plugin.importance["weight"][0].tolist() == [2.5, 2.125, 2.0]


@pytest.mark.parametrize("size", [3, 16])
def test_importances_are_per_sample_and_of_the_evaluation_transforms(
    size: int, make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    plugin = MAS(0.0, n_samples=0)
    strategy = make_strategy([plugin], epochs=1)
    strategy.train_mb_size = size
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    model = strategy.model.eval()
    data = tiny_stream.dataset("a", "train").eval()
    sums = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for i in range(len(data)):
        model.zero_grad()
        model(data[i][0][None]).square().sum().backward()
        for name, weight in model.named_parameters():
            sums[name] += weight.grad.abs()
    for name, total in sums.items():
        expected = total / len(data)
        assert torch.allclose(plugin.importance[name], expected, rtol=1e-4, atol=1e-6), name


def test_labels_are_not_looked_at() -> None:
    output = torch.tensor([1.0, 2.0])
    assert squared_norm(output, torch.tensor(0)) == squared_norm(output, torch.tensor(1)) == 5.0


def test_a_frozen_part_has_no_importance(
    make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    plugin = MAS(1.0)
    strategy = make_strategy([plugin], epochs=1)
    strategy.model.body.requires_grad_(False)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert plugin.importance.keys() == {"head.weight", "head.bias"}


def test_state_comes_back(tmp_path: Any) -> None:
    plugin, other = Known(2.0), Known(2.0)
    learn(plugin, [1.0, 3.0], [0.0, 1.0])
    torch.save(plugin.state_dict(), tmp_path / "state.pth")
    other.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    for one in (plugin, other):
        model = learn(one, [2.0, 2.0], [1.0, 1.0])
    nn.init.constant_(model.weight, 3.0)
    assert torch.equal(other.penalty(model), plugin.penalty(model))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.0}, r"MAS: alpha must lie in 0\.\.1, below 1, got 1\.0"),
        ({"alpha": -0.1}, r"MAS: alpha must lie in 0\.\.1, below 1, got -0\.1"),
        ({"n_samples": -3}, r"MAS: n_samples must be an integer >= 0 .*got -3"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MAS(**arguments)
