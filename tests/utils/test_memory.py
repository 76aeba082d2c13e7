"""Memory in use, and the bytes of tensors."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

from cliqa.training.loop.batching import RaggedImages
from cliqa.utils.errors import MachineError
from cliqa.utils.memory import (
    InPieces,
    available_memory,
    copied,
    peak_memory,
    reset_peak_memory,
    tensor_bytes,
)


def test_the_peak_is_no_less_than_what_is_in_use_and_never_falls() -> None:
    before = peak_memory(torch.device("cpu"))
    block = torch.ones(2**24)
    in_use = psutil.Process().memory_info().rss
    peak = peak_memory(torch.device("cpu"))
    assert peak >= 0.95 * in_use > block.nbytes  # the kernel counts pages a little later
    del block
    assert peak_memory(torch.device("cpu")) >= peak >= before


def test_the_peak_can_begin_anew_or_stays() -> None:
    torch.ones(2**26).sum()
    before = peak_memory(torch.device("cpu"))
    reset_peak_memory(torch.device("cpu"))
    assert peak_memory(torch.device("cpu")) <= before


def test_a_storage_counts_once() -> None:
    weight = torch.zeros(10, dtype=torch.float64)
    state = {"a": weight, "b": [weight[2:4], (torch.zeros(3, dtype=torch.int8), None)], "c": 5}
    assert tensor_bytes(state) == 80 + 3
    assert tensor_bytes({}) == 0


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.utils.memory.gc.collect", int)  # slow among so many tests


class Small:
    """A model of means that takes `most` images at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.sizes: list[int] = []

    def __call__(self, images: torch.Tensor | RaggedImages, *others: object) -> torch.Tensor:
        assert isinstance(images, (torch.Tensor, RaggedImages))
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 7 bytes.")
        for other in others:
            assert not isinstance(other, torch.Tensor) or len(other) == len(images)
        return torch.stack([image.mean() for image in images])


@pytest.mark.parametrize("most", [1, 5, 13, 40])
def test_smaller_batches_give_the_same(most: int, caplog: pytest.LogCaptureFixture) -> None:
    images = torch.arange(13 * 4.0).view(13, 4)
    model = Small(most)
    say = InPieces(model)
    expected = images.mean(1)
    assert torch.equal(say(images), expected)
    first = len(model.sizes)
    assert torch.equal(say(images[:9]), expected[:9])
    assert max(model.sizes[first:]) <= max(most, 1)  # it is not tried again
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    if most >= 13:
        assert not warnings
    else:
        assert warnings == ["out of memory with batches of 13: continuing with at most 6"]


def test_what_belongs_to_the_images_is_cut_with_them() -> None:
    ragged = RaggedImages([torch.full((k, 2), float(k)) for k in range(1, 6)])
    said = InPieces(Small(2))(ragged, torch.arange(5), None, 3, "x")
    assert said.tolist() == [1, 2, 3, 4, 5]


def test_one_image_that_does_not_fit() -> None:
    say = InPieces(Small(0))
    with pytest.raises(
        MachineError,
        match=r"out of memory with one image of 3 x 7 \(DefaultCPU.*Use smaller images",
    ):
        say(torch.zeros(4, 3, 7))
    assert not say.fits


def test_other_errors_are_raised_as_they_are() -> None:
    def broken(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        InPieces(broken)(torch.zeros(2, 3))


def test_a_copy_shares_what_the_original_shares_and_nothing_with_it() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state: dict[str, Any] = {
        "a": OrderedDict(weight=weight, tied=weight.T, half=weight[1:]),
        "b": [(torch.zeros(0), torch.tensor(3, dtype=torch.int64)), nn.Parameter(weight.clone())],
        "c": [1, "x", None],
    }
    copy = copied(state)
    assert type(copy["a"]) is OrderedDict
    assert tensor_bytes(copy) == tensor_bytes(state)
    assert copy["a"]["tied"].stride() == weight.T.stride()
    assert torch.equal(copy["a"]["half"], weight[1:])
    assert not copy["b"][1].requires_grad
    state["c"].append(2)
    weight += 1
    assert copy["c"] == [1, "x", None]
    copy["a"]["weight"][0, 0] = 9.0
    assert copy["a"]["tied"][0, 0] == 9.0
    assert weight[0, 0] == 1.0


def test_available_memory_is_the_machines_and_the_containers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert available_memory() > 2**20
    read = Path.read_text
    files = {
        "/proc/meminfo": "MemTotal: 100 kB\nMemAvailable:   50 kB\n",
        "/sys/fs/cgroup/memory.max": "40000\n",
        "/sys/fs/cgroup/memory.current": "30000\n",
        "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 2000\n",
    }

    def told(path: Path, *args: Any, **options: Any) -> str:
        if str(path) in files:
            return files[str(path)]
        if str(path).startswith(("/proc/meminfo", "/sys/fs/cgroup")):
            raise FileNotFoundError(path)
        return read(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", told)
    assert available_memory() == 40000 - 30000 + 2000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert available_memory() == 50 * 1024
    del files["/proc/meminfo"]
    assert available_memory() > 2**20
