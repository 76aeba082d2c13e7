"""Work done ahead by threads."""

from __future__ import annotations

import threading

import pytest

from cliqa.utils.threads.ahead import ahead, default_threads


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_and_few_wait(threads: int) -> None:
    begun: list[int] = []

    def square(number: int) -> int:
        begun.append(number)
        return number * number

    for place, found in enumerate(ahead(square, iter(range(40)), threads)):
        assert found == place * place
        assert len(begun) <= place + 1 + 4 * threads
    assert sorted(begun) == list(range(40))


def test_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    assert len(list(ahead(lambda _: both.wait(), range(4), 2))) == 4


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_reaches_its_place(threads: int) -> None:
    results = ahead(lambda number: 1 // number, [2, 1, 0, 1], threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_few_images_need_no_threads() -> None:
    assert default_threads(3) == 0
    assert 1 <= default_threads(1000) <= 8
