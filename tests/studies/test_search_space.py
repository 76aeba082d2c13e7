"""What a tuning may try: ranges, choices, and mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.studies.search_space import Choice, Interval, read_space
from cliqa.utils.errors import ConfigError


def test_ranges_and_choices() -> None:
    space = read_space(
        [
            "a.lr=log(1e-4, 1e-2)",
            "a.epochs=int(2,8)",
            "a.x= uniform(0, 1.5)",
            "a.mode=[one, dict(k=1, l=2), 'x,y']",
        ]
    )
    assert space == {
        "a.lr": Interval(1e-4, 1e-2, log=True),
        "a.epochs": Interval(2, 8, whole=True),
        "a.x": Interval(0, 1.5),
        "a.mode": Choice(("one", "dict(k=1, l=2)", "'x,y'")),
    }
    written = ["log(0.0001, 0.01)", "int(2, 8)", "uniform(0, 1.5)", "[one, dict(k=1, l=2), 'x,y']"]
    assert [str(rule) for rule in space.values()] == written
    assert read_space([f"{key}={rule}" for key, rule in space.items()]) == space


def test_a_file_has_the_same_and_the_command_line_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "space.py"
    file.write_text('tune = {"a.s": "log(1, 9)", "a.m": ["x", "y"], "a.n": [1, 2.5]}\n')
    space = read_space(["a.s=int(2, 3)"], file)
    expected = {"a.s": "int(2, 3)", "a.m": "[x, y]", "a.n": "[1, 2.5]"}
    assert {key: str(rule) for key, rule in space.items()} == expected


def test_values_have_few_digits_and_stay_inside() -> None:
    rule = Interval(0.123456, 10.0)
    assert rule.rounded(3.14159265) == 3.142
    assert Interval(0.123456, 10.0).rounded(0.1234561) == 0.1235
    assert Interval(0.12344, 0.12346).rounded(0.12345) in (0.12344, 0.12346)  # not outside
    assert Interval(1, 9, whole=True).rounded(4.0) == 4
    assert isinstance(Interval(1, 9, whole=True).rounded(4.0), int)
    assert [rule.holds(value) for value in (1, 11.0, "x", True, None)] == [True, *[False] * 4]
    assert Choice(("1", "b")).holds(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "nothing to tune: give --search 'cl_strategy"),
        (["a.s"], r"--search a\.s: expected KEY=log\(LOW, HIGH\)"),
        (["a.s=5"], r"--search a\.s=5: is no range\. Write KEY=log\(LOW, HIGH\)"),
        (["a.s=1..9"], r"--search a\.s=1\.\.9: is no range\. Write KEY=log\(LOW, HIGH\)"),
        (["a.s=lin(1, 9)"], r"--search a\.s=lin\(1, 9\): is no range"),
        (["a.s=log(1)"], r"--search a\.s=log\(1\): is no range"),
        (["a.s=log(x, 9)"], r"log\(x, 9\): LOW and HIGH must be numbers, as in log\(1, 1e6\)"),
        (["a.s=int(1, 2.5)"], r"int\(1, 2\.5\): both ends must be integers"),
        (["a.s=uniform(9, 1)"], r"LOW must be below HIGH"),
        (["a.s=uniform(1, 1)"], r"LOW must be below HIGH"),
        (["a.s=uniform(1, inf)"], r"LOW must be below HIGH, both finite"),
        (["a.s=log(0, 1)"], r"LOW must be above 0 for a logarithm"),
        (["a.s=[x]"], r"--search a\.s: name two values or more, each once"),
        (["a.s=[x, x]"], r"--search a\.s: name two values or more, each once"),
        (["a.s=int(9, 1)", "a.t=5"], r"(?s)a\.s=int\(9, 1\).*a\.t=5"),
    ],
)
def test_mistakes(given: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_space(given)


def test_a_file_without_a_space(tmp_path: Path) -> None:
    file = tmp_path / "space.py"
    file.write_text("seed = 1\n")
    with pytest.raises(ConfigError, match=r"space\.py: has no dict 'tune'"):
        read_space([], file)
    file.write_text('tune = {"a.s": 3}\n')
    with pytest.raises(ConfigError, match=r"--search a\.s: 3 is no range"):
        read_space([], file)
