"""Upstream's strategies, plugins, optimizers and schedulers: known by name, and at work."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import avalanche.training.plugins as avalanche_plugins
import avalanche.training.supervised as avalanche_strategies
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin, SynapticIntelligencePlugin

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.engine.check import check_config
from cliqa.engine.sections import strategy_component
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.registry import LR_SCHEDULERS, OPTIMIZERS, PLUGINS, STRATEGIES, build_component
from cliqa.training.avalanche_methods import LEARN, LEARN_SCORES, cannot_learn
from cliqa.training.loop.template import TrainingError, with_stream_template
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining
from cliqa.training.supervised.naive import Naive
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{start}:{category}")
    for start, category in (
        ("No loggers specified", "UserWarning"),
        ("Metric RMSE_Mean used", "UserWarning"),
        ("__array_wrap__", "DeprecationWarning"),
    )
]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "AGEM": {"patterns_per_exp": 8, "sample_size": 8},
    "Cumulative": {},
    "EWC": {"ewc_lambda": 1e3},
    "FromScratchTraining": {},
    "GEM": {"patterns_per_exp": 8, "memory_strength": 0.5},
    "Naive": {},
    "Replay": {"mem_size": 8},
    "SynapticIntelligence": {"si_lambda": 1e3},
    "AGEMPlugin": {"patterns_per_experience": 8, "sample_size": 8},
    "EWCPlugin": {"ewc_lambda": 1e3, "mode": "online", "decay_factor": 0.5},
    "FromScratchTrainingPlugin": {},
    "GEMPlugin": {"patterns_per_experience": 8, "memory_strength": 0.5},
    "RWalkPlugin": {"ewc_lambda": 10.0, "delta_t": 1},
    "ReplayPlugin": {"mem_size": 8},
    "SynapticIntelligencePlugin": {"si_lambda": 1e3},
}
"""What of Avalanche's trains without anything else, with arguments under which it is seen."""


def trained(strategy: Any, stream: QualityStream) -> torch.Tensor:
    """Train two steps and return the weights."""
    for index in range(2):
        strategy.train_step(index, [stream.train_stream[index]])
    return torch.cat([p.detach().flatten() for p in strategy.model.parameters()])


