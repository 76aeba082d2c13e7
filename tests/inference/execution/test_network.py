"""Networks as fast functions of images."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cliqa.inference.execution import network as module
from cliqa.inference.execution.network import Executed
from cliqa.inference.execution.precision import FLOAT32, Execution
from cliqa.utils.errors import ModelError

CPU = torch.device("cpu")


class Recorder(nn.Module):
    """A convolution that writes down how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.seen: list[tuple[bool, bool, torch.dtype]] = []

    def forward(self, images: Tensor) -> Tensor:
        out = self.layer(images)
        last = images.is_contiguous(memory_format=torch.channels_last)
        self.seen.append((torch.is_inference_mode_enabled(), last, out.dtype))
        return out.mean((1, 2, 3))


@pytest.mark.parametrize(
    ("execution", "dtype", "close"),
    [(FLOAT32, torch.float32, 1e-6), (Execution("bfloat16"), torch.bfloat16, 2e-2)],
)
def test_passes_have_the_layout_and_the_type(
    execution: Execution, dtype: torch.dtype, close: float
) -> None:
    network = Recorder().eval()
    images = torch.rand(2, 3, 8, 8)
    wanted = copy.deepcopy(network)(images).detach()
    found = Executed(network, CPU, execution)(images)
    assert network.seen == [(True, True, dtype)]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0, atol=close)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_transformers_keep_their_layout() -> None:
    patches = nn.Conv2d(3, 8, 4, stride=4)
    network = nn.Sequential(patches, nn.Flatten(), nn.Linear(32, 64), nn.Linear(64, 64))
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(Executed(network, CPU, FLOAT32).place(images), images)


def test_a_compiled_network_says_so_and_its_failure_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unsupported(Exception):  # noqa: N818  as torch._dynamo's
        __module__ = "torch._dynamo.exc"

    def compiled(_: nn.Module) -> object:
        def run(_: Tensor) -> Tensor:
            raise Unsupported("no such thing\nmore")

        return run

    monkeypatch.setattr(module.torch, "compile", compiled)
    monkeypatch.setattr(module, "check_compiler", lambda *_: None)
    executed = Executed(Recorder(), CPU, Execution("bfloat16", compiled=True))
    assert executed.name == "compiled bfloat16"
    with pytest.raises(ModelError, match=r"--compile: .* cannot be compiled \(no such thing\)"):
        executed(torch.rand(1, 3, 8, 8))
