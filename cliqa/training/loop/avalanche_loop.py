"""One of Avalanche's own loops as this package's plugins see it, and its settings.

A plugin of this package (`cliqa.training.plugins.base.ContinualPlugin`) gets a `HostedLoop` in its
hooks where the strategy is Avalanche's own: the strategy, and what our loop adds to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from avalanche.benchmarks import OnlineCLExperience
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.templates.base_sgd import BaseSGDTemplate

from cliqa.benchmarks.stored import OnPixels
from cliqa.models.freezing import FreezeReport, keep_frozen
from cliqa.training.loop.batching import as_tensor
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.precision import Precision
from cliqa.training.loop.stream_data import StreamData, tasks_of
from cliqa.training.strategy import Samples
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.seed import script_seed, seed_everything

OF_LOADERS = {"num_workers", "pin_memory", "persistent_workers"}
"""Arguments of ``strategy.train(...)`` that change how batches are loaded, not which."""


class RunSettings(SupervisedPlugin):
    """Seed and evaluation transform of a run in a script of your own.

    Our plugins bring one along; put one into ``plugins=[...]`` to choose other values. In
    Avalanche's strategies it seeds every epoch by the seed and the epoch's place in the stream, and
    loads batches as our loop does, so that a script ends with the same bits as a config. Worker
    processes are an argument of Avalanche's: ``strategy.train(experience, num_workers=4)``.

    Args:
        seed: Seed of everything random; None for that of ``torch.manual_seed``, as it is when the
            first training or evaluation begins.
        eval_transform: The transform through which methods see training samples when they measure
            them (EWC, MAS, InfLoRA, the gate), from a sample's untransformed input; None for the
            benchmark's own evaluation transform.

    Attributes:
        options: The same as our loop's options.
        ready: The strategy's plugins have been prepared and checked.
    """

    def __init__(
        self, seed: int | None = None, eval_transform: Callable[..., Any] | None = None
    ) -> None:
        super().__init__()
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise ConfigError(f"RunSettings: seed must be an integer or None, got {seed!r}.")
        self._seed = seed
        self.eval_transform = eval_transform
        self.options = TrainingOptions()
        self.ready = False
        self._begun = False  # the seed of the experience's start is set
        self._looked = False

    @property
    def seed(self) -> int:
        """The run's seed."""
        if self._seed is None:
            self._seed = script_seed()
        return self._seed

    # ---------------------------------------------------------------- hooks

    def before_training(self, strategy: BaseSGDTemplate, **kwargs: Any) -> None:  # noqa: ANN401
        """Seed the beginning of the training, where the model may be adapted."""
        if isinstance(strategy, StreamData):
            return
        settings_of(strategy)
        workers = kwargs.get("num_workers", 0)
        self.options = TrainingOptions(seed=self.seed, num_workers=workers)
        self._seed_place(strategy, "start")
        self._begun = True

    def before_train_dataset_adaptation(self, strategy: BaseSGDTemplate, **_: object) -> None:
        """Seed the beginning of a later experience of the same call of ``train``."""
        if not isinstance(strategy, StreamData) and not self._begun:
            self._seed_place(strategy, "start")

    def before_training_exp(self, strategy: BaseSGDTemplate, **kwargs: object) -> None:
        """Load the batches as our loop does.

        Raises:
            ConfigError: The stream has no experiences, but pieces of them.
        """
        if isinstance(strategy, StreamData):
            return
        if isinstance(strategy.experience, OnlineCLExperience):
            raise ConfigError(
                "cliqa's plugins learn experience by experience, and split_online_stream cuts them "
                "into pieces. Train on benchmark.train_stream."
            )
        self._begun = False
        strategy.clock.train_exp_epochs = 0  # as Avalanche's clock does after all plugins
        if _loads_as_avalanche(strategy) and set(kwargs) <= OF_LOADERS:
            loop = hosted(strategy, self)
            strategy.dataloader = loop.loader(loop.adapted_dataset, train=True)

    def before_training_epoch(self, strategy: BaseSGDTemplate, **_: object) -> None:
        """Seed the epoch; frozen parts of our models stay in evaluation mode."""
        if isinstance(strategy, StreamData):
            return
        self._seed_place(strategy, "epoch", strategy.clock.train_exp_epochs)
        report = getattr(strategy.model, "frozen", None)
        if isinstance(report, FreezeReport):
            keep_frozen(strategy.model, report)

    def after_forward(self, strategy: BaseSGDTemplate, **_: object) -> None:
        """Look at the first output of a training.

        Raises:
            ModelError: It is no tensor, and a plugin of ours computes with it.
        """
        if self._looked or isinstance(strategy, StreamData):
            return
        self._looked = True
        readers = [p for p in strategy.plugins if getattr(p, "reads_outputs", False)]
        if readers:
            try:
                as_tensor(strategy.mb_output)
            except ModelError as error:
                raise ModelError(f"{type(readers[0]).__name__}: {error}") from None

    def after_training_exp(self, strategy: BaseSGDTemplate, **_: object) -> None:
        """Seed what methods draw at the end."""
        if not isinstance(strategy, StreamData):
            self._seed_place(strategy, "end")

    def _seed_place(self, strategy: BaseSGDTemplate, *place: str | int) -> None:
        """Seed the global generators for a place in the stream, as `StreamTemplate` does."""
        seed_everything(self.seed, "step", strategy.clock.train_exp_counter, *place)


