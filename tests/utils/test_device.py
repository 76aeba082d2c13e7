"""Tests of cliqa.utils.device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.utils import device
from cliqa.utils.device import (
    bfloat16_is_fast,
    check_compiler,
    check_workers,
    compute_threads,
    config_workers_mistake,
    is_of_compiler,
    most_workers,
    resolve_device,
    usable_cpus,
)
from cliqa.utils.errors import ConfigError


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make torch see the parametrised number of GPUs."""
    count: int = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    return count


@pytest.mark.parametrize(
    ("gpus", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_names(name: str, expected: str) -> None:
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "name", "message"),
    [
        (2, "gpu", "--device gpu: unknown device. Use auto, cpu, cuda or cuda:N."),
        (2, "cuda:-1", "unknown device"),
        (2, "cuda:1x", "unknown device"),
        (2, "", "unknown device"),
        (2, "cuda:2", r"has 2 GPU\(s\), cuda:0 to cuda:1. Use --device auto or cpu."),
        (0, "cuda", "this machine has no GPU for PyTorch. Use --device auto or cpu."),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_refused_names(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_device(name)


@pytest.mark.gpu
def test_a_real_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert torch.zeros(1, device=resolve_device("auto")).is_cuda


def test_there_are_eight_for_each_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert most_workers() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    assert most_workers() == 256
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert most_workers() == 64


@pytest.mark.parametrize("value", [0, 1, 64])
def test_good_numbers(value: int) -> None:
    check_workers(value, "num_workers")


@pytest.mark.parametrize("value", [-1, 100000, 1e30, 1.0, True, "4", None])
def test_bad_numbers_are_refused(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    message = r"num_workers: expected an integer from 0 to 64 \(this machine has 4 CPUs\), got "
    with pytest.raises(ConfigError, match=message):
        check_workers(value, "num_workers")


@pytest.mark.parametrize("value", ["auto", 0, 64])
def test_a_config_may_leave_the_number_open(value: Any) -> None:
    assert config_workers_mistake(value) is None


def test_another_word_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    expected = "'auto' or an integer from 0 to 64 (this machine has 4 CPUs)"
    assert config_workers_mistake("many") == expected


@pytest.fixture
def cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the process have four logical CPUs on two cores, without a quota or OMP_NUM_THREADS."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(device, "CPUS", tmp_path)
    monkeypatch.setattr(device, "QUOTAS", (tmp_path / "cpu.max", tmp_path / "cpu.cfs_quota_us"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    for cpu in range(4):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "usable", "threads"),
    [
        ({}, 4, 2),
        ({"cpu.max": "max 100000"}, 4, 2),
        ({"cpu.max": "150000 100000"}, 2, 2),
        ({"cpu.max": "50000 100000"}, 1, 1),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 4, 2),
        ({"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}, 1, 1),
        ({"cpu.max": "nonsense"}, 4, 2),
    ],
)
def test_a_containers_quota_and_cores_count(
    cpus: Path, files: dict[str, str], usable: int, threads: int
) -> None:
    for name, text in files.items():
        (cpus / name).write_text(text)
    assert (usable_cpus(), compute_threads()) == (usable, threads)


@pytest.mark.usefixtures("cpus")
def test_the_users_number_of_threads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert compute_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert compute_threads() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert compute_threads() == 1


def test_bfloat16_is_a_matter_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for flags, fast in (("fpu avx512_bf16 x", True), ("amx_bf16", True), ("avx512f", False)):
        (tmp_path / "cpuinfo").write_text(f"model name : x\nflags\t\t: {flags}\nbugs : bf16\n")
        monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
        assert bfloat16_is_fast() is fast
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "none")
    assert not bfloat16_is_fast()


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"--compile: there is no C\+\+ compiler .*apt install"):
        check_compiler("cpu", "--compile")
    monkeypatch.setattr(device, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"x: the package triton is not installed.* leave x out"):
        check_compiler("cuda", "x")
    monkeypatch.setattr(device.shutil, "which", lambda _: "/usr/bin/g++")
    check_compiler("cpu", "--compile")


def test_errors_of_the_compiler_are_known() -> None:
    class Unsupported(Exception):  # noqa: N818  as torch._dynamo's
        __module__ = "torch._dynamo.exc"

    assert is_of_compiler(Unsupported())
    assert not is_of_compiler(ValueError())
