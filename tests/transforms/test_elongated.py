from __future__ import annotations

import numpy as np
import pytest
import torch

from cliqa.transforms.array_pipeline import array_pipeline
from cliqa.transforms.elongated import MOST_WEIGHTS, check_weights, resampling_weights
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import DatasetError, ModelError

STEPS = [[{"type": "Resize", "size": 256}], [{"type": "GridCrop", "size": 224, "rows": 1}]]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("shape", [(3, 1, 20000), (3, 20000, 1)])
def test_an_image_that_resizing_makes_huge_is_refused(
    steps: list[dict[str, object]], shape: tuple[int, int, int]
) -> None:
    image = np.zeros(shape, dtype=np.uint8)
    with pytest.raises(DatasetError, match="enlarged to .* too long and narrow"):
        build_pipeline(steps, "eval_transform")(torch.from_numpy(image))
    fast = array_pipeline(steps)
    assert fast is not None
    with pytest.raises(DatasetError, match="enlarged to .* too long and narrow"):
        fast(image)


def test_a_limit_of_the_users_own_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = build_pipeline(STEPS[0], "eval_transform")
    monkeypatch.setenv("CLIQA_MAX_IMAGE_PIXELS", str(256 * 511))
    with pytest.raises(DatasetError, match="CLIQA_MAX_IMAGE_PIXELS=131072"):
        pipeline(torch.zeros(3, 4, 8, dtype=torch.uint8))
    monkeypatch.setenv("CLIQA_MAX_IMAGE_PIXELS", str(256 * 512))
    assert pipeline(torch.zeros(3, 4, 8, dtype=torch.uint8)).shape == (3, 256, 512)


def test_a_self_contained_file_takes_photographs_and_no_threads() -> None:
    for step in ({"type": "Resize", "size": 256}, {"type": "AdaptiveResize", "size": 768}):
        check_weights([step], 4000, 6000)
        check_weights([step], 1000, 8000)
    check_weights([{"type": "Resize", "size": [384, 512]}], 1, 10**6)
    check_weights([{"type": "AdaptiveResize", "size": 768}], 1, 10**6)  # it only shrinks
    with pytest.raises(ModelError, match="too long and narrow"):
        check_weights([{"type": "Normalize"}, {"type": "GridCrop"}], 3000, 1)
    assert (
        resampling_weights(STEPS[0], 1, 724) < MOST_WEIGHTS < resampling_weights(STEPS[0], 1, 725)
    )
