"""Lists of images with their classes, and lists of indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cliqa.datasets.clear.files import COPY_AGAIN, read_json, read_text
from cliqa.datasets.image_listing import places_by_nfc, to_nfc
from cliqa.utils.errors import DatasetError


@dataclass(frozen=True)
class Listing:
    """A list of images with their classes.

    Attributes:
        images: (N,) paths relative to the data set's folder.
        targets: (N,) classes, 0..K-1.
        places: (N,) the file and line of each image, for messages.
    """

    images: tuple[str, ...]
    targets: tuple[int, ...]
    places: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: Listing) -> Listing:
        return Listing(
            self.images + other.images, self.targets + other.targets, self.places + other.places
        )

    def select(self, indices: Iterable[int]) -> Listing:
        """Return the images at some indices, in their order."""
        chosen = list(indices)
        return Listing(
            tuple(self.images[i] for i in chosen),
            tuple(self.targets[i] for i in chosen),
            tuple(self.places[i] for i in chosen),
        )

    def lines(self) -> str:
        r"""Return the text of a list file.

        >>> Listing(("labeled_images/1/dress/7.jpg",), (0,), ("here",)).lines()
        'labeled_images/1/dress/7.jpg 0\n'
        """
        return "".join(f"{i} {t}\n" for i, t in zip(self.images, self.targets, strict=True))


def read_filelist(root: Path, name: str, classes: int, advice: str) -> Listing:
    """Read a list: each line is an image's path, a space and its class; paths may hold spaces.

    `name` is the list's path relative to `root`, and `advice` is what to do if it is missing.

    Raises:
        DatasetError: The list is missing or empty, a line has no class or an unknown one, or an
            image is listed twice.
    """
    path = root / name
    images: list[str] = []
    targets: list[int] = []
    places: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(read_text(path, advice).split("\n"), start=1):
        if not line.strip():
            continue
        image, target = _parse_line(line, classes, f"{path}, line {number}")
        if image in first:
            raise DatasetError(
                f"{path}, line {number}: {image} is also in line {first[image]}. Remove one of the "
                "two."
            )
        first[image] = number
        images.append(image)
        targets.append(target)
        places.append(f"{name}, line {number}")
    if not images:
        raise DatasetError(f"{path}: lists no image; a bucket cannot be empty. {COPY_AGAIN}")
    return Listing(tuple(images), tuple(targets), tuple(places))


def _parse_line(line: str, classes: int, where: str) -> tuple[str, int]:
    """Return the image's path and the class of one line, which must exist."""
    image, _, text = line.strip().rpartition(" ")
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10:
        target = int(text)
    else:
        target, image = -1, ""
    if not image.strip():
        raise DatasetError(
            f"{where}: '{line.strip()}' has no class. A line is a path, a space and a class index."
        )
    if not 0 <= target < classes:
        raise DatasetError(
            f"{where}: class {target} does not exist; class_names.txt names {classes} classes, "
            f"0..{classes - 1}."
        )
    return image, target


def read_indices(path: Path, total: int, listed: str, advice: str) -> list[int]:
    """Read a JSON list of indices into the `total` images that the file `listed` lists.

    `advice` is what to do if the file is missing.

    Raises:
        DatasetError: The file is missing or empty, or an index is wrong or repeated.
    """
    indices = read_json(path, advice)
    if not isinstance(indices, list) or any(type(index) is not int for index in indices):
        raise DatasetError(f"{path}: expected a JSON list of whole numbers. {COPY_AGAIN}")
    if not indices:
        raise DatasetError(f"{path}: lists no index; a split cannot be empty. {COPY_AGAIN}")
    wrong = [index for index in indices if not 0 <= index < total]
    if wrong:
        raise DatasetError(
            f"{path}: index {wrong[0]} is out of range; {listed} lists {total} images, "
            f"0..{total - 1}. {COPY_AGAIN}"
        )
    if len(set(indices)) < len(indices):
        twice, _ = Counter(indices).most_common(1)[0]
        raise DatasetError(f"{path}: index {twice} occurs twice. {COPY_AGAIN}")
    return indices


def find_places(root: Path, whole: Listing, part: Listing, listed: str) -> list[int]:
    """Return the indices of a part's images in the whole, which the file `listed` lists.

    Raises:
        DatasetError: An image is not in the whole, or has another class there.
    """
    places = {image: index for index, image in enumerate(whole.images)}
    alike = places_by_nfc(whole.images)
    indices = []
    for image, target, place in zip(part.images, part.targets, part.places, strict=True):
        index = places.get(image, alike.get(to_nfc(image)))
        if index is None:
            raise DatasetError(f"{root / place}: {image} is not in {listed}. {COPY_AGAIN}")
        if whole.targets[index] != target:
            raise DatasetError(
                f"{root / place}: {image} has class {target}, but class {whole.targets[index]} in "
                f"{whole.places[index]}. {COPY_AGAIN}"
            )
        indices.append(index)
    return indices
