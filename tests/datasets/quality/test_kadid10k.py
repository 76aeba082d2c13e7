from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.datasets.quality.kadid10k import CATEGORIES, DISTORTIONS, KADID10k


def test_scores_references_and_deviations(layout: Callable[[str], Path]) -> None:
    root = layout("KADID10k")
    table = KADID10k.read_table(root / "dmos.csv")
    assert table.images[4] == "I02_02_01.png"
    assert table.groups is not None
    assert table.groups[4] == "I02.png"
    assert table.std is not None
    assert table.std[4] == pytest.approx(0.7)
    data = KADID10k(root)
    assert data.higher_is_better  # whatever the column is called
    assert data.scores[4] == pytest.approx((table.raw[4] - 1.0) / 4.0)


def test_names_tell_distortion_category_level_and_reference(layout: Callable[[str], Path]) -> None:
    root = layout("KADID10k")
    known = KADID10k.read_table(root / "dmos.csv").attributes
    assert {name: column[4] for name, column in known.items()} == {
        "distortion": "lens blur",
        "category": "blur",
        "level": "1",
        "reference": "I02",
    }
    text = (root / "dmos.csv").read_text().replace("I01_01_01.png", "other.png")
    (root / "dmos.csv").write_text(text)
    assert KADID10k.read_table(root / "dmos.csv").attributes == {}


def test_the_official_list_is_complete() -> None:
    assert (len(DISTORTIONS), len(set(DISTORTIONS)), list(CATEGORIES)) == (25, 25, [*range(1, 26)])
    assert len(set(CATEGORIES.values())) == 7


def test_the_names_are_in_the_order_of_the_authors_code() -> None:
    # the functions of cases 1 to 25 of the authors' imdist_generator.m, and a word of each name
    order = {
        **{"imblurgauss": "gauss", "imblurlens": "lens", "imblurmotion": "motion"},
        **{
            "imcolordiffuse": "diffusion",
            "imcolorshift": "shift",
            "imcolorquantize": "color quant",
        },
        **{"imcolorsaturate": "saturation 1", "imsaturate": "saturation 2"},
        **{"imcompressjp2k": "jpeg2000", "imcompressjpeg": "jpeg"},
        **{"imnoisegauss": "white noise", "imnoisecolorcomp": "color component"},
        **{"imnoiseimpulse": "impulse", "imnoisemultiplicative": "multiplicative"},
        **{"imdenoise": "denoise", "imbrighten": "brighten", "imdarken": "darken"},
        **{"immeanshift": "mean shift", "imjitter": "jitter", "imnoneccentricity": "eccentricity"},
        **{"impixelate": "pixelate", "imnoisequantize": "quantization", "imcolorblock": "block"},
        **{"imsharpenHi": "sharpen", "imcontrastc": "contrast"},
    }
    pairs = zip(order.values(), DISTORTIONS, strict=True)
    assert [word for word, name in pairs if word not in name] == []
