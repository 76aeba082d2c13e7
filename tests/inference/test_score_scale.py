"""Scales of a config's data sets, without the data."""

from __future__ import annotations

import pytest

from cliqa.inference.data_arguments import Scale
from cliqa.inference.score_scale import on_scale, scale_of, scales_of
from cliqa.utils.errors import ConfigError


def scenario(*datasets: dict[str, object]) -> dict[str, object]:
    return {"dataset_root": "nowhere", "datasets": list(datasets)}


def test_ranges_are_the_declared_or_the_official_ones() -> None:
    found = scales_of(
        scenario(
            {"type": "AVA", "root": "ava"},
            {"type": "KonIQ10k", "root": "k"},
            {"type": "KonIQ10k", "root": "k", "score": "distribution", "name": "ratings"},
            {"type": "LIVE", "root": "live", "score_range": (0, 110)},
            {
                "type": "ScoreFile",
                "root": "x",
                "labels": "m/mine.csv",
                "score_range": (0, 5),
                "higher_is_better": False,
            },
        )
    )
    assert found == {
        "ava": Scale(1, 10),
        "koniq": Scale(0, 100),
        "ratings": Scale(1, 5),
        "live": Scale(0, 110, higher_is_better=False),
        "mine": Scale(0, 5, higher_is_better=False),
    }


def test_a_preset_and_a_stream_of_classes() -> None:
    assert list(scales_of({"datasets": "koniq-spaq-kadid-agiqa"})) == [
        "koniq",
        "spaq",
        "kadid",
        "agiqa",
    ]
    assert scales_of({"type": "CLEAR"}) == {}


def test_scores_outside_are_clipped_and_a_dmos_is_turned_round() -> None:
    dmos = Scale(10, 30, higher_is_better=False)
    assert [on_scale(score, dmos) for score in (-0.5, 0, 0.25, 1.5)] == [30, 30, 25, 10]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"--dataset eva: the model's config has ava\. Or use"):
        scale_of(scenario({"type": "AVA", "root": "ava"}), "eva")
    with pytest.raises(ConfigError, match="has no data sets of scores"):
        scale_of({}, "eva")
