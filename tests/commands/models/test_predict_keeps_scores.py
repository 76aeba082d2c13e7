"""``tools/predict.py``: whatever ends it, and whatever images are called, no score is lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.inference.image_model import CheckpointModel
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from tests.commands.calls import Call

pytestmark = pytest.mark.integration


def table_of(path: Path) -> list[dict[str, str]]:
    """Return a table's rows; names keep their bytes."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def end_by(stop: Callable[[], None]) -> Callable[..., Iterator[Score]]:
    """Return a `predict` that is stopped after three images."""

    def predict(_: Predictor, paths: Sequence[Path], *__: Any) -> Iterator[Score]:
        for k, path in enumerate(paths):
            if k == 3:
                stop()
            yield Score(path, k / 10)

    return predict


def raise_of(error: BaseException) -> Callable[[], None]:
    """Return a function that raises."""

    def stop() -> None:
        raise error

    return stop


@pytest.mark.parametrize(
    ("stop", "status", "told"),
    [
        (raise_of(KeyboardInterrupt()), 130, "interrupted\n"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 143, "stopped by SIGTERM; what is scored"),
        (raise_of(OSError(5, "I/O error", "e.png")), 2, "error: e.png: the disk or the network"),
        (
            raise_of(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")),
            2,
            "error: a worker process that loads images was killed",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_what_is_scored_is_written(
    predict: Call,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[], None],
    status: int,
    told: str,
    suffix: str,
) -> None:
    monkeypatch.setattr(Predictor, "predict", end_by(stop))
    out = tmp_path / f"s.{suffix}"
    found, text, said = predict(tiny_data / "a", "--out", out)
    assert (found, text) == (status, "")
    first, second = said.splitlines(keepends=True)
    assert first == f"3 of 40 images are in {out}\n"
    assert second.startswith(told)
    rows = table_of(out) if suffix == "csv" else json.loads(out.read_text())
    assert [float(row["score"]) for row in rows] == [0.0, 0.1, 0.2]


def test_without_a_file_the_table_is_printed(
    predict: Call, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "predict", end_by(raise_of(KeyboardInterrupt())))
    status, text, said = predict(tiny_data / "a")
    assert status == 130
    assert len(text.splitlines()) == 4
    assert said == "3 of 40 images are in the table\ninterrupted\n"


def test_an_old_table_stays_where_nothing_is_scored(
    predict: Call, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(*_: Any) -> Iterator[Score]:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", at_once)
    (tmp_path / "s.csv").write_text("old")
    assert predict(tiny_data / "a", "--out", tmp_path / "s.csv")[0] == 130
    assert (tmp_path / "s.csv").read_text() == "old"


def test_a_full_disk_leaves_the_old_table_and_the_scores(
    predict: Call, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cliqa.utils.io.os.fsync", full)
    (tmp_path / "s.csv").write_text("old")
    status, text, said = predict(tiny_data / "a" / "a00.png", "--out", tmp_path / "s.csv")
    assert (status, text, said) == (2, "", f"error: {tmp_path}/s.csv: the disk is full.\n")
    assert (tmp_path / "s.csv").read_text() == "old"
    assert len(table_of(tmp_path / "s.csv.part")) == 1


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Return a function that gives models memory for some images; it returns their batches."""
    whole = CheckpointModel.__call__
    sizes: list[int] = []

    def allow(most: int) -> list[int]:
        def call(self: CheckpointModel, images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            if len(images) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return whole(self, images)

        monkeypatch.setattr(CheckpointModel, "__call__", call)
        monkeypatch.setattr("cliqa.utils.memory.gc.collect", int)  # slow among so many tests
        return sizes

    return allow


@pytest.mark.parametrize(
    ("most", "crops"),
    [(1, []), (8, []), (3, ["--crops", "grid:2x2", "--crop-size", "12"])],
)
def test_batches_are_halved_where_memory_does_not_suffice(
    predict: Call,
    tiny_data: Path,
    tmp_path: Path,
    small: Callable[[int], list[int]],
    most: int,
    crops: list[str],
) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    size = ["--batch-size", str(most)] if not crops else ["--batch-size", "1"]
    told = f"written: {one} (40 of 40 images)\n"
    assert predict(tiny_data / "a", "--out", one, *size, *crops) == (0, "", told)
    small(most)
    status, text, said = predict(tiny_data / "a", "--out", two, *crops)
    assert (status, text) == (0, "")
    assert said.startswith("warning: out of memory with batches of 32: continuing with at most 16")
    assert said.count("\n") == 2  # with the line of what was written
    scores = [[float(row["score"]) for row in table_of(path)] for path in (one, two)]
    assert scores[0] == pytest.approx(scores[1], abs=2e-6)


def test_a_model_for_which_one_image_is_too_much(
    predict: Call, tiny_data: Path, tmp_path: Path, small: Callable[[int], list[int]]
) -> None:
    small(0)
    status, text, said = predict(tiny_data / "a", "--out", tmp_path / "s.csv")
    assert (status, text) == (2, "")
    *_, last = said.splitlines()
    assert last.startswith("error: out of memory with one image of 3 x ")
    assert not (tmp_path / "s.csv").exists()


BAD = b"caf\xe9.png".decode("utf-8", "surrogateescape")
NAMES = [BAD, "图.png", "a\nb.png", "c\rd.png", 'e,"f".png', "=1+1.png", " g .png"]


@pytest.fixture
def named(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a folder of images with names that outputs cannot hold as they are."""
    folder = tmp_path / "named"
    folder.mkdir()
    for k, name in enumerate(NAMES):
        shutil.copy(tiny_data / "a" / f"a{k:02d}.png", folder / name)
    return folder


def test_every_name_in_a_table_is_that_of_its_file(
    predict: Call, named: Path, tmp_path: Path
) -> None:
    told = f"written: {tmp_path / 's.csv'} (7 of 7 images)\n"
    assert predict(named, "--out", tmp_path / "s.csv") == (0, "", told)
    rows = table_of(tmp_path / "s.csv")
    assert sorted(Path(row["image"]) for row in rows) == sorted(named.iterdir())
    assert all(row["score"] for row in rows)
    assert os.fsencode(BAD) in (tmp_path / "s.csv").read_bytes()


def test_every_name_in_json_is_that_of_its_file(predict: Call, named: Path, tmp_path: Path) -> None:
    told = f"written: {tmp_path / 's.json'} (7 of 7 images)\n"
    assert predict(named, "--out", tmp_path / "s.json") == (0, "", told)
    rows = json.loads((tmp_path / "s.json").read_bytes().decode("utf-8"))
    assert sorted(Path(row["image"]) for row in rows) == sorted(named.iterdir())
