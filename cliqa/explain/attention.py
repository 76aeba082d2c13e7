"""Where a model looks: its own attention, or the gradient of its score."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.config.suggest import closest
from cliqa.explain.attention_figure import Explanation
from cliqa.explain.crop_places import crop_boxes, paste
from cliqa.inference.predict import Predictor
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ModelError

SPATIAL = "SpatialAttention"
"""Class name of modules whose output (B, 1, h, w) is a map of attention."""

OWNERS = ("CBAM",)
"""Class names of modules with a convolution to one channel inside, whose sigmoid is the map."""

Outputs = dict[str, Tensor]


def explain(predictor: Predictor, path: Path, layer: str | None = None) -> Explanation:
    """Return where a model looks in an image.

    Without a layer it is the model's spatial attention, where it has any, else Grad-CAM at the last
    map of its backbone.

    Args:
        predictor: The model with its preprocessing.
        path: The image.
        layer: Name of a module. One channel of output is taken as a map of attention; for maps of
            several channels it is Grad-CAM.

    Raises:
        DatasetError: The image cannot be read.
        ModelError: There is no such layer, or it gives no maps.
    """
    image = read_image(path)
    height, width = image.shape[-2:]
    boxes = crop_boxes(predictor.transform, height, width)
    inputs = predictor.transform(image).to(predictor.device)
    inputs = inputs if inputs.ndim == 4 else inputs[None]  # (N, C, h, w): one or several crops
    names = attention_layers(predictor.model) if layer is None else [layer]
    maps, weights, gradient = _maps(predictor.model, names, inputs)
    score = next(predictor.predict([path]))
    return Explanation(
        image=image.permute(1, 2, 0).numpy(),
        name=path.name,
        score=float("nan") if score.score is None else score.score,
        label=score.label,
        maps={name: paste(values, boxes, height, width) for name, values in maps.items()},
        weights={name: values.mean(0).numpy() for name, values in weights.items()},
        gradient=gradient,
    )


def attention_layers(model: nn.Module) -> list[str]:
    """Return the names of a model's modules that give a map of spatial attention.

    They are found by their class: `SPATIAL`, and the convolutions to one channel in `OWNERS`.
    """
    found = []
    for name, module in model.named_modules():
        owner = type(model.get_submodule(name.rpartition(".")[0])).__name__
        inside = isinstance(module, nn.Conv2d) and module.out_channels == 1 and owner in OWNERS
        if type(module).__name__ == SPATIAL or inside:
            found.append(name)
    return found


def _maps(model: nn.Module, names: Sequence[str], inputs: Tensor) -> tuple[Outputs, Outputs, bool]:
    """Return maps (N, h, w) and scale weights (N, L) by module, and whether it is Grad-CAM."""
    modules = {name: _module(model, name) for name in names}
    with _recorded(model) as (outputs, weights), torch.enable_grad():
        output = model(inputs.detach().requires_grad_())  # a graph, though weights may be frozen
        maps = {name: _channel(modules[name], outputs.get(name), name) for name in names}
        if maps and all(values is not None for values in maps.values()):
            return {name: v for name, v in maps.items() if v is not None}, weights, False
        layer = names[0] if names else _last_map(model, outputs)
        return {layer: _grad_cam(output, outputs.get(layer), layer)}, weights, True


def _module(model: nn.Module, name: str) -> nn.Module:
    """Return a model's module by its name."""
    modules = dict(model.named_modules())
    if name not in modules or not name:
        tops = ", ".join(key for key in modules if key.count(".") < 2 and key)
        hint = closest(name, list(modules))
        raise ModelError(f"--layer {name}: the model has no such module.{hint} It has {tops}.")
    return modules[name]


@contextlib.contextmanager
def _recorded(model: nn.Module) -> Iterator[tuple[Outputs, Outputs]]:
    """Record every module's last map (B, C, h, w), and the weights (B, L) of scales.

    A module that weighs scales has a method ``weights`` that gives them for its inputs.
    """
    outputs: Outputs = {}
    weights: Outputs = {}

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            maps = output if isinstance(output, list | tuple) else [output]
            for value in maps:
                if isinstance(value, Tensor) and value.ndim == 4 and value.shape[-2:].numel() > 1:
                    outputs.pop(name, None)  # the order is that of the last calls
                    outputs[name] = value
            weigh: Any = getattr(module, "weights", None)
            if inspect.ismethod(weigh):  # a list of layers of that name can be called, too
                weights[name] = weigh(*inputs).detach().cpu()

        return hook

    handles = [
        module.register_forward_hook(record(name)) for name, module in model.named_modules() if name
    ]
    try:
        yield outputs, weights
    finally:
        for handle in handles:
            handle.remove()


def _channel(module: nn.Module, output: Tensor | None, name: str) -> Tensor | None:
    """Return a module's map of attention (N, h, w), None where it has several channels."""
    if output is None:
        raise ModelError(
            f"--layer {name}: gives no maps (B, C, h, w) of more than one position. Choose a layer "
            "before the pooling, e.g. the backbone's last stage."
        )
    if output.shape[1] != 1:
        return None
    values = output[:, 0].detach().cpu()
    return values.sigmoid() if isinstance(module, nn.Conv2d) else values


def _last_map(model: nn.Module, outputs: Outputs) -> str:
    """Return the module that was the last to give maps; of the backbone, if there is one."""
    names = [name for name in outputs if name.split(".")[0] == "backbone"] or [
        name for name in outputs if name.split(".")[0] != "head"
    ]
    if not names:
        raise ModelError(f"{type(model).__name__}: no layer gives maps, so there is no Grad-CAM.")
    return names[-1]


def _grad_cam(output: Tensor, activation: Tensor | None, layer: str) -> Tensor:
    """Return Grad-CAM (N, h, w) with its sign: above 0 is what raises the score.

    ``sum_c A_c mean_places(ds / dA_c)``: Selvaraju et al., "Grad-CAM", ICCV 2017, eq. 1 and 2
    without the ReLU, whose negative part is their counterfactual explanation (section 3.3).

    Args:
        output: Scores (N,), or logits (N, K), of which the highest is taken.
        activation: The layer's maps (N, C, h, w).
        layer: Its name, for the error message.
    """
    score = output if output.ndim == 1 else output.amax(dim=1)
    found = None
    if activation is not None and activation.requires_grad and score.requires_grad:
        (found,) = torch.autograd.grad(score.sum(), activation, allow_unused=True)
    if activation is None or found is None:
        raise ModelError(f"--layer {layer}: the score has no gradient there. Choose another layer.")
    weights = found.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    return (weights * activation).sum(1).detach().cpu()