def _loads_as_avalanche(strategy: BaseSGDTemplate) -> bool:
    """Return whether a strategy has Avalanche's own loader, over samples of a single task."""
    own = type(strategy).make_train_dataloader is BaseSGDTemplate.make_train_dataloader
    return own and len(tasks_of(strategy.experience)) <= 1


def settings_of(strategy: BaseSGDTemplate) -> RunSettings:
    """Return the settings of a strategy; where there are none, new ones.

    They are put before all plugins, because they seed what other plugins draw.
    """
    first = strategy.plugins[0] if strategy.plugins else None
    if isinstance(first, RunSettings):
        return first
    found = [plugin for plugin in strategy.plugins if isinstance(plugin, RunSettings)]
    settings = found[0] if found else RunSettings()
    others = [plugin for plugin in strategy.plugins if plugin is not settings]
    strategy.plugins = [settings, *others]  # a new list: Avalanche is going through the old one
    return settings


class HostedLoop(StreamData):
    """One of Avalanche's strategies with what the package's plugins ask of a strategy.

    Everything else is read from the strategy and written to it.

    Args:
        strategy: The strategy.
        settings: Its settings.
    """

    updated = True  # every batch ends with a step of the optimizer
    resumes_mid_step = False

    def __init__(self, strategy: BaseSGDTemplate, settings: RunSettings) -> None:
        vars(self).update(_strategy=strategy, _settings=settings, options=settings.options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(vars(self)["_strategy"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["_strategy"], name, value)

    @property
    def name(self) -> str:
        """The class of the strategy."""
        return type(vars(self)["_strategy"]).__name__

    @property
    def plugins(self) -> list[object]:  # type: ignore[override]
        """The strategy's plugins without its settings."""
        return [p for p in vars(self)["_strategy"].plugins if not isinstance(p, RunSettings)]

    @property
    def step_index(self) -> int:  # type: ignore[override]
        """How many experiences the strategy has been trained on to their end."""
        return int(self.clock.train_exp_counter)

    @property
    def epochs_done(self) -> int:  # type: ignore[override]
        """How many epochs of this experience are finished."""
        return int(self.clock.train_exp_epochs)

    @property
    def precision(self) -> Precision:  # type: ignore[override]
        """Full precision: Avalanche's loops know no other."""
        return Precision(self.device, False)

    def measured(self, data: Samples) -> Samples:
        """Return samples as methods measure them."""
        transform = vars(self)["_settings"].eval_transform
        evaluated: Any = super().measured(data)
        if transform is None:
            return evaluated
        return evaluated.replace_current_transform_group((OnPixels(transform), None))


def hosted(strategy: BaseSGDTemplate, settings: RunSettings) -> HostedLoop:
    """Return one of Avalanche's strategies as the package's plugins expect a strategy."""
    # what it does not define itself is found by its __getattr__
    return HostedLoop(strategy, settings)  # type: ignore[abstract]
