"""Label files of every format with damaged bytes; see `conftest`."""

from __future__ import annotations

import csv
import importlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliqa.registry import DATASETS, build_component
from tests.fuzz.conftest import Try, cases
from tests.fuzz.damage import damaged_bytes

pytestmark = pytest.mark.usefixtures("quick_mat_files")

layouts = importlib.import_module("tests.datasets.conftest")

DECLARED = {"score_range": (0, 10), "higher_is_better": True}
TEXTS: list[tuple[str, str, dict[str, Any]]] = [
    ("EVA", "data/votes_filtered.csv", {}),
    ("AVA", "AVA.txt", {}),
    ("AVA", "aesthetics_image_lists/generic_test.jpgl", {}),
    ("KonIQ10k", "koniq10k_distributions_sets.csv", {}),
    ("KonIQ10k without split", "koniq10k_scores_and_distributions.csv", {}),
    ("KADID10k", "dmos.csv", {}),
    ("AGIQA3K", "data.csv", {}),
    ("CSIQ", "csiq_label.txt", {}),
    ("TID2013", "mos_with_names.txt", {}),
    ("ScoreFile", "scores.csv", {"labels": "scores.csv", **DECLARED}),
    ("ScoreFile", "scores.json", {"labels": "scores.json", **DECLARED}),
    ("ScoreFile", "splits.tsv", {"labels": "splits.tsv", **DECLARED}),
]
BINARY: list[tuple[str, str, dict[str, Any]]] = [
    ("SPAQ", "Annotations/MOS and Image attribute scores.xlsx", {}),
    ("BID", "DatabaseGrades.xlsx", {}),
    ("LIVEC", "Data/AllMOS_release.mat", {}),
    ("LIVEC", "Data/AllImages_release.mat", {}),
    ("LIVE", "dmos_realigned.mat", {}),
    ("LIVE", "refnames_all.mat", {}),
]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the root of a data set's official layout, written once."""
    parent = tmp_path_factory.mktemp("layouts")
    ready: dict[str, Path] = {}

    def root_of(kind: str) -> Path:
        if kind not in ready:
            root = parent / kind.replace(" ", "_")
            layouts.WRITERS[kind](root)
            if kind == "ScoreFile":
                rows = [{"image": f"pictures/{k}.png", "score": k / 2} for k in range(20)]
                text = str(rows).replace("'", '"')
                (root / "scores.json").write_text(text)
                lines = [
                    f"pictures/{k}.png\t{k / 2}\t{('train', 'val', 'test')[k % 3]}"
                    for k in range(20)
                ]
                (root / "splits.tsv").write_text("\n".join(["image\tscore\tsplit", *lines, ""]))
            ready[kind] = root
        return ready[kind]

    return root_of


def built(kind: str, root: Path, extra: dict[str, Any]) -> Any:
    """Return the data set, and check that what was taken is a data set."""
    config = {"type": kind.partition(" ")[0], "root": str(root), **extra}
    dataset = build_component(DATASETS, config, "here")
    scores = [float(score) for score in dataset.scores]
    assert scores
    assert len(scores) == len(dataset)
    assert all(0 <= score <= 1 for score in scores)  # NaN fails too
    return dataset


def damaged(
    data: st.DataObject, roots: Callable[[str], Path], kind: str, file: str, extra: dict[str, Any]
) -> tuple[Callable[[], Any], bytes, Path]:
    """Return what builds the data set over a damaged file, the damaged bytes and their path."""
    root = roots(kind)
    path = root / file
    valid = path.read_bytes()
    content = data.draw(damaged_bytes(valid))

    def build() -> Any:
        path.write_bytes(content)
        try:
            return built(kind, root, extra)
        finally:
            path.write_bytes(valid)

    return build, content, path


@cases(short=70, long=3000)
@given(data=st.data())
def test_a_damaged_text_of_labels(
    data: st.DataObject, roots: Callable[[str], Path], attempt: Try
) -> None:
    kind, file, extra = data.draw(st.sampled_from(TEXTS))
    build, content, path = damaged(data, roots, kind, file, extra)
    dataset = attempt(f"labels, {path.suffix}", build)
    if dataset is not None and file == "scores.csv":
        assert scores_of(dataset) == scores_in(content)


def scores_of(dataset: Any) -> dict[str, float]:
    """Return a data set's scores on its own scale by the image's name."""
    paths = [Path(path).name for path in dataset.files]
    return {
        name: round(float(score), 9) for name, score in zip(paths, dataset.raw_scores, strict=True)
    }


def scores_in(content: bytes) -> dict[str, float]:
    """Return what Python's own reader finds in a csv of images and scores."""
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    csv.field_size_limit(10**7)
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    header = [name.strip() for name in rows[0]]
    image, score = header.index("image"), header.index("score")
    return {
        Path(row[image].strip().replace("\\", "/")).name: round(float(row[score]), 9)
        for row in rows[1:]
    }


@cases(short=12, long=500)
@given(data=st.data())
def test_a_damaged_workbook_or_matlab_file(
    data: st.DataObject, roots: Callable[[str], Path], attempt: Try
) -> None:
    kind, file, extra = data.draw(st.sampled_from(BINARY))
    build, _, path = damaged(data, roots, kind, file, extra)
    attempt(f"labels, {path.suffix}", build)


NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", " 3 ", "+3", "3,5", "3.", ".5", "1_0", "0x1", "٣", "three", "1e5", "-0"]),
)


@cases(short=25, long=500)
@given(number=NUMBERS, row=st.integers(0, 19))
def test_a_strange_number_is_read_as_it_stands_or_refused(
    number: str, row: int, roots: Callable[[str], Path], attempt: Try
) -> None:
    root = roots("ScoreFile")
    lines = [f"pictures/{k}.png,{number if k == row else k / 2}" for k in range(20)]
    (root / "numbers.csv").write_text("\n".join(["image,score", *lines]), encoding="utf-8")
    extra = {"labels": "numbers.csv", **DECLARED}
    dataset = attempt("labels, numbers", lambda: built("ScoreFile", root, extra))
    if dataset is not None:
        told = scores_of(dataset)[f"{row}.png"]
        assert math.isclose(told, float(number), abs_tol=1e-8)
