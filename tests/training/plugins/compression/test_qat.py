"""Training with rounding: when it begins, what it composes with, and what is deployed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.fake_quantization import RANGE, is_rounded, remove_rounding, rounding_layers
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.compression.qat import QAT
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy as a config does: prepared by its plugins."""

    def build(plugins: Sequence[Any], epochs: int = 2, **options: Any) -> Any:
        strategy = make_strategy(plugins, epochs=epochs)
        for plugin in plugins:
            plugin.prepare(strategy.model)
        trained = [p for p in strategy.model.parameters() if p.requires_grad]
        strategy.optimizer = torch.optim.AdamW(trained, lr=1e-2)
        strategy.configure(TrainingOptions(seed=1, **options), Schedule(None))
        return strategy

    return build


def limits(strategy: Any) -> Tensor:
    return strategy.model.body[0].get_buffer(RANGE).clone()


def test_the_head_is_not_rounded_by_default(make: Make) -> None:
    assert list(rounding_layers(make([QAT()]).model)) == ["body.0"]
    assert list(rounding_layers(make([QAT(exclude=[])]).model)) == ["body.0", "head"]
    assert list(rounding_layers(make([QAT(exclude=["body"])]).model)) == ["head"]
    headless = nn.Sequential(nn.Linear(2, 2))
    QAT().prepare(headless)
    assert list(rounding_layers(headless)) == ["0"]


def test_the_range_is_the_running_one_of_the_training_images(
    make: Make, tiny_stream: Any, learn: Callable[..., None]
) -> None:
    strategy = make([QAT(momentum=0.3)], epochs=1)
    seen: list[Tensor] = []
    strategy.model.body[0].register_forward_pre_hook(
        lambda _, args: seen.append(args[0]), prepend=True
    )
    learn(strategy, tiny_stream, 0, 1)
    assert len(seen) == 4
    expected = [min(float(seen[0].min()), 0), float(seen[0].max())]
    for batch in seen[1:]:
        expected[0] += 0.3 * (min(float(batch.min()), 0) - expected[0])
        expected[1] += 0.3 * (float(batch.max()) - expected[1])
    assert limits(strategy).tolist() == pytest.approx(expected, rel=1e-5)


def test_evaluation_rounds_and_moves_nothing(
    make: Make, tiny_stream: Any, learn: Callable[..., None], outputs: Callable[..., Any]
) -> None:
    strategy = make([QAT(bits=3)])
    learn(strategy, tiny_stream, 0, 1)
    held = limits(strategy)
    rounded = outputs(strategy, tiny_stream)
    assert torch.equal(limits(strategy), held)
    remove_rounding(strategy.model)
    plain = outputs(strategy, tiny_stream)
    assert any(not torch.equal(rounded[name], plain[name]) for name in plain)


