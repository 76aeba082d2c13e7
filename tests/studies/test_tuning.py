"""A tuning over stand-ins for training: which values, how many, stopped and continued."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config, load_config
from cliqa.engine.interrupts import Interrupted
from cliqa.studies.planned_run import PlannedRun
from cliqa.studies.search_space import Space, read_space
from cliqa.studies.trial import Trial, best_of
from cliqa.studies.tuning import Tuning, run_tuning
from cliqa.studies.tuning_files import load_trials, save_trials, write_tuning
from cliqa.utils.errors import ArtifactError, ConfigError, EvaluationError

pytest.importorskip("optuna")


@pytest.fixture
def tuning(tmp_path: Path, tiny_config: dict[str, Any]) -> Tuning:
    """Return a tuning of six trials."""
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type="L2", strength=10.0)
    dump_config(tiny_config, tmp_path / "tiny_l2.py")
    space = read_space(["cl_strategy.strength=log(1e-2, 1e4)"])
    tuning = Tuning(tmp_path / "tiny_l2.py", tmp_path / "out", space, trials=6)
    tuning.out.mkdir()
    return tuning


class Work:
    """Stands in for training and measuring: best at a strength of 100.

    Args:
        stop: Be interrupted at the start of this run.
        fail: Fail in this run.
    """

    def __init__(self, stop: int = -1, fail: int = -1) -> None:
        self.trained: list[str] = []
        self.stop, self.fail = stop, fail

    def train(self, runs: Sequence[PlannedRun], experience: int) -> dict[Path, str]:
        failed = {}
        for run in runs:
            if len(self.trained) == self.stop:
                raise Interrupted(2, "")
            if len(self.trained) == self.fail:
                failed[run.folder] = "the loss became nan"
            self.trained.append(f"{run}, experience {experience}")
        return failed

    def measure(self, run: PlannedRun, experience: int) -> dict[str, float]:
        strength = run.config["cl_strategy"]["strength"]
        value = -((math.log10(strength) - 2) ** 2) + 0.01 * run.replicate.seed
        return {"a": value, "b": value + 0.2} if experience > 1 else {"a": value + 0.5}


def tuned(tuning: Tuning, work: Work) -> list[Trial]:
    """Run a tuning with what lies in its folder."""
    trials = load_trials(tuning)
    run_tuning(tuning, trials, work.train, work.measure, lambda all: save_trials(tuning, all))
    return trials


def told(trials: Sequence[Trial]) -> list[Any]:
    return [(trial.values, trial.reached, trial.state) for trial in trials]


def test_the_configs_own_values_come_first_and_the_best_is_written(tuning: Tuning) -> None:
    work = Work()
    trials = tuned(tuning, work)
    assert len(work.trained) == len(trials) == 6
    assert trials[0].values == {"cl_strategy.strength": 10.0}
    assert trials[0].reached == {"0": {"a": -1.0, "b": -0.8}}
    assert trials[0].mean == pytest.approx(-0.9)
    best, files = write_tuning(tuning, trials)
    assert best is max(trials, key=lambda trial: trial.mean or -9)
    assert [f.name for f in files] == [
        *("tune.json", "best.py", "trials.md", "trials.csv", "trials.png")
    ]
    assert len(files[1].read_text().splitlines()) == 3
    found = load_config(files[1])
    expected = load_config(tuning.file)
    expected["cl_strategy"]["strength"] = best.values["cl_strategy.strength"]
    assert found == expected
    lines = files[3].read_text().splitlines()
    assert lines[0] == "trial,mean,a,b,cl_strategy.strength,state"
    assert lines[1].startswith(f"{best.number},")
    assert len(lines) == 7
    assert files[4].stat().st_size > 1000


def test_a_start_outside_the_space_is_drawn(tuning: Tuning) -> None:
    space = read_space(["cl_strategy.strength=log(1e2, 1e3)"])
    trials = tuned(replace(tuning, space=space, trials=1), Work())
    assert 1e2 <= trials[0].values["cl_strategy.strength"] <= 1e3


@pytest.mark.parametrize("stop", [0, 1, 4])
def test_a_stopped_tuning_ends_as_an_uninterrupted_one(
    stop: int, tuning: Tuning, tmp_path: Path
) -> None:
    both = replace(tuning, seeds=(0, 7), trials=4)
    whole = tuned(replace(both, out=tmp_path / "whole"), Work())
    with pytest.raises(Interrupted):
        tuned(both, Work(stop=stop))
    work = Work()
    assert told(tuned(both, work)) == told(whole)
    assert len(work.trained) <= 8 - stop + 1  # what was measured is kept
    assert told(tuned(replace(both, trials=6), Work()))[:4] == told(whole)  # more of them


def test_failed_runs_and_measures_are_told_and_left_out(
    tuning: Tuning, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(fail=1)
    trials = tuned(tuning, work)
    assert (trials[1].state, trials[1].reason) == ("failed", "the loss became nan")
    assert len(trials) == 6
    assert "trial_001, seed 0: the loss became nan" in caplog.text
    assert best_of(trials).number != 1
    _, files = write_tuning(tuning, trials)
    assert files[2].read_text().splitlines()[-1].rstrip(" |").endswith("failed")

    def undefined(_: PlannedRun, __: int) -> dict[str, float]:
        raise EvaluationError("srcc on a: constant prediction")

    work.measure = undefined  # type: ignore[method-assign, assignment]
    trials = tuned(replace(tuning, out=tuning.out / "other", trials=2), work)
    assert [trial.reason for trial in trials] == ["srcc on a: constant prediction"] * 2
    with pytest.raises(ArtifactError, match="no trial has finished"):
        best_of(trials)


def test_a_run_that_was_killed_goes_on(tuning: Tuning) -> None:
    trials = [Trial(0, {"cl_strategy.strength": 5.0}, state="failed", reason="killed by SIGKILL")]
    save_trials(tuning, trials)
    work = Work()
    found = tuned(replace(tuning, trials=1), work)
    assert (found[0].state, found[0].values) == ("finished", {"cl_strategy.strength": 5.0})
    assert work.trained == ["trial_000, seed 0, experience 2"]


@pytest.fixture
def plain_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw by all that a sampler is told, and check no config: both take most of the time."""

    def draw(space: Space, past: Sequence[Any], seed: int) -> dict[str, Any]:
        return {key: 10 ** random.Random(f"{past} {seed}").uniform(-2, 4) for key in space}

    monkeypatch.setattr("cliqa.studies.tuning.draw", draw)
    monkeypatch.setattr("cliqa.studies.tuning.check_config", lambda config: config)


