"""Raters: from an image's quality to the votes of one crowd, in the official label files.

A rater's opinion is the crowd's mean opinion of the image plus noise, on the crowd's own scale. The
mean opinion is linear in the quality, but for a small share of taste that no image shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cliqa.utils.io import write_text

_EVA_HEADER = (
    "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4"
)
_KONIQ_HEADER = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set"
_KONIQ_SETS = {"train": "training", "val": "validation", "test": "test"}
_USERS = 2000


@dataclass(frozen=True)
class RatedImage:
    """An image to be rated.

    Attributes:
        name: The file's name.
        split: ``"train"``, ``"val"`` or ``"test"``.
        quality: 0 (worst) to 1 (pristine).
    """

    name: str
    split: str
    quality: float

    @property
    def stem(self) -> str:
        """The name without its suffix: EVA's and AVA's image id."""
        return self.name.partition(".")[0]


LabelWriter = Callable[[Path, Sequence[RatedImage], np.random.Generator], None]
"""(the data set's folder, its images, generator): writes the label files."""


def opinions(
    images: Sequence[RatedImage], worst: float, best: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the crowd's mean opinion of each image, (N,): `worst` of quality 0, `best` of 1.

    The standard deviation of taste is 2.5 per cent of ``best - worst``.
    """
    quality = np.array([image.quality for image in images])
    taste = 0.025 * rng.standard_normal(len(images))
    return worst + (best - worst) * (quality + taste)


def count_ratings(
    opinion: np.ndarray,
    spread: float,
    raters: np.ndarray,
    low: int,
    high: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return how many of an image's raters gave each rating, (N, high - low + 1).

    A rating is drawn with a chance proportional to the density at it of a normal distribution
    around the mean opinion, whose standard deviation is `spread`; a row sums to its raters.
    """
    ratings = np.arange(low, high + 1)
    chance = np.exp(-0.5 * ((ratings - opinion[:, None]) / spread) ** 2)
    return rng.multinomial(raters, chance / chance.sum(axis=1, keepdims=True))


def write_eva_labels(folder: Path, images: Sequence[RatedImage], rng: np.random.Generator) -> None:
    """Write EVA's ``votes_filtered.csv`` (30 to 46 votes per image) and its list of images.

    Opinions go from 2 to 8.4 of 0..10 with a standard deviation of 1.6 among the raters.
    """
    raters = np.minimum(30 + rng.poisson(4.0, len(images)), 46)
    opinion = opinions(images, 2.0, 8.4, rng)
    counts = count_ratings(opinion, 1.6, raters, 0, 10, rng)
    rows = [_EVA_HEADER]
    for image, count in zip(images, counts, strict=True):
        votes = rng.permutation(np.repeat(np.arange(11), count))
        rows += _eva_rows(image.stem, votes, rng)
    write_text(folder / "data" / "votes_filtered.csv", "\n".join(rows) + "\n")
    listed = "".join(f'"{image.stem}","2"\n' for image in images)  # 2: architecture, city scenes
    write_text(folder / "data" / "image_content_category.csv", f'\ufeff"image_id","sort"\n{listed}')


def _eva_rows(image_id: str, votes: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Return one row for each vote; the four attributes, 1..4, go with the score."""
    count = len(votes)
    users = rng.choice(_USERS, count, replace=False) + 1
    difficulty = rng.integers(1, 5, count)
    attributes = np.rint(1.0 + 0.3 * votes[:, None] + rng.normal(0.0, 0.6, (count, 4)))
    seconds = rng.gamma(4.0, 6.0, count)
    boxes = rng.integers(0, 2, (count, 4))
    return [
        "=".join(
            map(
                str,
                (
                    *(image_id, f"E{users[k]}", votes[k], difficulty[k]),
                    *np.clip(attributes[k], 1, 4).astype(int),
                    *(f"{seconds[k]:.3f}", *boxes[k]),
                ),
            )
        )
        for k in range(count)
    ]


def write_ava_labels(folder: Path, images: Sequence[RatedImage], rng: np.random.Generator) -> None:
    """Write ``AVA.txt`` (78 to 549 ratings per image) and the list of test images.

    Opinions go from 2.6 to 7.6 of 1..10 with a standard deviation of 1.4 among the raters.
    """
    raters = np.clip(rng.normal(210.0, 60.0, len(images)), 78, 549).astype(int)
    opinion = opinions(images, 2.6, 7.6, rng)
    counts = count_ratings(opinion, 1.4, raters, 1, 10, rng)
    challenges = rng.integers(1, 1400, len(images))
    rows = (
        f"{index} {image.stem} {' '.join(map(str, count))} 0 0 {challenge}\n"
        for index, (image, count, challenge) in enumerate(
            zip(images, counts, challenges, strict=True), start=1
        )
    )
    write_text(folder / "AVA.txt", "".join(rows))
    test = "".join(f"{image.stem}\n" for image in images if image.split == "test")
    write_text(folder / "aesthetics_image_lists" / "generic_test.jpgl", test)


def write_koniq_labels(
    folder: Path, images: Sequence[RatedImage], rng: np.random.Generator
) -> None:
    """Write ``koniq10k_distributions_sets.csv`` (93 to 157 ratings per image).

    Opinions go from 1.3 to 4.4 of 1..5 with a standard deviation of 0.7 among the raters. The MOS
    of 0..100 is the mean rating, shifted and scaled.
    """
    raters = np.clip(rng.normal(105.0, 12.0, len(images)), 93, 157).astype(int)
    counts = count_ratings(opinions(images, 1.3, 4.4, rng), 0.7, raters, 1, 5, rng)
    rows = [_KONIQ_HEADER]
    for image, count, total in zip(images, counts, raters, strict=True):
        ratings = np.repeat(np.arange(1.0, 6.0), count)
        numbers = (*(count / total), int(total), 25.0 * (ratings.mean() - 1.0), ratings.std(ddof=1))
        cells = (f"{number:.12g}" for number in numbers)
        rows.append(",".join((image.name, *cells, _KONIQ_SETS[image.split])))
    write_text(folder / "koniq10k_distributions_sets.csv", "\n".join(rows) + "\n")
