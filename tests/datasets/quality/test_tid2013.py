from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cliqa.datasets.quality.tid2013 import DISTORTIONS, TID2013


def test_scores_come_before_names(layout: Callable[[str], Path]) -> None:
    table = TID2013.read_table(layout("TID2013") / "mos_with_names.txt")
    assert table.images[1] == "I01_02_1.bmp"
    assert table.raw[1] == 0.45
    assert table.groups is not None
    assert table.groups[:3] == ("I01", "I01", "I02")


def test_files_are_found_whatever_their_capitals(layout: Callable[[str], Path]) -> None:
    data = TID2013(layout("TID2013"))
    assert [path.name for path in data.paths[:2]] == ["i01_01_1.bmp", "I01_02_1.BMP"]
    assert data.keys[0] == "tid2013/I01_01_1.bmp"


def test_capitals_do_not_part_a_reference(tmp_path: Path) -> None:
    path = tmp_path / "mos_with_names.txt"
    path.write_text("1.5 I25_01_1.bmp\n2.5 i25_01_2.bmp\n")
    assert TID2013.read_table(path).groups == ("I25", "I25")


def test_names_tell_distortion_level_and_reference(layout: Callable[[str], Path]) -> None:
    known = TID2013.read_table(layout("TID2013") / "mos_with_names.txt").attributes
    assert {name: column[3] for name, column in known.items()} == {
        "distortion": "additive noise in color components",
        "level": "1",
        "reference": "I02",
    }
    assert (len(DISTORTIONS), len(set(DISTORTIONS))) == (24, 24)


def test_the_names_are_in_the_order_of_the_readme() -> None:
    # the abbreviations of a public table of all names (icbcbicc/IQA-Dataset), and their words
    order = {
        "AWGN": "additive Gaussian noise",
        "Chroma_Noise": "color components",
        "Pink_Noise": "spatially correlated",
        "Masked_Noise": "masked",
        "High_Frequency_Noise": "high frequency",
        "Impulse_Noise": "impulse",
        "Quantization_Noise": "quantization noise",
        "GBLUR": "Gaussian blur",
        "Denoising": "denoising",
        "JPEG": "JPEG compression",
        "JP2K": "JPEG2000 compression",
        "JPEG_Transmission_Error": "JPEG transmission",
        "JP2K_Transmission_Error": "JPEG2000 transmission",
        "Non_Eccentricity_Pattern_Noise": "non eccentricity",
        "Block_Dist.": "block-wise",
        "Mean_Shift": "mean shift",
        "Contrast_Dist.": "contrast",
        "Saturation_Dist.": "saturation",
        "Multi._Gaussian Noise": "multiplicative",
        "Comfort_Noise": "comfort",
        "Multiply_Dist. (21)": "lossy compression of noisy",
        "Dithering": "dither",
        "Chroma_Aberrations": "aberrations",
        "Multiply_Dist. (24)": "sparse sampling",
    }
    pairs = zip(order.values(), DISTORTIONS, strict=True)
    assert [word for word, name in pairs if word not in name] == []
