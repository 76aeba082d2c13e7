"""Recipes: what can be combined, and what a search tries."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from cliqa.deploy.search.recipes import BASELINE, Recipe, parts_to_try, standard_recipes
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "tensorrt"}, "backend must be one of torch, onnxruntime, openvino, got 'tens"),
        ({"backend": "torch", "precision": "int8"}, "torch takes fp32, bf16, got 'int8'"),
        ({"pruning": 1.0}, "pruning is a share of the channels, 0..1 and below 1, got 1.0"),
        ({"pruning": -0.1}, "got -0.1"),
        ({"in_float": "stem"}, "in_float is of onnxruntime int8, got onnxruntime fp32"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe(**arguments)


def test_every_recipe_has_a_name_and_a_key_of_its_own() -> None:
    pruned = [recipe for recipe in standard_recipes(distil=False) if recipe.pruning]
    recipes = [BASELINE, *standard_recipes(parts=("stem", "depthwise")), *pruned]
    assert len({recipe.key for recipe in recipes}) == len({str(r) for r in recipes}) == len(recipes)


def test_cheap_recipes_come_first_and_a_pruned_model_in_float_before_int8() -> None:
    recipes = standard_recipes([0.3, 0.5], ["onnxruntime", "openvino"])
    shares = [recipe.pruning for recipe in recipes]
    assert shares == sorted(shares)
    places = {recipe.key: place for place, recipe in enumerate(recipes)}
    assert places["onnxruntime-fp32-p50"] < places["onnxruntime-int8-p50"]
    assert BASELINE not in recipes


def test_pruned_models_are_not_tried_in_pytorch() -> None:
    recipes = standard_recipes([0.5], ["torch", "onnxruntime"])
    assert {recipe.backend for recipe in recipes if recipe.pruning} == {"onnxruntime"}
    assert "torch-bf16" in {recipe.key for recipe in recipes}


def test_named_precisions_are_tried_alone_and_of_pruned_models_too() -> None:
    def keys(backends: list[str], precisions: list[str]) -> list[str]:
        found = standard_recipes([0.5], backends, parts=("stem",), precisions=precisions)
        return [one.key for one in found]

    half = ["onnxruntime-fp16", "onnxruntime-fp16-p50"]
    assert keys(["onnxruntime"], ["fp16"]) == half
    assert keys(["onnxruntime", "openvino", "torch"], ["fp16"]) == half
    assert keys(["torch", "openvino"], ["bf16"]) == [
        "torch-bf16",
        "openvino-bf16",
        "openvino-bf16-p50",
    ]
    assert "onnxruntime-int8-stem" in keys(["onnxruntime"], ["int8"])
    with pytest.raises(
        ConfigError, match=r"no backend here has 'bf16' \(onnxruntime has fp32, fp16"
    ):
        standard_recipes([], ["onnxruntime"], precisions=["bf16"])


def test_parts_in_float_are_tried_of_networks_with_depthwise_convolutions() -> None:
    parts = parts_to_try(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)))
    keys = [one.key for one in standard_recipes([], ["onnxruntime", "openvino"], parts=parts)]
    assert keys[-2:] == ["onnxruntime-int8-stem", "onnxruntime-int8-depthwise"]
    assert standard_recipes([], ["openvino"], parts=parts) == standard_recipes([], ["openvino"])
    assert parts_to_try(nn.Conv2d(8, 8, 3, groups=2)) == ()  # in groups, not depthwise
    assert Recipe(precision="int8", in_float="stem").parts == ("stem",)
    assert Recipe().parts == ()


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ConfigError, match="got 'cuda'"):
        standard_recipes([], ["cuda"])
