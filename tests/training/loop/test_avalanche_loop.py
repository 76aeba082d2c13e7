"""Our plugins in Avalanche's own strategies: the same bits as a run of a config."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline, with_task_labels
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive
from torch import nn

import cliqa.training
from cliqa.engine.build import build
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.build import build_model
from cliqa.training.loop.avalanche_loop import RunSettings
from cliqa.utils.seed import seed_everything

Config = dict[str, Any]

LABEL_FREE: Config = {"epochs": 1, "crop_size": 12, "families": ["blur"], "num_levels": 2, "dim": 4}

SCORES: dict[str, tuple[str, Config]] = {
    "EWC": ("EWC", {"strength": 10.0, "n_samples": 16, "fisher": "sampled"}),
    "L2": ("L2", {"strength": 1.0}),
    "MAS": ("MAS", {"strength": 1.0}),
    "SI": ("SI", {"strength": 1.0}),
    "LwF": ("LwF", {"distill": "fidelity"}),
    "Replay": ("Replay", {"mem_size": 12}),
    "TextReplay": ("TextReplay", {"mem_size": 12}),
    "DER": ("DER", {"mem_size": 12}),
    "PackNet": ("PackNet", {"inference": "gate", "norm": "per_task"}),
    "LoRA": ("LoRA", {"rank": 2}),
    "LoRA per task": ("LoRA", {"rank": 2, "mode": "per_task", "first": "full", "norm": "train"}),
    "O-LoRA": ("LoRA", {"rank": 2, "mode": "olora"}),
    "InfLoRA": ("LoRA", {"rank": 2, "mode": "inflora", "samples": 8}),
    "TaskSpecificParts": ("TaskSpecificParts", {"inference": "oracle"}),
    "EMA": ("EMA", {"decay": 0.9}),
    "Distillation": ("Distillation", {"kind": "pairwise"}),
    "QAT": ("QAT", {"start_epoch": 1}),
    "ChannelPruning": ("ChannelPruning", {"round_to": 1, "after": None}),
    "LabelFreePretraining": ("LabelFreePretraining", LABEL_FREE),
}
"""A plugin and its arguments, by case."""

CLASSES = {case: SCORES[case] for case in SCORES if case != "LabelFreePretraining"} | {
    "Replay": ("Replay", {"mem_size": 12, "policy": "class_balanced"}),
    "LwF": ("LwF", {"alpha": 2.0}),
    "EWC": ("EWC", {"strength": 1.0}),
    "LoRA": ("LoRA", {"rank": 2, "alpha": 1.0}),
}


def with_plugin(config: Config, case: tuple[str, Config], texts: str) -> Config:
    """Return a config whose method is one plugin, at a constant rate, over two experiences."""
    name, arguments = case
    section = {k: config["cl_strategy"][k] for k in ("train_mb_size", "eval_mb_size", "loss")}
    section |= {"optimizer": config["cl_strategy"]["optimizer"], "train_epochs": 2}
    config["cl_strategy"] = {"type": name, **arguments, **section}
    if name == "TextReplay":
        channels = config["model"]["backbone"].get("in_channels", 3)
        config["model"] = {
            "type": "ImageTextModel",
            "backbone": {"type": "SmallConvNet", "in_channels": channels, "channels": [4, 8]},
            "text_encoder": {"type": "TextTransformer", "dim": 8, "layers": 1, "heads": 2},
            "texts": texts,
            "in_channels": 8,
            "width": 8,
        }
    return config


def teach(plugins: list[Any], model: nn.Module) -> None:
    """Give a plugin that needs one a teacher."""
    for plugin in plugins:
        if hasattr(plugin, "set_teacher"):
            torch.manual_seed(5)
            teacher = copy.deepcopy(model)
            for weight in teacher.parameters():
                weight.data += 0.01 * torch.randn_like(weight)
            plugin.set_teacher(teacher)


def of_config(config: Config) -> tuple[Any, Any, dict[int, Any]]:
    """Return model, plugin and predictions of a config's run, and its benchmark's data."""
    parts = build(config, torch.device("cpu"))
    seed_everything(config["seed"], "model")
    teach(parts.strategy.plugins, build_model(config["model"]))
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)):
        parts.strategy.train_step(index, step)
        parts.strategy.eval(parts.benchmark.test_stream)
    return parts, parts.strategy.plugins[0], dict(enumerate(parts.predictions.result().values()))


def plain(streams: Any) -> Any:
    """Return a benchmark of Avalanche's own over the same data sets."""
    data = {name: [e.dataset for e in streams[name]] for name in ("train", "test")}
    benchmark = benchmark_from_datasets(**data)
    if not hasattr(data["train"][0], "targets_task_labels"):
        return benchmark
    return with_task_labels(with_classes_timeline(benchmark))


def of_script(config: Config, benchmark: Any, case: tuple[str, Config], settings: bool) -> Any:
    """Return strategy, plugin and predictions of a plain script of Avalanche's."""
    section = config["cl_strategy"]
    seed_everything(config["seed"], "model")
    model = build_model(config["model"])
    plugin = getattr(cliqa.training, case[0])(**case[1])
    teach([plugin], model)
    predictions = PredictionCollector()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = EvaluationPlugin(predictions, loggers=[])
    optimizer = section["optimizer"]
    rate = {k: v for k, v in optimizer.items() if k != "type"}
    torch.manual_seed(config["seed"])
    strategy = Naive(
        model=model,
        optimizer=getattr(torch.optim, optimizer["type"])(model.parameters(), **rate),
        criterion=getattr(nn, section["loss"]["type"])(),
        train_mb_size=section["train_mb_size"],
        train_epochs=section["train_epochs"],
        eval_mb_size=section["eval_mb_size"],
        plugins=[plugin, *([RunSettings(seed=config["seed"])] if settings else [])],
        evaluator=evaluator,
    )
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)
    return strategy, plugin, dict(enumerate(predictions.result().values()))


def compare(config: Config, case: tuple[str, Config], settings: bool, same: Any) -> None:
    """Compare a script with the run of a config: weights, the method's state and predictions."""
    parts, method, expected = of_config(config)
    benchmark = plain(parts.benchmark.streams)
    strategy, plugin, found = of_script(config, benchmark, case, settings)
    same(strategy.model.state_dict(), parts.model.state_dict())
    same(plugin.state_dict(), method.state_dict())
    assert len(expected) == 2
    for index, (prediction, _) in expected.items():
        assert (found[index][0] == prediction).all()


@pytest.mark.parametrize("case", SCORES)
def test_a_plain_script_over_scores_ends_as_a_config_does(
    case: str, tiny_config: Config, assert_same: Callable[..., None]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["model"]["backbone"] = {
        "type": "SmallConvNet",
        "in_channels": 3,
        "channels": [8, 8],
        "norm": "BN",
    }
    tiny_config["model"]["head"]["in_channels"] = 8
    config = with_plugin(tiny_config, SCORES[case], "quality_levels")
    compare(config, SCORES[case], case < "L", assert_same)


@pytest.mark.parametrize("case", CLASSES)
def test_a_plain_script_over_classes_ends_as_a_config_does(
    case: str, split_config: Config, assert_same: Callable[..., None]
) -> None:
    split_config["scenario"]["n_experiences"] = 2
    config = with_plugin(split_config, CLASSES[case], "fashion_mnist")
    compare(config, CLASSES[case], case < "L", assert_same)
