"""The size of folders: what counts, what does not, and where it is emitted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import avalanche.evaluation.metrics as avalanche_metrics
import pytest

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.disk_usage import FolderSize, disk_usage_metrics
from cliqa.registry import METRICS, build_component

SIZES = {"a.pth": 2048, "sub/b.npz": 500, "sub/deeper/.hidden": 12, "sub/empty": 0}
WHEN = ("minibatch", "epoch", "experience", "stream")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with files of the sizes above, and an empty folder."""
    root = tmp_path / "tree"
    for name, size in SIZES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    (root / "nothing").mkdir()
    return root


def size_of(*paths: Path) -> float:
    """Return what the metric says, in KiB."""
    metric = FolderSize([str(path) for path in paths])
    metric.update()
    value = metric.result()
    assert value is not None
    return value


def test_is_the_sum_of_all_files_in_kib(tree: Path) -> None:
    assert size_of(tree) == sum(SIZES.values()) / 1024 == 2.5
    assert size_of(tree / "sub") == 0.5
    assert size_of(tree / "nothing") == 0.0


def test_several_folders_add_up(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "c").write_bytes(b"x" * 512)
    assert size_of(tree, other) == 3.0


def test_follows_what_is_written_and_deleted(tree: Path) -> None:
    metric = FolderSize(str(tree))
    sizes = []
    for step in (lambda: None, (tree / "a.pth").unlink, (tree / "sub" / "b.npz").unlink):
        step()
        metric.update()
        sizes.append(metric.result())
    assert sizes == [2.5, 0.5, 12 / 1024]
    metric.reset()
    assert metric.result() == 0


def test_a_missing_folder_is_empty(tmp_path: Path, tree: Path) -> None:
    assert size_of(tmp_path / "not yet") == 0.0
    assert size_of(tmp_path / "not yet", tree) == 2.5


def test_links_count_nothing_and_are_not_followed(tree: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    (big / "data").write_bytes(b"x" * 100_000)
    (tree / "file").symlink_to(big / "data")
    (tree / "folder").symlink_to(big, target_is_directory=True)
    (tree / "loop").symlink_to(tree, target_is_directory=True)
    (tree / "dangling").symlink_to(tmp_path / "nowhere")
    assert size_of(tree) == 2.5


def test_what_vanishes_meanwhile_counts_nothing(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.scandir

    def scan_late(folder: str) -> Any:
        entries = list(whole(folder))
        (tree / "a.pth").unlink(missing_ok=True)
        return entries

    monkeypatch.setattr(os, "scandir", scan_late)
    assert size_of(tree) == 0.5


def test_no_process_is_started(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no du is to be had
    assert size_of(tree) == 2.5


@pytest.mark.parametrize("chosen", [(), ("stream",), ("minibatch", "experience"), WHEN])
def test_metrics_are_avalanches(chosen: Sequence[str], tree: Path) -> None:
    when = dict.fromkeys(chosen, True)
    found = disk_usage_metrics(str(tree), **when)
    expected = avalanche_metrics.disk_usage_metrics(paths_to_monitor=str(tree), **when)
    assert [type(metric) for metric in found] == [type(metric) for metric in expected]
    assert [str(metric) for metric in found] == [str(metric) for metric in expected]
    for metric in found:
        metric.update(None)
        assert metric._metric.result() == 2.5


def test_by_default_the_run_folder_is_measured(tree: Path) -> None:
    section = {"type": "disk_usage_metrics", "stream": True, "work_dir": tree}
    (metric,) = build_component(METRICS, section, "metrics[0]")
    metric.update(None)
    assert metric._metric.result() == 2.5
    (metric,) = build_component(METRICS, {**section, "paths_to_monitor": []}, "metrics[0]")
    metric.update(None)
    assert metric._metric.result() == 0.0


def test_a_strategy_emits_numbers(
    tree: Path,
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    watch: Callable[[Any, Sequence[Any]], None],
) -> None:
    strategy = make_strategy(epochs=1)
    watch(strategy, disk_usage_metrics(str(tree), **dict.fromkeys(WHEN, True)))
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    values = strategy.eval(tiny_stream.test_stream)
    found = {name: value for name, value in values.items() if name.startswith("DiskUsage")}
    assert {name.split("/")[0] for name in found} == {
        "DiskUsage_MB",
        "DiskUsage_Epoch",
        "DiskUsage_Exp",
        "DiskUsage_Stream",
    }
    assert set(found.values()) == {2.5}
