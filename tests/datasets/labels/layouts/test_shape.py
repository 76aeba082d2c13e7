from __future__ import annotations

import pytest

from cliqa.datasets.labels.layouts.shape import guess_delimiter, parted


@pytest.mark.parametrize(
    ("lines", "sign"),
    [
        (["a.jpg;3,5", "b.jpg;4"], ";"),
        (["a, b.jpg\t3,5", "c.jpg\t4"], "\t"),
        (["a.jpg, 3.5", "b c.jpg, 4"], ","),
        (["image  score", "a.jpg  3"], " "),
        (["image=score=x", "1=2=a,b"], "="),
        (['"a;b.jpg",3', "c.jpg,4"], ","),
        (["one"], ","),
    ],
)
def test_the_sign_between_columns(lines: list[str], sign: str) -> None:
    assert guess_delimiter(lines, ()) == sign


def test_known_names_and_counts_tell_it() -> None:
    lines = ["image;note, long;score", "a.jpg;x, y;3"]
    assert guess_delimiter(lines, ("image", "score")) == ";"
    assert guess_delimiter(["a b.jpg,1;2", "c d.jpg,3;4"], (), 3) == ","
    assert guess_delimiter(["a b 1", "c d 2"], (), 3) == " "


def test_a_cell_without_end_is_no_row() -> None:
    line = "x" * 200_000
    assert parted(line, ",") == [line]
