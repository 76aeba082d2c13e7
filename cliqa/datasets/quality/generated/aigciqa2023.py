"""AIGCIQA2023, generated images (Wang et al., CICAI 2023)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cliqa.datasets.labels.matlab import as_numbers, read_mat
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError, DatasetError

Score = Literal["quality", "authenticity", "correspondence"]
SCORES = ("quality", "authenticity", "correspondence")
GENERATORS = ("Controlnet", "DALLE", "Glide", "Lafite", "stable-diffusion", "Unidiffuser")
"""In the order of the images, 400 of each."""

_PROMPTS, _OF_PROMPT = 100, 4


@DATASETS.register_module()
class AIGCIQA2023(LabelledFolder):
    """AIGCIQA2023: 2400 images that six generators made of 100 prompts, MOS 0..100, higher better.

    The official layout::

        root/
            DATA/MOS/mosz1.mat      quality; mosz2.mat authenticity, mosz3.mat correspondence
            Image/allimg/0.png      to 2399.png, in the order of the scores

    There is no official split: it is seeded, by prompt (the 24 images of one stay together).
    ``scenario.split_by`` may be ``"generator"`` (six, 400 images each) or ``"prompt"`` (000
    to 099).

    Sources: the order of the images is that of ``pic-index.xlsx`` in wangjiarui153/AIGCIQA2023;
    the files and their variable MOSz are those that public readers of the release name. Not
    verified against it: the range (the paper rescales to 0..100), and the unit of the deviations in
    DATA/STD, which are therefore not read.

    Args:
        root: The data set's folder.
        score: ``"quality"``, ``"authenticity"``, or ``"correspondence"`` with the prompt.
        common: As `LabelledFolder`.
    """

    default_name = "aigciqa2023"
    label_files: tuple[str, ...] = ("DATA/MOS/mosz1.mat",)
    image_folders = ("Image/allimg", "allimg", "images")
    official_range = (0.0, 100.0)
    official_count = 2400

    def __init__(
        self,
        root: str | Path,
        score: Score = "quality",
        **common: Any,  # noqa: ANN401
    ) -> None:
        if score not in SCORES:
            raise ConfigError(f"AIGCIQA2023: score must be one of {', '.join(SCORES)}.")
        number = SCORES.index(score) + 1
        self.label_files = (f"DATA/MOS/mosz{number}.mat",)
        super().__init__(root, **common)

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read MOSz; a row's number is MATLAB's index."""
        raw = as_numbers(path, "MOSz", read_mat(path, ["MOSz"])["MOSz"])
        total = len(GENERATORS) * _PROMPTS * _OF_PROMPT
        if len(raw) != total:
            raise DatasetError(
                f"{path}: {len(raw)} scores, expected {total}. Use the official file."
            )
        prompts = tuple(f"{k // _OF_PROMPT % _PROMPTS:03d}" for k in range(total))
        per_generator = _PROMPTS * _OF_PROMPT
        return ScoreTable(
            images=tuple(f"{k}.png" for k in range(total)),
            raw=raw,
            groups=prompts,
            rows=tuple(range(1, total + 1)),
            source=path,
            attributes={
                "generator": tuple(GENERATORS[k // per_generator] for k in range(total)),
                "prompt": prompts,
            },
        )
