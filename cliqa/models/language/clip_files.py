"""OpenAI's CLIP from a local file, with the optional package ``clip``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from cliqa.config.suggest import closest
from cliqa.models.language.torchscript_file import is_torchscript, read_torchscript
from cliqa.models.weights.gaps import foreign
from cliqa.utils.archive import ArchiveError
from cliqa.utils.checkpoint import DAMAGE, load_checkpoint
from cliqa.utils.errors import ConfigError, ModelError, first_line
from cliqa.utils.system.extras import install_extra

_TEXT = {"context_length": 77, "vocab_size": 49408}
_SMALL = {"transformer_width": 512, "transformer_heads": 8, "transformer_layers": 12, **_TEXT}
_LARGE = {"transformer_width": 768, "transformer_heads": 12, "transformer_layers": 12, **_TEXT}

_IMAGE = ("embed_dim", "image_resolution", "vision_layers", "vision_width", "vision_patch_size")
ARCHS: dict[str, dict[str, Any]] = {
    name: {**dict(zip(_IMAGE, sizes, strict=True)), **text}
    for name, sizes, text in (
        ("RN50", (1024, 224, (3, 4, 6, 3), 64, None), _SMALL),
        ("ViT-B/32", (512, 224, 12, 768, 32), _SMALL),
        ("ViT-B/16", (512, 224, 12, 768, 16), _SMALL),
        ("ViT-L/14", (768, 224, 24, 1024, 14), _LARGE),
    )
}
"""The sizes of OpenAI's models, as arguments of ``clip.model.CLIP``."""


def sizes_of(arch: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of a CLIP model.

    Args:
        arch: A name of `ARCHS`, or a dict of all sizes.

    Raises:
        ConfigError: The name is unknown, or a size is missing or unknown.
    """
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ConfigError(
                f"arch: no CLIP model is called '{arch}'.{closest(arch, ARCHS)} Use one of "
                f"{', '.join(ARCHS)}, or a dict of the sizes of another one."
            )
        return dict(ARCHS[arch])
    wrong = set(ARCHS["RN50"]) ^ set(arch)
    if wrong:
        raise ConfigError(
            f"arch: a dict of a CLIP model's sizes has {', '.join(ARCHS['RN50'])}; "
            f"'{min(wrong)}' is missing or unknown."
        )
    return dict(arch)


def import_clip(what: str, instead: str) -> ModuleType:
    """Return the optional package ``clip`` with its module ``model``.

    Args:
        what: The component that needs it, for the message.
        instead: The alternative, for the message.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import clip  # noqa: PLC0415  an optional extra
        import clip.model  # noqa: PLC0415
    except ImportError as error:
        raise ModelError(
            f"{what} needs the package clip ({error}). Install it with "
            f"{install_extra('clip')}, or {instead}."
        ) from error
    return clip


def build_clip(clip: ModuleType, path: Path) -> nn.Module:
    """Return a CLIP model in float32, in evaluation mode, with the weights of a file.

    Args:
        clip: The package.
        path: OpenAI's TorchScript archive, or a state dict.

    Raises:
        ModelError: The file is not a CLIP model.
        CheckpointError: It is missing, damaged, or holds more than tensors.
    """
    state = clip_state(path)
    try:
        model: nn.Module = clip.model.build_model(dict(state)).float().eval()
        return model
    except (*DAMAGE, AttributeError, TypeError) as error:
        reason = first_line(error)
        raise ModelError(
            f"{path}: not the weights of an OpenAI CLIP model ({reason}). Use the file that "
            "clip.load downloads (RN50.pt, ViT-B-32.pt), or its state_dict() saved with torch.save."
        ) from error


def load_tower(
    tower: nn.Module, path: str | Path, prefix: str = "", unused: Collection[str] = ()
) -> None:
    """Load one of CLIP's two towers, completely, in float32.

    Args:
        tower: The tower, with CLIP's tensor names.
        path: As `build_clip`.
        prefix: Prefix of the names in the file: ``"visual."``.
        unused: Tensors of the file's tower that this one does without, without the prefix.

    Raises:
        ModelError: The file is not a CLIP model, or has other sizes.
        CheckpointError: It is missing, damaged, or holds more than tensors.
    """
    file = {k: v.float() for k, v in clip_state(Path(path)).items() if isinstance(v, Tensor)}
    own = tower.state_dict()
    wrong = [
        f"{prefix}{name} is {_shape(file.get(prefix + name))} in the file, not {_shape(tensor)}"
        for name, tensor in own.items()
        if _shape(file.get(prefix + name)) != _shape(tensor)
    ]
    below = {k[len(prefix) :]: v for k, v in file.items() if k.startswith(prefix)}
    left = {name: tensor for name, tensor in below.items() if name not in {*own, *unused}}
    wrong += [f"{prefix}{name} has no place in it" for name in foreign(tower, left, list(own))]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ModelError(
            f"{path}: not the weights of this CLIP model ({wrong[0]}{more}). Set arch to the model "
            f"of the file: one of {', '.join(ARCHS)}, or a dict of its sizes."
        )
    tower.load_state_dict({name: file[prefix + name] for name in own})


def _shape(tensor: Tensor | None) -> str:
    """Return a tensor's shape for a message."""
    return "missing" if tensor is None else str(tuple(tensor.shape))


def clip_state(path: Path) -> dict[str, Any]:
    """Return the tensors of a CLIP model's file; no code in it is run.

    Args:
        path: OpenAI's TorchScript archive, or a state dict.

    Raises:
        ModelError: The archive is damaged.
        CheckpointError: The file is missing, damaged, or holds more than tensors.
    """
    if not is_torchscript(path):
        return load_checkpoint(path)
    try:
        return dict(read_torchscript(path))
    except (ArchiveError, OSError) as error:
        raise ModelError(
            f"{path}: a damaged TorchScript archive. Download it again ({error})."
        ) from error
