"""Dynamic batches: which images share one, what waits, and what is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cliqa.inference.scores import Score
from cliqa.serve.batching import Batcher, QueueFullError, Ticket
from cliqa.serve.scorer import INTERNAL

WAIT = 10.0


class Model:
    """A model whose score is an image's length; it notes its batches and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()

    def prepare(self, name: str, data: bytes) -> Any:
        if data == b"bug":
            raise ZeroDivisionError
        return Path(name), data, "no image" if data == b"bad" else None

    def score(self, samples: Sequence[Any]) -> list[Score]:
        self.batches.append([str(path) for path, _, _ in samples])
        self.began.set()
        assert self.go.wait(WAIT)
        return [Score(path, float(len(data))) for path, data, _ in samples]


Make = Callable[..., tuple[Model, Batcher]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes a model with its queue."""
    with ExitStack() as stack:

        def start(batch_size: int = 4, max_wait: float = 0.0, limit: int = 8, **how: Any) -> Any:
            model = Model()
            batcher = Batcher(model, batch_size, max_wait, limit, **how)  # type: ignore[arg-type]
            stack.callback(batcher.close)
            stack.callback(model.go.set)
            return model, batcher

        yield start


def ask(batcher: Batcher, *images: tuple[str, bytes]) -> tuple[Ticket, threading.Event]:
    """Put images into the queue; return their ticket and the event of their end."""
    done = threading.Event()
    return batcher.submit(images, done.set), done


def test_results_come_in_the_order_of_the_images(make: Make) -> None:
    _, batcher = make()
    ticket, done = ask(batcher, *((str(k), b"x" * k) for k in range(1, 8)))
    assert done.wait(WAIT)
    assert [row and row.score for row in ticket.results] == [1, 2, 3, 4, 5, 6, 7]
    assert batcher.waiting == 0


def test_images_of_many_requests_share_a_batch_in_the_order_of_their_arrival(make: Make) -> None:
    sizes: list[int] = []
    model, batcher = make(max_wait=WAIT, readers=1, observe=sizes.append)
    asked = [ask(batcher, (str(k), b"x")) for k in range(4)]  # the batch is full: nobody waits
    assert all(done.wait(WAIT) for _, done in asked)
    assert model.batches == [["0", "1", "2", "3"]]
    assert sizes == [4]


def test_what_waits_while_the_model_works_is_the_next_batch(make: Make) -> None:
    model, batcher = make(batch_size=3)
    model.go.clear()
    asked = [ask(batcher, ("0", b"x"))]
    assert model.began.wait(WAIT)
    asked += [ask(batcher, (str(k), b"x")) for k in range(1, 6)]
    while len(batcher._ready) < 5:
        time.sleep(0.001)
    model.go.set()
    assert all(done.wait(WAIT) for _, done in asked)
    assert model.batches == [["0"], ["1", "2", "3"], ["4", "5"]]


def test_an_image_waits_no_longer_than_it_may(make: Make) -> None:
    model, batcher = make(max_wait=0.01)
    ticket, done = ask(batcher, ("0", b"xx"))
    assert done.wait(WAIT)
    assert ticket.results == [Score(Path("0"), 2.0)]


def test_a_full_queue_takes_all_or_nothing(make: Make) -> None:
    model, batcher = make(limit=4)
    model.go.clear()
    _, first = ask(batcher, *((str(k), b"x") for k in range(3)))
    with pytest.raises(QueueFullError):
        ask(batcher, ("a", b"x"), ("b", b"x"))
    assert batcher.waiting == 3
    _, second = ask(batcher, ("c", b"x"))
    model.go.set()
    assert first.wait(WAIT)
    assert second.wait(WAIT)


def test_errors_of_one_image_leave_the_others_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    _, batcher = make()
    ticket, done = ask(batcher, ("a", b"x"), ("b", b"bad"), ("c", b"bug"), ("d", b"xx"))
    assert done.wait(WAIT)
    assert [row and (row.score, row.error) for row in ticket.results] == [
        (1.0, None),
        (None, "no image"),
        (None, INTERNAL),
        (2.0, None),
    ]
    assert "ZeroDivisionError" in caplog.text


def test_what_is_cancelled_is_not_computed_and_nothing_else_is_lost(make: Make) -> None:
    model, batcher = make(batch_size=2)
    model.go.clear()
    _, first = ask(batcher, ("0", b"x"))
    assert model.began.wait(WAIT)
    gone, _ = ask(batcher, ("1", b"x"), ("2", b"x"))
    stays, done = ask(batcher, ("3", b"xxx"))
    while len(batcher._ready) < 3:
        time.sleep(0.001)
    batcher.cancel(gone)
    assert batcher.waiting == 2
    model.go.set()
    assert first.wait(WAIT)
    assert done.wait(WAIT)
    assert model.batches == [["0"], ["3"]]
    assert stays.results == [Score(Path("3"), 3.0)]


def test_at_the_end_what_is_in_the_queue_is_answered(make: Make) -> None:
    model, batcher = make(max_wait=WAIT)
    _, done = ask(batcher, ("0", b"x"))
    batcher.close()
    assert done.is_set()
    with pytest.raises(QueueFullError):
        ask(batcher, ("1", b"x"))
