"""Learning without forgetting: the teacher, the distances, and the state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.regularization import LearningWithoutForgetting
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.losses.pairwise import FidelityLoss
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


class Experience:
    """As much of an experience as the hooks need."""

    def __init__(self, classes: list[int] | None = None) -> None:
        if classes is not None:
            self.classes_seen_so_far = classes


class _Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: nn.Module, inputs: Tensor, classes: list[int] | None = None) -> None:
        self.model = model
        self.experience = Experience(classes)
        self.mbatch = [inputs]
        self.loss = torch.zeros(())

    @property
    def mb_output(self) -> Tensor:
        return self.output_of(self.mbatch)

    def output_of(self, batch: list[Tensor], model: nn.Module | None = None) -> Tensor:
        output: Tensor = (model or self.model)(batch[0])
        return output


Holder: Any = _Holder  # not all of the protocol


class Scores(nn.Module):
    """Scores (B,) of features (B, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.head(inputs)[:, 0]
        return scores


def inputs(count: int = 6) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(5))


def moved(plugin: LwF, holder: Holder) -> tuple[Tensor, Tensor]:
    """Let the plugin take a teacher, move the student, and return both outputs."""
    before = holder.mb_output.detach()
    plugin.after_training_exp(holder)
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in holder.model.parameters():
            parameter.add_(torch.randn_like(parameter))
    plugin.before_backward(holder)
    return before, holder.mb_output


def test_scores_are_held_by_their_squared_difference() -> None:
    holder = Holder(Scores(), inputs())
    before, now = moved(LwF(alpha=0.5), holder)
    assert float(holder.loss.detach()) == pytest.approx(
        0.5 * float(F.mse_loss(now.detach(), before)), rel=1e-5
    )