@pytest.mark.parametrize(("experience", "epoch"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_rounding_begins_at_the_configured_epoch(
    experience: int, epoch: int, make: Make, tiny_stream: Any, learn: Callable[..., None]
) -> None:
    strategy = make([QAT(start_experience=experience, start_epoch=epoch)])
    plain = make([])
    begun: list[bool] = []
    strategy.on_epoch = lambda _: begun.append(is_rounded(strategy.model.body[0]))
    learn(strategy, tiny_stream, 0, 2)
    assert begun == [(e, k) >= (experience, epoch) for e in range(2) for k in range(2)]
    if experience:
        strategy = make([QAT(start_experience=experience)])
        for one in (strategy, plain):
            learn(one, tiny_stream, 0, 1)
        own, other = strategy.model.state_dict(), plain.model.state_dict()
        assert all(torch.equal(own[name], other[name]) for name in other)


LISTS: dict[str, Callable[[], list[Any]]] = {
    "alone": lambda: [QAT()],
    "late": lambda: [QAT(start_experience=1, start_epoch=1)],
    "replay-lora": lambda: [LoRA(rank=2, first="full"), QAT(), Replay(8)],
    "lora-sum": lambda: [QAT(bits=4), LoRA(rank=2, mode="sum")],
    "replay-packnet": lambda: [PackNet(0.5, inference="oracle"), Replay(8), QAT()],
    "ewc-ema": lambda: [EWC(2.0, n_samples=8), EMA(0.8), QAT()],
    "lwf-der": lambda: [LwF(), DER(8), QAT()],
}


@pytest.mark.parametrize("case", LISTS)
def test_a_stopped_run_ends_with_the_same_bits(
    case: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    every = 1 if case in ("alone", "late") else 4
    assert_resumable(lambda: make(LISTS[case]()), short_stream, every)


def test_a_stopped_run_in_mixed_precision_too(
    make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    assert_resumable(lambda: make([QAT(), Replay(8)], amp=True), short_stream, every=4)


@pytest.mark.parametrize(
    "method",
    [
        lambda: PackNet(0.5, inference="oracle"),
        lambda: PackNet(0.5, norm="per_task", inference="oracle"),
        lambda: LoRA(rank=2, mode="per_task", inference="oracle"),
    ],
)
def test_earlier_views_keep_their_outputs(
    method: Callable[[], Any],
    make: Make,
    tiny_stream: Any,
    outputs_after_each: Callable[..., list[dict[str, Tensor]]],
) -> None:
    first, second, third = outputs_after_each(make([method(), QAT(bits=4)]), tiny_stream)
    names = list(third)
    assert torch.equal(first[names[0]], third[names[0]])
    assert torch.equal(second[names[1]], third[names[1]])
    assert not torch.equal(first[names[2]], third[names[2]])


def test_importances_are_those_of_the_rounded_model(
    make: Make, tiny_stream: Any, learn: Callable[..., None]
) -> None:
    """All ways to the gradients of single samples agree: they are checked against each other."""
    ewc = EWC(2.0, n_samples=8)
    strategy = make([QAT(bits=4), ewc], epochs=1)
    learn(strategy, tiny_stream, 0, 1)
    importance = copy.deepcopy(ewc.importance)
    assert set(importance) == set(dict(strategy.model.named_parameters()))
    assert float(importance["body.0.weight"].sum()) > 0


def test_training_fits_the_rounded_model_better_than_rounding_afterwards(
    make: Make, tiny_stream: Any, learn: Callable[..., None]
) -> None:
    """With two bits there is much to learn."""
    losses = {}
    for name, plugins in (("aware", [QAT(bits=2)]), ("after", [QAT(bits=2, start_epoch=19)])):
        strategy = make(plugins, epochs=20)
        if name == "after":  # the ranges are observed, but no step is taken with them
            strategy.on_epoch = lambda _: None
            step = strategy.optimizer_step
            strategy.optimizer_step = lambda s=strategy, f=step: f() if s.epochs_done < 19 else None
        learn(strategy, tiny_stream, 0, 1)
        model = strategy.model.eval()
        data = tiny_stream.test_stream[0].dataset
        images = torch.stack([data[k][0] for k in range(len(data))])
        scores = torch.tensor([float(data[k][1]) for k in range(len(data))])
        with torch.no_grad():
            losses[name] = float((model(images) - scores).abs().mean())
    assert losses["aware"] < losses["after"]


@pytest.mark.parametrize("name", ["start_experience", "start_epoch"])
@pytest.mark.parametrize("value", [-1, 0.5, True])
def test_a_beginning_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"QAT: {name} must be an integer >= 0, got"):
        QAT(**{name: value})


def test_impossible_starts_are_refused(make: Make, tiny_stream: Any) -> None:
    strategy = make([QAT(start_epoch=2)], epochs=2)
    with pytest.raises(
        ConfigError, match=r"start_epoch=2 is never reached.*train_epochs=2, counted"
    ):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    with pytest.raises(
        ConfigError, match=r"start_experience=1 would change the outputs that PackNet"
    ):
        make([PackNet(0.5), QAT(start_experience=1)])
    with pytest.raises(ModelError, match=r"QAT: exclude.*neck"):
        make([QAT(exclude=["neck"])])
    with pytest.raises(ConfigError, match=r"QAT: bits must be an integer in 2\.\.8, got 16"):
        make([QAT(bits=16)])
