"""mmpretrain's models beside ours: one look-up finds both, also from inside mmpretrain's classes.

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

from mmengine.logging import MMLogger
from mmengine.model import weight_init
from mmengine.registry import DefaultScope, Registry
from mmpretrain.registry import WEIGHT_INITIALIZERS as INITIALIZERS
from torch import nn

from cliqa.models.weights import load_weights
from cliqa.registry import MODELS, build_component
from cliqa.utils.errors import ModelError

INIT_ERRORS = (OSError, RuntimeError, TypeError, ValueError, KeyError, pickle.UnpicklingError)
"""What mmengine raises for an ``init_cfg`` with a wrong argument or an unreadable file."""


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
    """Return what went wrong while importing mmpretrain, and the remedy where it is known."""
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
    """Make `parent` the registry that is asked for models after ours; a second call does nothing.

    Args:
        parent: mmpretrain's registry of models.
    """
    if MODELS.parent is None:
        parent._add_child(MODELS)  # what Registry(parent=...) does, deferred to the first look-up
        MODELS.parent = parent
        MODELS.build_func = parent.build_func
    for name, component in parent.module_dict.items():
        MODELS.upstream.setdefault(f"mmpretrain.{name}", component)


link(import_mmpretrain())


class PretrainedInit(weight_init.PretrainedInit):  # type: ignore[misc]  # mmengine has no types
    """What an ``init_cfg=dict(type='Pretrained')`` of mmengine's does, for files on this machine.

    mmengine's own runs what a file unpickles to, and says of a file of another architecture no more
    than a line in the log. Addresses are left to it.

    Its name is mmengine's, as it is no more to be named by what is not trusted than theirs.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into a module."""
        if "://" in str(self.checkpoint):
            super().__call__(module)
        else:
            load_weights(module, self.checkpoint, prefix=self.prefix or "")


# asked before mmengine's, as `initialise` works under mmpretrain's scope
INITIALIZERS.register_module(name="Pretrained", module=PretrainedInit, force=True)


@contextmanager
def model_scope() -> Iterator[None]:
    """Let mmpretrain's classes find our models for their nested configs, within this context."""
    with DefaultScope.overwrite_default_scope("cliqa"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="In MMCV v1.4.4, we modified")  # news of 2022
        yield


def build_part(config: Mapping[str, Any], where: str) -> nn.Module:
    """Build a backbone, neck or head and initialise its weights.

    Args:
        config: Its config.
        where: Its key path, for the error message.

    Returns:
        The part, initialised once by its own ``init_cfg``.

    Raises:
        ConfigError: As `cliqa.registry.build_component`.
        ModelError: The weights that its ``init_cfg`` names cannot be loaded.
    """
    with model_scope():
        part = build_component(MODELS, config, where)
    initialise(part)
    return part


def initialise(module: nn.Module) -> None:
    """Call an mmengine module's ``init_weights``, quietly, unless that has been done.

    mmengine's modules keep torch's default weights until somebody asks, and then log three lines a
    parameter.

    Args:
        module: Any module; one without ``init_weights`` is left alone.

    Raises:
        ModelError: The weights that an ``init_cfg`` names cannot be loaded.
    """
    init_weights = getattr(module, "init_weights", None)
    if init_weights is None or getattr(module, "is_init", False):
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
    """Let only warnings through for a while."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
