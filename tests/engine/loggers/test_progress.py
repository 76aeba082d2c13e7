"""Bars on a terminal, silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tqdm import tqdm

from cliqa.engine.loggers import progress
from cliqa.engine.loggers.progress import ProgressBar, with_progress

Trained = Callable[[list[Any]], dict[str, Any]]


def test_progress_bar_is_silent_where_there_is_no_terminal(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    trained([ProgressBar()])
    assert capsys.readouterr().err == ""


def test_progress_bar_shows_the_loss_on_a_terminal(
    trained: Trained,
    recwarn: pytest.WarningsRecorder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    monkeypatch.setattr("cliqa.utils.progress.tqdm", partial(tqdm, mininterval=0))
    trained([ProgressBar()])
    shown = capsys.readouterr().err
    assert "train a epoch 1/1" in shown
    assert "evaluate c" in shown
    assert "loss 0." in shown
    assert "4/4" in shown
    assert "validate" not in shown
    assert not [w for w in recwarn if "requires_grad" in str(w.message)]


def test_progress_is_counted_once_and_without_bars_where_none_are_asked_for(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ProgressBar()
    assert with_progress([own]) == [own]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    trained(with_progress([]))
    assert capsys.readouterr().err == ""
