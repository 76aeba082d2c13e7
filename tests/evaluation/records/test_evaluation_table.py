"""Tables over several evaluated models."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from cliqa.evaluation.comparison import compare_evaluations
from cliqa.evaluation.records.eval_results import (
    comparison_lines,
    comparison_verdict,
    evaluation_report,
    measures_table,
)
from cliqa.evaluation.records.table_styles import render


def evaluation(srcc: float | None, shift: int = 0, step: str = "ToTensor") -> dict[str, Any]:
    """Return a made-up evaluation over the data sets d and, without shift, e."""
    measures = {"srcc": srcc, "plcc": 0.5, "plcc_fit": None, "krcc": 0.25, "rmse": 0.125}
    interval = {"srcc": [0.25, 0.75]}
    metrics: dict[str, Any] = {**measures, "n": 20, "interval": interval, "warnings": []}
    rows = [
        {"image": f"{k}.jpg", "prediction": (k + shift * (k % 3)) / 40, "target": k / 20}
        for k in range(20)
    ]
    data = {"metrics": metrics, "predictions": rows}
    datasets = {"d": data} if shift else {"d": data, "e": data}
    shown = {"shown": "crops grid:2x2", "preprocessing": [{"type": step}], "split": "test"}
    return {"protocol": shown, "datasets": datasets}


def test_a_line_a_data_set_and_model() -> None:
    models = {"x": evaluation(0.5), "y": evaluation(None, 3)}
    lines = render(measures_table(models)).splitlines()
    rest = ["0.250..0.750", "0.500", "n/a", "0.250", "0.125"]
    assert [line.split() for line in lines[3:]] == [
        ["d", "x", "20", "0.500", *rest],
        ["d", "y", "20", "n/a", *rest],
        ["e", "x", "20", "0.500", *rest],
    ]


def test_the_comparison_tells_who_is_better() -> None:
    models = {"x": evaluation(0.5), "y": evaluation(0.4, 9)}
    (row,) = comparison_lines(compare_evaluations(models)).rows
    assert row[:3] == ("d", "x", "y")
    assert row[3].startswith("+0.")
    assert row[4].startswith("+0.")
    assert row[-1] == "A is better"
    (row,) = comparison_lines(compare_evaluations(dict(reversed(models.items())))).rows
    assert row[3].startswith("-0.")
    assert row[-1] == "B is better"


def test_verdicts() -> None:
    assert comparison_verdict({"interval": None, "note": None, "n": 4}) == "too few images (4)"
    found = comparison_verdict({"interval": [-0.1, 0.1], "note": "the models differ", "n": 40})
    assert found == "no difference shown; the models differ"


def test_a_pair_without_comparison_tells_why() -> None:
    models = {"x": evaluation(0.5), "y": evaluation(0.4)}
    models["y"]["datasets"]["d"]["predictions"][3]["image"] = "other.jpg"
    for row in comparison_lines(compare_evaluations(models)).rows:
        assert row[3:6] == ("n/a", "n/a", "n/a")
        assert row[6].startswith("not compared: the two were measured on different images")


def test_notes() -> None:
    models = {"x": evaluation(0.5), "y": evaluation(0.4, 3, step="Resize")}
    models["y"]["datasets"]["d"]["metrics"]["warnings"] = ["few images"]
    text = evaluation_report(models, compare_evaluations(models), "markdown")
    assert "| data set | model | n | SRCC | 95 % |" in " ".join(text.split())
    assert "**Paired bootstrap over images: difference of SRCC**" in text
    assert "- protocol: crops grid:2x2; split test" in text
    assert "- the models saw the images in different ways" in text
    assert "- y, d: few images" in text
    assert "by chance alone" not in text
    one = evaluation_report({"x": models["x"]}, [])
    assert "different ways" not in one
    assert "Paired" not in one
    many = {name: evaluation(0.5) for name in "vwx"}
    text = evaluation_report(many, compare_evaluations(many))
    assert "- 6 comparisons at 95 %: 0.3 of them are expected" in text


def test_csv_has_every_number_in_full() -> None:
    models = {"x": evaluation(1 / 3), "y": evaluation(None, 9)}
    comparisons = compare_evaluations(models)
    rows = list(csv.DictReader(io.StringIO(evaluation_report(models, comparisons, "csv"))))
    by_place = {(row["dataset"], row["model"], row["measure"]): row for row in rows}
    assert float(by_place["e", "x", "srcc"]["value"]) == 1 / 3
    assert (by_place["d", "x", "srcc"]["low"], by_place["d", "x", "plcc"]["low"]) == ("0.25", "")
    assert by_place["d", "y", "srcc"]["value"] == ""
    difference = by_place["d", "x - y", "srcc"]
    assert float(difference["value"]) == comparisons[0]["difference"]
    assert float(difference["high"]) == comparisons[0]["interval"][1]
    assert (difference["n"], float(difference["p_value"])) == ("20", comparisons[0]["p_value"])


def test_classifiers() -> None:
    models = {"x": evaluation(0.5)}
    metrics = {"accuracy": 0.5, "accuracy_task_il": 0.75, "n": 8, "warnings": []}
    models["x"]["datasets"] = {"0+1": {"metrics": metrics, "predictions": []}}
    table = measures_table(models)
    assert table.header == ("data set", "model", "n", "accuracy", "95 %", "task-IL")
    assert table.rows == (("0+1", "x", "8", "0.500", "n/a", "0.750"),)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="style must be"):
        evaluation_report({"x": evaluation(0.5)}, [], "rtf")  # type: ignore[arg-type]
