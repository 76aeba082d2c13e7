"""Three small image quality data sets in the official layouts of EVA, AVA and KonIQ-10k."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cliqa.datasets.photo_folder import find_photos
from cliqa.datasets.storage import progress
from cliqa.demo_data.campaigns import CAMPAIGNS, Campaign
from cliqa.demo_data.degraded_images import DegradedImage, degrade_photo, degrade_scene
from cliqa.demo_data.file_names import Names, draw_names
from cliqa.demo_data.generator import check_numbers, write_once
from cliqa.demo_data.photos import PhotosBySplit, assign_photos, fingerprint
from cliqa.demo_data.ratings import RatedImage
from cliqa.registry import GENERATORS
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_text
from cliqa.utils.progress import Phase

TRUTH = "degradations.csv"
"""The distortion of each image; no loader reads it."""

_LEAST = {"train": 1, "val": 1, "test": 1, "size": 32, "seed": 0, "overlap": 0}
_VERSION = 1
"""Raised when the same arguments write different data: older folders are then refused."""


@GENERATORS.register_module()
@dataclass(frozen=True)
class DemoData:
    """A generator of three data sets that differ in content, in distortions and in score scale.

    ======== ========== ================================= =============== ==========================
    folder   scenes     main distortion; minor one(s)     scores          split
    ======== ========== ================================= =============== ==========================
    eva      streets    blur; noise                       votes, 0..10    none (the loader seeds it)
    ava      still life noise; blur                       counts, 1..10   test list
    koniq    landscape  contrast; noise, compression      MOS, 0..100     official
    ======== ========== ================================= =============== ==========================

    A loader's splits have the sizes asked for with ``fractions=(train, val, test)`` divided by
    their sum in EVA and ``val_fraction=val / (train + val)`` in AVA.

    Args:
        train: Training images of each data set.
        val: Validation images of each data set.
        test: Test images of each data set.
        size: The images' side in pixels.
        seed: Another seed makes other images and other ratings.
        photos: A folder of photographs to degrade, instead of painted scenes. Blur, noise, and
            contrast with compression are then the distortions, and a score follows from the
            measured similarity of the stored image to the photograph. A photograph is in one split
            of one data set only.
        overlap: How many of EVA's images are in AVA too, as all of the real ones are.

    Raises:
        ConfigError: A number is out of range.
    """

    train: int = 500
    val: int = 50
    test: int = 200
    size: int = 100
    seed: int = 0
    photos: str | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, _LEAST)
        if self.overlap > sum(self.counts):
            raise ConfigError(
                f"DemoData: overlap={self.overlap} is more than the {sum(self.counts)} images of "
                "a data set (train + val + test)."
            )

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many images train, val and test of a data set have."""
        return self.train, self.val, self.test

    def write(self, root: str | Path) -> None:
        """Write ``root/eva``, ``root/ava`` and ``root/koniq``, unless they are there already.

        Raises:
            DatasetError: As `write_once`, or a photograph is wrong.
        """
        photos = [] if self.photos is None else find_photos(self.photos)
        digest = fingerprint(photos) if photos else None  # names and sizes, not the folder
        arguments = {**asdict(self), "photos": digest, "version": _VERSION}
        write_once(root, arguments, _Writer(self, photos).write)


class _Writer:
    """Fills one folder."""

    def __init__(self, data: DemoData, photos: list[Path]) -> None:
        self.data = data
        self.photos = photos
        self.degraded: dict[tuple[str, str], DegradedImage] = {}
        """By data set and file name."""

    def write(self, folder: Path, title: str) -> int:
        """Write all data sets and the true distortions; return the number of images."""
        self.folder = folder
        data = self.data
        total = 3 * sum(data.counts)
        names = draw_names(data.counts, data.overlap, np.random.default_rng([data.seed, 0]))
        photos = assign_photos(self.photos, len(CAMPAIGNS), data.counts, data.seed)
        with progress(total, title) as bar:
            for index, campaign in enumerate(CAMPAIGNS):
                self._write_images(index, campaign, names[campaign.name], photos[index], bar)
        for index, campaign in enumerate(CAMPAIGNS):
            self._write_labels(index, campaign, names[campaign.name])
        self._write_truth(names)
        return total

    def _write_images(
        self,
        index: int,
        campaign: Campaign,
        names: Names,
        photos_by_split: PhotosBySplit,
        bar: Phase,
    ) -> None:
        """Write the images of one data set."""
        folder = self.folder / campaign.name / campaign.images
        folder.mkdir(parents=True)
        totals, seen = Counter(split for _, split in names), Counter[str]()
        for place, (name, split) in enumerate(names):
            rng = np.random.default_rng([self.data.seed, 1, index, place])
            photos = photos_by_split[split]
            photo = photos[seen[split] * len(photos) // totals[split]] if photos else None
            seen[split] += 1
            image = self._image(campaign, name, photo, rng)
            (folder / name).write_bytes(image.jpeg)
            self.degraded[campaign.name, name] = image
            bar.update()

    def _image(
        self, campaign: Campaign, name: str, photo: Path | None, rng: np.random.Generator
    ) -> DegradedImage:
        """Return one image: EVA's, where AVA has an image of EVA."""
        shared = self.degraded.get(("eva", name)) if campaign.name == "ava" else None
        if shared is not None:
            return shared
        if photo is None:
            return degrade_scene(campaign, self.data.size, rng)
        return degrade_photo(campaign, photo, self.data.size, rng)

    def _write_labels(self, index: int, campaign: Campaign, names: Names) -> None:
        """Write one data set's labels."""
        rated = [
            RatedImage(name, split, self.degraded[campaign.name, name].quality)
            for name, split in names
        ]
        rng = np.random.default_rng([self.data.seed, 2, index])
        campaign.write_labels(self.folder / campaign.name, rated, rng)

    def _write_truth(self, names: dict[str, Names]) -> None:
        """Write the distortion of each image."""
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")
        rows.writerow(("dataset", "image", "split", "source", "distortion", "severity", "quality"))
        for dataset, pairs in names.items():
            for name, split in pairs:
                own = self.degraded[dataset, name]
                numbers = f"{own.severity:.6f}", f"{own.quality:.6f}"
                rows.writerow((dataset, name, split, own.source, own.distortion, *numbers))
        write_text(self.folder / TRUTH, buffer.getvalue())
