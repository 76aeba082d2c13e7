"""Tests of cliqa.config.suggest."""

from __future__ import annotations

import pytest

from cliqa.config.suggest import closest, misspelt, nearest

OPTIMIZERS = ["SGD", "Adam", "AdamW", "RMSprop", "ASGD"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("SDG", "SGD"), ("sgd", "SGD"), ("adamw", "AdamW"), ("RMSProp", "RMSprop"), ("EWC", None)],
)
def test_nearest_looks_past_the_case(name: str, meant: str | None) -> None:
    assert nearest(name, OPTIMIZERS) == meant
    assert closest(name, OPTIMIZERS) == (f" Did you mean '{meant}'?" if meant else "")


def test_nothing_is_near_to_nothing() -> None:
    assert nearest("SGD", []) is None
    assert nearest("", OPTIMIZERS) is None


def test_cutoff() -> None:
    assert nearest("model_cfg", ["model"], cutoff=0.7) == "model"
    assert nearest("model_cfg", ["model"], cutoff=0.75) is None


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("train_epoch", ["train_epochs", "train_mb_size"], "train_epochs"),
        ("weight_deacy", ["weight_decay"], "weight_decay"),
        ("Momentum", ["momentum"], "momentum"),
        ("eval_mb_size", ["train_mb_size"], None),
        ("out_channels", ["in_channels"], None),
        ("layer2", ["layer1", "layer3"], None),
        ("fc10.weight", ["fc1.weight"], None),
    ],
)
def test_only_slips_are_misspelt(name: str, known: list[str], meant: str | None) -> None:
    assert misspelt(name, known) == meant
