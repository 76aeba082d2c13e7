"""A teacher for another model: the distances, and where the teacher comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.losses.distillation import distillation_loss
from cliqa.training.plugins.teachers.distillation import Distillation, pairwise_distance
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


class Constant(nn.Module):
    """Says the same of every image."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,)."""
        return self.score.expand(len(self.norm(images)))


def test_the_teacher_goes_where_the_student_is() -> None:
    plugin = Distillation(Constant(0.1))
    plugin.before_training_exp(SimpleNamespace(device=torch.device("meta")))
    (teacher,) = plugin._teacher
    assert {p.device.type for p in teacher.parameters()} == {"meta"}


def test_a_student_learns_its_teachers_outputs(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any, outputs: Any
) -> None:
    said = []
    for score in (0.1, 0.9):
        teacher = Constant(score)
        strategy = make_strategy([Distillation(teacher, strength=100.0)], epochs=25)
        learn(strategy, tiny_stream, 0, 1)
        said.append(float(outputs(strategy, tiny_stream)["a"].mean()))
        assert teacher.score.item() == pytest.approx(score)
        assert teacher.norm.num_batches_tracked == 0  # its statistics do not move
        assert strategy.model.state_dict().keys() == make_strategy().model.state_dict().keys()
    assert said[1] - said[0] > 0.3


def test_the_distance_is_added_to_the_loss_and_pulls_the_student_alone() -> None:
    class Loop:
        """As much of a strategy as the hook needs."""

        model = nn.Identity()
        mbatch = (torch.rand(4, 3, 2, 2), torch.rand(4))
        mb_output = torch.rand(4, requires_grad=True)
        loss = torch.tensor(1.5)

        def output_of(self, batch: Any, model: nn.Module) -> torch.Tensor:
            """Return the teacher's scores."""
            scores: torch.Tensor = model(batch[0])
            return scores

    loop: Any = Loop()
    teacher = Constant(0.25)
    Distillation(teacher, strength=2.0).before_backward(loop)
    expected = 1.5 + 2 * (loop.mb_output - 0.25).square().mean()
    torch.testing.assert_close(loop.loss, expected)
    loop.loss.backward()
    torch.testing.assert_close(loop.mb_output.grad, (loop.mb_output.detach() - 0.25))
    assert teacher.score.grad is None


def test_distances_are_those_of_their_definitions() -> None:
    random = torch.Generator().manual_seed(0)
    scores, truth = torch.rand(2, 5, generator=random)
    logits, own = torch.randn(2, 5, 3, generator=random)
    assert Distillation().distance(scores, truth) == pytest.approx(
        float(((scores - truth) ** 2).mean())
    )
    expected = 9 * distillation_loss(logits, own, 3.0)  # T^2, as Hinton et al. have it
    assert Distillation(temperature=3.0).distance(logits, own) == expected
    pairs = Distillation(kind="pairwise").distance(scores, truth)
    assert pairs == pytest.approx(2 * float((scores - truth).var(unbiased=False)))
    torch.testing.assert_close(pairwise_distance(scores + 5, truth), pairs)


def test_without_strength_nothing_is_asked_of_a_teacher(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    strategy = make_strategy([Distillation("nowhere", strength=0.0)], epochs=1)
    learn(strategy, tiny_stream, 0, 1)


def test_a_file_is_read_once_when_training_begins(
    make_strategy: Make, tiny_stream: QualityStream, learn: Any
) -> None:
    asked: list[Path] = []

    def opener(path: Path) -> nn.Module:
        asked.append(path)
        return Constant(0.5)

    plugin = Distillation("work_dirs/x")
    plugin.opener = opener
    strategy = make_strategy([plugin], epochs=1)
    assert asked == []
    learn(strategy, tiny_stream, 0, 2)
    assert asked == [Path("work_dirs/x")]


def test_mistakes_are_refused(make_strategy: Make, tiny_stream: QualityStream, learn: Any) -> None:
    with pytest.raises(ConfigError, match=r"strength must be >= 0, got -1"):
        Distillation(strength=-1)
    with pytest.raises(ConfigError, match="temperature must be above 0, got 0"):
        Distillation(temperature=0)
    with pytest.raises(ConfigError, match="kind must be one of 'mse', 'pairwise', got 'kl'"):
        Distillation(kind="kl")
    with pytest.raises(ConfigError, match="there is no teacher.*teacher='work_dirs/demo'"):
        learn(make_strategy([Distillation()]), tiny_stream, 0, 1)
    with pytest.raises(ConfigError, match=r"outputs have shape \(2, 3\), the student's \(2, 4\)"):
        Distillation().distance(torch.zeros(2, 4), torch.zeros(2, 3))
