"""Our plugins in Avalanche's own strategies: the same bits as a run of a config."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import avalanche.training.supervised as avalanche_strategies
import pytest
import torch
from avalanche.benchmarks import (
    benchmark_from_datasets,
    nc_benchmark,
    with_classes_timeline,
    with_task_labels,
)
from avalanche.benchmarks.scenarios.online import split_online_stream
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TransformGroups
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import TensorDataset

import cliqa.training
from cliqa.engine.build import build
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.build import build_model
from cliqa.models.fake_quantization import rounding_layers
from cliqa.models.lora.adapters import lora_layers
from cliqa.training.loop.avalanche_loop import RunSettings, hosted
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import CliqaError, ConfigError
from cliqa.utils.seed import seed_everything

Config = dict[str, Any]

LADDERS: Config = {"families": ["blur", "darken"], "probe": 6, "levels": 2, "threshold": 0.5}
LABEL_FREE: Config = {"epochs": 1, "crop_size": 12, "families": ["blur"], "num_levels": 2, "dim": 4}

SCORES: dict[str, tuple[str, Config]] = {
    "EWC": ("EWC", {"strength": 10.0, "n_samples": 16, "fisher": "sampled"}),
    "L2": ("L2", {"strength": 1.0}),
    "MAS": ("MAS", {"strength": 1.0}),
    "SI": ("SI", {"strength": 1.0}),
    "LwF": ("LwF", {"distill": "fidelity"}),
    "Replay": ("Replay", {"mem_size": 12}),
    "TextReplay": ("TextReplay", {"mem_size": 12}),
    "Coverage": ("Replay", {"mem_size": 12, "selection": "coverage"}),
    "DER": ("DER", {"mem_size": 12}),
    "AGEM": ("AGEM", {"mem_size": 12}),
    "MIR": ("MIR", {"mem_size": 12, "candidates": 16}),
    "GDumb": ("GDumb", {"mem_size": 12}),
    "FeatureReplay": ("FeatureReplay", {"mem_size": 12, "layer": "backbone.blocks.0"}),
    "PackNet": ("PackNet", {"inference": "gate", "norm": "per_task"}),
    "LoRA": ("LoRA", {"rank": 2}),
    "LoRA per task": ("LoRA", {"rank": 2, "mode": "per_task", "first": "full", "norm": "train"}),
    "O-LoRA": ("LoRA", {"rank": 2, "mode": "olora"}),
    "InfLoRA": ("LoRA", {"rank": 2, "mode": "inflora", "samples": 8}),
    "MultiHead": ("MultiHead", {"strength": 1.0, "warmup_epochs": 1}),
    "TaskSpecificParts": ("TaskSpecificParts", {"inference": "oracle"}),
    "EMA": ("EMA", {"decay": 0.9}),
    "ModelMerging": ("ModelMerging", {"method": "fisher", "start": "base", "n_samples": 16}),
    "L2P": ("L2P", {"strength": 0.5}),
    "DualPrompt": ("DualPrompt", {"strength": 0.5}),
    "CODAPrompt": ("CODAPrompt", {"strength": 0.1}),
    "Distillation": ("Distillation", {"kind": "pairwise"}),
    "QAT": ("QAT", {"start_epoch": 1}),
    "ChannelPruning": ("ChannelPruning", {"round_to": 1, "after": None}),
    "LabelFreePretraining": ("LabelFreePretraining", LABEL_FREE),
    "LadderRehearsal": ("LadderRehearsal", LADDERS),
}
"""A plugin and its arguments, by case."""

PROMPTED: dict[str, Config] = {
    "L2P": {"type": "PromptedTransformer"},
    "DualPrompt": {
        "type": "DualPromptTransformer",
        "experiences": 2,
        "general_blocks": [0],
        "expert_blocks": [0],
    },
    "CODAPrompt": {
        "type": "CODAPromptTransformer",
        "pool_size": 6,
        "experiences": 2,
        "blocks": [0],
    },
}
"""The backbones of methods with prompts, without the transformer."""

OF_SCORES = ("LabelFreePretraining", "LadderRehearsal", "Coverage", "AGEM", "GDumb")
"""Cases that are tried over scores alone; the last three do nothing else over classes."""

CLASSES = {case: SCORES[case] for case in SCORES if case not in OF_SCORES} | {
    "Replay": ("Replay", {"mem_size": 12, "policy": "class_balanced"}),
    "ER_ACE": ("ER_ACE", {"mem_size": 12}),
    "ICaRL": ("ICaRL", {"mem_size": 12}),
    "LwF": ("LwF", {"alpha": 2.0}),
    "EWC": ("EWC", {"strength": 1.0}),
    "LoRA": ("LoRA", {"rank": 2, "alpha": 1.0}),
    "ClassifierAlignment": ("ClassifierAlignment", {"epochs": 2, "samples": 16}),
}
TWICE = {*SCORES} & {*CLASSES} - {"Replay", "EWC", "LwF", "LoRA", "PackNet"}
"""Methods that are compared over scores by default, and over classes too by `make test-all`."""


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
    if name in PROMPTED:
        arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}
        vit: Config = {"type": "VisionTransformer", "arch": arch, "img_size": 16, "patch_size": 4}
        vit["in_channels"] = config["model"]["backbone"].get("in_channels", 3)
        head = {**config["model"]["head"], "in_channels": 8}
        prompted = {**PROMPTED[name], "backbone": vit}
        config["model"] |= {"backbone": prompted, "neck": None, "head": head}
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


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=pytest.mark.exhaustive if name in TWICE else ()) for name in CLASSES],
)
def test_a_plain_script_over_classes_ends_as_a_config_does(
    case: str, split_config: Config, assert_same: Callable[..., None]
) -> None:
    split_config["scenario"]["n_experiences"] = 2
    split_config["cl_strategy"]["optimizer"]["lr"] = 0.01  # at which every method's loss is finite
    config = with_plugin(split_config, CLASSES[case], "fashion_mnist")
    compare(config, CLASSES[case], case < "L", assert_same)


# -------------------------------------------------------------------- what else a script may do


class Points(TensorDataset):
    """Noisy points of four classes."""

    def __init__(self, count: int) -> None:
        classes = torch.arange(count) % 4
        noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(count))
        super().__init__(torch.eye(4, 6)[classes] * 2 + noise, classes)
        self.targets = classes.tolist()


@pytest.fixture
def points() -> Any:
    """Return a benchmark of two experiences of two classes."""
    return nc_benchmark(Points(64), Points(32), n_experiences=2, task_labels=False, shuffle=False)


def script(*plugins: Any, loop: type = Naive, seed: int = 0, **arguments: Any) -> Any:
    """Return a strategy over a fresh network."""
    torch.manual_seed(seed)
    body, head = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2)), nn.Linear(8, 4)
    model = nn.Sequential(OrderedDict(body=body, head=head))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = EvaluationPlugin(PredictionCollector(), loggers=[])
    given = {"train_mb_size": 8, "train_epochs": 2, "eval_mb_size": 32, **arguments}
    return loop(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        plugins=list(plugins),
        evaluator=evaluator,
        **given,
    )


def weights(strategy: Any, experiences: Any) -> torch.Tensor:
    """Train, and return the last layer's weight."""
    for each in experiences:
        strategy.train(each)
    found: torch.Tensor = strategy.model.head.weight.detach().clone()
    return found


