"""The number of processes that read images."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.benchmarks import workers
from cliqa.benchmarks.workers import workers_for


@pytest.mark.parametrize(
    ("files", "size", "cpus", "expected"),
    [
        (10, 10, 8, 0),
        (100, 2**18, 8, 7),
        (100, 2**18, 2, 1),
        (100, 2**18, 1, 1),
        (100, 2**18, 64, 8),
        (0, 0, 8, 0),
    ],
)
def test_it_depends_on_the_files_and_the_cpus(
    files: int,
    size: int,
    cpus: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "usable_cpus", lambda: cpus)
    (tmp_path / "a.jpg").write_bytes(b"0" * size)
    assert workers_for([[str(tmp_path / "a.jpg")] * files, []]) == expected


def test_files_that_are_not_there_do_not_count(tmp_path: Path) -> None:
    assert workers_for([[str(tmp_path / "none.jpg")]]) == 0
    assert workers_for([]) == 0


def test_a_number_is_a_number() -> None:
    assert workers_for([["none.jpg"]], 3) == 3
