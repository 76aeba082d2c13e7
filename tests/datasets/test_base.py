from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import ConfigError, DatasetError

COUNT = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for k in range(COUNT):
        Image.new("RGB", (8, 6), (k * 10, 0, 255 - k)).save(tmp_path / f"images/{k}.png")
    return tmp_path / "images"


def table(**changes: Any) -> ScoreTable:
    columns: dict[str, Any] = {
        "images": tuple(f"{k}.png" for k in range(COUNT)),
        "raw": np.linspace(0.0, 10.0, COUNT),
        "std": np.linspace(0.5, 1.0, COUNT),
        "groups": None,
        "splits": None,
        "rows": tuple(range(2, COUNT + 2)),
        "source": Path("labels.csv"),
    }
    return ScoreTable(**{**columns, **changes})


def make(folder: Path, labels: ScoreTable | None = None, **options: Any) -> QualityDataset:
    defaults: dict[str, Any] = {"score_range": (0, 10), "higher_is_better": True}
    return QualityDataset("toy", labels or table(), folder, **{**defaults, **options})


def test_an_item_is_pixels_and_a_score_of_0_to_1(folder: Path) -> None:
    data = make(folder)
    image, score = data[3]
    assert (image.shape, image.dtype) == ((3, 6, 8), torch.uint8)
    assert image[:, 0, 0].tolist() == [30, 0, 252]
    assert (score.shape, score.dtype) == ((), torch.float32)
    assert score.item() == pytest.approx(3 / 19)
    assert data.raw_scores[3] == pytest.approx(30 / 19)
    assert data.scores.dtype == np.float32
    assert data.paths[3] == folder / "3.png"
    assert [data[k][1].item() for k in range(len(data))] == data.scores.tolist()


def test_lower_is_better_flips_and_raw_scores_come_back(folder: Path) -> None:
    data = make(folder, higher_is_better=False)
    assert data[0][1].item() == 1.0
    np.testing.assert_allclose(data.to_raw(data.scores), data.raw_scores, atol=1e-6)
    assert data.to_raw(0.25).item() == 7.5


def test_splits_cover_everything_once(folder: Path) -> None:
    data = make(folder)
    parts = {split: data.subset(split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 16, "val": 2, "test": 2}
    files = sorted(file for part in parts.values() for file in part.files)
    assert files == sorted(data.files)
    assert data.subset("all").files == data.files
    assert (data.split_name, parts["val"].split_name) == ("all", "val")
    assert dict(data.split_table())["0.png"] == data.splits[0]
    assert parts["val"].split_table() == [(i, s) for i, s in data.split_table() if s == "val"]


def test_a_view_agrees_with_its_origin_in_every_column(folder: Path) -> None:
    data = make(folder, table(groups=tuple(f"g{k // 2}" for k in range(COUNT))))
    assert data.paths  # the cached list must not leak into the view
    view = data.select([4, 2, 4, -1])
    for column in ("files", "keys", "paths", "splits", "groups", "scores", "raw_scores", "std"):
        whole, part = getattr(data, column), getattr(view, column)
        assert [part[k] for k in range(4)] == [whole[i] for i in (4, 2, 4, 19)]
    assert torch.equal(view[0][0], data[4][0])
    assert len(data) == COUNT


def test_a_selection_may_be_empty_but_not_beyond_the_end(folder: Path) -> None:
    assert len(make(folder).select([])) == 0
    with pytest.raises(IndexError):
        make(folder).select([COUNT])


def test_a_split_that_was_not_asked_for_is_empty(folder: Path) -> None:
    data = make(folder, fractions=(0.0, 0.0, 1.0))
    assert [len(data.subset(s)) for s in ("train", "val", "test")] == [0, 0, COUNT]


def test_an_unknown_split_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="toy: unknown split 'dev'. Use 'train', 'val', 'test'"):
        make(folder).subset("dev")  # type: ignore[arg-type]


def test_groups_stay_together(folder: Path) -> None:
    data = make(folder, table(groups=tuple(f"g{k // 2}" for k in range(COUNT))))
    assert all(data.splits[k] == data.splits[k + 1] for k in range(0, COUNT, 2))


def test_the_split_depends_on_the_seed_and_not_on_missing_images(folder: Path) -> None:
    whole = dict(make(folder).split_table())
    assert dict(make(folder, seed=1).split_table()) != whole
    (folder / "3.png").unlink()
    rest = dict(make(folder, missing="skip").split_table())
    assert rest == {image: split for image, split in whole.items() if image != "3.png"}


def test_a_transform_belongs_to_its_view_alone(folder: Path) -> None:
    data = make(folder)
    view = data.with_transform(lambda image: image.float() / 255.0)
    assert view[1][0].dtype == torch.float32
    assert data[1][0].dtype == torch.uint8
    assert view.subset("val")[0][0].dtype == torch.float32
    assert view.with_transform(None)[1][0].dtype == torch.uint8


