"""Parameters, latency and memory."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.profiling import (
    count_parameters,
    measure_in_turns,
    measure_latency,
    peak_memory,
    profile_forward,
    weight_bytes,
)
from cliqa.utils.errors import ConfigError, ModelError

CPU = torch.device("cpu")


class Parts(nn.Module):
    """A frozen backbone and a head that shares its bias."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 4)
        self.head.bias = self.backbone.bias  # type: ignore[assignment]
        self.backbone.weight.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images).mean(dim=(2, 3)))


def test_parameters_by_part() -> None:
    assert count_parameters(Parts()) == {
        "backbone": (108 + 4, 4),
        "head": (16, 16),
        "total": (128, 20),
    }
    assert count_parameters(nn.ReLU()) == {"total": (0, 0)}


def test_bytes_of_weights_and_buffers() -> None:
    norm = nn.BatchNorm2d(5)  # weight, bias, mean, variance; and a counter of 8 bytes
    assert weight_bytes(norm) == 4 * 5 * 4 + 8
    assert weight_bytes(norm.half()) == 4 * 5 * 2 + 8


def test_latency_of_a_wait_that_is_known() -> None:
    calls: list[int] = []

    def wait(batch: torch.Tensor) -> None:
        calls.append(len(batch))
        time.sleep(0.05 if len(calls) == 3 else 0.01)  # the first one that counts is slow

    found = measure_latency(wait, torch.zeros(4, 3, 2, 2), warmup=2, repeats=5)
    assert calls == [4] * 7
    assert 10 <= found.p50_ms < found.p95_ms
    assert found.p95_ms > 30
    assert found.cpu_ms < 5  # a sleep takes no time of the CPU
    assert 0 < found.images_per_s <= 20 / 0.09


def test_a_profile_of_a_model_and_of_a_function() -> None:
    model = Parts().eval()
    batch = torch.zeros(2, 3, 8, 10)
    row = profile_forward(model, batch, name="parts", warmup=1, repeats=3)
    assert (row.batch, row.height, row.width) == (2, 8, 10)
    assert row.gmacs == pytest.approx((6 * 8 * 4 * 27 + 16) / 1e9)
    assert row.gflops == pytest.approx(2 * (row.gmacs or 0))
    assert 0 < row.p50_ms <= row.p95_ms
    assert row.images_per_s > 0
    assert row.peak_mib is not None
    assert row.peak_mib > 50  # Python and torch alone
    exported = profile_forward(lambda images: images, batch, name="parts", backend="onnx")
    assert (exported.gmacs, exported.gflops, exported.backend) == (None, None, "onnx")
    assert exported.to_row().keys() == row.to_row().keys()


def test_memory_is_that_of_the_block() -> None:
    with peak_memory(CPU) as small:
        pass
    with peak_memory(CPU) as large:
        held = torch.ones(64 * 2**20 // 4)  # 64 MiB, touched
    assert small[0] is not None
    assert large[0] is not None
    assert large[0] - small[0] > 50
    del held


@pytest.mark.gpu
def test_memory_of_a_gpu_is_that_of_its_tensors() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    device = torch.device("cuda")
    with peak_memory(device) as peak:
        torch.ones(2**20, device=device)
    assert peak[0] == pytest.approx(4 + torch.cuda.memory_allocated() / 2**20, abs=0.1)


def test_a_size_that_fails_is_named() -> None:
    batch = torch.zeros(2, 3, 2, 2)
    with pytest.raises(ModelError, match=r"parts: fails at batch 2, 2 x 2 pixels \(.*Choose other"):
        profile_forward(Parts(), batch, name="parts")

    def out_of_memory(batch: torch.Tensor) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ModelError, match="parts: batch 2, 2 x 2 pixels: the GPU's memory"):
        profile_forward(out_of_memory, batch, name="parts")


@pytest.mark.parametrize("passes", [{"warmup": -1}, {"repeats": 0}])
def test_numbers_of_passes_are_checked(passes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be 0 or more"):
        profile_forward(lambda images: images, torch.zeros(1, 3, 2, 2), name="x", **passes)


def test_passes_alternate_and_the_first_rounds_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    order = []

    def passes(name: str, first: float, rest: float) -> object:
        def forward(_: Tensor) -> None:
            order.append(name)
            clock[0] += first if order.count(name) <= 2 else rest

        return forward

    slow, fast = passes("slow", 9.0, 0.008), passes("fast", 9.0, 0.002)
    found = measure_in_turns(slow, fast, torch.zeros(1), warmup=2, rounds=3)  # type: ignore[arg-type]
    assert order == ["slow", "fast"] * 5
    assert found == pytest.approx((8, 2))


@pytest.mark.parametrize(("warmup", "rounds"), [(-1, 3), (0, 0)])
def test_numbers_out_of_range_are_refused(warmup: int, rounds: int) -> None:
    with pytest.raises(ConfigError, match=f"warmup={warmup} must be 0 or more, rounds={rounds}"):
        measure_in_turns(id, id, torch.zeros(1), warmup=warmup, rounds=rounds)
