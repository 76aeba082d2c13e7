"""What methods with prompts share: the model they need, their room, and classes that compete."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.prompts.coda_prompt import CODAPrompt
from cliqa.training.plugins.prompts.dual_prompt import DualPrompt
from cliqa.training.plugins.prompts.l2p import L2P
from cliqa.training.plugins.rehearsal.er_ace import ER_ACE
from cliqa.utils.errors import ConfigError

METHODS = {"L2P": L2P, "DualPrompt": DualPrompt, "CODAPrompt": CODAPrompt}

Make = Callable[..., Any]


@pytest.mark.parametrize("name", METHODS)
def test_a_model_without_its_prompts_is_refused(
    name: str,
    make_strategy: Make,
    prompted_model: Make,
    tiny_stream: QualityStream,
    learn: Callable[..., None],
) -> None:
    advice = f"{name}: the model has no prompts of its kind. Set model.backbone=dict"
    with pytest.raises(ConfigError, match=advice):
        learn(make_strategy([METHODS[name]()]), tiny_stream, last=1)
    other = prompted_model("L2P" if name != "L2P" else "DualPrompt")
    with pytest.raises(ConfigError, match=advice):
        METHODS[name]().prepare(other)  # before data are read
    with pytest.raises(ConfigError, match=f"{name}: strength must be >= 0"):
        METHODS[name](-1.0)


@pytest.mark.parametrize("name", ["DualPrompt", "CODAPrompt"])
def test_a_stream_longer_than_the_prompts_is_refused(
    name: str,
    prompted_model: Make,
    prompted_strategy: Make,
    tiny_stream: QualityStream,
    learn: Callable[..., None],
) -> None:
    plugin: Any = METHODS[name]()
    plugin.prepare(prompted_model(name))
    plugin.check_room(3)
    with pytest.raises(ConfigError, match=f"{name}: the stream has 4 experiences, and the prompts"):
        plugin.check_room(4)

    short = prompted_strategy(name, [plugin], experiences=2)
    learn(short, tiny_stream, last=2)
    plugin.check_room(0)
    loaded: Any = METHODS[name]()
    loaded.prepare(short.model)
    loaded.load_state_dict(plugin.state_dict())
    with pytest.raises(ConfigError, match=r"for 2\. Train .* model\.backbone\.experiences=3 or mo"):
        loaded.check_room(1)
    with pytest.raises(ConfigError, match="the stream has 3 experiences"):
        learn(short, tiny_stream, 2, 3)


def holder(targets: list[int], classes: list[int], outputs: torch.Tensor) -> Any:
    """Return as much of a strategy as the hooks need, within an experience of some classes."""
    labels = torch.tensor(targets)
    data = SimpleNamespace(targets=classes)
    return SimpleNamespace(
        model=SimpleNamespace(modules=list),
        experience=SimpleNamespace(dataset=data),
        adapted_dataset=data,
        mb_output=outputs,
        mb_y=labels,
        loss=F.cross_entropy(outputs, labels),
        task_loss=F.cross_entropy,
    )


class OfNoModel(L2P):
    """L2P without its keys."""

    def prepare(self, model: Any) -> None:
        """Take any model."""

    part_of = prepare


def test_an_experiences_classes_compete_among_themselves() -> None:
    torch.manual_seed(0)
    outputs = torch.randn(4, 6, requires_grad=True)
    plugin = OfNoModel(strength=0.0)
    own = holder([2, 3, 3, 2], [2, 2, 3], outputs)
    plugin.before_training_exp(own)
    plugin.before_backward(own)
    torch.testing.assert_close(
        own.loss, F.cross_entropy(outputs[:, 2:4], torch.tensor([0, 1, 1, 0]))
    )
    (slope,) = torch.autograd.grad(own.loss, outputs)
    torch.testing.assert_close(slope[:, [0, 1, 4, 5]], torch.zeros(4, 4))

    replayed = holder([2, 3, 0, 2], [2, 2, 3], outputs)  # a memory's class competes too
    plugin.before_backward(replayed)
    expected = F.cross_entropy(outputs[:, [0, 2, 3]], torch.tensor([1, 2, 0, 1]))
    torch.testing.assert_close(replayed.loss, expected)

    alike = OfNoModel(strength=0.0, own_classes=False)
    among_all = holder([2, 3, 3, 2], [2, 2, 3], outputs)
    alike.before_training_exp(among_all)
    alike.before_backward(among_all)
    torch.testing.assert_close(among_all.loss, F.cross_entropy(outputs, among_all.mb_y))


def test_two_choices_of_the_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"CODAPrompt: 'ER_ACE' chooses .* Set own_classes=False"):
        CODAPrompt().check([ER_ACE(10)])
    CODAPrompt(own_classes=False).check([ER_ACE(10)])
