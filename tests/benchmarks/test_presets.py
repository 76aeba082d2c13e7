"""Streams of the literature."""

from __future__ import annotations

import pytest

from cliqa.benchmarks.presets import PRESETS, preset
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_every_data_set_of_a_preset_exists(name: str) -> None:
    for section in preset(name):
        assert DATASETS.get(section["type"]) is not None
        assert section["root"]


def test_the_reverse_order_is_the_reverse() -> None:
    assert preset("biqa-cl-reverse") == preset("biqa-cl")[::-1]


def test_an_unknown_preset_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"'eva-ava-konik'. Did you mean 'eva-ava-koniq'\?"):
        preset("eva-ava-konik")
