"""Options of backends: one backend's with another, and what cannot work, before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from cliqa.studies.backends.local import Local
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import BACKEND, add_arguments
from cliqa.utils.errors import ConfigError


def options(*words: str) -> BackendOptions:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, *BACKEND, "--device")
    return BackendOptions.of(parser.parse_args(words))


def test_a_study_runs_here_one_after_the_other_by_default(tmp_path: Path) -> None:
    with options().opened(tmp_path) as backend:
        assert isinstance(backend, Local)
        assert backend.parallel == 1
    with options("--jobs", "3", "--device", "cpu").opened(tmp_path) as backend:
        assert backend.parallel == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--device gpu", r"--device gpu: unknown device\. Use auto, cpu, cuda or cuda:N"),
        ("--backend ray --device gpu", r"--device gpu: unknown device"),
        ("--jobs 0", r"--jobs 0: must be at least 1"),
        ("--backend ray --cpus-per-run 0", r"--cpus-per-run 0: must be at least 1"),
        ("--backend ray --gpus-per-run -1", r"--gpus-per-run -1: must be at least 0"),
        ("--backend ray --gpus-per-run 1.5", r"1\.5: give a fraction below 1 or a whole number"),
        ("--backend submitit --gpus-per-run .5", r"--gpus-per-run 0\.5: give a whole number"),
        ("--address auto", r"--address: belongs to --backend ray, not to local"),
        ("--cpus-per-run 2", r"--cpus-per-run: belongs to --backend ray or submitit, not to local"),
        ("--backend submitit --storage s3://x", r"--storage: belongs to --backend ray"),
        ("--backend ray --slurm time=3", r"--slurm: belongs to --backend submitit, not to ray"),
        ("--backend ray --device cuda:1", r"--device cuda:1: --backend ray chooses the GPU"),
    ],
)
def test_options_that_do_not_go_together(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options(*words.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--slurm time", r"--slurm time: expected KEY=VALUE"),
        ("--slurm executor=pbs", r"--slurm executor=pbs: choose one of slurm, local"),
        ("--slurm executor=local nodes=2", r"--slurm nodes: a run is one task on one node"),
        ("--slurm executor=local time=soon", r"--slurm time=soon: give minutes"),
        ("--slurm executor=local gpus_per_node=x", r"gpus_per_node=x: expected a whole number"),
        ("--gpus-per-run 1 --slurm executor=local gpus_per_node=1", r"say the same\. Give one"),
        ("--slurm partition=gpu", r"there is no sbatch here.*--slurm executor=local"),
    ],
)
def test_parameters_of_slurm_that_cannot_work(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    chosen = options("--backend", "submitit", *words.split())
    with pytest.raises(ConfigError, match=message), chosen.opened(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_slurm_needs_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/sbatch")
    chosen = options("--backend", "submitit", "--slurm", "partition=gpu")
    with pytest.raises(ConfigError, match=r"give the time of a job, e\.g\. time=240"):
        chosen.opened(tmp_path).__enter__()


@pytest.mark.parametrize(("backend", "name"), [("ray", "ray"), ("submitit", "submitit")])
def test_a_missing_library_is_told_with_its_extra(
    backend: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    extra = {"ray": "ray", "submitit": "slurm"}[backend]
    message = rf'{name} cannot be imported .*pip install -e "\.\[{extra}\]"'
    with pytest.raises(ConfigError, match=message), options("--backend", backend).opened(tmp_path):
        pass


def test_what_a_run_asks_for_reaches_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Opened:
        def __init__(self, wanted: Any, out: Path) -> None:  # noqa: ANN401
            asked.extend([wanted, out])

        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("cliqa.studies.backends.options.connected", Opened)
    words = "--backend ray --address h:1 --gpus-per-run .5 --cpus-per-run 2 --storage memory://x"
    with options(*words.split()).opened(tmp_path):
        pass
    wanted, out = asked
    assert out == tmp_path
    found = (wanted.address, wanted.gpus, wanted.cpus, wanted.jobs, wanted.storage)
    assert found == ("h:1", 0.5, 2, None, "memory://x")
    asked.clear()
    with options("--backend", "ray", "--device", "cpu").opened(tmp_path):
        assert asked[0].gpus == 0  # an unasked GPU would be wasted
