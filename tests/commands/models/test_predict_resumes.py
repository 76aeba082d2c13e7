"""``tools/predict.py --resume``: a stopped run ends with the file of one that never stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score, ScoreTable
from tests.commands.calls import Call

pytestmark = pytest.mark.integration


@pytest.fixture
def images(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a folder of images with odd names, one of them damaged."""
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"{k:02}.png" for k in range(9)]
    names += ["new\nline.png", 'a,"b".png', os.fsdecode(b"caf\xe9.png"), "zz.png"]
    for k, name in enumerate(names):
        shutil.copy(tiny_data / "a" / f"a{k:02d}.png", folder / name)
    (folder / "04.png").write_bytes(b"no image")
    return folder


def stopped_after(count: int, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    """Let the next run stop after some rows: by Ctrl-C, or so that nothing after it is done."""
    whole = Predictor.predict

    def predict(self: Predictor, *how: Any) -> Iterator[Score]:
        for k, row in enumerate(whole(self, *how)):
            if k == count:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(Predictor, "predict", predict)
    if killed:
        monkeypatch.setattr(ScoreTable, "finish", lambda *_, **__: None)


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("killed", [True, False])
def test_the_file_is_that_of_a_run_that_was_never_stopped(
    predict: Call, images: Path, tmp_path: Path, kind: str, killed: bool
) -> None:
    how = ("--batch-size", 3)
    wanted, out = tmp_path / f"w.{kind}", tmp_path / f"s.{kind}"
    assert predict(images, "--out", wanted, *how)[0] == 1
    for count in (4, 3):  # the second one in the middle of a batch too
        with pytest.MonkeyPatch.context() as patch:
            stopped_after(count, patch, killed)
            assert predict(images, "--out", out, "--resume", *how)[0] == 130
    part = tmp_path / f"s.{kind}.part"
    if killed:
        with part.open("ab") as file:  # a row that was cut off
            file.write(b',\n  {\n    "image": "x' if kind == "json" else b'"cut')
    status, _, told = predict(images, "--out", out, "--resume", *how)
    assert status == 1  # an image has no score, whoever tried it
    assert "images are in" in told
    assert out.read_bytes() == wanted.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("s.*")) == [out.name]


def test_a_whole_table_is_left_alone(predict: Call, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    predict(images, "--out", out)
    text = out.read_bytes()
    status, _, told = predict(images, "--out", out, "--resume")
    assert status == 2
    assert "s.csv has no s.csv.resume.json beside it: it is whole" in told
    assert out.read_bytes() == text


def test_a_first_run_may_be_a_resume(predict: Call, images: Path, tmp_path: Path) -> None:
    predict(images, "--out", tmp_path / "w.csv")
    assert predict(images, "--out", tmp_path / "s.csv", "--resume")[0] == 1
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "w.csv").read_bytes()


def test_rows_of_another_kind_are_not_mixed(
    predict: Call, images: Path, tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ("--out", tmp_path / "s.csv")
    with pytest.MonkeyPatch.context() as patch:
        stopped_after(2, patch, killed=True)
        predict(images, *out)
    for more, told in (
        (["--scale", "1", "5"], "another scale (then [0.0, 1.0], now [1.0, 5.0])"),
        (["--crops", "grid:2x2", "--crop-size", "12"], "another crops (then null, now"),
        (["--batch-size", "5"], "another batch size (then 32, now 5)"),
    ):
        status, _, said = predict(images, *out, "--resume", *more)
        assert status == 2
        assert told in said
    status, _, said = predict(
        images, *out, "--resume", model=tiny_run / "checkpoints" / "exp_0.pth"
    )
    assert (status, "another model (then" in said) == (2, True)
    status, _, said = predict(images / "00.png", *out, "--resume")
    assert "has a row of" in said
    status, _, said = predict(images, *out)
    assert (status, "Add --resume to continue it" in said) == (2, True)
    assert predict(images, *out, "--resume")[0] == 1


def test_resuming_needs_a_file(predict: Call, images: Path) -> None:
    status, _, told = predict(images, "--resume")
    assert (status, told) == (2, "error: --resume: needs a table in a file. Add --out FILE.\n")