def test_items_are_batched_by_worker_processes(folder: Path) -> None:
    loader = DataLoader(make(folder).subset("train"), batch_size=8, num_workers=1)
    images, scores = next(iter(loader))
    assert (images.shape, scores.shape) == ((8, 3, 6, 8), (8,))


def test_a_data_set_survives_pickling(folder: Path) -> None:
    data = make(folder)
    copy = pickle.loads(pickle.dumps(data.subset("test")))
    assert copy.split_table() == data.subset("test").split_table()


def test_keys_are_the_file_names_under_the_identity(folder: Path) -> None:
    assert make(folder).keys[2] == "toy/2.png"
    assert make(folder, identity="other").keys[2] == "other/2.png"
    assert make(folder, identity="ava").keys[2] == "ava/2"  # AVA's images are numbered


def test_keys_are_whole_paths_where_file_names_repeat(folder: Path) -> None:
    for k in range(COUNT):
        place = folder / str(k % 2) / f"{k // 2}.png"
        place.parent.mkdir(exist_ok=True)
        (folder / f"{k}.png").rename(place)
    images = tuple(f"{k % 2}/{k // 2}.png" for k in range(COUNT))
    keys = make(folder, table(images=images)).keys
    assert keys[3] == "toy/1/1.png"
    assert len(set(keys)) == COUNT


def test_missing_images_are_counted_and_listed(folder: Path) -> None:
    for k in (3, 4, 5, 6, 7, 8):
        (folder / f"{k}.png").unlink()
    message = (
        r"toy: .*6 of 20 images of labels\.csv are missing: 3\.png \(row 5\).* and 1 more.*skip"
    )
    with pytest.raises(DatasetError, match=message):
        make(folder)


def test_missing_images_can_be_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for k in (3, 4):
        (folder / f"{k}.png").unlink()
    with caplog.at_level(logging.WARNING):
        data = make(folder, missing="skip")
    assert len(data) == 18
    assert data[3][0][0, 0, 0].item() == 50
    assert "2 of 20 images of labels.csv are missing" in caplog.text


def test_a_folder_without_any_labelled_image_is_an_error_always(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="20 of 20 images .* The folder holds nothing"):
        make(tmp_path, missing="skip")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"toy: no image folder .*/nowhere \(from "):
        make(tmp_path / "nowhere")


def test_an_unreadable_image_is_named_with_its_row_when_it_is_read(folder: Path) -> None:
    data_of = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data_of[: len(data_of) // 2])
    data = make(folder)
    with pytest.raises(
        DatasetError, match=r"toy: labels\.csv, row 4: .*2\.png.*on_bad_image='skip'"
    ):
        data[2]
    assert list(data.verify_images()) == [2]


def test_unreadable_images_can_be_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "2.png").write_bytes(b"no image")
    (folder / "4.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        data = make(folder, on_bad_image="skip")
    assert len(data) == 18
    assert {"2.png", "4.png"}.isdisjoint(image for image, _ in data.split_table())
    assert "toy: 2 of 20 images cannot be decoded. The first: toy: labels.csv, row 4" in caplog.text
    assert "on_bad_image" not in caplog.text  # it is set


def test_images_that_can_all_be_decoded_are_all_kept(folder: Path) -> None:
    assert len(make(folder, on_bad_image="skip")) == COUNT


def test_nothing_but_unreadable_images_is_an_error(folder: Path) -> None:
    for k in range(COUNT):
        (folder / f"{k}.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="toy: 20 of 20 images cannot be decoded"):
        make(folder, on_bad_image="skip")


@pytest.mark.parametrize("option", ["missing", "on_bad_image"])
def test_a_split_whose_images_are_all_lost_is_an_error(folder: Path, option: str) -> None:
    for image, split in make(folder).split_table():
        if split == "val":
            (folder / image).unlink() if option == "missing" else (folder / image).write_bytes(b"")
    with pytest.raises(
        DatasetError, match="toy: no image of the split 'val' of labels.csv is left"
    ):
        make(folder, None, **{option: "skip"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "ignore"}, "toy: missing must be 'error' or 'skip', got 'ignore'"),
        ({"on_bad_image": True}, "toy: on_bad_image must be 'error' or 'skip', got True"),
        ({"score_range": (1, 0)}, "toy: score_range must rise"),
        ({"fractions": (1, 1, 1)}, "toy: fractions must be at least 0 and sum to 1"),
    ],
)
def test_wrong_options_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(folder, **options)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", 5])
def test_a_name_must_fit_into_a_file_name(folder: Path, name: Any) -> None:
    with pytest.raises(ConfigError, match="data set name .*: use letters, digits"):
        QualityDataset(name, table(), folder, (0, 10), True)


def test_a_summary_tells_what_it_is(folder: Path) -> None:
    text = repr(make(folder, higher_is_better=False).subset("val"))
    assert text == (
        "QualityDataset(name='toy', split='val', 2 images, scores in 0..10, lower is better)"
    )