def test_scores_are_held_by_the_fidelity_of_their_pairs() -> None:
    holder = Holder(Scores(), inputs())
    before, now = moved(LwF(alpha=2.0, distill="fidelity"), holder)
    expected = 2 * FidelityLoss(sigma=0.1, target_sigma=0.1)(now, before)
    assert float(holder.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(holder.loss.detach()) > 0.01


def test_classes_seen_before_are_held_by_their_softened_divergence() -> None:
    holder = Holder(nn.Linear(3, 5), inputs(), classes=[0, 1, 3])
    before, now = moved(LwF(alpha=0.5, temperature=2.0), holder)
    p = F.softmax(before[:, [0, 1, 3]] / 2, 1)
    q = F.softmax(now[:, [0, 1, 3]] / 2, 1)
    expected = 0.5 * (p * (p / q).log()).sum(1).mean()  # Li & Hoiem, eq. 2 to 4: no T^2
    assert float(holder.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    holder.loss.backward()
    weight = holder.model.weight
    assert isinstance(weight, nn.Parameter)
    assert weight.grad is not None
    assert weight.grad[[2, 4]].abs().max() == 0  # classes that the teacher has not learnt are free
    assert weight.grad[[0, 1, 3]].abs().min() > 0


@pytest.mark.parametrize(("alpha", "temperature"), [(1.0, 2.0), (0.5, 1.0), (3.0, 4.0)])
def test_the_same_arguments_mean_what_they_mean_in_avalanche(
    alpha: float, temperature: float
) -> None:
    holder = Holder(nn.Linear(3, 5), inputs(), classes=[0, 1, 3])
    theirs: Any = LearningWithoutForgetting(alpha, temperature)
    theirs.prev_model = copy.deepcopy(holder.model)
    theirs.prev_classes_by_task[0] = {0, 1, 3}
    moved(LwF(alpha, temperature), holder)
    expected = theirs(inputs(), holder.mb_output, holder.model)
    torch.testing.assert_close(holder.loss, expected)
    weight: Any = holder.model.weight
    ours, reference = (torch.autograd.grad(x, weight)[0] for x in (holder.loss, expected))
    torch.testing.assert_close(ours, reference)


def test_logits_can_be_held_by_their_squared_difference() -> None:
    holder = Holder(nn.Linear(3, 4), inputs(), classes=[1, 2])
    before, now = moved(LwF(distill="mse"), holder)
    expected = F.mse_loss(now[:, [1, 2]], before[:, [1, 2]])
    assert float(holder.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(
    ("distill", "outputs"), [(None, 1), ("fidelity", 1), (None, 3), ("mse", 3)]
)
def test_a_student_like_its_teacher_has_no_distance(distill: str | None, outputs: int) -> None:
    model: nn.Module = Scores() if outputs == 1 else nn.Linear(3, outputs)
    holder, plugin = Holder(model, inputs()), LwF(10.0, distill=distill)
    plugin.after_training_exp(holder)
    plugin.before_backward(holder)
    # the square roots of the fidelity are kept differentiable by 1e-8
    assert float(holder.loss.detach()) == pytest.approx(
        0, abs=1e-2 if distill == "fidelity" else 1e-6
    )
    holder.loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() < 1e-2 for p in model.parameters())


def test_the_gradient_goes_through_the_student_alone() -> None:
    plugin, holder = LwF(), Holder(nn.Linear(3, 4), inputs())
    moved(plugin, holder)
    holder.loss.backward()
    teacher = plugin.teacher(holder.model)
    assert teacher is not None
    assert not teacher.training
    assert all(not p.requires_grad and p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in holder.model.parameters())


def test_of_a_head_that_has_grown_the_old_units_are_held() -> None:
    small, large = nn.Linear(3, 2), nn.Linear(3, 4)
    plugin, holder = LwF(distill="mse"), Holder(small, inputs())
    plugin.after_training_exp(holder)
    other = LwF(distill="mse")  # its teacher takes the architecture from the larger model
    other.load_state_dict(copy.deepcopy(plugin.state_dict()))
    with torch.no_grad():
        large.weight[:2], large.bias[:2] = small.weight + 0.1, small.bias
    expected = float(F.mse_loss(large(inputs())[:, :2], small(inputs())).detach())
    for each in (plugin, other):
        grown = Holder(large, inputs())
        each.before_backward(grown)
        assert float(grown.loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_the_first_experience_is_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[[Any, Any], None]
) -> None:
    naive, taught = make_strategy(), make_strategy([LwF(5.0)])
    for strategy in (naive, taught):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert_same(taught.model.state_dict(), naive.model.state_dict())
    for strategy in (naive, taught):
        strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert not torch.equal(taught.model.head.weight, naive.model.head.weight)


def test_alpha_zero_is_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[[Any, Any], None]
) -> None:
    naive, taught = make_strategy(), make_strategy([LwF(0.0)])
    for strategy in (naive, taught):
        for index in range(3):
            strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert_same(taught.model.state_dict(), naive.model.state_dict())
    assert taught.plugins[0].state_dict()["teacher"] is None  # nothing is kept for nothing


def test_the_teachers_weights_and_statistics_never_move(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[[Any, Any], None]
) -> None:
    plugin = LwF()
    strategy = make_strategy([plugin])
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    before = copy.deepcopy(strategy.model.state_dict())
    seen = []
    strategy.on_epoch = lambda _: seen.append(copy.deepcopy(plugin.state_dict()["teacher"]))
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert len(seen) == 2
    for state in seen:
        assert_same(state, before)
    assert not torch.equal(strategy.model.body[1].running_mean, before["body.1.running_mean"])
    assert_same(plugin.state_dict()["teacher"], dict(strategy.model.state_dict()))


@pytest.mark.parametrize("distill", ["mse", "fidelity"])
def test_a_great_alpha_keeps_the_predictions(
    distill: str, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    gaps = {}
    for alpha in (0.0, 100.0):
        strategy = make_strategy([LwF(alpha, distill=distill)], epochs=12)
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        new = tiny_stream.dataset("b", "train").eval()
        before, _ = strategy.predict(new)
        strategy.train_step(1, [tiny_stream.train_stream[1]])
        after, _ = strategy.predict(new)
        before, after = before - before.mean(), after - after.mean()  # pairs leave the mean free
        gaps[alpha] = float(abs(after - before).mean())
    assert gaps[100.0] < 0.6 * gaps[0.0]


def test_memory_samples_are_distilled_too(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    distance = LwF.distance

    def watch(self: LwF, outputs: Tensor, truth: Tensor) -> Tensor:
        sizes.extend((len(outputs), len(truth)))
        return distance(self, outputs, truth)

    monkeypatch.setattr(LwF, "distance", watch)
    strategy = make_strategy([Replay(8, batch_size_mem=4), LwF()], epochs=1, amp=True)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert sizes == [12, 12] * 4


def test_classes_of_a_stream_are_those_seen_before(split_config: dict[str, Any]) -> None:
    split_config["cl_strategy"] |= {"type": "LwF", "train_epochs": 1}
    split_config["cl_strategy"].pop("mem_size")
    parts = build(split_config, torch.device("cpu"))
    plugin = next(p for p in parts.strategy.plugins if isinstance(p, LwF))
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)[:2]):
        parts.strategy.train_step(index, step)
        assert plugin.state_dict()["classes"] == [[0, 1], [0, 1, 2, 3]][index]


@pytest.mark.parametrize("distill", ["mse", "fidelity"])
def test_resume_at_every_epoch_is_bit_identical(
    distill: str,
    make_strategy: Make,
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
) -> None:
    saved: list[dict[str, Any]] = []
    stream = tiny_stream.train_stream
    whole = make_strategy([LwF(distill=distill), Replay(8)])
    whole.on_epoch = lambda _: saved.append(copy.deepcopy(whole.state_dict()))
    for index in range(3):
        whole.train_step(index, [stream[index]])
    for state in saved:
        torch.manual_seed(99)  # a new process knows nothing of the old one's generator
        resumed = make_strategy([LwF(distill=distill), Replay(8)])
        resumed.load_state_dict(state)
        for index in range(state["step_index"], 3):
            resumed.train_step(index, [stream[index]])
        assert_same(resumed.state_dict(), whole.state_dict())


def test_resume_over_classes_is_bit_identical(
    split_config: dict[str, Any],
    run_config: Callable[..., Any],
    assert_same: Callable[[Any, Any], None],
) -> None:
    config = split_config
    config["cl_strategy"] |= {"type": "LwF", "plugins": [{"type": "Replay", "mem_size": 9}]}
    config["cl_strategy"].pop("mem_size")
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    for place in sorted((whole / "checkpoints").glob("exp_*.pth"))[1:4:2]:
        folder = run_config(copy.deepcopy(config), f"from-{place.stem}", resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        assert_same(state["strategy"], final["strategy"])


def test_fidelity_of_classes_is_refused_in_the_first_experience() -> None:
    with pytest.raises(ConfigError, match=r"'fidelity' compares quality scores.* has 4 outputs"):
        LwF(distill="fidelity").before_backward(Holder(nn.Linear(3, 4), inputs()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -1}, "alpha must be >= 0, got -1"),
        ({"alpha": float("nan")}, "alpha must be >= 0, got nan"),
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"distill": "kl"}, "distill must be one of None, 'mse', 'fidelity', got 'kl'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LwF(**arguments)
