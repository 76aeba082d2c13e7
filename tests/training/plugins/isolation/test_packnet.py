"""PackNet: nothing of an earlier experience ever changes; weights are shared out exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.isolation.packnet import (
    CapacityError,
    PackNet,
    assign_largest,
    occupancy,
)
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.views.views import tensors_of
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]
Learn = Callable[..., None]
Outputs = Callable[[Any, Any], dict[str, torch.Tensor]]
Said = Callable[[Any, Any], list[dict[str, torch.Tensor]]]


class Net(nn.Module):
    """A bias-free convolution, batch norm, layer norm, dropout and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.hidden = nn.Linear(8, 8)
        self.layer = nn.LayerNorm(8)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.conv(images)).relu().mean((2, 3))
        return self.drop(self.layer(self.hidden(maps)).relu())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))[:, 0]


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
}


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy over a `Net`."""

    def build(plugin: Any, optimizer: str = "AdamW", epochs: int = 3, **options: Any) -> Any:
        strategy = make_strategy([plugin, *options.pop("more", [])], epochs=epochs)
        torch.manual_seed(0)
        strategy.model = Net()
        strategy.optimizer = OPTIMIZERS[optimizer](strategy.model.parameters())
        strategy.configure(TrainingOptions(seed=1, **options), Schedule(None))
        return strategy

    return build


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("norm", ["frozen", "per_task"])
def test_earlier_outputs_are_the_same_to_the_bit(
    optimizer: str, norm: str, make: Make, tiny_stream: Any, outputs_after_each: Said
) -> None:
    strategy = make(PackNet(inference="oracle", norm=norm), optimizer)
    first, second, third = outputs_after_each(strategy, tiny_stream)
    assert torch.equal(second["a"], first["a"])
    assert torch.equal(third["a"], first["a"])
    assert torch.equal(third["b"], second["b"])
    assert not torch.equal(third["c"], second["c"])


def test_equal_shares_are_exact(make: Make, tiny_stream: Any, learn: Learn) -> None:
    plugin = PackNet()
    strategy = make(plugin)
    learn(strategy, tiny_stream, 0, 1)
    sizes = [owner.numel() for owner in plugin._owner.values()]
    assert sizes == [8 * 3 * 9, 64]
    kept = sum(size - round(2 / 3 * size) for size in sizes)
    assert occupancy(plugin._owner) == [pytest.approx(kept / sum(sizes))]
    free = {n: o == 0 for n, o in plugin._owner.items()}
    weights = tensors_of(strategy.model)
    assert all(bool((weights[n][mask] == 0).all()) for n, mask in free.items())
    learn(strategy, tiny_stream, 1, 3)
    assert sum(occupancy(plugin._owner)) == pytest.approx(1.0)


def test_half_and_half_and_the_rest(make: Make, tiny_stream: Any, learn: Learn) -> None:
    plugin = PackNet(prune=[0.5, 0.5, 0.0])
    learn(make(plugin), tiny_stream)
    assert occupancy(plugin._owner) == [0.5, 0.25, 0.25]


def test_the_kept_weights_are_retrained_without_the_momentum_of_before(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    held: list[int] = []
    strategy = make(PackNet(), "SGD")
    strategy.on_epoch = lambda _: held.append(len(strategy.optimizer.state))
    learn(strategy, tiny_stream, 0, 1)
    tensors = len(list(strategy.model.parameters()))
    assert held == [tensors, 0, tensors]


def test_an_experience_starts_without_the_averages_of_the_one_before(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(PackNet())
    learn(strategy, tiny_stream, 0, 1)
    held: list[int] = []
    step = strategy.optimizer_step

    def watch() -> None:
        held.append(len(strategy.optimizer.state))
        step()

    strategy.optimizer_step = watch
    learn(strategy, tiny_stream, 1, 2)
    assert held[0] == 0
    assert held[1] > 0


def test_owners_never_change(make: Make, tiny_stream: Any, learn: Learn) -> None:
    plugin = PackNet()
    strategy = make(plugin)
    owners: dict[str, torch.Tensor] = {}
    for index in range(3):
        learn(strategy, tiny_stream, index, index + 1)
        for name, owner in owners.items():
            taken = owner > 0
            assert torch.equal(plugin._owner[name][taken], owner[taken])
        owners = copy.deepcopy(plugin._owner)


def test_without_a_free_weight_the_next_experience_is_refused(
    make: Make, tiny_stream: Any, caplog: pytest.LogCaptureFixture, learn: Learn
) -> None:
    strategy = make(PackNet(prune=[1e-3, 0.5, 0.5]))
    learn(strategy, tiny_stream, 0, 1)
    assert "PackNet: 0.0 % of the weights are free for 2 more experience(s)" in caplog.text
    with pytest.raises(CapacityError, match=r"belong to the 1 experiences .*Set a larger prune"):
        learn(strategy, tiny_stream, 1, 2)


def test_the_model_is_put_back_after_an_evaluation(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    for inference in ("last", "oracle", "gate"):
        strategy = make(PackNet(inference=inference))
        learn(strategy, tiny_stream, 0, 2)
        before = copy.deepcopy(strategy.model.state_dict())
        outputs(strategy, tiny_stream)
        strategy.eval(tiny_stream.test_stream[:1])  # the last view shown is not the newest
        after = strategy.model.state_dict()
        assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_newest_view_is_the_model_itself(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    oracle, last = make(PackNet(inference="oracle")), make(PackNet())
    for strategy in (oracle, last):
        learn(strategy, tiny_stream)
    assert torch.equal(outputs(oracle, tiny_stream)["c"], outputs(last, tiny_stream)["c"])
    assert not torch.equal(outputs(oracle, tiny_stream)["a"], outputs(last, tiny_stream)["a"])


def test_batch_statistics_are_those_of_the_first_experience(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(PackNet())
    learn(strategy, tiny_stream, 0, 1)
    before = {n: v.clone() for n, v in strategy.model.norm.named_buffers()}
    trained_in: set[bool] = set()
    strategy.on_epoch = lambda _: trained_in.add(strategy.model.norm.training)
    learn(strategy, tiny_stream, 1, 3)
    assert trained_in == {False}  # what it trains with is what it is tested with
    for name, value in strategy.model.norm.named_buffers():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(("inference", "norm"), [("oracle", "frozen"), ("gate", "per_task")])
def test_a_resumed_run_ends_with_the_same_bits(
    inference: str, norm: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    """Also from inside the phase that retrains what was kept: the last of the three epochs."""
    assert_resumable(lambda: make(PackNet(inference=inference, norm=norm)), short_stream, 2)


def test_beside_replay_and_in_mixed_precision(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    strategy = make(PackNet(inference="oracle"), more=[Replay(mem_size=6)], amp=True)
    learn(strategy, tiny_stream, 0, 1)
    first = outputs(strategy, tiny_stream)["a"]
    learn(strategy, tiny_stream, 1, 3)
    assert torch.equal(outputs(strategy, tiny_stream)["a"], first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prune": 1.0}, r"prune must lie in 0\.\.1, below 1, got 1\.0"),
        ({"prune": [0.5, -0.1]}, r"prune must lie in 0\.\.1"),
        ({"post_epochs": -1}, r"post_epochs must be an integer >= 0, got -1"),
        ({"norm": "own"}, r"norm must be one of 'frozen', 'per_task', got 'own'"),
        ({"inference": "best"}, r"PackNet: inference must be one of 'last', 'oracle', 'gate'"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PackNet(**arguments)


def test_mistakes_that_show_with_the_first_experience(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    with pytest.raises(ConfigError, match=r"post_epochs=3 leaves none of the 3 epochs"):
        learn(make(PackNet(post_epochs=3)), tiny_stream, 0, 1)
    with pytest.raises(ModelError, match=r"PackNet: heads: 'haed' names no part"):
        learn(make(PackNet(heads=["haed"])), tiny_stream, 0, 1)
    with pytest.raises(ConfigError, match=r"prune has 2 shares, too few for 3 experiences\. Give"):
        learn(make(PackNet(prune=[0.5, 0.5])), tiny_stream, 0, 1)
    for prune in (0.0, [0.5, 0.0, 0.5]):
        with pytest.raises(ConfigError, match=r"frees no weight .* Only the last share may be 0"):
            learn(make(PackNet(prune=prune)), tiny_stream, 0, 1)


def test_the_largest_free_weights_are_kept_and_the_others_are_zero() -> None:
    weights = {"w": torch.tensor([[0.1, -4.0], [3.0, -0.2]])}
    owners = {"w": torch.zeros(2, 2, dtype=torch.uint8)}
    assign_largest(weights, owners, 0.5, 1)
    assert torch.equal(owners["w"], torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8))
    assert torch.equal(weights["w"], torch.tensor([[0.0, -4.0], [3.0, 0.0]]))


def test_what_has_an_owner_keeps_it_and_its_value() -> None:
    weights = {"w": torch.tensor([0.01, 5.0, 1.0, 2.0])}
    owners = {"w": torch.tensor([1, 0, 0, 0], dtype=torch.uint8)}
    assign_largest(weights, owners, 1 / 3, 2)
    assert owners["w"].tolist() == [1, 2, 0, 2]
    assert weights["w"].tolist() == pytest.approx([0.01, 5.0, 0.0, 2.0])


def test_shares_of_a_half_a_half_and_nothing_occupy_exactly() -> None:
    random = torch.Generator().manual_seed(0)
    weights = {
        n: torch.randn(shape, generator=random) for n, shape in (("a", (8, 8)), ("b", (16,)))
    }
    owners = {n: torch.zeros_like(w, dtype=torch.uint8) for n, w in weights.items()}
    assert occupancy(owners) == []
    for experience, freed in enumerate((0.5, 0.5, 0.0), start=1):
        before = {n: o.clone() for n, o in owners.items()}
        assign_largest(weights, owners, freed, experience)
        for name, owner in owners.items():
            taken = before[name] > 0
            assert torch.equal(owner[taken], before[name][taken])
    assert occupancy(owners) == [0.5, 0.25, 0.25]


def test_equal_weights_are_kept_in_their_order() -> None:
    weights, owners = {"w": torch.ones(4)}, {"w": torch.zeros(4, dtype=torch.uint8)}
    assign_largest(weights, owners, 0.5, 1)
    assert owners["w"].tolist() == [1, 1, 0, 0]


def test_an_experience_of_few_steps_is_warned_of(
    make: Make, tiny_stream: Any, learn: Learn, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = make(PackNet(prune=0.5), epochs=3)
    learn(strategy, tiny_stream, 0, 1)
    assert "PackNet: experience 0 has" in caplog.text
    caplog.clear()
    strategy.train_mb_size, strategy.train_epochs = 32, 8
    for batches, told in ((7, True), (13, False)):
        strategy.dataloader = range(batches)
        strategy.plugins[0]._warn_of_few_steps(strategy)
        assert bool(caplog.text) is told
        if told:
            assert "experience 1 has 56 optimizer steps, too few for weights" in caplog.text
            assert "train_mb_size=16, or cl_strategy.train_epochs=16." in caplog.text
        caplog.clear()
