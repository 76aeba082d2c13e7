"""Training: the loop, strategies and continual-learning methods.

Methods and strategies are constructed as Avalanche's own are, in any script of Avalanche's::

    from cliqa.training import EWC, Replay

    strategy = Naive(model=model, ..., plugins=[Replay(mem_size=500), EWC(strength=100.0)])

The names in ``__all__`` are loaded on first use. Start at `strategy` (what a plugin may use) and
`plugins` (the methods). Building a training from a config is in `cliqa.engine`, pretraining without
scores in `cliqa.pretraining`.
"""

from importlib import import_module
from typing import Any

_PLUGINS = {
    "AGEM": "rehearsal.agem",
    "CODAPrompt": "prompts.coda_prompt",
    "ChannelPruning": "compression.pruning",
    "ClassifierAlignment": "rehearsal.alignment",
    "ContinualPlugin": "base",
    "DER": "rehearsal.der",
    "Distillation": "teachers.distillation",
    "DualPrompt": "prompts.dual_prompt",
    "EMA": "averaging.ema",
    "ER_ACE": "rehearsal.er_ace",
    "EWC": "regularization.ewc",
    "FeatureReplay": "rehearsal.feature_replay",
    "GDumb": "rehearsal.gdumb",
    "ICaRL": "rehearsal.icarl",
    "L2": "regularization.l2",
    "L2P": "prompts.l2p",
    "LadderRehearsal": "teachers.ladder_rehearsal",
    "LoRA": "isolation.lora",
    "LwF": "teachers.lwf",
    "MAS": "regularization.mas",
    "MIR": "rehearsal.mir",
    "ModelMerging": "averaging.merging",
    "MultiHead": "teachers.multi_head",
    "PackNet": "isolation.packnet",
    "QAT": "compression.qat",
    "Replay": "rehearsal.replay",
    "SI": "regularization.si",
    "TaskSpecificParts": "isolation.task_specific",
    "TextReplay": "rehearsal.text_replay",
}
_STRATEGIES = {
    "Cumulative": "cumulative",
    "JointTraining": "joint",
    "Naive": "naive",
    "NearestClassMean": "nearest_class_mean",
    "StreamingRidge": "streaming_ridge",
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
