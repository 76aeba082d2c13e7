"""Elastic weight consolidation: closed forms, modes, and where F comes from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EWCPlugin
from avalanche.training.utils import ParamData, copy_params_dict
from torch import Tensor, nn

from cliqa.training.importance.fisher import fisher_diagonal
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.utils.errors import ConfigError

Weights = dict[str, Tensor]


class _Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: nn.Module, inputs: Any = None, targets: Any = None) -> None:
        self.model = model
        self.inputs, self.targets = inputs, targets
        self.options = TrainingOptions(seed=0)
        self.step_index = 0

    def training_samples(self, _: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches."""
        yield from zip(self.inputs.split(4), self.targets.split(4), strict=True)


Holder: Any = _Holder  # not all of the protocol


class Known(EWC):
    """EWC with an F that the test gives."""

    fisher_of: Weights

    def measure(self, strategy: Any) -> Weights:
        return {name: value.clone() for name, value in self.fisher_of.items()}


class Score(nn.Module):
    """A score that is linear in the features."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dims, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (B,) of features (B, D)."""
        return self.fc(features)[:, 0]


def learn(plugin: Known, model: nn.Module, fisher: list[float], weight: list[float]) -> None:
    """Let an experience end at weights with an F."""
    with torch.no_grad():
        model.get_parameter("weight").copy_(torch.tensor([weight]))
    plugin.fisher_of = {"weight": torch.tensor([fisher])}
    plugin.after_training_exp(Holder(model))


def line(dims: int) -> nn.Linear:
    return nn.Linear(dims, 1, bias=False)


# -------------------------------------------------------------------- closed forms


def test_minimiser_of_loss_and_penalty_is_the_posteriors_mode() -> None:
    """With features along the axes, F is each task's whole curvature."""
    sigma, tasks = 0.5, []
    random = torch.Generator().manual_seed(0)
    for scale in (1.0, 2.0):
        features = torch.eye(3).repeat(8, 1) * torch.rand(24, 1, generator=random) * scale
        tasks.append((features, torch.rand(24, generator=random)))

    model = Score(3)
    optima, curvatures = [], []
    for features, scores in tasks:
        curvature = features.square().mean(0) / sigma**2
        curvatures.append(curvature)
        optima.append((features * scores[:, None]).mean(0) / features.square().mean(0))
    with torch.no_grad():
        model.fc.weight.copy_(optima[0])
    plugin = EWC(strength=1.0, sigma=sigma, n_samples=0)
    plugin.after_training_exp(Holder(model, *tasks[0]))
    assert torch.allclose(plugin.importance["fc.weight"][0], curvatures[0], rtol=1e-5)

    features, scores = tasks[1]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3000):
        optimizer.zero_grad()
        holder: Any = Holder(model)
        holder.loss = (model(features) - scores).square().mean() / (2 * sigma**2)
        plugin.before_backward(holder)
        holder.loss.backward()
        optimizer.step()
    expected = (curvatures[0] * optima[0] + curvatures[1] * optima[1]) / sum(curvatures)
    assert torch.allclose(model.fc.weight[0], expected, atol=1e-5)


# -------------------------------------------------------------------- modes

FISHERS = ([1.0, 0.0, 2.0, 0.0], [3.0, 4.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0])
PLACES = ([1.0, 1.0, 1.0, 1.0], [2.0, -1.0, 5.0, 3.0], [-3.0, 0.5, 2.0, 9.0])


def learnt(mode: str, **arguments: Any) -> tuple[EWC, nn.Linear]:
    """Return a plugin after three experiences, and the model somewhere else."""
    model, plugin = line(4), Known(2.0, mode, **arguments)
    for fisher, place in zip(FISHERS, PLACES, strict=True):
        learn(plugin, model, fisher, place)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.3, 0.7, -1.5, 4.0]]))
    return plugin, model


def test_separate_penalties_add_up() -> None:
    plugin, model = learnt("separate")
    weight = model.weight.detach()[0]
    gaps = [weight - torch.tensor(place) for place in PLACES]
    terms = list(zip(map(torch.tensor, FISHERS), gaps, strict=True))
    value = sum(float((fisher * gap.square()).sum()) for fisher, gap in terms)
    assert plugin.penalty(model).item() == pytest.approx(2.0 / 2 * value, rel=1e-6)
    slope = sum(2.0 * fisher * gap for fisher, gap in terms)
    assert torch.allclose(plugin.gradient(model)["weight"][0], torch.as_tensor(slope), rtol=1e-5)


