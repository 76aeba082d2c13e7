"""The panel of the queue asks once for what it shows, however much it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from cliqa.app.queue import job as job_module
from cliqa.app.queue.job import WAITING, Job
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.search import Search
from cliqa.app.settings import Settings
from cliqa.app.tabs import compress, train_queue

Functions = dict[str, Callable[..., Any]]


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """Return what the events of both panels call, by name, over a queue of five jobs."""
    jobs = Jobs(tmp_path)
    for name in ("a", "b", "c"):
        jobs.add(name, {"seed": 0}, "cpu")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        jobs.add_search(Search(name))
    found: Functions = {}
    for module in (train_queue, compress):

        def note(_: object, call: Any, *__: Any, name: str = module.__name__, **___: Any) -> None:
            found[f"{name.rpartition('.')[2]} {call.__name__}"] = call

        monkeypatch.setattr(module, "on", note)
    monkeypatch.setattr(train_queue, "after", lambda *_: None)
    monkeypatch.setattr(Settings, "path_of", lambda _, name: tmp_path / name)
    with gr.Blocks():
        train_queue.queue_panel(jobs, gr.State(""))
        compress.compress_tab(Settings(tmp_path))
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each job's state, and its file, was asked for."""
    count: Counter[str] = Counter()
    state_of, read_job = Jobs.state_of, job_module.read_job

    def state(self: Jobs, job: Job) -> str:
        count[f"state of {job.name}"] += 1
        return state_of(self, job)

    def read(path: Any) -> Job | None:
        found = read_job(path)
        if found is not None:
            count[f"file of {found.name}"] += 1
        return found

    monkeypatch.setattr(Jobs, "state_of", state)
    monkeypatch.setattr(job_module, "read_job", read)
    return count


NAMES = ("a", "b", "c", "compress_a", "compress_b")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("look", ["a"]), ("look", ["compress_b"]), ("look", [None]), ("look", [["a"]]), ("first", [])],
)
def test_a_tick_asks_once_for_each_job(
    functions: Functions, asked: Counter[str], name: str, arguments: list[Any]
) -> None:
    functions[f"train_queue {name}"](*arguments)
    each = {f"{what} of {job}" for what in ("state", "file") for job in NAMES}
    assert asked == dict.fromkeys(each, 1)


def test_figures_ask_for_no_state(functions: Functions, asked: Counter[str]) -> None:
    functions["train_queue draw"]("a")
    assert asked == {f"file of {job}": 1 for job in NAMES}


def test_the_tab_of_searches_asks_for_the_state_of_one(
    functions: Functions, asked: Counter[str]
) -> None:
    functions["compress look"]("b")
    assert asked == {"state of compress_b": 1} | {f"file of {job}": 1 for job in NAMES}


def test_what_is_shown_is_the_chosen_job(functions: Functions) -> None:
    queue, text, _, stamp, stop, resume, remove = functions["train_queue look"]("compress_b")
    assert queue.choices[0] == ("compress_b: waiting", "compress_b")  # the newest is the first
    assert f"<b>compress_b: {WAITING}.</b>" in text
    assert stamp == "compress_b|"
    assert [each.interactive for each in (stop, resume, remove)] == [True, False, True]
    assert "Choose a run of the queue." in functions["train_queue look"]({"a": 1})[1]