def test_the_seed_is_that_of_the_script_or_of_the_settings(points: Any) -> None:
    def trained(seed: int, *settings: Any) -> torch.Tensor:
        strategy = script(Replay(8), *settings, seed=seed)
        return weights(strategy, points.train_stream)

    assert torch.equal(trained(3), trained(3))
    assert not torch.equal(trained(3), trained(4))
    assert torch.equal(trained(3), trained(3, RunSettings(seed=3)))
    assert not torch.equal(trained(3), trained(3, RunSettings(seed=5)))
    with pytest.raises(ConfigError, match="seed must be an integer or None, got '3'"):
        RunSettings(seed="3")  # type: ignore[arg-type]


def test_a_stream_at_once_is_its_experiences_in_turn(points: Any) -> None:
    stream = points.train_stream
    strategies = [script(cliqa.training.DER(8), loop=k) for k in (Naive, cliqa.training.Naive) * 2]
    given = [list(stream), list(stream), [stream], [stream]]
    found = [weights(s, experiences) for s, experiences in zip(strategies, given, strict=True)]
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("name", ["Cumulative", "JointTraining"])
def test_a_strategy_of_ours_is_avalanches(name: str, points: Any) -> None:
    ours = script(cliqa.training.L2(1.0, "init"), loop=getattr(cliqa.training, name))
    theirs = script(cliqa.training.L2(1.0, "init"), loop=getattr(avalanche_strategies, name))
    given = points.train_stream if name == "Cumulative" else [points.train_stream]
    assert torch.equal(weights(ours, given), weights(theirs, given))
    assert ours.eval(points.test_stream) == {}


