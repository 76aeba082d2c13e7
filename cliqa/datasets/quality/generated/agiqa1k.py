"""AGIQA-1K, generated images (Zhang et al., ICME workshops 2023)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS

WORDS = ("object", "action", "place", "style")
"""Parts of a prompt such as ``bird, driving aircraft, city, anime style``."""

_TWICE = "dreamStudio_8_9_1_1.jpg"


@DATASETS.register_module()
class AGIQA1K(LabelledFolder):
    """AGIQA-1K: 1078 images that two generators made, scores 0..5, higher is better.

    The official layout::

        root/
            AIGC_MOS_Zscore.xlsx          Image, Prompt, MOS
            file/deepai_0_0_0_0.jpg       or images/<name>

    There is no official split: it is seeded, by prompt. ``scenario.split_by`` may be
    ``"generator"`` (deepai, dreamStudio), ``"prompt"``, ``"object"``, ``"action"``, ``"place"`` or
    ``"style"``.

    The workbook names dreamStudio_8_9_1_1.jpg in its last two rows, with the scores 0.44 and 2.08;
    one of them is another image's, nobody can tell which. Both are left out.

    Source: lcysyzxdxc/AGIQA-1k-Database, whose workbook was read: 1080 rows, MOS 0..5.
    """

    default_name = "agiqa1k"
    label_files = ("AIGC_MOS_Zscore.xlsx",)
    image_folders = ("file", "images", "")
    official_range = (0.0, 5.0)
    official_count = 1078

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the columns Image, Prompt and MOS."""
        sheet = read_xlsx(path, ("Image", "Prompt", "MOS"))
        images, prompts = tuple(sheet.text("Image")), tuple(sheet.text("Prompt"))
        words = [prompt.split(", ") for prompt in prompts]
        regular = all(len(parts) == len(WORDS) for parts in words)
        table = ScoreTable(
            images=images,
            raw=sheet.numbers("MOS"),
            groups=prompts,
            rows=sheet.rows,
            source=path,
            attributes={
                "generator": tuple(image.partition("_")[0] for image in images),
                "prompt": prompts,
                **({w: tuple(p[k] for p in words) for k, w in enumerate(WORDS)} if regular else {}),
            },
        )
        if images.count(_TWICE) != 2:
            return table
        return table.take([k for k, image in enumerate(images) if image != _TWICE])
