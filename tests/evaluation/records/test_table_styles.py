"""Tables in every style: what a style takes as a command is escaped."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import get_args

import pytest

from cliqa.evaluation.records.table_styles import (
    STYLES,
    SUFFIXES,
    Style,
    Table,
    noted,
    render,
    render_notes,
)

ODD = "a_b & <i>50 %</i> {x} #1 $y$ ~z^2 \\cite"
TABLE = Table("SRCC & ± <b>", ("", "n_1", "c|d"), ((ODD, "0.5 ±0.1", "n/a"), ("e", "1", "2")))


class Cells(HTMLParser):
    """Collects the text of cells, and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th", "caption"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_every_style_has_a_file() -> None:
    assert set(SUFFIXES) == set(get_args(Style))
    assert STYLES[".tex"] == "latex"


def test_html_holds_the_cells_as_text() -> None:
    found = Cells(render(TABLE, "html"))
    assert found.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    cells = [cell.strip() for cell in found.cells]
    assert cells == ["SRCC & ± <b>", "", "n_1", "c|d", ODD, "0.5 ±0.1", "n/a", "e", "1", "2"]
    assert Cells(render_notes([ODD], "html")).tags == {"ul", "li"}


def test_latex_is_a_table_in_which_nothing_is_a_command() -> None:
    lines = render(TABLE, "latex").splitlines()
    assert lines[:4] == [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{SRCC \& $\pm$ \textless{}b\textgreater{}}",
    ]
    assert lines[4] == r"\begin{tabular}{lrr}"
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\bottomrule"]
    cells = [cell.strip() for cell in lines[8].removesuffix(r"\\").split(" & ")]
    assert cells[0].endswith(r"\textasciitilde{}z\textasciicircum{}2 \textbackslash{}cite")
    assert r"a\_b \& \textless{}i\textgreater{}50 \%" in lines[8]
    assert r"\{x\} \#1 \$y\$" in lines[8]
    assert [cell.strip() for cell in cells[1:]] == [r"0.5 $\pm$0.1", "n/a"]
    assert lines[-2:] == [r"\end{tabular}", r"\end{table}"]
    assert render_notes(["a\nb"], "latex") == "% a\n% b\n"


def test_csv_is_read_back() -> None:
    rows = list(csv.reader(io.StringIO(render(TABLE, "csv"))))
    assert rows == [list(TABLE.header), *map(list, TABLE.rows)]


@pytest.mark.parametrize(("style", "start"), [("text", "Notes\n- a"), ("latex", "% a")])
def test_notes_have_a_head_where_people_read_them(style: Style, start: str) -> None:
    assert noted(["a"], style).startswith(start)
