"""Networks for measurements of speed, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision import models

from cliqa.config.load import load_config
from cliqa.models.build import build_model


def network_of(name: str) -> nn.Module:
    """Return a network with random weights and one output: of torchvision, or HyperIQA."""
    torch.manual_seed(0)
    if name == "hyperiqa":
        config = load_config("config/koniq_hyperiqa.py", ["model.pretrained=False"])
        return build_model(config["model"]).eval()
    return models.get_model(name, weights=None, num_classes=1).eval()


@torch.no_grad()
def fit_head(network: nn.Module, crops: Tensor, levels: Tensor) -> None:
    """Fit the last linear layer of a torchvision network to levels (B,) of crops, by ridge."""
    head = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    kept: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].double()))
    network(crops)
    hook.remove()
    features, wanted = kept[0], levels.double()
    centre, scale = features.mean(0), features.std(0).clamp(min=1e-9)
    plain = (features - centre) / scale
    gram = plain @ plain.T + 0.1 * len(plain) * torch.eye(len(plain), dtype=torch.float64)
    weight = plain.T @ torch.linalg.solve(gram, wanted - wanted.mean()) / scale
    head.weight.copy_(weight[None].float())
    head.bias.fill_(float(wanted.mean() - centre @ weight))
