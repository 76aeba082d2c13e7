"""mmpretrain's models in this package's registry, also for configs inside mmpretrain's classes.

Importing this module makes mmpretrain's registry the parent of `cliqa.registry.MODELS`.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from mmengine.logging import MMLogger
from mmengine.model import weight_init
from mmengine.registry import DefaultScope, Registry
from mmpretrain.registry import WEIGHT_INITIALIZERS as INITIALIZERS
from torch import nn

from cliqa.config.trust import refusal, untrusted_source
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS, Component, build_component
from cliqa.utils.errors import ModelError

INIT_ERRORS = (OSError, RuntimeError, TypeError, ValueError, KeyError, pickle.UnpicklingError)
"""What mmengine raises for an ``init_cfg`` with a wrong argument or an unreadable file."""

FOR_FILES = (
    *(f"mmpretrain.models.{room}." for room in ("backbones", "necks", "heads", "losses")),
    *("mmpretrain.models.classifiers.image.", "mmpretrain.models.utils.attention."),
    *("mmpretrain.models.utils.norm.", "mmpretrain.models.utils.sparse_modules."),
    *("mmpretrain.models.utils.data_preprocessor.", "mmpretrain.models.utils.batch_augments."),
    "mmpretrain.models.utils.clip_generator_helper.",  # QuickGELU
    *("mmengine.model.base_model.", "mmengine.model.weight_init.", "mmengine.utils.dl_utils."),
    *("mmcv.cnn.bricks.", "torch.nn."),
)
"""Modules of upstream components that a file may name, as they neither read files nor download."""

OF_LIBRARIES = ("mmpretrain", "mmengine", "mmcv", "torch", "transformers", "timm")
"""Packages whose other components a file may not name; all others come from a user's modules."""


def import_mmpretrain() -> Registry:
    """Import mmpretrain's models and return their registry.

    Raises:
        ModelError: The import fails; the message says what to install or remove.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention")
        try:
            importlib.import_module("mmpretrain.models")
        except (ImportError, TypeError, AttributeError, KeyError, OSError, RuntimeError) as error:
            raise ModelError(_import_advice(error)) from error
    return importlib.import_module("mmpretrain.registry").MODELS


def _import_advice(error: Exception) -> str:
    """Return the import error of mmpretrain, with a fix if one is known."""
    problem = f"mmpretrain.models cannot be imported ({type(error).__name__}: {error})."
    both = all(importlib.util.find_spec(name) for name in ("transformers", "pycocotools"))
    if both and not isinstance(error, ImportError):
        return (
            f"{problem} mmpretrain 1.2.0 fails with recent transformers when pycocotools is there "
            "too. Run: pip uninstall pycocotools   (or: pip install 'transformers<4.41')"
        )
    if "libGL" in str(error) or "libgthread" in str(error):
        return (
            f"{problem} OpenCV misses system libraries. Run: apt-get install libgl1 libglib2.0-0   "
            "(or replace opencv-python by opencv-python-headless)"
        )
    return f"{problem} Install the versions that requirements.txt names."


def link(parent: Registry) -> None:
    """Make `parent` the registry to search after ours; a second call does nothing.

    Args:
        parent: mmpretrain's registry of models.
    """
    if MODELS.parent is None:
        parent._add_child(MODELS)  # what Registry(parent=...) does, deferred to the first look-up
        MODELS.parent = parent
        MODELS.build_func = parent.build_func
    for name, component in parent.module_dict.items():
        MODELS.upstream.setdefault(f"mmpretrain.{name}", component)
    MODELS.for_files = may_stand_in_files


def may_stand_in_files(component: Component) -> bool:
    """Return whether a file may name a model of mmpretrain, mmcv, mmengine or torch."""
    module = f"{component.__module__}."
    if component.__name__ == "PretrainedInit":  # an init_cfg that reads or fetches a file
        return False
    return module.startswith(FOR_FILES) or module.split(".")[0] not in OF_LIBRARIES


link(import_mmpretrain())


class PretrainedInit(weight_init.PretrainedInit):
    """A safe replacement of mmengine's ``init_cfg=dict(type='Pretrained')`` for local files.

    mmengine's own unpickles any object, and only logs a line for a file of another architecture.
    Addresses are passed on to it.

    It has mmengine's name, because untrusted files may name neither.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into a module."""
        if "://" in str(self.checkpoint):
            super().__call__(module)
        else:
            load_weights(module, self.checkpoint, prefix=self.prefix or "", backbone_alone=True)


# found before mmengine's, as `initialise` uses mmpretrain's scope
INITIALIZERS.register_module(name="Pretrained", module=PretrainedInit, force=True)


@contextmanager
def model_scope() -> Iterator[None]:
    """Let mmpretrain's classes find this package's models in nested configs."""
    with (
        DefaultScope.overwrite_default_scope("cliqa"),
        _guarded(untrusted_source()),
        _quiet(MMLogger.get_current_instance()),  # LoRAModel initialises while it is built
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="In MMCV v1.4.4, we modified")  # a note from 2022
        yield


@contextmanager
def _guarded(source: str) -> Iterator[None]:
    """Keep mmengine's registries from importing unknown names while building from a file.

    mmengine imports any unknown name, dotted or not, and some classes look up names at other keys
    than ``type``.
    """
    if not source:
        yield
        return
    with mock.patch.object(Registry, "get", _held):
        yield


def _held(registry: Registry, key: str) -> Component | None:
    """Return a component of mmengine's registry or a parent, if a file may name it."""
    registry.import_from_location()
    owner: Registry | None = registry
    while owner is not None and key not in owner.module_dict:
        owner = owner.parent
    found: Component | None = owner.module_dict[key] if owner else MODELS.registered(key)
    allowed = found is None or may_stand_in_files(found) or MODELS.admits(key)
    if not allowed or (found is None and "." in key):
        raise refusal(key, registry.name, untrusted_source())
    return found


def build_part(config: Mapping[str, Any], where: str) -> nn.Module:
    """Build a backbone, neck or head and initialise its weights.

    Args:
        config: Its config.
        where: Its key path, for the error message.

    Returns:
        The part, initialised once by its own ``init_cfg``.

    Raises:
        ConfigError: As `cliqa.registry.build_component`.
        ModelError: The weights of its ``init_cfg`` cannot be loaded.
    """
    with model_scope():
        part = build_component(MODELS, config, where)
    initialise(part)
    return part


def initialise(module: nn.Module) -> None:
    """Call an mmengine module's ``init_weights`` once, without its logs.

    mmengine's modules keep torch's default weights until then, and log three lines per parameter.

    Args:
        module: Any module; one without ``init_weights``, or on the meta device, is not changed.

    Raises:
        ModelError: The weights of an ``init_cfg`` cannot be loaded.
    """
    init_weights = getattr(module, "init_weights", None)
    if init_weights is None or getattr(module, "is_init", False):
        return
    if any(parameter.is_meta for parameter in module.parameters()):  # no values to initialise
        return
    # the initialisers are registered under mmpretrain's scope, not under ours
    with (
        _quiet(MMLogger.get_current_instance()),
        DefaultScope.overwrite_default_scope("mmpretrain"),
    ):
        try:
            init_weights()
        except INIT_ERRORS as error:
            raise ModelError(
                f"{type(module).__name__}: its init_cfg cannot be applied ({error}). To load "
                "weights from a file, set pretrained='path' in the model's config instead."
            ) from error


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Log only warnings within this context."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
