"""Scores of bytes in memory: those of files, and errors that a client may read."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.inference.fast_predictor import open_fast
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from cliqa.serve.options import ServiceOptions
from cliqa.serve.scorer import INTERNAL, Scorer, open_scorer
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.io import sha256_of
from tests.serve.conftest import picture


def test_scores_of_bytes_are_those_of_predict(
    scorer: Scorer, tiny_run: Path, tiny_data: Path
) -> None:
    paths = sorted((tiny_data / "a").glob("*.png"))[:5]
    wanted = [row.score for row in Predictor(tiny_run, torch.device("cpu")).predict(paths)]
    found = scorer.score([scorer.prepare(path.name, path.read_bytes()) for path in paths])
    assert [row.score for row in found] == wanted  # the same batch: to the last bit


def test_so_are_those_of_an_exported_file(tiny_file: Path, tiny_data: Path) -> None:
    paths = sorted((tiny_data / "b").glob("*.png"))[:6]
    fast = open_fast(tiny_file)
    assert fast is not None
    wanted = [row.score for row in fast.predict(paths)]
    scorer = open_scorer(ServiceOptions(str(tiny_file)))
    samples = [scorer.prepare(path.name, path.read_bytes()) for path in paths]
    assert [row.score for row in scorer.score(samples)] == wanted
    alone = [scorer.score([sample])[0].score for sample in samples]
    assert alone == pytest.approx(wanted, abs=1e-5)
    assert scorer.digest == sha256_of(tiny_file)
    assert scorer.name == "tiny.onnx"


def test_a_scale_is_told_and_used(tiny_run: Path) -> None:
    plain = open_scorer(ServiceOptions(str(tiny_run), device="cpu"))
    wide = open_scorer(ServiceOptions(str(tiny_run), device="cpu", scale=(1.0, 5.0)))
    (a,), (b,) = (s.score([s.prepare("x", picture(0))]) for s in (plain, wide))
    assert a.score is not None
    assert b.score == pytest.approx(1 + 4 * a.score)
    assert wide.scale is not None
    assert dataclasses.astuple(wide.scale) == (1.0, 5.0, True)


def test_an_unknown_data_set_is_refused(tiny_run: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        open_scorer(ServiceOptions(str(tiny_run), device="cpu", dataset="nonsense"))


def test_errors_have_no_advice_for_the_machine(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIQA_MAX_IMAGE_PIXELS", "100")
    _, image, error = scorer.prepare("big.png", picture(0))
    assert image is None
    assert error == (
        "big.png: declares 24 x 20 pixels, more than the 100 that an image may have. Downscale "
        "the image before using it."
    )


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "", "a\nb", "x" * 5000, "\x00"])
def test_names_are_no_paths(scorer: Scorer, name: str) -> None:
    assert scorer.prepare(name, picture(1))[2] is None
    assert "cannot be decoded" in scorer.prepare(name, b"no image")[2]


class _Odd:
    """A model that fails on some images."""

    classes: list[str] = []  # noqa: RUF012  a stand-in

    def prepare(self, data: bytes, path: Path) -> Any:
        return path, data, None

    def scores(self, batch: Sequence[Any]) -> list[Score]:
        if any(data == b"size" for _, data, _ in batch):
            raise ModelError("takes images of 8 x 8 pixels")
        if any(data == b"bug" for _, data, _ in batch):
            raise ZeroDivisionError("a secret of the machine")
        return [Score(path, np.nan if data == b"nan" else 0.5) for path, data, _ in batch]


def test_one_bad_image_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    scorer = Scorer(_Odd(), "odd", "0")
    rows = scorer.score([(Path(d), d.encode(), None) for d in ("a", "size", "bug", "nan", "b")])
    assert [row.score for row in rows] == [0.5, None, None, None, 0.5]
    assert [row.error for row in rows] == [
        None,
        "takes images of 8 x 8 pixels",
        INTERNAL,
        "the model gives no finite number for it",
        None,
    ]
    assert "a secret of the machine" in caplog.text


def test_a_name_breaks_no_line_of_the_log(scorer: Scorer, caplog: pytest.LogCaptureFixture) -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((40, 40), 0.5, dtype=np.float32)).save(out, "TIFF")
    _, image, error = scorer.prepare("a\nERROR: forged\x1b[31m.tif", out.getvalue())
    assert image is not None
    assert error is None
    (record,) = [one for one in caplog.records if "forged" in one.getMessage()]
    assert "a\N{REPLACEMENT CHARACTER}ERROR: forged" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()
    _, _, error = scorer.prepare("b\r\nc.png", b"nonsense")
    assert "\n" not in error


def test_errors_have_the_models_name_and_no_folder(tiny_file: Path) -> None:
    own = open_scorer(ServiceOptions(str(tiny_file), device="cpu"))
    (row,) = own.score([(Path("a.png"), np.zeros((1, 7, 9), dtype=np.float32), None)])
    assert row.score is None
    assert row.error is not None
    assert row.error.startswith("tiny.onnx: takes images of ")
    assert str(tiny_file.parent) not in row.error
