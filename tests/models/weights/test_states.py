"""Which of several state dicts in a file is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.models.weights.states import state_of_file
from cliqa.utils.errors import ModelError

PATH = Path("weights.pth")


def state(value: float, prefix: str = "") -> dict[str, Tensor]:
    names = ("a.weight", "a.bias", *(f"b.{k}.weight" for k in range(8)))
    return {f"{prefix}{name}": torch.tensor(value) for name in names}


def value(content: dict[str, Any], prefix: str = "") -> tuple[float, str]:
    tensors, words = state_of_file(content, prefix, PATH)
    assert {name.removeprefix("module.") for name in tensors} >= {"b.0.weight"}
    return float(next(iter(tensors.values()))), words


@pytest.mark.parametrize(
    ("trained", "averaged"),
    [
        ("params", "params_ema"),  # BasicSR, pyiqa
        ("state_dict", "state_dict_ema"),  # timm
        ("model", "model_ema"),  # torchvision's references
        ("model", "ema"),
        ("ema_state_dict", "state_dict"),  # mmengine swaps the two when it saves
    ],
)
def test_averaged_weights_are_preferred(trained: str, averaged: str) -> None:
    content: dict[str, Any] = {trained: state(1, "module."), averaged: state(2)}
    words = f"of '{averaged}' (not of '{trained}')"
    assert value(content) == (2, words)
    assert value(dict(reversed(content.items()))) == (2, words)
    assert value(content, trained) == (1, "")
    if trained == "ema_state_dict":  # has a counter too, so that it is larger
        assert value({trained: {"steps": torch.ones(()), **state(1)}, averaged: state(2)})[0] == 2


def test_several_models_without_a_known_name_are_refused() -> None:
    content = {"student": state(1), "teacher": state(2), "epoch": 3}
    with pytest.raises(
        ModelError,
        match=r"weights\.pth: holds several models: student, teacher\. Choose one: load_from=dict"
        r"\(path='\.\.\.', prefix='student'\)",
    ):
        state_of_file(content, "", PATH)
    assert value(content, "teacher") == (2, "")
    assert state_of_file(content, "teacher.a", PATH)[0].keys() == {"weight", "bias"}


def test_a_smaller_dict_of_other_names_is_no_rival() -> None:
    moments = {k: {"exp_avg": torch.zeros(()), "exp_avg_sq": torch.zeros(())} for k in range(3)}
    content = {"optimizer": {"state": moments}, "anything": {"deeper": state(1)}}
    assert value(content) == (1, "")


def test_a_prefix_may_begin_the_tensors_own_names() -> None:
    content = {"params": {**state(1, "net."), **state(5, "other.")}, "params_ema": state(2, "net.")}
    assert value(content, "net") == (2, "of 'params_ema' (not of 'params')")
    assert value(content, "params.net") == (1, "")
    with pytest.raises(ModelError, match=r"holds no named tensors below 'ent'"):
        state_of_file(content, "ent", PATH)
