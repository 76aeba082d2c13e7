"""A head per experience over a trunk that goes on learning, taught by the earlier heads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.losses.pairwise import FidelityLoss
from cliqa.models.heads.unit import UnitScoreHead
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.compression.qat import QAT
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.multi_head import MultiHead
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]
Learn = Callable[..., None]
Outputs = Callable[[Any, Any], dict[str, Tensor]]
Said = Callable[[Any, Any], list[dict[str, Tensor]]]


GATE: dict[str, Any] = {"name": "kmeans", "centroids": 2, "starts": 1}


class Net(nn.Module):
    """A convolution with batch norm, and a head."""

    def __init__(self, unit: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = UnitScoreHead(8) if unit else nn.Linear(8, 1)

    def features(self, images: Tensor) -> Tensor:
        return self.body(images).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        score = self.head(self.features(images))
        return score if score.dim() == 1 else score[:, 0]


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy over a `Net`, prepared as a config's is."""

    def build(
        *beside: Any, unit: bool = False, epochs: int = 2, amp: bool = False, **arguments: Any
    ) -> Any:
        plugins = [MultiHead(**{"gate": GATE, **arguments}), *beside]
        strategy = make_strategy(plugins, epochs=epochs)
        torch.manual_seed(0)
        strategy.model = Net(unit)
        for plugin in plugins:
            if isinstance(plugin, ContinualPlugin):
                plugin.prepare(strategy.model)
        strategy.optimizer = torch.optim.AdamW(
            strategy.model.parameters(), lr=1e-2, weight_decay=0.1
        )
        strategy.configure(TrainingOptions(seed=1, amp=amp), Schedule(None))
        return strategy

    return build


class Probe(ContinualPlugin):
    """Sees the model before each epoch, and the loss of each batch."""

    saved = ()

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[Tensor] = []
        self.models: list[Any] = []
        self.trained: list[set[str]] = []
        self.batch: Tensor = torch.zeros(0)

    def before_training_epoch(self, strategy: Any, **_: object) -> None:
        self.models.append(copy.deepcopy(strategy.model))

    def before_backward(self, strategy: Any, **_: object) -> None:
        self.losses.append(strategy.loss.detach().clone())
        self.batch = self.batch if len(self.losses) > 1 else strategy.mb_x.clone()

    def after_backward(self, strategy: Any, **_: object) -> None:
        named = strategy.model.named_parameters()
        self.trained.append({n for n, p in named if p.grad is not None and bool(p.grad.any())})


def head_of(model: Any, index: int) -> nn.Module:
    found: nn.Module = [*model.earlier_heads, model.head][index]
    return found