@pytest.mark.usefixtures("plain_draws")
def test_a_stopped_tuning_with_pruning_ends_as_an_uninterrupted_one(
    tuning: Tuning, tmp_path: Path
) -> None:
    pruned = replace(tuning, seeds=(0, 7), trials=8, prune=True, jobs=2)
    work = Work()
    whole = tuned(replace(pruned, out=tmp_path / "whole"), work)
    assert "pruned" in [trial.state for trial in whole]
    for stop in (5, len(work.trained) - 2):
        with pytest.raises(Interrupted):
            tuned(pruned, Work(stop=stop))
        assert tuned(pruned, Work()) == whole
        (pruned.out / "tune.json").unlink()


@pytest.mark.usefixtures("plain_draws")
def test_hopeless_trials_are_stopped_after_an_experience_or_a_seed(tuning: Tuning) -> None:
    work = Work()
    pruned = replace(tuning, seeds=(0, 1), trials=12, prune=True)
    trials = tuned(pruned, work)
    states = [trial.state for trial in trials]
    assert states[:4] == ["finished"] * 4  # before there is a median
    assert "pruned" in states
    steps = [len(t.steps(0)) + len(t.steps(1)) for t in trials]
    assert len(work.trained) == 4 * 2 + sum(steps[4:]) < 8 + 8 * 4  # one process until then
    assert [(n < 4) for n in steps] == [state == "pruned" for state in states]
    cut = next(t for t in trials if t.state == "pruned")
    assert cut.reason == "after experience 1 with seed 0"
    assert (cut.mean, cut.counts) == (None, None)
    assert best_of(trials).state == "finished"
    _, files = write_tuning(pruned, trials)
    record = json.loads(files[0].read_text())
    assert record["protocol"] == {
        "trains on": "the training data of the first 2 experiences, in the order of the stream",
        "chooses by": "the validation data of the first 2 experiences, after each of them (of "
        "those learnt by then): mean SRCC, or accuracy",
        "does not see": "test data, and any data of later experiences",
    }
    assert "pruned" in files[2].read_text()


def test_a_failure_after_an_experience_ends_its_trial(tuning: Tuning) -> None:
    work = Work(fail=5)
    trials = tuned(replace(tuning, trials=5, prune=True), work)
    assert [trial.state for trial in trials] == ["finished"] * 4 + ["failed"]
    assert (len(trials[4].earlier["0"]), trials[4].reached) == (1, {})


