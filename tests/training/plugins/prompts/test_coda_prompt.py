"""CODA-Prompt: its penalty, what stays of earlier experiences, and exact resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.prompts.coda_prompt import CODAPrompt

Make = Callable[..., Any]


def test_the_penalty_is_added_with_its_strength(prompted_model: Make) -> None:
    model = prompted_model("CODAPrompt").train()
    with torch.no_grad():
        model.backbone.components[0].mul_(2.0)
    holder: Any = type("Holder", (), {"model": model, "loss": torch.ones(())})()
    CODAPrompt(0.5).before_backward(holder)
    torch.testing.assert_close(holder.loss, 1 + 0.5 * model.backbone.penalty())
    # 2 blocks x 2 components of length 2 in place of 1: |4 - 1|^2 each
    torch.testing.assert_close(holder.loss.detach(), torch.tensor(1 + 0.5 * 4 * 9.0))


def test_the_penalty_keeps_components_near_orthogonal(
    tiny_stream: QualityStream, learn: Callable[..., None], prompted_strategy: Make
) -> None:
    found = []
    for strength in (0.0, 10.0):
        strategy = prompted_strategy("CODAPrompt", [CODAPrompt(strength)], epochs=3)
        learn(strategy, tiny_stream, last=2)
        found.append(float(strategy.model.backbone.train().penalty().detach()))
    assert found[1] < 0.2 * found[0]


def test_earlier_components_stay_to_the_bit(
    tiny_stream: QualityStream, learn: Callable[..., None], prompted_strategy: Make
) -> None:
    strategy = prompted_strategy("CODAPrompt", [CODAPrompt()])
    part = strategy.model.backbone
    for index in range(3):
        pools = part.components, part.attention, part.keys
        kept = [p.detach().clone() for pool in pools for p in pool[:index]]
        learn(strategy, tiny_stream, index, index + 1)
        now = [p for pool in pools for p in pool[:index]]
        assert all(torch.equal(a, b) for a, b in zip(now, kept, strict=True))
        assert int(part.learnt) == index + 1


def test_a_stopped_run_ends_as_one_that_was_not(
    short_stream: QualityStream, assert_resumable: Callable[..., None], prompted_strategy: Make
) -> None:
    make = lambda: prompted_strategy("CODAPrompt", [CODAPrompt(0.1)], epochs=2)  # noqa: E731
    assert_resumable(make, short_stream)
