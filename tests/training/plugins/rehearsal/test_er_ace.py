"""ER-ACE: the asymmetric loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.regularization import ACECriterion
from torch.nn import functional as F

from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]

METHOD = {"type": "ER_ACE", "mem_size": 12}


def test_the_loss_is_that_of_the_paper(
    over_classes: Make, teach: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = over_classes(type="ER_ACE", mem_size=12, batch_size_mem=6, train_epochs=1)
    strategy = parts.strategy
    teach(parts, 1)
    gaps: list[float] = []
    backward = strategy.backward

    def check() -> None:
        outputs, targets = strategy.mb_output, strategy.mb_y
        images, labels = strategy.plugins[0]._now[0][:2]
        old = copy.deepcopy(strategy.model)(images)
        assert torch.allclose(outputs, copy.deepcopy(strategy.model)(strategy.mb_x), atol=1e-5)
        shares = outputs.exp() * F.one_hot(targets.unique(), 10).sum(0)  # of present classes alone
        own = -(outputs.gather(1, targets[:, None])[:, 0] - shares.sum(1).log()).mean()
        expected = own + F.cross_entropy(old, labels)
        gaps.append(float(strategy.loss.detach() - expected.detach()))
        assert len(labels) == 6
        avalanches = ACECriterion()(outputs, targets, old, labels)  # the mean of both terms
        assert float(expected.detach()) == pytest.approx(2 * float(avalanches.detach()), rel=1e-4)
        absent = [k for k in range(10) if k not in targets]
        outputs.retain_grad()
        backward()
        assert float(outputs.grad[:, absent].abs().max()) < 1e-6  # they are not pushed away
        assert float(outputs.grad[:, targets.unique()].abs().max()) > 1e-3

    monkeypatch.setattr(strategy, "backward", check)
    teach(parts, 2, first=1)
    assert gaps == pytest.approx([0.0] * len(gaps), abs=1e-5)
    assert len(gaps) >= 3


def test_the_first_experience_is_naive_to_the_bit(
    over_classes: Make, teach: Make, assert_same: Make
) -> None:
    plain, own = over_classes(), over_classes(type="ER_ACE", mem_size=12)
    for parts in (plain, own):
        teach(parts, 1)
    assert_same(own.model.state_dict(), plain.model.state_dict())


def test_scores_are_refused(over_scores: Make, teach: Make) -> None:
    parts = over_scores(type="ER_ACE", mem_size=12)
    with pytest.raises(ConfigError, match=r"ER_ACE: .* this stream has scores\. Use 'Replay'"):
        teach(parts, 1)


def test_the_newest_classes_are_in_the_memory_and_are_learnt(
    over_classes: Make, teach: Make
) -> None:
    parts = over_classes(
        **METHOD, train_epochs=15, scheduler=None, optimizer={"type": "SGD", "lr": 0.1}
    )
    teach(parts, 2)
    strategy = parts.strategy
    assert strategy.plugins[0]._class.bincount().tolist() == [3, 3, 3, 3]
    said, _ = strategy.predict(parts.benchmark.train_stream[1].dataset.eval())
    assert (said.argmax(1) >= 2).mean() > 0.7  # not an old class for each of them