def test_a_strategy_of_ours_takes_options_and_workers(points: Any) -> None:
    strategy = script(cliqa.training.EMA(0.5), loop=cliqa.training.Naive)
    strategy.configure(TrainingOptions(seed=7, accumulate=2), Schedule({"type": "CosineLR"}))
    strategy.train(points.train_stream[0], num_workers=1)
    assert strategy.options.num_workers == 1
    assert strategy.options.seed == 7
    assert strategy.last_lr < 0.1
    with pytest.raises(ConfigError, match=r"Naive.train: shuffle cannot be set.*num_workers"):
        strategy.train(points.train_stream[0], shuffle=False)
    plain = script(cliqa.training.EMA(0.5))
    plain.train(points.train_stream[0], num_workers=1)
    assert plain.plugins[0].options.num_workers == 1


def test_the_model_is_prepared_once(points: Any) -> None:
    for loop in (Naive, cliqa.training.Naive):
        lora, qat = cliqa.training.LoRA(rank=1), cliqa.training.QAT()
        strategy = script(lora, qat, loop=loop)
        lora.prepare(strategy.model)
        strategy.eval(points.test_stream)
        assert len(lora_layers(strategy.model)) == len(rounding_layers(strategy.model)) == 1
        weights(strategy, points.train_stream)
        grown = [p for n, p in strategy.model.named_parameters() if n.endswith("lora_B")]
        assert all(bool(weight.any()) for weight in grown)
        assert len(grown) == 1


def test_a_script_goes_on_after_an_experience_with_the_same_bits(points: Any) -> None:
    whole = weights(script(Replay(8), SI(1.0)), points.train_stream)
    stopped = script(Replay(8), SI(1.0))
    stopped.train(points.train_stream[0])
    resumed = script(Replay(8), SI(1.0), RunSettings(seed=0), seed=99)
    resumed.model.load_state_dict(stopped.model.state_dict())
    for old, new in zip(stopped.plugins[1:3], resumed.plugins[:2], strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    resumed.clock.train_exp_counter = 1
    assert torch.equal(weights(resumed, [points.train_stream[1]]), whole)


def test_methods_measure_through_the_evaluation_transform_that_is_given() -> None:
    images = [(torch.full((6,), float(k)), float(k)) for k in range(4)]
    groups = TransformGroups({"train": lambda x: x + 100, "eval": lambda x: x + 100})
    data = AvalancheDataset([images], transform_groups=groups)
    strategy = script()
    for transform, most in ((None, 103), (lambda x: x * 2, 6)):
        loop = hosted(strategy, RunSettings(eval_transform=transform))
        strategy.adapted_dataset = data
        found = [torch.as_tensor(x) for x, _ in loop.training_samples()]
        assert max(float(x.max()) for x in found) == most


def test_what_does_not_fit_is_named_before_anything_is_trained(points: Any) -> None:
    def refused(*plugins: Any, stream: Any = None, **arguments: Any) -> str:
        strategy = script(*plugins, **arguments)
        with pytest.raises(CliqaError) as caught:
            weights(strategy, points.train_stream if stream is None else stream)
        assert strategy.clock.train_iterations == 0
        return str(caught.value)

    ours = cliqa.training
    assert "no texts" in refused(ours.TextReplay())
    assert "needs a model with features" in refused(ours.PackNet(inference="gate"))
    assert "Drop the plugin 'EMA', or 'PackNet'" in refused(ours.EMA(), ours.PackNet())
    assert "before their transforms" in refused(ours.LabelFreePretraining())
    online = split_online_stream(points.train_stream, experience_size=8)
    assert "Train on benchmark.train_stream" in refused(ours.EWC(), stream=online)
    scores = AvalancheDataset(
        [[(torch.rand(6), 0.5)] * 4], data_attributes=[DataAttribute([0.5] * 4, "targets")]
    )
    stream = benchmark_from_datasets(train=[scores]).train_stream
    assert "this stream has scores" in refused(ours.Replay(policy="class_balanced"), stream=stream)
    assert "leaves none of the 2 epochs" in refused(ours.PackNet(post_epochs=5))
    assert "cliqa.load('runs/a').network" in refused(ours.Distillation("runs/a"))


def test_a_memory_is_of_one_benchmark(points: Any) -> None:
    other = nc_benchmark(Points(64), Points(32), n_experiences=2, task_labels=False)
    for memory in (Replay(8), cliqa.training.DER(8)):
        strategy = script(memory)
        strategy.train(points.train_stream[0])
        with pytest.raises(ConfigError, match="the memory has samples of another stream"):
            strategy.train(other.train_stream[1])


def test_loaders_of_ones_own_are_kept(points: Any) -> None:
    strategy = script(cliqa.training.L2())
    strategy.train(points.train_stream[0], shuffle=False)
    with pytest.raises(ConfigError, match="must know which samples a batch holds"):
        script(cliqa.training.DER(8)).train(points.train_stream[0], shuffle=False)
    theirs = ReplayPlugin(mem_size=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (
            weights(script(theirs, cliqa.training.EWC(1.0)), points.train_stream).isfinite().all()
        )