def built(make: Make, name: str) -> Any:
    """Build one of Avalanche's by name, as a strategy or as a plugin of Naive."""
    if name.endswith("Plugin"):
        section = {"type": f"avalanche.{name}", **ARGUMENTS[name]}
        return make([build_component(PLUGINS, section, "plugin")], epochs=1)
    component: Any = with_stream_template(STRATEGIES.get(f"avalanche.{name}"))  # type: ignore[arg-type]
    return make(cls=lambda **given: component(**given, **ARGUMENTS[name]), epochs=1)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_trains_on_scores_and_is_not_plain_fine_tuning(
    name: str, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plain = trained(make_strategy(epochs=1), tiny_stream)
    strategy = built(make_strategy, name)
    weights = trained(strategy, tiny_stream)
    assert torch.isfinite(weights).all()
    assert torch.equal(weights, plain) is (name == "Naive")
    strategy.eval(tiny_stream.test_stream)
    assert list(strategy.evaluator.metrics[0].result()) == ["a", "b", "c"]


def test_rwalk_needs_as_many_batches_as_its_scores_are_apart(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    """Four batches an experience; its default is 10. ``docs/how-to/methods.md`` says so."""
    section = {"type": "avalanche.RWalkPlugin", "delta_t": 4}
    strategy = make_strategy([build_component(PLUGINS, section, "plugin")], epochs=1)
    assert trained(strategy, tiny_stream).isfinite().all()
    section["delta_t"] = 5
    strategy = make_strategy([build_component(PLUGINS, section, "plugin")], epochs=1)
    with pytest.raises(TrainingError, match="nan"):
        trained(strategy, tiny_stream)


@pytest.mark.parametrize("name", ["AGEM", "GEM"])
def test_no_step_on_scores_goes_against_the_memory(
    name: str, make_strategy: Make, tiny_stream: QualityStream
) -> None:
    """What they promise: the gradient has no part that raises the loss on the memory."""
    strategy = built(make_strategy, name)
    [plugin] = [p for p in strategy.plugins if type(p).__name__ == f"{name}Plugin"]
    slopes: dict[str, list[float]] = {"before": [], "after": []}
    backward, step = strategy.backward, strategy.optimizer_step

    def note(when: str) -> None:
        given = plugin.reference_gradients[None] if name == "AGEM" else plugin.G  # (T, P)
        own = torch.cat([p.grad.flatten() for p in strategy.model.parameters()])
        if given.numel():
            angles = given @ own / (given.norm(dim=1) * own.norm())
            slopes[when].extend(angles.tolist())

    def watched_backward() -> None:
        backward()
        note("before")

    def watched_step() -> None:
        note("after")
        step()

    strategy.backward, strategy.optimizer_step = watched_backward, watched_step
    for index in range(3):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert len(slopes["after"]) == (4 * 3 if name == "GEM" else 4 * 2)
    assert min(slopes["before"]) < -0.1
    assert min(slopes["after"]) > -1e-3


def test_every_name_that_is_said_to_learn_scores_is_tried() -> None:
    told = {name for names in LEARN_SCORES.values() for name in names}
    assert told == set(ARGUMENTS)


def test_early_stopping_stops_and_gives_the_best_weights_back(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    section = {
        "type": "EarlyStoppingPlugin",
        "patience": 2,
        "val_stream_name": "val_stream",
        "metric_name": "RMSE_Mean",
        "mode": "min",
    }
    losses: list[float] = []

    def naive(**given: Any) -> Any:
        return Naive(**given, eval_every=1)

    plugin = build_component(PLUGINS, section, "plugin")
    strategy = make_strategy([plugin], cls=naive, epochs=9, on_epoch=losses.append)
    evaluator = EvaluationPlugin(*quality_metrics(["rmse"]), loggers=[])
    strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
    strategy.evaluator = evaluator
    for group in strategy.optimizer.param_groups:
        group["lr"] = 10.0  # every epoch is worse than no training at all
    before = copy.deepcopy(strategy.model.state_dict())
    val = tiny_stream.streams["val"]
    strategy.train_step(0, [tiny_stream.train_stream[0]], [val[0]])
    assert len(losses) == 2
    assert torch.equal(strategy.model.head.weight, before["head.weight"])


def test_the_learning_rate_plugin_steps(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy(epochs=2)
    scheduler = torch.optim.lr_scheduler.StepLR(strategy.optimizer, 1, gamma=0.5)
    plugin = build_component(PLUGINS, {"type": "LRSchedulerPlugin"}, "plugin", scheduler=scheduler)
    strategy.plugins.insert(0, plugin)
    rates: list[float] = []
    strategy.on_epoch = lambda _: rates.append(strategy.optimizer.param_groups[0]["lr"])
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert rates == pytest.approx([0.5e-2, 0.25e-2])


def test_synaptic_intelligence_finds_importances_on_a_cpu(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = SynapticIntelligencePlugin(si_lambda=1.0, eps=1e-3)
    strategy = make_strategy([plugin], epochs=2)
    start = {name: p.detach().clone() for name, p in strategy.model.named_parameters()}
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    anchor, importance = plugin.ewc_data
    weights = dict(strategy.model.named_parameters())
    assert {"body.0.weight", "head.weight", "head.bias"} <= set(anchor)
    for name, value in anchor.items():
        assert torch.equal(value.data, weights[name].detach().flatten())
        assert not torch.equal(value.data, start[name].flatten())
    assert sum(float(value.data.sum()) for value in importance.values()) > 0


def test_names_are_reachable_and_ours_win() -> None:
    for name, ours in (("Naive", Naive), ("Cumulative", Cumulative)):
        assert STRATEGIES.get(name) is ours
        assert STRATEGIES.get(f"avalanche.{name}") is getattr(avalanche_strategies, name)
    assert STRATEGIES.get("JointTraining") is JointTraining
    for name in LEARN_SCORES[STRATEGIES]:
        assert STRATEGIES.get(f"avalanche.{name}") is getattr(avalanche_strategies, name)
        assert strategy_component({"type": name})[1] is not None
    for name in LEARN_SCORES[PLUGINS]:
        assert PLUGINS.get(name) is getattr(avalanche_plugins, name)
        assert PLUGINS.get(f"avalanche.{name}") is getattr(avalanche_plugins, name)
    assert OPTIMIZERS.get("AdamW") is OPTIMIZERS.get("torch.AdamW") is torch.optim.AdamW
    step = torch.optim.lr_scheduler.StepLR
    assert LR_SCHEDULERS.get("StepLR") is LR_SCHEDULERS.get("torch.StepLR") is step


def test_bases_are_no_components() -> None:
    assert "Optimizer" not in OPTIMIZERS.names()
    assert "LRScheduler" not in LR_SCHEDULERS.names()
    assert "SupervisedTemplate" not in STRATEGIES.names()
    assert "BaseSGDPlugin" not in PLUGINS.names()


def test_what_needs_classes() -> None:
    for name in ("LwF", "MAS", "GDumb", "DER", "ICaRL", "JointTraining"):
        assert cannot_learn(STRATEGIES, getattr(avalanche_strategies, name), "scores")
    assert cannot_learn(PLUGINS, avalanche_plugins.LwFPlugin, "scores")
    for component in (avalanche_strategies.EWC, Naive, JointTraining):
        assert not cannot_learn(STRATEGIES, component, "scores")

    class LwF(Naive):  # someone's own, found by its dotted path
        pass

    assert not cannot_learn(STRATEGIES, LwF, "scores")


def test_a_config_with_what_needs_classes_is_refused(tiny_config: dict[str, Any]) -> None:
    tiny_config["cl_strategy"]["plugins"] = [{"type": "MASPlugin"}]
    with pytest.raises(
        ConfigError, match=r"plugins\[0\] 'MASPlugin': Avalanche's needs class.*'MAS'"
    ):
        check_config(tiny_config)


CLASS_ARGUMENTS: dict[str, dict[str, Any]] = {
    "AGEM": {"patterns_per_exp": 8, "sample_size": 8},
    "AGEMPlugin": {"patterns_per_experience": 8, "sample_size": 8},
    "CWRStar": {"cwr_layer_name": "head.fc"},
    "Cumulative": {},
    "DER": {"mem_size": 20},
    "ER_ACE": {"mem_size": 20, "batch_size_mem": 8},
    "EWC": {"ewc_lambda": 100.0},
    "EWCPlugin": {"ewc_lambda": 100.0},
    "FromScratchTraining": {},
    "FromScratchTrainingPlugin": {},
    "GDumb": {"mem_size": 20},
    "GDumbPlugin": {"mem_size": 20},
    "GEM": {"patterns_per_exp": 8, "memory_strength": 0.5},
    "GEMPlugin": {"patterns_per_experience": 8, "memory_strength": 0.5},
    "GenerativeReplay": {},
    "LFL": {"lambda_e": 100.0},
    "LFLPlugin": {"lambda_e": 100.0},
    "LwF": {"alpha": 1.0, "temperature": 2.0},
    "LwFPlugin": {"alpha": 1.0, "temperature": 2.0},
    "MAS": {"lambda_reg": 100.0},
    "MASPlugin": {"lambda_reg": 100.0},
    "MER": {"mem_size": 20, "batch_size_mem": 4, "n_inner_steps": 2},
    # MIR replays no class of the last batch (4 images): of 5 classes of 4 images, one is left
    "MIR": {"mem_size": 20, "subsample": 8, "batch_size_mem": 3},
    "MIRPlugin": {"mem_size": 20, "subsample": 8, "batch_size_mem": 3},
    "Naive": {},
    "RARPlugin": {"mem_size": 20, "batch_size_mem": 8},
    "RWalkPlugin": {"ewc_lambda": 0.1, "delta_t": 2},
    "Replay": {"mem_size": 20},
    "ReplayPlugin": {"mem_size": 20},
    "SynapticIntelligence": {"si_lambda": 1000.0},
    "SynapticIntelligencePlugin": {"si_lambda": 1000.0},
}


MLP = {"type": "avalanche.models.SimpleMLP", "num_classes": 10, "input_size": 784}
OF_AVALANCHE = ("LFL", "LFLPlugin", "RARPlugin")
"""What needs a model that has get_features, or that torch.fx can trace."""


def over_classes(
    config: dict[str, Any], name: str, model: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a config with one of Avalanche's, as a strategy or as a plugin of Naive."""
    config["scenario"]["n_experiences"] = 2
    config["cl_strategy"] |= {"type": "avalanche.Naive", "train_epochs": 1, "scheduler": None}
    config["cl_strategy"].pop("mem_size")
    section = {"type": f"avalanche.{name}", **CLASS_ARGUMENTS[name]}
    if model:
        config["model"] = model
    if name.endswith("Plugin"):
        config["cl_strategy"]["plugins"] = [section]
    else:
        config["cl_strategy"] |= section
    return config


def trained_over_classes(config: dict[str, Any]) -> torch.Tensor:
    """Train a config over its stream, evaluate it, and return the weights."""
    parts = build(config, torch.device("cpu"))
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)):
        parts.strategy.train_step(index, step)
    parts.strategy.eval(parts.benchmark.test_stream)
    assert list(parts.predictions.result()) == parts.benchmark.names
    return torch.cat([p.detach().flatten() for p in parts.model.parameters()])


@pytest.mark.parametrize("name", CLASS_ARGUMENTS)
def test_it_trains_on_classes_and_is_not_plain_fine_tuning(
    name: str, split_config: dict[str, Any]
) -> None:
    model = {**MLP, "hidden_size": 8} if name in OF_AVALANCHE else None
    plain = trained_over_classes(over_classes(copy.deepcopy(split_config), "Naive", model))
    weights = trained_over_classes(over_classes(split_config, name, model))
    assert torch.isfinite(weights).all()
    assert torch.equal(weights, plain) is (name == "Naive")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LFL", r"needs a model with get_features.*SimpleMLP.*ImageClassifier\. Use .*'LwF'"),
        ("LFLPlugin", r"needs a model with get_features"),
        ("RARPlugin", r"torch\.fx can trace, and this ImageClassifier is none\. Use .*'MIR'"),
    ],
)
def test_a_model_that_does_not_do_is_named(
    name: str, message: str, split_config: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(over_classes(split_config, name), torch.device("cpu"))


def test_a_random_walk_without_a_score_is_refused(split_config: dict[str, Any]) -> None:
    """60 images of the first experience in batches of 8 are 8 iterations."""
    config = over_classes(split_config, "RWalkPlugin")
    [section] = config["cl_strategy"]["plugins"]
    section["delta_t"] = 9
    with pytest.raises(ConfigError, match=r"'RWalkPlugin': delta_t=9.*8 iterations.*delta_t to 8"):
        build(config, torch.device("cpu"))
    section["delta_t"] = 8
    assert torch.isfinite(trained_over_classes(config)).all()


def test_every_name_that_is_said_to_learn_classes_is_tried() -> None:
    told = {name for names in LEARN["classes"].values() for name in names}
    assert told == set(CLASS_ARGUMENTS)
