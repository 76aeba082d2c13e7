"""Three small image quality data sets in the official layouts of EVA, AVA and KonIQ-10k."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cliqa.datasets.storage import is_written, new_folder
from cliqa.demo_data.campaigns import CAMPAIGNS, Campaign
from cliqa.demo_data.file_names import Names, deal_names
from cliqa.demo_data.photos import Hand, deal_photos, find_photos, fingerprint
from cliqa.demo_data.ratings import RatedImage
from cliqa.demo_data.specimens import Specimen, paint_specimen, photograph_specimen
from cliqa.registry import GENERATORS
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_text
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)

TRUTH = "degradations.csv"
"""What was done to each image: no data set has it, no loader reads it."""

_LEAST = {"train": 1, "val": 1, "test": 1, "size": 32, "seed": 0, "overlap": 0}
_VERSION = 1
"""Raised when the same arguments come to write other data: older folders are then refused."""

_SECONDS_WITHOUT_BAR = 3.0


@GENERATORS.register_module()
@dataclass(frozen=True)
class DemoData:
    """A generator of three data sets that differ in content, in defects and in the scale of scores.

    ======== ========== ================================= =============== ==========================
    folder   scenes     main defect; hardly minded        scores          split
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
            contrast with compression are then the defects, and a score follows from the measured
            similarity of the stored image to the photograph. A photograph is in one split of one
            data set only.
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
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"DemoData: {name} must be a whole number >= {least}, got {value!r}."
                )
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

        The folder appears at once when all is written; a run that is stopped leaves none behind.

        Args:
            root: A new or an empty folder, or one that the same arguments have written.

        Raises:
            DatasetError: The folder holds anything else, cannot be written to, or a photograph is
                wrong.
        """
        root = home_path(root)
        photos = self._photos()
        arguments = self._arguments(photos)
        if is_written(root, arguments):
            return
        with new_folder(root, arguments) as folder:
            _Writer(self, photos, folder).write(str(root))
        logger.info("Wrote %d generated images to %s.", 3 * sum(self.counts), root)

    def _photos(self) -> list[Path]:
        """Return the photographs to use: none if scenes are painted."""
        if self.photos is None:
            return []
        return find_photos(self.photos, wanted=3 * len(CAMPAIGNS))

    def _arguments(self, photos: list[Path]) -> dict[str, Any]:
        """Return what the data follow from; a folder of photographs may move."""
        arguments = {own.name: getattr(self, own.name) for own in fields(self)}
        return {**arguments, "photos": fingerprint(photos) if photos else None, "version": _VERSION}


class _Writer:
    """Fills one folder."""

    def __init__(self, data: DemoData, photos: list[Path], folder: Path) -> None:
        self.data = data
        self.photos = photos
        self.folder = folder
        self.specimens: dict[tuple[str, str], Specimen] = {}
        """By data set and file name."""

    def write(self, title: str) -> None:
        """Write all data sets and the truth about them, with a bar if it takes long."""
        data = self.data
        names = deal_names(data.counts, data.overlap, np.random.default_rng([data.seed, 0]))
        hands = deal_photos(self.photos, len(CAMPAIGNS), data.counts, data.seed)
        with tqdm(
            total=3 * sum(data.counts),
            desc=f"writing {title}",
            unit="image",
            delay=_SECONDS_WITHOUT_BAR,
            disable=None,  # where nobody watches
            leave=False,
        ) as bar:
            for index, campaign in enumerate(CAMPAIGNS):
                self._write_images(index, campaign, names[campaign.name], hands[index], bar)
        for index, campaign in enumerate(CAMPAIGNS):
            self._write_labels(index, campaign, names[campaign.name])
        self._write_truth(names)

    def _write_images(
        self, index: int, campaign: Campaign, names: Names, hand: Hand, bar: tqdm[Any]
    ) -> None:
        """Write the images of one data set."""
        folder = self.folder / campaign.name / campaign.images
        folder.mkdir(parents=True)
        totals, seen = Counter(split for _, split in names), Counter[str]()
        for place, (name, split) in enumerate(names):
            rng = np.random.default_rng([self.data.seed, 1, index, place])
            photos = hand[split]
            photo = photos[seen[split] * len(photos) // totals[split]] if photos else None
            seen[split] += 1
            specimen = self._specimen(campaign, name, photo, rng)
            (folder / name).write_bytes(specimen.jpeg)
            self.specimens[campaign.name, name] = specimen
            bar.update()

    def _specimen(
        self, campaign: Campaign, name: str, photo: Path | None, rng: np.random.Generator
    ) -> Specimen:
        """Return one image: EVA's, where AVA has an image of EVA."""
        shared = self.specimens.get(("eva", name)) if campaign.name == "ava" else None
        if shared is not None:
            return shared
        if photo is None:
            return paint_specimen(campaign, self.data.size, rng)
        return photograph_specimen(campaign, photo, self.data.size, rng)

    def _write_labels(self, index: int, campaign: Campaign, names: Names) -> None:
        """Have one data set's images rated."""
        rated = [
            RatedImage(name, split, self.specimens[campaign.name, name].quality)
            for name, split in names
        ]
        rng = np.random.default_rng([self.data.seed, 2, index])
        campaign.write_labels(self.folder / campaign.name, rated, rng)

    def _write_truth(self, names: dict[str, Names]) -> None:
        """Write what was done to each image."""
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")
        rows.writerow(("dataset", "image", "split", "source", "distortion", "severity", "quality"))
        for dataset, pairs in names.items():
            for name, split in pairs:
                own = self.specimens[dataset, name]
                numbers = f"{own.severity:.6f}", f"{own.quality:.6f}"
                rows.writerow((dataset, name, split, own.source, own.distortion, *numbers))
        write_text(self.folder / TRUTH, buffer.getvalue())
