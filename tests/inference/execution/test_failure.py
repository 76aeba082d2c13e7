"""What torch raises over images is one line that names the file."""

from __future__ import annotations

import pytest
import torch

from cliqa.inference.execution.failure import failure_told
from cliqa.utils.errors import MachineError, ModelError


def test_a_network_that_fails_is_told_with_its_file_and_the_images() -> None:
    images = [torch.zeros(3, 2, 2), torch.zeros(3, 4, 2)]
    told = r"a\.onnx: fails on an image of 3 x 2 x 2 and 3 x 4 x 2 values \("
    with pytest.raises(ModelError, match=told), failure_told("a.onnx", images):
        torch.nn.Conv2d(3, 1, 7)(images[0])
    with (
        pytest.raises(ModelError, match="settings in the model's file"),
        failure_told("a.pth", images),
    ):
        raise TypeError("num_groups must be int")


@pytest.mark.parametrize(
    "error", [MachineError("full"), RuntimeError("CUDA out of memory"), OSError()]
)
def test_want_of_memory_and_the_machines_troubles_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as found, failure_told("a", []):
        raise error
    assert found.value is error
