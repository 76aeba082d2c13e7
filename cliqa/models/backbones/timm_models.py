"""timm's networks by name, with weights from its hub, a file or a package of weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from cliqa.config.suggest import closest
from cliqa.models.backbones.downloads import NoDownloadError
from cliqa.models.input_statistics import InputStatistics
from cliqa.models.weights.efficientnet_layout import WORDS as OF_TENSORFLOW
from cliqa.models.weights.packages import PACKAGES
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.paths import home_path
from cliqa.utils.system.extras import install_extra

OWN = frozenset(
    {"model_name", "features_only", "out_indices", "num_classes", "global_pool", "scriptable"}
    | {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict"}
    | {"checkpoint_path", "cache_dir", "feature_cfg", "feature_cls"}
)
"""timm's arguments that the backbone sets itself, or that would read files."""

TF = "tf_"
"""How the names of timm's networks begin that compute as TensorFlow's."""


def import_timm() -> ModuleType:
    """Return the optional package ``timm``.

    Raises:
        ModelError: It is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ModelError(
            f"TimmBackbone needs the package timm ({error}). Install it with: "
            f"{install_extra('timm')}   or use 'TorchvisionBackbone', which needs none."
        ) from error


def timm_model(
    name: str, pretrained: bool, arguments: Mapping[str, Any]
) -> tuple[nn.Module, InputStatistics | None]:
    """Return a whole timm network, and the statistics of images that its weights expect.

    Args:
        name: timm's name, with or without a tag of its weights.
        pretrained: Whether it has timm's own weights, which are downloaded on first use.
        arguments: More arguments of the network.

    Raises:
        ConfigError: An argument is one of `OWN`.
        ModelError: timm is missing or does not know the network, the weights do not exist or do
            not fit, or the download fails.
    """
    timm = import_timm()
    _check_name(timm, name)
    taken = OWN & set(arguments)
    if taken:
        raise ConfigError(
            f"TimmBackbone: model_args: '{min(taken)}' is not an argument of the network itself. "
            "Use name, out_indices and pretrained of the TimmBackbone."
        )
    if pretrained:
        model = _downloaded(timm, name, arguments)
        published: Any = model.pretrained_cfg
        tag = published.get("tag")
        return model, _statistics(model, f"timm's '{'.'.join(filter(None, (_arch(name), tag)))}'")
    return timm.create_model(name, **arguments), None


def _check_name(timm: ModuleType, name: str) -> None:
    """Raise a ModelError for a name that timm does not know; addresses are none."""
    arch, _, tag = name.partition(".")
    known = timm.list_models()
    if arch not in known:
        raise ModelError(f"timm has no model '{name}'.{closest(arch, known)}")
    if tag:
        tags = timm.list_pretrained(f"{arch}.*")
        if name not in tags:
            hint = closest(name, tags) or f" Known: {', '.join(tags) or 'none'}."
            raise ModelError(f"timm has no weights '{name}'.{hint}")


def _arch(name: str) -> str:
    """Return a name without the tag of its weights."""
    return name.partition(".")[0]


def _downloaded(timm: ModuleType, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return a network with timm's own weights."""
    published: Any = timm.get_pretrained_cfg(name)
    where = published and (published.hf_hub_id or published.url)
    if not where:
        raise ModelError(
            f"timm has no weights for '{name}'. Use pretrained=False, a file, or another model: "
            "timm.list_pretrained() names those with weights."
        )
    try:
        model: nn.Module = timm.create_model(name, pretrained=True, **arguments)
    except (OSError, RuntimeError) as error:  # no network; a file whose hash is wrong
        file = f"model.safetensors (or pytorch_model.bin) of {published.hf_hub_id}"
        if not published.hf_hub_id:
            file = str(published.url).rpartition("/")[2]
        weights = f"timm's weights for '{name}'"
        raise NoDownloadError(weights, str(error), file, "pretrained", "False") from error
    return model


def load_file(backbone: nn.Module, name: str, source: str) -> InputStatistics | None:
    """Load a file's weights, or those of a package, into the layers that a backbone kept.

    Args:
        backbone: The backbone, with timm's network as its ``body``.
        name: timm's name.
        source: A file, or a package of `PACKAGES`.

    Returns:
        The statistics of images that the weights expect.

    Raises:
        ModelError: There is no such file or package, or the weights do not fit.
        CheckpointError: The file cannot be read safely.
    """
    package = PACKAGES.get(source)
    if package is not None and package.architecture != _arch(name):
        raise ModelError(
            f"the weights '{source}' are those of name='{package.architecture}'; in '{name}' they "
            "would give other features. Set that name."
        )
    path = package.file(source) if package else home_path(source)
    if package is None and not path.is_file():
        names = ", ".join(PACKAGES)
        raise ModelError(
            f"pretrained '{source}': no file, and not a package of weights ({names})."
            f"{closest(source, PACKAGES)} Use True for timm's own weights."
        )
    report = load_weights(backbone, path)
    if OF_TENSORFLOW in report.renaming and not name.startswith(TF):
        raise ModelError(
            f"{path}: weights of TensorFlow's EfficientNet, whose padding and batch normalisation "
            f"differ from those of '{name}', so that the features would be wrong. Set name='{TF}"
            f"{_arch(name)}'."
        )
    return _statistics(backbone.body, f"timm's '{name}' with {path.name}")


def _statistics(model: object, source: str) -> InputStatistics | None:
    """Return the mean and deviation in a network's own config."""
    published: Any = getattr(model, "pretrained_cfg", {})
    mean, std = published.get("mean"), published.get("std")
    return InputStatistics(tuple(mean), tuple(std), source) if mean and std else None
