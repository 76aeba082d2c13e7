"""The names of CIFAR's files, which torchvision has too."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from cliqa.datasets.classes import cifar_files
from cliqa.datasets.classes.cifar_files import ARCHIVES, FILES, FOLDERS, check_files
from cliqa.utils.errors import DatasetError

SOURCES = {cifar_files.CIFAR10: CIFAR10, cifar_files.CIFAR100: CIFAR100}


@pytest.mark.parametrize("name", SOURCES)
def test_the_names_are_torchvisions(name: str) -> None:
    source = SOURCES[name]
    listed = [file for file, _ in (*source.train_list, *source.test_list)]
    assert [*listed, source.meta["filename"]] == list(FILES[name])
    assert (source.base_folder, source.filename) == (FOLDERS[name], ARCHIVES[name])


def test_the_first_file_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "train").touch()
    for root in (tmp_path, folder):
        with pytest.raises(DatasetError, match=r"python/test is missing: .*unpack the official "):
            check_files("CIFAR-100", root)
    for file in FILES["CIFAR-100"]:
        (folder / file).touch()
    check_files("CIFAR-100", tmp_path)  # what is in them is looked at when they are read
