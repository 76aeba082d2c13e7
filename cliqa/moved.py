"""Earlier import paths of modules that scripts use; they keep working, with a warning.

The new module's public names are found under the old path. Remove an entry with the second release
after the move.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ROOMS = {
    ("datasets", "datasets.quality"): (
        "agiqa3k ava bid csiq eva kadid10k koniq labelled_folder live livec score_file spaq tid2013"
    ),
    ("datasets", "datasets.classes"): "cifar class_dataset fashion_mnist image_folder",
    ("datasets", "datasets.labels"): "json_labels label_file matlab sheet spreadsheet table",
    ("deploy", "deploy.onnx"): "export half",
    ("deploy", "deploy.onnx.integers"): "calibration quantization",
    ("deploy.onnx", "deploy.onnx.integers"): "calibration mixed_precision quantization",
    ("deploy", "deploy.search"): "auto_optimizer pareto recipes",
    ("engine", "engine.work_dir"): "artifacts checkpoints data_record",
    ("engine", "inference"): "evaluate features few_shot image_model",
    ("evaluation", "evaluation.records"): "predictions results study tables",
    ("models", "models.backbones"): "extractor small_conv_net timm_backbone torchvision_backbone",
    ("training", "training.importance"): "fisher per_sample",
    ("training", "training.loop"): "batching options parameter_groups precision schedule selection",
    ("training", "training.own_loop"): "framework",
    ("training.loop", "training.loop.loaders"): "feature_loader",
    ("training.plugins", "training.plugins.averaging"): "ema",
    ("training.plugins", "training.plugins.compression"): "pruning qat",
    ("training.plugins", "training.plugins.isolation"): "lora packnet task_specific",
    ("training.plugins", "training.plugins.regularization"): "ewc l2 mas si",
    ("training.plugins", "training.plugins.rehearsal"): "der replay text_replay",
    ("training.plugins", "training.plugins.teachers"): "distillation lwf",
    ("utils", "utils.threads"): "ahead",
}
"""Old and new room, and the modules that moved with their names."""

MOVED = {
    f"cliqa.{old}.{name}": f"cliqa.{new}.{name}"
    for (old, new), names in _ROOMS.items()
    for name in names.split()
} | {
    "cliqa.api.avalanche_plugins": "cliqa.api.plugins",
    "cliqa.engine.inference": (
        "cliqa.inference.predict cliqa.inference.scores cliqa.datasets.image_listing"
    ),
    "cliqa.engine.study": "cliqa.studies.study",
    "cliqa.studies.processes": "cliqa.studies.backends.commands cliqa.studies.backends.local",
    "cliqa.training.task_strategy": "cliqa.training.own_loop.strategies",
    "cliqa.training.templates": "cliqa.training.loop.template",
}
"""Old path -> new path, or several with a blank between."""


class OldPaths(MetaPathFinder, Loader):
    """The finder and loader of modules at their old paths."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the description of a module that has moved, None for every other one."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with the names of the one at the new path."""
        new = MOVED[module.__name__].split()
        warnings.warn(
            f"{module.__name__} is now {' and '.join(new)}", DeprecationWarning, stacklevel=2
        )
        for path in new:
            found = vars(import_module(path))
            vars(module).update({name: found[name] for name in found if not name.startswith("__")})


def install() -> None:
    """Make the old paths known to Python's import, after all other ways to find a module."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(OldPaths())
