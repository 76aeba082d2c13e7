"""From the resolved config to the objects that it describes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import Optimizer

from cliqa.benchmarks.stored import files_of
from cliqa.benchmarks.workers import workers_for
from cliqa.engine.check import check_config
from cliqa.engine.loggers.build import build_loggers, close_loggers
from cliqa.engine.loggers.progress import with_progress
from cliqa.engine.online import check_arrival
from cliqa.engine.plugins import build_plugins, prepare_model
from cliqa.engine.sections import (
    OF_RUN,
    split_strategy,
    strategy_component,
    template_arguments,
)
from cliqa.engine.streams import add_ratings, build_benchmark
from cliqa.engine.targets import Targets, targets_of
from cliqa.engine.work_dir.checkpoints import open_teacher
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.build import build_model
from cliqa.models.input_statistics import check_normalisation
from cliqa.models.pruned import Step, apply_pruning
from cliqa.models.weights.start import StartReport, start_from
from cliqa.registry import (
    LOSSES,
    METRICS,
    OPTIMIZERS,
    PLUGINS,
    SCENARIOS,
    build_component,
    check_component,
    find,
    parameters_of,
)
from cliqa.training.avalanche_methods import check_iterations, check_model
from cliqa.training.loop.batching import batches_of
from cliqa.training.loop.options import training_options
from cliqa.training.loop.parameter_groups import ParameterGroups, without_groups
from cliqa.training.loop.schedule import Schedule
from cliqa.training.loop.template import with_stream_template
from cliqa.training.plugins.teachers.distillation import Distillation
from cliqa.training.supervised.naive import Naive
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import seed_everything

logger = get_logger(__name__)


@dataclass(slots=True)
class Parts:
    """A benchmark, a model and a strategy, ready to be trained or evaluated.

    Args:
        config: The resolved config, as plain types.
        benchmark: The streams: a `QualityStream` or a `ClassStream`.
        model: The model, on its device.
        strategy: An Avalanche strategy with `StreamTemplate` mixed in.
        predictions: Collects what the strategy's evaluations predict.
        device: Where the model is.
        targets: What the samples are labelled with.
        start: What the weights that training starts from are, None for fresh ones.
    """

    config: dict[str, Any]
    benchmark: CLScenario
    model: nn.Module
    strategy: SupervisedTemplate
    predictions: PredictionCollector
    device: torch.device
    targets: Targets
    start: StartReport | None = None

    def attach_loggers(self, work_dir: str | Path) -> None:
        """Build the config's loggers, which write into `work_dir` from now on."""
        loggers = build_loggers(self.config, work_dir)
        self.strategy.evaluator.loggers = with_progress(loggers)

    def close_loggers(self) -> None:
        """Close every logger, which writes its remaining values."""
        close_loggers(self.strategy.evaluator.loggers)


def build(
    config: dict[str, Any],
    device: torch.device,
    work_dir: str | Path | None = None,
    learnt: Sequence[str] = (),
) -> Parts:
    """Build a config's benchmark, model and strategy; its names are checked first.

    The parts are not yet trained, and have no loggers. `work_dir` is for metrics that measure it;
    data sets that are `learnt` already need not be there any more.

    Raises:
        ConfigError: A section is wrong.
        DatasetError: A data set cannot be read.
        ModelError: The model cannot be built, or weights do not fit it.
    """
    config = check_config(config)
    benchmark = build_benchmark(config["scenario"], learnt)  # first: weights may have to be fetched
    check_arrival(config, benchmark)
    add_ratings(
        benchmark, build_component(LOSSES, config["cl_strategy"]["loss"], "cl_strategy.loss")
    )
    files = [files_of(source) for source in getattr(benchmark, "sources", {}).values()]
    told = {**config, "num_workers": workers_for(files, config.get("num_workers", 0))}
    built = build_model_and_strategy(told, device, work_dir)
    check_normalisation(built.model, _transforms(config["scenario"]))
    steps = built.strategy.steps(benchmark.streams.get("train", ()))
    if steps:  # else the trial refuses the stream, with the split to give
        samples = built.strategy.samples_of(steps, 0)
        batches = batches_of(samples, built.strategy.train_mb_size)
        check_iterations(built.strategy.plugins, batches * built.strategy.epochs_of(steps[0]))
    check_classes = getattr(built.model, "check_classes", None)
    if check_classes is not None:  # a model that calls the classes by their names
        check_classes(getattr(benchmark, "class_names", None))
    return Parts(
        config,
        benchmark,
        built.model,
        built.strategy,
        built.predictions,
        device,
        targets_of(benchmark),
        built.start,
    )


