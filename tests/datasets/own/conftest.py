"""Label files as users have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Own = Callable[..., Path]


def write_images(folder: Path, names: Sequence[str]) -> None:
    """Paint small images, each with a content of its own."""
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """Return a function that writes ``my.csv`` with `count` rows, and the images beside it.

    The header's columns are ``{}``; each row is the function's of its number.
    """

    def write(
        header: str,
        row: Callable[[int], str],
        count: int = 20,
        name: str = "my.csv",
        folder: str = "",
        ending: str = "png",
    ) -> Path:
        write_images(tmp_path / folder, [f"{k}.{ending}" for k in range(count)])
        path = tmp_path / name
        path.write_text("\n".join([header, *map(row, range(count))]) + "\n")
        return path

    return write
