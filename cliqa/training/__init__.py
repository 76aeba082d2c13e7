"""Training: the loop, strategies and continual-learning methods.

Methods and strategies are constructed as Avalanche's own are, in any script of Avalanche's::

    from cliqa.training import EWC, Replay

    strategy = Naive(model=model, ..., plugins=[Replay(mem_size=500), EWC(strength=100.0)])

The names in ``__all__`` are loaded on first use. Start at `strategy` (what a plugin may use) and
`plugins` (the methods). Building a training from a config is in `cliqa.engine`, pretraining without
scores in `cliqa.pretraining`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cliqa.training.loop.avalanche_loop import RunSettings as RunSettings
    from cliqa.training.loop.options import TrainingOptions as TrainingOptions
    from cliqa.training.loop.schedule import Schedule as Schedule
    from cliqa.training.plugins.base import ContinualPlugin as ContinualPlugin
    from cliqa.training.plugins.der import DER as DER
    from cliqa.training.plugins.distillation import Distillation as Distillation
    from cliqa.training.plugins.ema import EMA as EMA
    from cliqa.training.plugins.ewc import EWC as EWC
    from cliqa.training.plugins.l2 import L2 as L2
    from cliqa.training.plugins.lora import LoRA as LoRA
    from cliqa.training.plugins.lwf import LwF as LwF
    from cliqa.training.plugins.mas import MAS as MAS
    from cliqa.training.plugins.packnet import PackNet as PackNet
    from cliqa.training.plugins.pruning import ChannelPruning as ChannelPruning
    from cliqa.training.plugins.qat import QAT as QAT
    from cliqa.training.plugins.replay import Replay as Replay
    from cliqa.training.plugins.si import SI as SI
    from cliqa.training.plugins.task_specific import TaskSpecificParts as TaskSpecificParts
    from cliqa.training.plugins.text_replay import TextReplay as TextReplay
    from cliqa.training.supervised.cumulative import Cumulative as Cumulative
    from cliqa.training.supervised.joint import JointTraining as JointTraining
    from cliqa.training.supervised.naive import Naive as Naive
    from cliqa.training.supervised.nearest_class_mean import NearestClassMean as NearestClassMean

_PLUGINS = {
    "ChannelPruning": "pruning",
    "ContinualPlugin": "base",
    "DER": "der",
    "Distillation": "distillation",
    "EMA": "ema",
    "EWC": "ewc",
    "L2": "l2",
    "LoRA": "lora",
    "LwF": "lwf",
    "MAS": "mas",
    "PackNet": "packnet",
    "QAT": "qat",
    "Replay": "replay",
    "SI": "si",
    "TaskSpecificParts": "task_specific",
    "TextReplay": "text_replay",
}
_STRATEGIES = {
    "Cumulative": "cumulative",
    "JointTraining": "joint",
    "Naive": "naive",
    "NearestClassMean": "nearest_class_mean",
}
_LOOP = {"RunSettings": "avalanche_loop", "Schedule": "schedule", "TrainingOptions": "options"}
_HOMES = {
    **{name: f"plugins.{home}" for name, home in _PLUGINS.items()},
    **{name: f"supervised.{home}" for name, home in _STRATEGIES.items()},
    **{name: f"loop.{home}" for name, home in _LOOP.items()},
}
_REGISTERED = ("LabelFreePretraining",)
"""Plugins of other rooms, which this one must not import."""

__all__ = sorted([*_HOMES, *_REGISTERED])  # noqa: PLE0605


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a method or a strategy."""
    if name in _HOMES:
        return getattr(import_module(f"cliqa.training.{_HOMES[name]}"), name)
    if name in _REGISTERED:
        return import_module("cliqa.registry").PLUGINS.get(name)
    raise AttributeError(f"module 'cliqa.training' has no attribute '{name}'. It has {__all__}.")


def __dir__() -> list[str]:
    """Return the names of the module, those that are not loaded yet too."""
    return sorted({*globals(), *__all__})