def _transforms(scenario: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario's transforms by their key paths."""
    return {f"scenario.{key}": scenario.get(key) for key in ("train_transform", "eval_transform")}


class Built(NamedTuple):
    """The objects that a config describes, without the data.

    Attributes:
        model: The model on its device.
        strategy: The strategy over it.
        predictions: Collects what the strategy's evaluations predict.
        start: What ``load_from`` did, None without one.
    """

    model: nn.Module
    strategy: SupervisedTemplate
    predictions: PredictionCollector
    start: StartReport | None


def build_model_and_strategy(
    config: dict[str, Any],
    device: torch.device,
    work_dir: str | Path | None = None,
    pruning: Sequence[Step] = (),
) -> Built:
    """Build a checked config's model and strategy; `work_dir` is for metrics that measure it.

    The model is pruned by `pruning`, as that of a checkpoint was, before plugins change it.
    """
    seed_everything(config["seed"], "model")
    model = build_model(config["model"])
    apply_pruning(model, pruning)
    start = None
    if config.get("load_from"):
        start = start_from(model, config["load_from"])
    model.to(device)
    predictions = PredictionCollector()
    targets = targets_of(find(SCENARIOS, config["scenario"], "scenario"))
    evaluator = build_evaluator(config, predictions, work_dir)
    strategy = build_strategy(config, model, evaluator, device, targets)
    return Built(model, strategy, predictions, start)


def build_evaluator(
    config: dict[str, Any], predictions: PredictionCollector, work_dir: str | Path | None = None
) -> EvaluationPlugin:
    """Build the metrics and the collector of predictions; loggers are added later."""
    metrics = []
    for index, section in enumerate(config.get("metrics") or []):
        where = f"metrics[{index}]"
        parameters, _ = parameters_of(check_component(METRICS, section, where, ["work_dir"]))
        folder = {"work_dir": str(work_dir or ".")} if "work_dir" in parameters else {}
        metrics.append(build_component(METRICS, section, where, **folder))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        return EvaluationPlugin(predictions, *metrics, loggers=[], collect_all=False)


def build_optimizer(
    section: dict[str, Any],
    model: nn.Module,
    needed: bool = True,
    groups: ParameterGroups | None = None,
) -> Optimizer:
    """Build the optimizer over the model's trainable parameters, by the rules of `groups` if any.

    A model without any trainable parameter is fine where the strategy trains without gradients
    (not `needed`).

    Raises:
        ConfigError: There is nothing to train.
        ModelError: A rule names nothing, or nothing that trains.
    """
    parameters: list[Any] = [p for p in model.parameters() if p.requires_grad]
    if not parameters and needed:
        raise ConfigError("model: every parameter is frozen, so there is nothing to train.")
    parameters = parameters or [nn.Parameter(torch.zeros(()))]  # torch refuses an empty optimizer
    if groups:
        parameters = groups.build(model)
    optimizer: Optimizer = build_component(
        OPTIMIZERS, without_groups(section), "cl_strategy.optimizer", params=parameters
    )
    return optimizer


def build_strategy(
    config: dict[str, Any],
    model: nn.Module,
    evaluator: EvaluationPlugin,
    device: torch.device,
    targets: Targets,
) -> SupervisedTemplate:
    """Build the strategy with its optimizer, loss, schedule and plugins."""
    section = config["cl_strategy"]
    registry, component = strategy_component(section)
    own, options = split_strategy(section)
    plugins = build_plugins(section)
    prepare_model(model, plugins)
    for plugin in plugins:
        if isinstance(plugin, Distillation):
            plugin.opener = open_teacher
    if registry is PLUGINS:
        own, component = {"type": "Naive", **template_arguments(section)}, Naive
    check_model([component, *plugins], model)
    loss = build_component(LOSSES, section["loss"], "cl_strategy.loss")
    arguments = {key: value for key, value in own.items() if key != "type"}
    groups = ParameterGroups(section["optimizer"])
    strategy = with_stream_template(component)(  # type: ignore[arg-type]
        model=model,
        optimizer=build_optimizer(
            section["optimizer"], model, getattr(component, "needs_optimizer", True), groups
        ),
        criterion=targets.loss(loss),
        plugins=plugins,
        evaluator=evaluator,
        device=device,
        **arguments,
    )
    of_run = {key: config[key] for key in OF_RUN if key in config}
    of_run["num_workers"] = workers_for((), of_run.get("num_workers", 0))
    training = training_options({**of_run, **options})
    schedule = Schedule(section.get("scheduler"), "cl_strategy.scheduler")
    strategy.configure(training, schedule, groups=groups or None)
    return strategy