def test_several_jobs_try_several_values_at_once(tuning: Tuning) -> None:
    sizes = []

    class Together(Work):
        def train(self, runs: Sequence[PlannedRun], experience: int) -> dict[Path, str]:
            sizes.append(len(runs))
            return super().train(runs, experience)

    trials = tuned(replace(tuning, jobs=4, seeds=(0, 1)), Together())
    assert sizes == [4, 4, 4]
    assert len({str(trial.values) for trial in trials}) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "--trials 0: must be at least 1"),
        ({"seeds": (1, 1)}, "--seeds: name at least one, each once"),
        ({"prune": True, "experiences": 1}, "--prune: one experience with one seed leaves nothing"),
        ({"options": ("cl_strategy.epochz=1",)}, r"tiny_l2\.py: "),
    ],
)
def test_mistakes_are_told_before_the_first_run(
    change: dict[str, Any], message: str, tuning: Tuning
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(tuning, **change)


def test_joint_training_has_no_first_experiences(tuning: Tuning) -> None:
    config = load_config(tuning.file)
    config["cl_strategy"]["type"] = "JointTraining"
    del config["cl_strategy"]["strength"]
    dump_config(config, tuning.file)
    with pytest.raises(
        ConfigError, match=r"tiny_l2\.py: JointTraining learns all data sets at once"
    ):
        replace(tuning, space=read_space(["cl_strategy.train_epochs=int(1, 3)"]))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("cl_strategy.strenght=uniform(1, 2)", "--search cl_strategy.strenght: .*mean 'strength'"),
        ("cl_strategy.strength=uniform(-5, 2)", "L2: strength must be >= 0, got -5"),
        ("cl_strategy.anchor=[last, frist]", "anchor must be one of"),
    ],
)
def test_a_space_that_the_config_does_not_take(rule: str, message: str, tuning: Tuning) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(tuning, space=read_space([rule]))


def test_the_best_config_has_the_options_of_every_run(tuning: Tuning) -> None:
    options = ("cl_strategy.type=MAS", "cl_strategy.optimizer.lr=0.5")
    own = replace(tuning, options=options, trials=1)
    _, files = write_tuning(own, tuned(own, Work()))
    assert files[1].read_text().splitlines()[2] == (
        "cl_strategy = dict(type='MAS', optimizer=dict(lr=0.5), strength=10.0)"
    )
    assert load_config(files[1]) == load_config(tuning.file, (*options, "cl_strategy.strength=10"))


def test_another_tuning_in_the_folder_is_refused(tuning: Tuning) -> None:
    tuned(replace(tuning, trials=1), Work())
    for change in ({"seeds": (5,)}, {"space": read_space(["cl_strategy.strength=uniform(1, 2)"])}):
        with pytest.raises(ConfigError, match=r"holds another tuning; these differ: (seeds|space)"):
            load_trials(replace(tuning, **change))
    with pytest.raises(ConfigError, match=r"these differ: cl_strategy\.train_epochs"):
        load_trials(replace(tuning, options=("cl_strategy.train_epochs=9",)))


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '{"trials": [{"number": 3, "values": {}}]}', '{"trials": [{"x": 1}]}']
)
def test_a_damaged_record_is_refused(text: str, tuning: Tuning) -> None:
    (tuning.out / "tune.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"tune\.json: is damaged"):
        load_trials(tuning)


def test_values_inside_lists_are_written_with_their_list(
    tmp_path: Path, tiny_config: dict[str, Any]
) -> None:
    del tiny_config["cl_strategy"]["mem_size"]
    plugins = [{"type": "L2", "strength": 1.0}, {"type": "MAS", "strength": 2.0}]
    tiny_config["cl_strategy"].update(type="Naive", plugins=plugins)
    dump_config(tiny_config, tmp_path / "two.py")
    space = read_space(
        [
            "cl_strategy.plugins.1.strength=uniform(1, 9)",
            "cl_strategy.plugins.0.anchor=[last, init]",
        ]
    )
    tuning = Tuning(tmp_path / "two.py", tmp_path / "out", space, trials=1)
    values = {"cl_strategy.plugins.1.strength": 3.5, "cl_strategy.plugins.0.anchor": "init"}
    trials = [Trial(0, values, {"0": {"a": 0.5}}, "finished")]
    _, files = write_tuning(tuning, trials)
    found = load_config(files[1])["cl_strategy"]["plugins"]
    assert found == [{**plugins[0], "anchor": "init"}, {**plugins[1], "strength": 3.5}]
