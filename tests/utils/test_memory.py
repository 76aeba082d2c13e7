"""Memory in use, and the bytes of tensors."""

from __future__ import annotations

import psutil
import torch

from cliqa.utils.memory import peak_memory, tensor_bytes


def test_the_peak_is_no_less_than_what_is_in_use_and_never_falls() -> None:
    before = peak_memory(torch.device("cpu"))
    block = torch.ones(2**24)
    in_use = psutil.Process().memory_info().rss
    peak = peak_memory(torch.device("cpu"))
    assert peak >= 0.95 * in_use > block.nbytes  # the kernel counts pages a little later
    del block
    assert peak_memory(torch.device("cpu")) >= peak >= before


def test_a_storage_counts_once() -> None:
    weight = torch.zeros(10, dtype=torch.float64)
    state = {"a": weight, "b": [weight[2:4], (torch.zeros(3, dtype=torch.int8), None)], "c": 5}
    assert tensor_bytes(state) == 80 + 3
    assert tensor_bytes({}) == 0
