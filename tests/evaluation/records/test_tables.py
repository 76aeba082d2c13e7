"""The printed tables."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.table_styles import Table, render
from cliqa.evaluation.records.tables import (
    common_measure,
    comparison_table,
    number,
    report,
    score_table,
    summary_table,
)
from cliqa.utils.errors import EvaluationError


def run(
    scores: list[list[float | None]], measure: str = "srcc", config: str = "c.py", **more: Any
) -> Results:
    """Results with the given matrix over eva and ava; SRCC has intervals of +-0.05."""
    names = ["eva", "ava"]
    rows: list[dict[str, Any]] = []
    for t, line in enumerate(scores):
        for name, value in zip(names, line, strict=True):
            band = None if value is None else (value - 0.05, value + 0.05)
            rows.append({"experience": t, "dataset": name, measure: value, "plcc": 0.5})
            rows[-1] |= {"interval": {"srcc": band} if measure == "srcc" else {}}
            rows[-1] |= {"warnings": ["constant prediction"] if value is None else []}
    facts: dict[str, Any] = {"status": "finished", "seed": 0, "config": config, **more}
    return build_results(rows, experiences=names, datasets=names, **facts)


FORGETS = run([[0.8, 0.3], [-0.2, 0.9]], stability=[1.0, 0.5])
UNDEFINED = run([[0.8, None], [0.7, 0.9]])
JOINT = run([[0.9, 0.9]], joint=True)


def test_text_report_word_by_word() -> None:
    lines = report(FORGETS).splitlines()
    assert lines[0] == "SRCC [95 % interval]"
    assert lines[2].split() == ["eva", "ava"]
    assert lines[3] == "after eva     0.800 [0.750, 0.850]  0.300 [0.250, 0.350]"
    assert lines[4] == "after ava  -0.200 [-0.250, -0.150]  0.900 [0.850, 0.950]"
    assert "mSRCC                   0.350  final SRCC, mean over the learnt data sets" in lines
    assert "forgetting              1.000  best before the end minus final" in lines
    assert lines.count("PLCC") == 1


def test_what_is_so_after_every_experience_is_said_once() -> None:
    labels = ["after eva", "after ava"]
    few = [f"{label} on a: no interval below 10 images (there are 8)" for label in labels]
    notes = [few[0], f"{labels[0]} on b: constant prediction", few[1]]
    told = report({**FORGETS, "warnings": notes}).splitlines()
    assert told[told.index("Notes") + 1 :] == [
        f"- {notes[1]}",
        "- each time on a: no interval below 10 images (there are 8)",
    ]


def test_undefined_is_n_a_with_its_reason() -> None:
    text = report(UNDEFINED)
    assert "n/a" in text.splitlines()[3]
    assert "- after eva on ava: constant prediction" in text
    text = report(JOINT)
    assert "forgetting               n/a  joint training sees all data at once" in text
    assert "Notes" not in text  # every reason stands beside its number
    assert text.splitlines()[3].startswith("after joint training")


def test_markdown_is_a_table_that_renders() -> None:
    lines = render(score_table(FORGETS, "srcc"), "markdown").splitlines()
    assert lines[:2] == ["**SRCC [95 % interval]**", ""]
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["", "eva", "ava"]
    assert lines[3].startswith("|:-")
    assert lines[3].endswith("-:|")
    assert "| after eva |    0.800 [0.750, 0.850] | 0.300 [0.250, 0.350] |" in lines
    assert render(Table("t", ("a|b",), (("c",),)), "markdown").splitlines()[2] == r"| a\|b   |"


def test_csv_report_holds_all_digits_of_every_number() -> None:
    rows = list(csv.DictReader(io.StringIO(report(UNDEFINED, "csv"))))
    assert len(rows) == 2 * 4 + len(UNDEFINED["summary"])
    cell = {(r["measure"], r["after"], r["dataset"]): r for r in rows}
    assert float(cell["srcc", "ava", "eva"]["value"]) == 0.7
    assert float(cell["srcc", "ava", "eva"]["low"]) == 0.7 - 0.05
    assert cell["srcc", "eva", "ava"]["value"] == ""
    assert cell["plcc", "eva", "eva"]["high"] == ""
    assert float(cell["msrcc", "", ""]["value"]) == UNDEFINED["summary"]["msrcc"]


def test_csv_quotes_names_with_commas() -> None:
    text = render(Table("t", ("KonIQ (512, 384)", "b"), (("1", "2"),)), "csv")
    assert list(csv.reader(io.StringIO(text))) == [["KonIQ (512, 384)", "b"], ["1", "2"]]


def test_columns_line_up() -> None:
    text = render(Table("t", ("name", "value"), (("a", "1.0"), ("longer", "-10.0"))))
    assert text.splitlines()[2:] == ["name    value", "a         1.0", "longer  -10.0"]


def test_summary_explains_every_number() -> None:
    table = summary_table(FORGETS)
    assert [row[0] for row in table.rows][:4] == ["mSRCC", "anytime", "mpi", "msi"]
    assert all(note for _, _, note in table.rows)


def test_one_data_set_has_nothing_to_forget() -> None:
    rows: list[dict[str, Any]] = [{"experience": 0, "dataset": "mine", "srcc": 0.8, "plcc": 0.7}]
    facts: dict[str, Any] = {"status": "finished", "seed": 0, "config": "c.py"}
    single = build_results(rows, experiences=["mine"], datasets=["mine"], **facts)
    assert single["summary"]["forgetting"] is None
    assert "forgetting" not in report(single)
    assert "bwt" not in report(single)
    rows[0]["srcc"] = None  # what is wrong is still told
    wrong = build_results(rows, experiences=["mine"], datasets=["mine"], **facts)
    assert "mSRCC" in report(wrong)
    assert "n/a" in report(wrong)


def test_comparison_closes_the_gap_between_naive_and_joint() -> None:
    naive = run([[0.8, 0.3], [0.2, 0.8]], config="config/iqa_naive.py")
    middle = run([[0.8, 0.3], [0.6, 0.8]])
    table = comparison_table({"base": naive, "ours": middle, "all": JOINT})
    assert table.title == "Final SRCC"
    assert table.header == ("", "eva", "ava", "mSRCC", "forgetting", "gap closed")
    assert table.rows[0] == ("base", "0.200", "0.800", "0.500", "0.600", "0.00")
    assert table.rows[1] == ("ours", "0.600", "0.800", "0.700", "0.200", "0.50")
    assert table.rows[2] == ("all", "0.900", "0.900", "0.900", "n/a", "1.00")


def test_comparison_without_a_bracket_has_no_gap() -> None:
    table = comparison_table({"a": FORGETS, "b": UNDEFINED})
    assert table.header[-1] == "forgetting"
    two = {"naive 1": FORGETS, "naive 2": UNDEFINED, "joint": JOINT}
    assert "gap closed" not in comparison_table(two).header


def test_comparison_takes_runs_over_different_data_sets() -> None:
    other = run([[0.8, 0.3], [0.6, 0.8]])
    other["datasets"] = ["eva", "koniq"]
    table = comparison_table({"a": FORGETS, "b": other})
    assert table.header[:4] == ("", "eva", "ava", "koniq")
    assert table.rows[1][1:4] == ("0.600", "n/a", "0.800")


def test_refuses_what_cannot_be_compared_or_shown() -> None:
    with pytest.raises(EvaluationError, match="there is no run to compare"):
        comparison_table({})
    with pytest.raises(EvaluationError, match=r"cannot be compared \(a: srcc, b: accuracy\)"):
        common_measure({"a": FORGETS, "b": run([[0.5, 0.5]], "accuracy")})
    with pytest.raises(EvaluationError, match=r"no measure 'krcc'\. They have srcc, plcc"):
        score_table(FORGETS, "krcc")
    with pytest.raises(ValueError, match="style must be one of text, markdown, .*got 'rtf'"):
        report(FORGETS, "rtf")  # type: ignore[arg-type]


def test_numbers_have_no_negative_zero() -> None:
    assert [number(v) for v in (-0.0004, 0.0005001, None, -1)] == [
        "0.000",
        "0.001",
        "n/a",
        "-1.000",
    ]