def test_separate_takes_the_memory_of_one_penalty() -> None:
    plugin, _ = learnt("separate")
    state = plugin.state_dict()
    assert state["anchor"]["weight"].shape == state["importance"]["weight"].shape == (1, 4)
    assert state["anchor"]["weight"][0, 3] == 9.0  # never mattered: the newest


def test_separate_leaves_the_rest_of_frozen_weights_out() -> None:
    plugin, model = learnt("separate")
    model.requires_grad_(False)
    assert plugin.penalty(model).item() == 0.0


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_online_decays_and_anchors_at_the_newest(gamma: float) -> None:
    plugin, model = learnt("online", gamma=gamma)
    one, two, three = map(torch.tensor, FISHERS)
    expected = gamma**2 * one + gamma * two + three
    assert torch.allclose(plugin.importance["weight"][0], expected, rtol=1e-6)
    gap = model.weight.detach()[0] - torch.tensor(PLACES[2])
    penalty = gamma * float((expected * gap.square()).sum())  # eq. 9; strength / 2 is 1
    assert plugin.penalty(model).item() == pytest.approx(penalty, rel=1e-6)
    slope = 2.0 * gamma * expected * gap
    assert torch.allclose(plugin.gradient(model)["weight"][0], slope, rtol=1e-5)


@pytest.mark.parametrize("mode", ["separate", "online"])
def test_half_the_strength_is_avalanches_lambda(mode: str) -> None:
    """Their penalty has no 1/2, and their online one no gamma (Schwarz et al., eq. 9)."""
    model, plugin = line(4), Known(2.0, mode, gamma=0.5)
    theirs: Any = EWCPlugin(1.0, mode, decay_factor=0.5 if mode == "online" else None)
    loop: Any = SimpleNamespace(model=model, loss=torch.zeros(()), device="cpu")
    for index, (fisher, place) in enumerate(zip(FISHERS[:2], PLACES[:2], strict=True)):
        learn(plugin, model, fisher, place)
        found = ParamData("weight", (1, 4), init_tensor=torch.tensor([fisher]))
        theirs.update_importances({"weight": found}, index)
        theirs.saved_params[index] = copy_params_dict(model)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.3, 0.7, -1.5, 4.0]]))
    loop.clock = SimpleNamespace(train_exp_counter=2)
    theirs.before_backward(loop)
    share = 0.5 if mode == "online" else 1.0
    assert plugin.penalty(model).item() == pytest.approx(share * loop.loss.item(), rel=1e-5)


def test_online_penalty_by_hand() -> None:
    plugin, model = Known(2.0, "online", gamma=0.8), line(4)
    learn(plugin, model, [1.0] * 4, [0.0] * 4)
    with torch.no_grad():
        model.weight.fill_(1.0)
    assert plugin.penalty(model).item() == pytest.approx(0.5 * 2.0 * 0.8 * 4)


def test_single_is_the_mean_and_anchors_at_the_newest() -> None:
    plugin, _ = learnt("single")
    assert torch.allclose(plugin.importance["weight"][0], torch.tensor(FISHERS).mean(0))
    assert plugin.state_dict()["anchor"]["weight"][0].tolist() == PLACES[2]


@pytest.mark.parametrize(
    ("mode", "importance"), [("separate", 3.0), ("online", 2.0), ("single", 1.5)]
)
def test_weights_that_have_grown_count_where_they_were(mode: str, importance: float) -> None:
    plugin = Known(2.0, mode, gamma=0.5)
    learn(plugin, line(1), [2.0], [1.0])
    learn(plugin, line(2), [1.0, 4.0], [4.0, 7.0])
    found = plugin.importance["weight"][0]
    assert found.tolist() == [importance, 2.0 if mode == "single" else 4.0]
    anchor = plugin.state_dict()["anchor"]["weight"][0].tolist()
    assert anchor == pytest.approx([2.0 if mode == "separate" else 4.0, 7.0])


