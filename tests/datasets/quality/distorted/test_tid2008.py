from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.distorted.tid2008 import TID2008
from cliqa.datasets.quality.tid2013 import TID2013
from cliqa.utils.errors import DatasetError


def test_types_and_levels_are_those_of_the_set(layout: Callable[[str], Path]) -> None:
    data = TID2008(layout("TID2008"))
    assert set(data.table.attributes["distortion"]) == {
        "additive Gaussian noise",
        "contrast change",
    }
    assert len(TID2008.distortions) == 17
    assert data.keys[0] == "tid2008/I01_01_4.bmp"


@pytest.mark.parametrize(
    ("reader", "image", "text"),
    [
        (TID2008, "I01_18_1.bmp", "TID2008 has 17 types of 4 levels"),
        (TID2008, "I01_01_5.bmp", "TID2008 has 17 types of 4 levels"),
        (TID2013, "I01_25_1.bmp", "TID2013 has 24 types of 5 levels"),
        (TID2013, "I01_01_6.bmp", "TID2013 has 24 types of 5 levels"),
    ],
)
def test_the_other_set_is_noticed(
    reader: type[TID2013], image: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "mos_with_names.txt"
    path.write_text(f"1.5 I01_01_1.bmp\n2.5 {image}\n")
    with pytest.raises(DatasetError, match=f"row 2: '{image}': {text}. Is it the other TID?"):
        reader.read_table(path)
