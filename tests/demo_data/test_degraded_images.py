"""Tests of single degraded images and of the truth about them."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from cliqa.demo_data.campaigns import CAMPAIGNS, Campaign
from cliqa.demo_data.degraded_images import degrade_photo, degrade_scene, encode
from cliqa.demo_data.distortions import to_bytes
from cliqa.demo_data.photos import crop_photo
from cliqa.demo_data.similarity import ssim

each = pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.name)


def decode(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a photograph's generated twin."""
    path = tmp_path / "twin.png"
    Image.fromarray(to_bytes(CAMPAIGNS[0].scene(160, np.random.default_rng(7)))).save(path)
    return path


@each
def test_quality_falls_with_the_severity_of_each_defect(campaign: Campaign) -> None:
    rng = np.random.default_rng(0)
    found = defaultdict(list)
    for _ in range(120):
        specimen = degrade_scene(campaign, 32, rng)
        found[specimen.distortion].append((specimen.severity, specimen.quality))
    assert set(found) == set(campaign.painted)
    for kind, pairs in found.items():
        severity, quality = np.array(pairs).T
        assert stats.spearmanr(severity, quality).statistic == pytest.approx(-1.0)
        assert 1.0 - quality == pytest.approx(campaign.painted[kind].impact * severity)
        assert len(pairs) == pytest.approx(120 * campaign.painted[kind].share, abs=18)


@each
def test_a_photographs_quality_is_measured_on_the_stored_file(
    campaign: Campaign, photo: Path
) -> None:
    for seed in range(4):
        specimen = degrade_photo(campaign, photo, 64, np.random.default_rng(seed))
        pristine = crop_photo(photo, 64, np.random.default_rng(seed))
        similarity = ssim(pristine, decode(specimen.jpeg))
        assert specimen.quality == pytest.approx(max(similarity, 0.0) ** 1.5, abs=1e-12)
        assert specimen.source == "twin.png"


def test_storing_hardly_changes_an_image() -> None:
    for campaign in CAMPAIGNS:
        image = campaign.scene(100, np.random.default_rng(3))
        error = np.square(decode(encode(image)) / 255.0 - image).mean()
        assert 10 * np.log10(1 / error) > 36  # dB
        assert ssim(image, decode(encode(image))) > 0.97