@pytest.mark.parametrize(
    ("normalize", "expected"), [("max", [0.25, 0.0, 1.0]), ("mean", [0.6, 0.0, 2.4])]
)
def test_normalized(normalize: str, expected: list[float]) -> None:
    plugin, model = Known(normalize=normalize), line(3)
    learn(plugin, model, [1e-7, 0.0, 4e-7], [0.0, 0.0, 0.0])
    assert plugin.importance["weight"][0].tolist() == pytest.approx(expected)
    nothing = Known(normalize=normalize)
    learn(nothing, model, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert nothing.importance["weight"][0].tolist() == [0.0] * 3


# -------------------------------------------------------------------- where F comes from


def expected_fisher(strategy: Any, data: Any, **arguments: Any) -> Weights:
    """Return F over whole images, one batch."""
    images = torch.stack([data[i][0] for i in range(len(data))])
    scores = torch.stack([torch.as_tensor(data[i][1]) for i in range(len(data))])
    return fisher_diagonal(copy.deepcopy(strategy.model), [(images, scores)], **arguments)


@pytest.mark.parametrize("size", [3, 16])
def test_fisher_is_measured_on_the_experience_with_evaluation_transforms(
    size: int, make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    plugin = EWC(0.0, fisher="empirical", n_samples=0, sigma=0.2)
    strategy = make_strategy([plugin], epochs=1)
    strategy.train_mb_size = size
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    data = tiny_stream.dataset("a", "train").eval()
    expected = expected_fisher(strategy, data, kind="empirical", sigma=0.2)
    for name, part in expected.items():
        assert torch.allclose(plugin.importance[name], part, rtol=1e-4, atol=1e-6)


def test_cumulative_training_is_measured_on_all_that_it_trained_on(
    make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    plugin = EWC(0.0, "online", gamma=0.0, n_samples=0)
    strategy = make_strategy([plugin], cls=Cumulative, epochs=1)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    sets = [tiny_stream.dataset(name, "train").eval() for name in "ab"]
    one, two = (expected_fisher(strategy, data) for data in sets)
    share = len(sets[0]) / (len(sets[0]) + len(sets[1]))
    for name in one:
        mixed = share * one[name] + (1 - share) * two[name]
        assert torch.allclose(plugin.importance[name], mixed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fisher", ["exact", "sampled"])
def test_few_samples_and_drawn_labels_follow_from_the_seed(
    fisher: str, make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    found: list[Tensor] = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(found))
        plugin = EWC(fisher=fisher, n_samples=5)
        strategy = make_strategy([plugin], epochs=1, seed=seed)
        strategy.optimizer.param_groups[0]["lr"] = 0.0
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        found.append(plugin.importance["head.bias" if fisher == "sampled" else "head.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_frozen_part_has_no_importance(
    make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    plugin = EWC(1.0)
    strategy = make_strategy([plugin], epochs=1)
    strategy.model.body.requires_grad_(False)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert plugin.importance.keys() == {"head.weight", "head.bias"}
    assert plugin.state_dict()["anchor"].keys() == plugin.importance.keys()


# -------------------------------------------------------------------- state and arguments


def test_state_is_tensors_and_plain_types_and_comes_back(tmp_path: Any) -> None:
    plugin, model = learnt("separate")
    torch.save(plugin.state_dict(), tmp_path / "state.pth")
    other = Known(2.0)
    other.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert torch.equal(other.penalty(model), plugin.penalty(model))
    for one in (plugin, other):
        learn(one, model, [1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0])
    assert torch.equal(other.penalty(model), plugin.penalty(model))
    assert other.state_dict()["learnt"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "both"}, "mode must be one of 'separate', 'online', 'single', got 'both'"),
        ({"gamma": 1.5}, r"gamma must lie in 0\.\.1, got 1\.5"),
        (
            {"fisher": "true"},
            "fisher must be one of None, 'empirical', 'sampled', 'exact', got 'true'",
        ),
        ({"normalize": "sum"}, "normalize must be one of False, 'max', 'mean', 'layer', got 'sum'"),
        ({"sigma": 0}, "sigma must be above 0, got 0"),
        ({"n_samples": 2.5}, r"EWC: n_samples must be an integer >= 0 .*got 2\.5"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EWC(**arguments)
