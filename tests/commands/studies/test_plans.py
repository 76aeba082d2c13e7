"""What the commands of studies share: outcomes are told, and the options are the same."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cliqa.commands.studies.plans import run_plans
from cliqa.studies.backends.options import BackendOptions
from cliqa.studies.study import Failure
from cliqa.utils.arguments import STUDY
from cliqa.utils.errors import EvaluationError

FOLDERS = {
    "run_seeds": "study",
    "four_phases": "four_phases",
    "compare_pretraining": "label_study",
    "tune": "tune_",
}
TOLD = "failed: x, seed 0: no data (see x.log)\n"


class Planned:
    """A stand-in for a run."""

    log = "x.log"

    def __str__(self) -> str:
        return "x, seed 0"


def plan(*finished: bool) -> Any:
    """Return a stand-in for a plan, with runs that have finished or not."""
    return SimpleNamespace(runs=[SimpleNamespace(is_finished=lambda f=f: f) for f in finished])


def run(plans: list[Any], write: Any, tmp_path: Path) -> int:
    args = argparse.Namespace(out=tmp_path, device="cpu", allow_changed_data=False)
    return run_plans(plans, args, BackendOptions(device="cpu"), write)


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[Failure]:
    """Return the failures of every plan's runs; nothing is trained."""
    found: list[Failure] = []
    monkeypatch.setattr("cliqa.studies.study.run_study", lambda *_, **__: list(found))
    return found


def test_the_table_and_its_files_are_printed(
    failures: list[Failure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures == []
    assert run([plan(True), plan(True)], lambda: ("table", [Path("a.md")]), tmp_path) == 0
    assert capsys.readouterr() == ("table\na.md\n", "")


def test_failed_runs_are_told_after_the_table_of_the_others(
    failures: list[Failure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failures.append(Failure(Planned(), "no data"))  # type: ignore[arg-type]
    assert run([plan(False), plan(True)], lambda: ("table", []), tmp_path) == 1
    assert capsys.readouterr() == ("table\n", TOLD * 2)


def test_failed_runs_are_told_where_there_is_no_table(
    failures: list[Failure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failures.append(Failure(Planned(), "no data"))  # type: ignore[arg-type]

    def write() -> Any:
        raise EvaluationError("nothing has finished in both")

    assert run([plan(False)], write, tmp_path) == 1  # nothing to sum up
    with pytest.raises(EvaluationError):
        run([plan(True)], write, tmp_path)
    assert capsys.readouterr() == ("", TOLD * 2)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_study_has_the_same_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"cliqa.commands.studies.{name}")
    with pytest.raises(SystemExit):
        module.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in (*STUDY, "--seeds", "--out"):
        assert f"{option} " in text
    assert f"(default: work_dirs/{FOLDERS[name]}" in text
    assert ("--dry-run train nothing" in text) == (name in ("run_seeds", "four_phases"))
