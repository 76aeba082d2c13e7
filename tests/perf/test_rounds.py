import pytest

from perf.rounds import pairs, print_row, spread, take_turns


def test_arms_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    now = iter(range(100))
    seconds = take_turns(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        rounds=2,
        clock=lambda: float(next(now)),
    )
    assert calls == ["a", "b"] * 3
    assert seconds == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_ratios_are_taken_round_by_round() -> None:
    assert pairs({"a": [2.0, 9.0], "b": [1.0, 3.0]}, "a", "b") == [2.0, 3.0]
    assert spread([1.0, 3.0, 2.0]) == "2.00 (1.00 .. 3.00)"


def test_a_row_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    print_row("loop", "perf/x.py", "1.02")
    assert capsys.readouterr().out == "| loop | `perf/x.py` | 1.02 |\n"
