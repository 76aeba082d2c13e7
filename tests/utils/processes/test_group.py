"""Who is who among the processes of a run, and what they say of a fault."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
import torch

from cliqa.utils.errors import ConfigError
from cliqa.utils.processes import group
from perf.processes import free_port, variables
from tests.processes import in_processes


@pytest.fixture
def started_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets what ``torchrun`` sets; without some of it."""

    def set_all(rank: int, count: int, *lacking: str) -> None:
        for name, value in variables(rank, count, 1).items():
            if name not in lacking:
                monkeypatch.setenv(name, value)

    return set_all


def test_a_single_process_is_the_main_one() -> None:
    assert (group.size(), group.rank(), group.is_main(), group.on_this_machine()) == (1, 0, True, 1)
    with group.joined("cpu"), group.main_first():
        assert group.size() == 1
    assert group.from_main({"a": 1}) == {"a": 1}


def test_each_knows_its_number_and_has_the_main_ones_word() -> None:
    def work() -> list[object]:
        done: list[object] = [group.rank(), group.size(), group.is_main(), group.on_this_machine()]
        order: list[str] = []
        group.wait_for_all()
        with group.main_first():
            order += ["main"] if group.is_main() else []
        return [*done, group.from_main(f"of {group.rank()}"), order]

    found = in_processes(3, work)
    assert [part[:4] for part in found] == [[k, 3, k == 0, 3] for k in range(3)]
    assert [part[4] for part in found] == ["of 0"] * 3
    assert [part[5] for part in found] == [["main"], [], []]


@pytest.mark.parametrize("lacking", ["MASTER_ADDR", "MASTER_PORT"])
def test_half_an_environment_is_refused(lacking: str, started_as: Callable[..., None]) -> None:
    started_as(1, 2, lacking)
    os.environ.pop(lacking, None)
    message = rf"{lacking} not\. Start the processes with torchrun"
    with pytest.raises(ConfigError, match=message), group.joined("cpu"):
        pass


def test_each_has_a_gpu_of_its_own(
    started_as: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert group.device_of("cuda:1") == "cuda:1"
    started_as(1, 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [group.device_of(name) for name in ("auto", "cuda", "cpu")] == [
        "cuda:1",
        "cuda:1",
        "cpu",
    ]
    with pytest.raises(ConfigError, match=r"2 processes cannot share one GPU.*--device cuda"):
        group.device_of("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"has 1 GPU\(s\) for 2 processes.*--nproc-per-node 1"):
        group.device_of("auto")
    started_as(0, 2)  # says so too, and not the second one alone
    with pytest.raises(ConfigError, match=r"has 1 GPU\(s\) for 2 processes"):
        group.device_of("auto")
    started_as(1, 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert group.device_of("auto") == "cpu"
    with pytest.raises(ConfigError, match=r"no GPU for PyTorch here\. Use --device cpu"):
        group.device_of("cuda")


def test_what_torchrun_starts_again_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not group.was_restarted()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert group.was_restarted()


def test_no_torch_is_needed_to_ask() -> None:
    assert "torch" not in {name for name in vars(group) if name in sys.modules}


def test_a_number_without_a_place_is_refused(started_as: Callable[..., None]) -> None:
    started_as(2, 2)
    message = r"RANK is 2 and WORLD_SIZE 2: no process of so many.*or unset RANK and WORLD_SIZE"
    with pytest.raises(ConfigError, match=message), group.joined("cpu"):
        pass


def test_a_process_does_not_wait_for_ever_for_others(
    started_as: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    started_as(0, 2)  # RANK and WORLD_SIZE left over from another program
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    monkeypatch.setattr(group, "TO_JOIN", timedelta(milliseconds=20))
    message = r"process 0 of 2 has waited.*127\.0\.0\.1.*unset RANK and WORLD_SIZE for a single"
    with pytest.raises(ConfigError, match=message), group.joined("cpu"):
        pass
    assert group.size() == 1


def test_each_has_the_values_of_all() -> None:
    assert group.from_all("x") == ["x"]
    assert in_processes(3, lambda: group.from_all(group.rank())) == [[0, 1, 2]] * 3


def test_a_restart_finds_nothing_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> list[bool]:
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
        group.store().set("address", "stale")
        found = []
        for attempt in (0, 1):  # torchrun's store may be the same one
            monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(attempt))
            found.append(group.rendezvous(timedelta(seconds=9)).check(["address"]))
        group.from_all(None)  # until then the store is there
        return found

    assert in_processes(2, work) == [[True, False]] * 2


def test_a_single_program_has_nothing_of_several() -> None:
    assert group.single({**variables(1, 2, 1), "PATH": "/bin"}) == {"PATH": "/bin"}
