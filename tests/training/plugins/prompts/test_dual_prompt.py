"""DualPrompt: the pull of an experience's key, what stays of earlier ones, and exact resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.prompts.dual_prompt import DualPrompt

Make = Callable[..., Any]


def test_the_loss_is_the_formulas_and_the_key_is_pulled_to_the_images(
    tiny_stream: QualityStream, learn: Callable[..., None], prompted_strategy: Make
) -> None:
    losses: list[float] = []
    strategies = [prompted_strategy("DualPrompt", [DualPrompt(s)], epochs=3) for s in (0.0, 0.7)]
    images = torch.stack([x for x, *_ in tiny_stream.train_stream[0].dataset.eval()])
    nearness = []
    for one in strategies:
        one.on_epoch = losses.append
        part, query = one.model.backbone, one.model.backbone.query(images)
        before = F.cosine_similarity(query, part.keys[0][None]).mean()
        learn(one, tiny_stream, last=1)
        nearness.append((F.cosine_similarity(query, part.keys[0][None]).mean() - before).item())
    assert nearness[0] == pytest.approx(0.0, abs=1e-6)
    assert nearness[1] > 0.1
    assert losses[3] < losses[0]  # the cosine is subtracted

    model = strategies[1].model.train()
    own = {"model": model, "loss": torch.zeros(()), "whole": staticmethod(lambda rows: rows)}
    holder: Any = type("Holder", (), own)()
    plugin = DualPrompt(0.3)
    plugin.before_forward(holder)
    model(images[:4])
    plugin.before_backward(holder)
    cosines = F.cosine_similarity(model.backbone.query(images[:4]), model.backbone.keys[0][None])
    torch.testing.assert_close(holder.loss, -0.3 * cosines.mean())


def test_earlier_prompts_and_keys_stay_to_the_bit(
    tiny_stream: QualityStream, learn: Callable[..., None], prompted_strategy: Make
) -> None:
    strategy = prompted_strategy("DualPrompt", [DualPrompt()])
    part = strategy.model.backbone
    for index in range(3):
        kept = [p.detach().clone() for p in (*part.experts[:index], *part.keys[:index])]
        general = part.general.detach().clone()
        learn(strategy, tiny_stream, index, index + 1)
        now = [*part.experts[:index], *part.keys[:index]]
        assert all(torch.equal(a, b) for a, b in zip(now, kept, strict=True))
        assert not torch.equal(part.general, general)
        assert int(part.learnt) == index + 1


def test_a_stopped_run_ends_as_one_that_was_not(
    short_stream: QualityStream, assert_resumable: Callable[..., None], prompted_strategy: Make
) -> None:
    assert_resumable(
        lambda: prompted_strategy("DualPrompt", [DualPrompt()], epochs=2), short_stream
    )
