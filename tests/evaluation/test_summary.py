"""Summary numbers: their names, and the reasons of those that are not defined."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.evaluation import matrix
from cliqa.evaluation.summary import JOINT, MEANINGS, mean_name, summarize

R = [[0.8, 0.3], [0.7, 0.9]]


def test_quality_stream_has_the_names_of_the_field() -> None:
    found = summarize(R, stability=[1.0, 0.6])
    assert found.values == {
        "msrcc": pytest.approx(0.8),
        "anytime": pytest.approx(0.8),
        "mpi": pytest.approx(0.85),
        "msi": pytest.approx(0.8),
        "mpsi": pytest.approx((0.85 + 0.8) / 2),
        "bwt": pytest.approx(-0.1),
        "forgetting": pytest.approx(0.1),
        "forgetting_from_first": pytest.approx(0.1),
    }
    assert found.reasons == {}


def test_classes_have_an_average_and_a_learning_accuracy() -> None:
    found = summarize(R, "accuracy")
    assert found.values["average_accuracy"] == pytest.approx(0.8)
    assert found.values["learning_accuracy"] == pytest.approx(0.85)
    assert not {"msi", "mpsi"} & set(found.values)


def test_unseen_comes_where_it_applies() -> None:
    found = summarize([[0.8, 0.3, 0.5], [0.7, 0.9, 0.6]])
    assert found.values["unseen"] == 0.6
    assert found.values["msrcc"] == pytest.approx(0.8)


def test_joint_training_has_a_final_mean_alone() -> None:
    found = summarize([[0.8, 0.6]], joint=True)
    assert found.values["msrcc"] == pytest.approx(0.7)
    assert {name for name, value in found.values.items() if value is None} == {
        "anytime",
        "mpi",
        "msi",
        "mpsi",
        "bwt",
        "forgetting",
        "forgetting_from_first",
    }
    assert set(found.reasons.values()) == {JOINT}


def test_reasons_speak_the_streams_names() -> None:
    scores = np.array(R)
    scores[1, 0] = np.nan
    named = summarize(scores, experiences=["first", "second"], datasets=["eva", "ava"])
    assert named.reasons["bwt"] == "it is not defined after second on eva"
    assert named.reasons["msi"] == "it needs the predictions of every experience"
    assert summarize(scores).reasons["bwt"] == "R[1, 0] is not defined"
    assert set(named.reasons) == {name for name, value in named.values.items() if value is None}


def test_every_number_is_explained() -> None:
    quality = summarize([[0.8, 0.3, 0.5]])
    classes = summarize(R, "accuracy")
    assert set(quality.values) | set(classes.values) <= set(MEANINGS)


def test_final_mean_name() -> None:
    assert (mean_name("srcc"), mean_name("accuracy")) == ("msrcc", "average_accuracy")
    assert summarize(R).values[mean_name("srcc")] == matrix.final_mean(R).value
