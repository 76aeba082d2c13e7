"""Images to degrade: a painted one, and a photograph where there is sample data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cliqa.demo_data.campaigns import CAMPAIGNS
from cliqa.demo_data.distortions import to_bytes
from cliqa.transforms.decode import read_image


@pytest.fixture(scope="session")
def painted() -> Tensor:
    """Return a painted landscape with grain, uint8 (3, 96, 96)."""
    random = np.random.default_rng(0)
    scene = CAMPAIGNS[0].scene(96, random)
    grain = random.normal(0, 0.03, scene.shape)
    return torch.from_numpy(to_bytes(scene + grain)).permute(2, 0, 1).contiguous()


@pytest.fixture(params=["painted", "photo"])
def picture(request: pytest.FixtureRequest, painted: Tensor) -> Tensor:
    """Return an image, uint8 (3, H, W): the painted one, then a photograph."""
    if request.param == "painted":
        return painted
    shared: Path = request.getfixturevalue("shared_data")
    photos = sorted((shared / "photos").glob("*.jpg"))
    return read_image(photos[0])[:, 50:178, 60:188]
