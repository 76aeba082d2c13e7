"""Parameter groups: sorted by name, kept over the stream, with mistakes named."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.engine.build import build
from cliqa.engine.check import check_config
from cliqa.training.loop.parameter_groups import ParameterGroups
from cliqa.utils.errors import ConfigError, ModelError

Config = dict[str, Any]
CPU = torch.device("cpu")
RULE = {"match": "backbone", "lr_mult": 0.1, "weight_decay": 0.0}


def network() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "backbone": nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)),
            "head": nn.Linear(3, 1),
        }
    )


def groups_of(*rules: Any, **optimizer: Any) -> ParameterGroups:
    return ParameterGroups({"type": "AdamW", "lr": 1e-2, **optimizer, "paramwise": list(rules)})


def names(group: dict[str, Any], model: nn.Module) -> list[str]:
    known = {id(p): name for name, p in model.named_parameters()}
    return [known[id(p)] for p in group["params"]]


def test_a_part_has_its_own_options_and_the_rest_the_optimizers() -> None:
    model = network()
    rest, backbone = groups_of(RULE).build(model)
    assert names(rest, model) == ["head.weight", "head.bias"]
    assert "lr" not in rest
    assert names(backbone, model) == [
        name for name, _ in model.named_parameters() if name.startswith("backbone.")
    ]
    assert backbone["lr"] == pytest.approx(1e-3)
    assert backbone["weight_decay"] == 0.0


def test_the_first_rule_that_names_a_parameter_wins() -> None:
    model = network()
    rules = ({"match": "*.bias", "weight_decay": 0.0}, {"match": ["backbone"], "lr": 1e-4})
    rest, bias, backbone = groups_of(*rules).build(model)
    assert names(rest, model) == ["head.weight"]
    assert names(bias, model) == ["backbone.0.bias", "backbone.1.bias", "head.bias"]
    assert names(backbone, model) == ["backbone.0.weight", "backbone.1.weight"]
    assert groups_of(*rules).rates() == {"rest": 1e-2, "*.bias": 1e-2, "backbone": 1e-4}


def test_rules_that_name_everything_leave_no_empty_group_until_something_is_added() -> None:
    model, rules = network(), [{"match": k, "lr": 1.0} for k in ("backbone", "head")]
    groups = groups_of(*rules)
    optimizer = torch.optim.SGD(groups.build(model), lr=0.5)
    assert [group["name"] for group in optimizer.param_groups] == ["backbone", "head"]
    model["late"] = nn.Linear(1, 1)
    groups.regroup(optimizer, model)
    assert names(optimizer.param_groups[2], model) == ["late.weight", "late.bias"]
    assert optimizer.param_groups[2]["lr"] == 0.5


def test_a_head_that_grew_stays_in_its_group_and_starts_afresh() -> None:
    model, groups = network(), groups_of({"match": "head", "lr_mult": 10})
    optimizer = torch.optim.Adam(groups.build(model), lr=1e-2)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    old = model.get_parameter("head.weight")
    model["head"] = nn.Linear(3, 2)
    groups.regroup(optimizer, model)
    assert names(optimizer.param_groups[1], model) == ["head.weight", "head.bias"]
    assert old not in optimizer.state
    assert len(optimizer.state) == 4  # of the backbone
    optimizer.step()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("backbone", r"paramwise\[0\]: expected dict\(match='backbone'"),
        ({"lr_mult": 0.1}, r"paramwise\[0\]: expected dict\(match=.*names of parts in 'match'"),
        ({"match": []}, r"expected dict\(match="),
        ({"match": [1]}, r"expected dict\(match="),
        ({"match": "head"}, r"paramwise\[0\]: changes nothing"),
        ({"match": "head", "lr_mul": 2}, r"unexpected option 'lr_mul'\. Did you mean 'lr_mult'\?"),
        ({"match": "head", "momentum": 0.9}, r"unexpected option 'momentum'.*weight_decay"),
        ({"match": "head", "lr": 1, "lr_mult": 2}, r"both lr and lr_mult"),
        ({"match": "head", "lr_mult": 0}, r"lr_mult must be a number > 0, got 0.*freeze it"),
        ({"match": "head", "lr": "1e-3"}, r"lr must be a number > 0, got '1e-3'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(rule: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        groups_of(rule)


def test_the_whole_list_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"paramwise: expected a list of rules.*got \{"):
        ParameterGroups({"type": "SGD", "paramwise": {"match": "head"}})
    with pytest.raises(ConfigError, match=r"two rules have match='head'\. Join them"):
        groups_of({"match": "head", "lr": 1.0}, {"match": "head", "weight_decay": 0.0})
    with pytest.raises(ConfigError, match=r"lr_mult needs a number as the optimizer's lr"):
        groups_of(RULE, lr="fast")


def test_a_pattern_that_names_nothing_gets_the_models_parts() -> None:
    message = r"\[0\]: match='bakbone' names no parameter .*'backbone'.*Parts.*: backbone, head\."
    with pytest.raises(ModelError, match=message):
        groups_of({"match": "bakbone", "lr_mult": 0.1}).build(network())


def test_a_group_that_trains_nothing_is_refused() -> None:
    model = network()
    model["backbone"].requires_grad_(False)
    with pytest.raises(ModelError, match=r"all its parameters are frozen.*backbone, head"):
        groups_of(RULE).build(model)
    taken = ({"match": "*", "lr": 1.0}, {"match": "head", "lr": 2.0})
    with pytest.raises(ModelError, match=r"\[1\] \(match='head'\): earlier rules.*put it first"):
        groups_of(*taken).build(network())


# ---------------------------------------------------------------- in a run


def train(config: Config) -> tuple[Any, list[list[float]]]:
    """Train a config's stream; return its parts and the groups' rates in every epoch."""
    parts = build(config, CPU)
    strategy, rates = parts.strategy, []
    before = strategy.training_epoch

    def epoch(**kwargs: Any) -> None:
        rates.append([group["lr"] for group in strategy.optimizer.param_groups])
        before(**kwargs)

    strategy.training_epoch = epoch
    for index, experience in enumerate(parts.benchmark.train_stream):
        strategy.train_step(index, [experience])
        for group in strategy.optimizer.param_groups:
            assert any(p.requires_grad for p in group["params"]), group["name"]
    return parts, rates


@pytest.mark.parametrize("reset", [False, True])
def test_each_groups_rate_follows_the_schedule_in_every_experience(
    tiny_config: Config, reset: bool
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["cl_strategy"].update(
        train_epochs=3,
        reset_optimizer=reset,
        optimizer={"type": "AdamW", "lr": 1e-2, "paramwise": [RULE]},
        scheduler={"type": "CosineLR", "end_ratio": 0.1},
    )
    parts, rates = train(tiny_config)
    factors = [0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3)] * 2
    assert [rate[0] for rate in rates] == pytest.approx([1e-2 * factor for factor in factors])
    assert [rate[1] for rate in rates] == pytest.approx([1e-3 * factor for factor in factors])
    assert [group["name"] for group in parts.strategy.optimizer.param_groups] == [
        "rest",
        "backbone",
    ]


def test_adapters_are_in_the_group_of_the_layer_that_they_adapt(tiny_config: Config) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(
        type="LoRA",
        rank=2,
        mode="per_task",
        train_epochs=1,
        optimizer={"type": "AdamW", "lr": 1e-2, "paramwise": [RULE]},
    )
    parts, _ = train(tiny_config)
    _, backbone = parts.strategy.optimizer.param_groups
    trained = [p for p in backbone["params"] if p.requires_grad]
    assert trained
    assert all(
        "lora" in n.lower()
        for n, p in parts.model.named_parameters()
        if any(p is t for t in trained)
    )


def test_frozen_parts_lie_in_a_group_beside_trained_ones(tiny_config: Config) -> None:
    tiny_config["model"]["freeze"] = ["backbone.layer1"]
    tiny_config["cl_strategy"].update(
        train_epochs=1, optimizer={"type": "AdamW", "lr": 1e-2, "paramwise": [RULE]}
    )
    parts = build(tiny_config, CPU)
    before = {n: p.detach().clone() for n, p in parts.model.named_parameters()}
    parts.strategy.train_step(0, [parts.benchmark.train_stream[0]])
    for name, parameter in parts.model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("backbone.layer1"), name


def test_a_schedule_that_would_rise_is_refused_before_data_are_read(tiny_config: Config) -> None:
    tiny_config["scenario"]["dataset_root"] = "no/such/folder"
    tiny_config["cl_strategy"].update(
        optimizer={"type": "AdamW", "lr": 5e-6, "paramwise": [RULE]},
        scheduler={"type": "CosineAnnealingLR", "eta_min": 1e-6},
    )
    message = r"eta_min=1e-06 is above the learning rate 5e-07 .* 'backbone'.*CosineLR"
    with pytest.raises(ConfigError, match=message):
        check_config(tiny_config)