@pytest.mark.parametrize("distill", ["fidelity", "mse"])
def test_the_loss_is_the_distance_of_every_earlier_head(
    distill: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    first, last = Probe(), Probe()
    strategy = make(last, strength=3.0, sigma=0.2, distill=distill, epochs=1)
    strategy.plugins.insert(0, first)
    learn(strategy, tiny_stream, 0, 2)
    before = copy.deepcopy(strategy.model)
    first.losses, last.losses = [], []
    learn(strategy, tiny_stream, 2, 3)
    student, teacher = last.models[-1].train(), before.eval()
    teachers = [before.earlier_heads[0], before.head]  # the second experience's is still there
    with torch.no_grad():
        seen, known = student.features(last.batch), teacher.features(last.batch)
        pairs = [(student.earlier_heads[t](seen)[:, 0], teachers[t](known)[:, 0]) for t in (0, 1)]
    measure = FidelityLoss(0.2, 0.2) if distill == "fidelity" else nn.MSELoss()
    expected = 3.0 * sum(measure(own, truth) for own, truth in pairs)
    assert torch.allclose(last.losses[0] - first.losses[0], expected, atol=1e-6)
    assert expected > 0  # batch statistics differ from the teacher's running ones


def test_the_first_experience_is_plain_fine_tuning(
    make: Make, make_strategy: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy, naive = make(), make_strategy()
    torch.manual_seed(0)
    naive.model = Net()
    naive.optimizer = torch.optim.AdamW(naive.model.parameters(), lr=1e-2, weight_decay=0.1)
    naive.configure(TrainingOptions(seed=1), Schedule(None))
    for each in (strategy, naive):
        learn(each, tiny_stream, 0, 1)
    own = strategy.model.state_dict()
    assert all(torch.equal(own[name], value) for name, value in naive.model.state_dict().items())


def test_without_a_strength_earlier_heads_stay_and_the_trunk_moves(
    make: Make, tiny_stream: Any, outputs_after_each: Said
) -> None:
    strategy = make(strength=0.0, inference="oracle")
    heads: list[dict[str, Tensor]] = []
    strategy.on_epoch = lambda _: heads.append(copy.deepcopy(strategy.model.head.state_dict()))
    first, _, third = outputs_after_each(strategy, tiny_stream)
    assert torch.equal(strategy.model.earlier_heads[0].weight, heads[1]["weight"])
    assert torch.equal(strategy.model.earlier_heads[1].weight, heads[3]["weight"])
    assert not torch.equal(third["a"], first["a"])  # the head is the same, the trunk the newest


def test_a_great_strength_holds_what_earlier_heads_say(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    images = torch.stack([tiny_stream.train_stream[1].dataset[i][0] for i in range(8)])
    gaps = {}
    for strength in (0.0, 100.0):
        strategy = make(strength=strength, distill="mse", epochs=4, inference="last")
        strategy.model.body[1] = nn.Identity()  # a teacher's statistics are others than a batch's
        learn(strategy, tiny_stream, 0, 1)
        before = strategy.model.eval()(images).detach()
        learn(strategy, tiny_stream, 1, 2)
        after = head_of(strategy.model.eval(), 0)(strategy.model.features(images))[:, 0]
        gaps[strength] = float((after - before).detach().abs().mean())
    assert gaps[100.0] < 0.5 * gaps[0.0]


def test_a_new_head_begins_as_the_first_did_without_the_old_ones_momentum(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    probe = Probe()
    strategy = make(probe)
    initial = copy.deepcopy(strategy.model.head.state_dict())
    learn(strategy, tiny_stream, 0, 1)
    assert strategy.model.head.weight not in strategy.optimizer.state
    trained = copy.deepcopy(strategy.model.head.state_dict())
    learn(strategy, tiny_stream, 1, 2)
    opened = probe.models[2].head.state_dict()
    assert torch.equal(opened["weight"], initial["weight"])
    assert not torch.equal(initial["weight"], trained["weight"])


def test_the_warm_up_trains_the_new_head_alone(make: Make, tiny_stream: Any, learn: Learn) -> None:
    probe = Probe()
    strategy = make(probe, epochs=3, warmup_epochs=1)
    learn(strategy, tiny_stream, 0, 1)
    start, second = probe.models[0].state_dict(), probe.models[1].state_dict()
    moved = {name for name, value in start.items() if not torch.equal(value, second[name])}
    assert moved == {"head.weight", "head.bias"}  # nor do statistics or weight decay change others
    batches = len(probe.trained) // 3
    assert probe.trained[0] == {"head.weight", "head.bias"}
    assert "body.0.weight" in probe.trained[batches]
    learn(strategy, tiny_stream, 1, 2)
    assert probe.trained[3 * batches] == {"head.weight", "head.bias"}
    assert "earlier_heads.0.weight" in probe.trained[-1]
    assert all(parameter.requires_grad for parameter in strategy.model.parameters())
    with pytest.raises(ConfigError, match=r"warmup_epochs=2 leaves none of the 2 epochs"):
        learn(make(warmup_epochs=2), tiny_stream, 0, 1)


def test_the_gate_mixes_all_heads_over_the_newest_trunk(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    strategy = make()
    learn(strategy, tiny_stream)
    plugin = strategy.plugins[0]
    images = torch.stack([tiny_stream.test_stream[1].dataset[i][0] for i in range(4)])
    model = copy.deepcopy(strategy.model).eval()
    with torch.no_grad():
        features, weights = model.features(images), plugin.gate.weights(images)
        parts = torch.stack([head_of(model, t)(features)[:, 0] for t in range(3)], dim=1)
        network = plugin.deployed(model)
        expected = (parts * weights).sum(1)
        found = network(images)
    assert torch.allclose(outputs(strategy, tiny_stream)["b"][:4], expected, atol=1e-6)
    assert torch.allclose(found, expected, atol=1e-6)
    assert (parts[:, 0] - parts[:, 2]).abs().max() > 1e-3  # the heads differ
    trunks = {p.data_ptr() for n, p in network.named_parameters() if n.endswith("0.weight")}
    assert len(trunks) == 2  # one for the heads, one for the gate


def test_unit_heads_share_a_scale_in_use_and_teach_with_what_the_loss_sees(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    first, last = Probe(), Probe()
    strategy = make(last, unit=True, strength=1.0, sigma=1.0, epochs=1)
    strategy.plugins.insert(0, first)
    learn(strategy, tiny_stream, 0, 1)
    before = copy.deepcopy(strategy.model).eval()
    first.losses, last.losses = [], []
    learn(strategy, tiny_stream, 1, 2)
    student = last.models[-1].train()
    with torch.no_grad():
        own = student.earlier_heads[0].raw(student.features(last.batch))
        truth = before.head.raw(before.features(last.batch))
    expected = FidelityLoss(1.0, 1.0)(own, truth)
    assert torch.allclose(last.losses[0] - first.losses[0], expected, atol=1e-6)
    for scores in outputs(strategy, tiny_stream).values():
        assert bool(((scores >= 0) & (scores <= 1)).all())


def test_a_penalty_forgets_the_head_that_is_opened_again(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    penalties = [EWC(2.0, n_samples=8), SI()]
    strategy = make(*penalties, strength=0.0, epochs=1, inference="last")
    learn(strategy, tiny_stream, 0, 1)
    assert "head.weight" in penalties[0].importance
    seen: list[set[str]] = []
    strategy.on_epoch = lambda _: seen.extend(set(p._anchor) for p in penalties)
    learn(strategy, tiny_stream, 1, 2)
    assert all("body.0.weight" in names and "head.weight" not in names for names in seen)


COMPANY: dict[str, Callable[[], Sequence[Any]]] = {
    "alone": list,
    "penalties": lambda: [EWC(2.0, n_samples=8, mode="online"), SI()],
    "replay-ema": lambda: [Replay(8), EMA(0.9)],
}


@pytest.mark.parametrize("case", COMPANY)
def test_a_resumed_run_ends_with_the_same_bits(
    case: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    arguments: dict[str, Any] = {"warmup_epochs": 1} if case == "alone" else {}
    every = 2 if case == "alone" else 4
    assert_resumable(
        lambda: make(*COMPANY[case](), amp=case == "replay-ema", **arguments), short_stream, every
    )


def test_an_evaluation_in_the_middle_takes_the_finished_heads(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    found: list[tuple[int, int]] = []
    strategy = make(epochs=1)
    plugin = strategy.plugins[0]

    def look(_: float) -> None:
        outputs(strategy, tiny_stream)
        images = torch.rand(2, 3, 12, 12)
        found.append((plugin.learnt, plugin.gate.weights(images).shape[1] if plugin.learnt else 0))

    strategy.on_epoch = look
    learn(strategy, tiny_stream, 0, 2)
    assert found == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -1}, "strength must be >= 0, got -1"),
        ({"sigma": 0}, "sigma must be above 0, got 0"),
        ({"distill": "kl"}, "distill must be one of 'fidelity', 'mse', got 'kl'"),
        ({"warmup_epochs": -1}, "warmup_epochs"),
        ({"inference": "all"}, "inference must be one of"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MultiHead(**arguments)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be combined with PackNet.*drop 'PackNet'"):
        MultiHead().check([EWC(), PackNet()])
    with pytest.raises(ConfigError, match="QAT.*quantize the finished run"):
        MultiHead().check([QAT()])
    with pytest.raises(ModelError, match="MultiHead: head: 'haed' names no part of the Net"):
        MultiHead(head="haed").prepare(Net())
