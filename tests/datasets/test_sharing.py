from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.sharing import SharedImage, find_shared
from cliqa.utils.errors import DatasetError


def dataset(
    root: Path, name: str, images: Sequence[str], identity: str | None = None
) -> QualityDataset:
    table = ScoreTable(
        images=tuple(images),
        raw=np.linspace(0.0, 1.0, len(images)),
        std=None,
        groups=None,
        splits=None,
        rows=tuple(range(2, 2 + len(images))),
        source=root / "labels.csv",
    )
    return QualityDataset(
        name, table, root, (0.0, 1.0), True, identity=identity, fractions=(1.0, 0.0, 0.0)
    )


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return three folders: 1.jpg is in all under one name; b's 9.jpg is a copy of a's 3.jpg."""
    for place, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"one" * (place + 1))
    (tmp_path / "a/2.jpg").write_bytes(b"two, only in a")
    (tmp_path / "a/3.jpg").write_bytes(b"three of one size")
    (tmp_path / "b/8.jpg").write_bytes(b"eight of one size")
    shutil.copy(tmp_path / "a/3.jpg", tmp_path / "b/9.jpg")
    return tmp_path / "a", tmp_path / "b", tmp_path / "c"


def test_images_are_shared_by_identity_and_by_content(roots: tuple[Path, Path, Path]) -> None:
    a = dataset(roots[0], "a", ["1.jpg", "2.jpg", "3.jpg"], "same")
    b = dataset(roots[1], "b", ["8.jpg", "9.jpg", "1.jpg"], "same")
    c = dataset(roots[2], "c", ["1.jpg"])
    shared = find_shared([a, b, c])
    assert shared[0] == SharedImage("same/1.jpg", ((0, 0), (1, 2)))
    assert shared[1].places == ((0, 2), (1, 1))
    assert shared[1].key.startswith("sha256:")
    assert len(shared) == 2
    assert find_shared([a, b, c], by_content=False) == shared[:1]


def test_an_image_known_by_its_key_is_not_listed_for_its_content(
    roots: tuple[Path, Path, Path],
) -> None:
    shutil.copy(roots[0] / "1.jpg", roots[1] / "1.jpg")
    a = dataset(roots[0], "a", ["1.jpg"], "same")
    b = dataset(roots[1], "b", ["1.jpg"], "same")
    assert find_shared([a, b]) == [SharedImage("same/1.jpg", ((0, 0), (1, 0)))]


def test_a_copy_under_another_name_is_listed_beside_the_key(
    roots: tuple[Path, Path, Path],
) -> None:
    for name in ("1.jpg", "7.jpg"):
        shutil.copy(roots[0] / "1.jpg", roots[1] / name)
    a = dataset(roots[0], "a", ["1.jpg"], "same")
    b = dataset(roots[1], "b", ["1.jpg", "7.jpg"], "same")
    by_key, by_content = find_shared([a, b])
    assert by_key.places == ((0, 0), (1, 0))
    assert by_content.places == ((0, 0), (1, 0), (1, 1))


def test_an_image_has_one_row_in_all_data_sets(roots: tuple[Path, Path, Path]) -> None:
    sets = [dataset(root, "n", ["1.jpg"], "same") for root in roots]
    (image,) = find_shared(sets)
    assert image.places == ((0, 0), (1, 0), (2, 0))
    assert image.by_dataset() == {0: [0], 1: [0], 2: [0]}


def test_copies_of_one_file_are_one_row(tmp_path: Path) -> None:
    names = [f"{index}.jpg" for index in range(300)]
    for name in names:
        (tmp_path / name).write_bytes(b"one file")
    (image,) = find_shared([dataset(tmp_path, side, names) for side in ("first", "second")])
    assert len(image.places) == 600
    assert image.by_dataset() == {0: list(range(300)), 1: list(range(300))}


def test_indices_are_those_of_the_view(roots: tuple[Path, Path, Path]) -> None:
    a = dataset(roots[0], "a", ["1.jpg", "2.jpg", "3.jpg"])
    b = dataset(roots[1], "b", ["9.jpg"])
    (row,) = find_shared([a.select([2, 0]), b])
    assert row.places == ((0, 0), (1, 0))


def test_only_files_of_a_size_in_two_data_sets_are_read(roots: tuple[Path, Path, Path]) -> None:
    a = dataset(roots[0], "a", ["1.jpg", "2.jpg", "3.jpg"])
    b = dataset(roots[1], "b", ["8.jpg", "9.jpg", "1.jpg"])
    with mock.patch("cliqa.datasets.content_index.sha256_of", return_value="78") as read:
        find_shared([a, b])
    names = sorted(Path(call.args[0]).name for call in read.call_args_list)
    assert names == ["3.jpg", "8.jpg", "9.jpg"]


def test_a_file_that_vanished_is_named(roots: tuple[Path, Path, Path]) -> None:
    a = dataset(roots[0], "a", ["3.jpg"])
    b = dataset(roots[1], "b", ["9.jpg"])
    (roots[1] / "9.jpg").unlink()
    with pytest.raises(DatasetError, match=r"9\.jpg: cannot be read"):
        find_shared([a, b])


def test_a_file_that_vanishes_while_it_is_read_is_named(roots: tuple[Path, Path, Path]) -> None:
    a = dataset(roots[0], "a", ["3.jpg"])
    b = dataset(roots[1], "b", ["9.jpg"])
    with (
        mock.patch("builtins.open", side_effect=OSError("gone")),
        pytest.raises(DatasetError, match=r"\.jpg: cannot be read \(gone\)"),
    ):
        find_shared([a, b])
