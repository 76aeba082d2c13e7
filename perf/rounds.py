"""Timing several ways of doing the same in turns, so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

ROUNDS = 7

Seconds = dict[str, list[float]]
"""By arm, the seconds of each round."""


def take_turns(
    arms: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.process_time,
) -> Seconds:
    """Run all arms once in every round, A B A B, and return what each took.

    Args:
        arms: What is compared, by name.
        rounds: How often; one more round comes first, which fills caches and does not count.
        clock: `time.process_time` for the CPU time of this process, `time.perf_counter` for wall
            time.
    """
    seconds: Seconds = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, run in arms.items():
            started = clock()
            run()
            if turn:
                seconds[name].append(clock() - started)
    return seconds


def pairs(seconds: Seconds, slower: str, faster: str) -> list[float]:
    """Return how many times as long one arm took as another, round by round."""
    return [a / b for a, b in zip(seconds[slower], seconds[faster], strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median with the smallest and the largest: ``"1.02 (0.98 .. 1.07)"``."""
    least, most = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({least:.{digits}f} .. {most:.{digits}f})"


def print_row(what: str, command: str, measured: str) -> None:
    """Print a row of the table of speeds in docs/results.md.

    Args:
        what: What is measured, in few words.
        command: The command that measures it, as typed.
        measured: The figures, with what they are compared with.
    """
    print(f"| {what} | `{command}` | {measured} |")
