"""The training loop: repeatable, resumable at every epoch, and the same as a plain one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.supervised import EWC
from avalanche.training.supervised import Naive as AvalancheNaive
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.template import StreamTemplate, TrainingError, with_stream_template
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining
from cliqa.training.supervised.naive import Naive
from cliqa.utils.seed import seed_everything

Make = Callable[..., Any]


def run(strategy: Any, stream: QualityStream, first: int = 0) -> None:
    steps = strategy.steps(stream.train_stream)
    for index in range(first, len(steps)):
        strategy.train_step(index, steps[index])
        strategy.eval(stream.test_stream)


def frozen(strategy: Any) -> Any:
    """Freeze a strategy's body; the optimizer knows nothing of frozen parts, as a config's."""
    strategy.model.body.requires_grad_(False)
    strategy.optimizer = torch.optim.AdamW(strategy.model.head.parameters(), lr=1e-2)
    return strategy


CASES: dict[str, Callable[[Make], Callable[[], Any]]] = {
    "naive": lambda make: lambda: make(schedule={"type": "CosineAnnealingLR"}),
    "reset": lambda make: lambda: make(reset_optimizer=True),
    "replay": lambda make: lambda: make([Replay(12)], schedule={"type": "StepLR", "step_size": 1}),
    "reservoir": lambda make: lambda: make([Replay(12, "reservoir"), L2(0.1, "all")]),
    "frozen": lambda make: lambda: frozen(make()),
    "l2-init": lambda make: lambda: make([L2(0.1, "init")]),
    "plateau": lambda make: lambda: make(schedule={"type": "ReduceLROnPlateau", "patience": 0}),
    "one-cycle": lambda make: (
        lambda: make(schedule={"type": "OneCycleLR", "max_lr": 0.01, "by": "iteration"})
    ),
    "joint": lambda make: lambda: make(cls=JointTraining, epochs=4),
    "cumulative": lambda make: lambda: make(cls=Cumulative),
    "ema": lambda make: lambda: make([EMA(0.8), Replay(12)]),
    "accumulated": lambda make: (
        lambda: make([SI(1.0)], accumulate=3, schedule={"type": "CosineLR", "by": "iteration"})
    ),
    "bf16": lambda make: lambda: make([Replay(12)], amp=True, clip_grad_norm=0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_resume_at_any_epoch_is_bit_identical(
    case: str,
    make_strategy: Make,
    short_stream: QualityStream,
    assert_resumable: Callable[..., None],
) -> None:
    every = 1 if case in ("naive", "replay", "joint", "frozen") else 2
    assert_resumable(CASES[case](make_strategy), short_stream, every)


def with_patches(stream: QualityStream, experiences: int = 3) -> QualityStream:
    """Return the first experiences of the stream with three patches an image."""
    data = [stream.sources[name, "train"] for name in stream.names[:experiences]]
    for each in data:
        each.splits = tuple("test" if k % 4 == 0 else "train" for k in range(len(each)))
    pipelines = stream.train_transform, stream.eval_transform
    return QualityStream(data, *pipelines, patches_per_image=3, patch_pool=16)


def test_resume_with_patches_is_bit_identical(
    make_strategy: Make, short_stream: QualityStream, assert_resumable: Callable[..., None]
) -> None:
    def make() -> Any:
        return make_strategy([DER(8), Replay(6)], epochs=2)

    assert_resumable(make, with_patches(short_stream), 4)


@pytest.mark.slow
def test_resume_is_bit_identical_with_workers(
    make_strategy: Make, short_stream: QualityStream, assert_resumable: Callable[..., None]
) -> None:
    def make() -> Any:
        return make_strategy([Replay(12)], epochs=1, num_workers=2)

    assert_resumable(make, with_patches(short_stream, 2), every=3)


def test_other_seed_gives_other_weights(make_strategy: Make, tiny_stream: QualityStream) -> None:
    first, second = make_strategy(seed=1), make_strategy(seed=2)
    run(first, tiny_stream)
    run(second, tiny_stream)
    assert not torch.equal(first.model.head.weight, second.model.head.weight)


def test_validation_and_evaluation_change_nothing(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    plain, watched = make_strategy(), make_strategy()
    watched.on_epoch = lambda _: watched.predict(tiny_stream.validation(0))
    run(plain, tiny_stream)
    run(watched, tiny_stream)
    assert_same(watched.model.state_dict(), plain.model.state_dict())


def test_equals_a_hand_written_loop(make_strategy: Make, tiny_stream: QualityStream) -> None:
    """Without random steps, which draw from seeds of their own."""
    whole = tiny_stream.eval_transform
    stream = QualityStream([tiny_stream.sources["a", "train"]], whole, whole)
    strategy = make_strategy(epochs=3)
    model = copy.deepcopy(strategy.model)
    strategy.train_step(0, [stream.train_stream[0]])

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    data = stream.dataset("a", "train")
    model.train()
    for epoch in range(3):
        seed_everything(1, "step", 0, "epoch", epoch)
        for images, scores in torch.utils.data.DataLoader(
            data, 8, sampler=torch.utils.data.RandomSampler(data)
        ):
            optimizer.zero_grad()
            nn.functional.l1_loss(model(images), scores).backward()
            optimizer.step()
    for own, expected in zip(strategy.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(own, expected)


def test_epoch_loss_is_the_mean_over_samples(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    losses: list[float] = []
    strategy = make_strategy(epochs=1, on_epoch=losses.append)
    for group in strategy.optimizer.param_groups:
        group["lr"] = 0.0
    strategy.model.body[5].p = 0.0
    strategy.model.body[1].momentum = 0.0
    strategy.model.body[1] = nn.Identity()
    tiny_stream.train_transform = tiny_stream.eval_transform
    prediction, target = strategy.predict(tiny_stream.dataset("a", "train"))
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    # crops of the training images differ from the whole images a little
    assert losses[0] == pytest.approx(float(np.abs(prediction - target).mean()), abs=0.02)


def test_infinite_loss_stops_with_advice(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy()
    with torch.no_grad():
        strategy.model.head.bias.fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"loss became .* in epoch 1 of step 1.*optimizer\.lr"):
        run(strategy, tiny_stream)


def test_gradient_clipping_limits_the_step(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy(epochs=1, clip_grad_norm=1e-3)
    norms = []
    step = strategy.precision.step

    def watch(optimizer: torch.optim.Optimizer) -> None:
        gradients = [p.grad for p in strategy.model.parameters()]
        norms.append(float(torch.stack([g.norm() for g in gradients]).norm()))
        step(optimizer)

    strategy.precision.step = watch
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert norms
    assert max(norms) <= 1e-3 * 1.001


def test_predict_matches_the_evaluation(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy()
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.eval(tiny_stream.test_stream)
    collected, _ = strategy.evaluator.metrics[0].result()["b"]
    prediction, target = strategy.predict(tiny_stream.dataset("b", "test"))
    assert np.array_equal(collected, prediction)
    assert prediction.shape == target.shape == (4,)


def test_upstream_strategies_get_the_template(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    ours, theirs = make_strategy(), make_strategy(cls=with_stream_template(AvalancheNaive))
    assert isinstance(theirs, StreamTemplate)
    assert theirs.state_is_in_plugins
    assert with_stream_template(Naive) is Naive
    assert not with_stream_template(EWC).state_is_in_plugins
    run(ours, tiny_stream)
    run(theirs, tiny_stream)
    assert_same(theirs.model.state_dict(), ours.model.state_dict())
