from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PIL import Image

from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.utils.errors import ConfigError, DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, level in (("b.png", 1), ("a/z.jpg", 2), ("a/c/y.PNG", 3), (".hidden/x.png", 4)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6), level).save(path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".dot.png").write_bytes(b"")
    return tmp_path


def test_images_of_subfolders_are_found_in_the_order_of_their_paths(folder: Path) -> None:
    images = UnlabelledFolder(folder)
    assert [Path(file).relative_to(folder).as_posix() for file in images.files] == [
        "a/c/y.PNG",
        "a/z.jpg",
        "b.png",
    ]
    assert len(images) == 3
    assert images.image(2).shape == (3, 6, 8)
    assert images.image(2).unique().tolist() == [1]


def test_a_damaged_image_raises_when_it_is_read_or_is_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a" / "bad.jpg").write_bytes(b"no jpeg")
    with pytest.raises(DatasetError, match=r"bad\.jpg: cannot be decoded.*on_bad_image='skip'"):
        UnlabelledFolder(folder).image(0)
    with caplog.at_level(logging.WARNING):
        images = UnlabelledFolder(folder, on_bad_image="skip")
    assert len(images) == 3
    assert "1 of 4 images cannot be decoded. The first:" in caplog.text


def test_a_folder_of_damaged_images_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no jpeg")
    with pytest.raises(DatasetError, match="1 of 1 images cannot be decoded"):
        UnlabelledFolder(tmp_path, on_bad_image="skip")


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere: no such folder of images \(from"):
        UnlabelledFolder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no image in the folder or below it.*\.jpeg"):
        UnlabelledFolder(tmp_path)
    with pytest.raises(ConfigError, match="on_bad_image must be 'error' or 'skip', got 'ignore'"):
        UnlabelledFolder(tmp_path, on_bad_image="ignore")


def test_other_files_are_counted_and_leftovers_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jp2")
    for name in ("._a.jp2", "Thumbs.db", "b.raw"):
        (tmp_path / name).write_bytes(b"\0\5\26\7Mac")
    with caplog.at_level(logging.INFO):
        assert UnlabelledFolder(tmp_path).files == [str(tmp_path / "a.jp2")]
    assert "1 file is no image by its suffix and not read (.raw 1)" in caplog.text
