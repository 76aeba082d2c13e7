"""TID2008, artificially distorted photographs (Ponomarenko et al., 2009)."""

from __future__ import annotations

from cliqa.datasets.quality.tid2013 import DISTORTIONS, TID2013
from cliqa.registry import DATASETS


@DATASETS.register_module()
class TID2008(TID2013):
    """TID2008: 25 images under 17 distortions of 4 levels: 1700 images, MOS 0..9, higher is better.

    The official layout (the capitals of the names differ from those in the labels)::

        root/
            mos_with_names.txt
            distorted_images/I01_01_1.bmp

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"distortion"`` (the first 17 of TID2013's names), ``"level"`` or ``"reference"``. Its
    photographs are TID2013's: do not test on one after training on the other.

    Sources: names, types and scores (0..7.7143) are those of the table of icbcbicc/IQA-Dataset;
    pyiqa (chaofengc/IQA-PyTorch) reads both sets by one script and declares 0..9.
    """

    default_name = "tid2008"
    official_count = 1700
    distortions = DISTORTIONS[:17]
    levels = 4
