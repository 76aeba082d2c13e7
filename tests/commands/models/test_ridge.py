"""Runs of machines merged through files are one run; a removed data set has never been seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import cliqa
from cliqa.commands.models.ridge import main
from cliqa.training.supervised.ridge_solution import solve
from cliqa.training.supervised.ridge_sums import StreamSums
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import CheckpointError, ConfigError

Config = dict[str, Any]
Run = Callable[..., Path]


@pytest.fixture
def config(tiny_config: Config) -> Config:
    """Return a config of ridge regression over the sets a, b and c."""
    tiny_config["model"] = {
        "type": "QualityModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8]},
        "neck": {"type": "MapStatistics"},
        "head": {"type": "RidgeHead", "in_channels": 16, "random_features": 10},
    }
    section = {"type": "StreamingRidge", "train_epochs": 1, "strength": 0.1, "keep_sets": True}
    kept = {key: tiny_config["cl_strategy"][key] for key in ("optimizer", "loss", "eval_mb_size")}
    tiny_config["cl_strategy"] = {**kept, **section}
    return tiny_config


@pytest.fixture
def runs(config: Config, run_config: Run) -> Callable[..., Path]:
    """Return a function that trains on some of the sets, and returns the work_dir."""

    def train(names: str, **options: object) -> Path:
        own = copy.deepcopy(config)
        chosen = {s["name"]: s for s in own["scenario"]["datasets"]}
        own["scenario"]["datasets"] = [chosen[name] for name in names]
        own["cl_strategy"] |= options
        return run_config(own, names + "".join(options))

    return train


def weights(path: Path) -> dict[str, Any]:
    """Return the model's tensors in a checkpoint."""
    state = load_checkpoint(path if path.suffix else path / "checkpoints" / "last.pth")
    found: dict[str, Any] = state["strategy"]["model"]
    return found


def exact(path: Path) -> torch.Tensor:
    """Return the solution of a checkpoint's sums in float64."""
    state = load_checkpoint(path if path.suffix else path / "checkpoints" / "last.pth")
    sums = StreamSums(state["config"]["cl_strategy"]["keep_sets"])
    sums.load_state_dict(state["strategy"]["ridge"]["sums"])
    return solve(sums, 0.1).weight


def test_merged_machines_are_one_machine(
    runs: Run, tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, one, two = (runs(names, keep_sets=False) for names in ("abc", "c", "ab"))
    out = tmp_path / "merged.pth"
    main(["merge", str(one), str(two), "--out", str(out)])
    assert "a: 24 samples" in capsys.readouterr().out
    assert torch.allclose(exact(out), exact(whole), rtol=0, atol=1e-8)
    images = sorted((tiny_data / "b").glob("*.png"))[:4]
    found, expected = (
        cliqa.load(path, device="cpu").predict(images)["score"] for path in (out, whole)
    )
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert load_checkpoint(out)["names"] == ["c", "a", "b"]
    cliqa.evaluate(out, ["a", "c"], device="cpu")  # it finds the sections of both machines' sets


def test_a_removed_set_has_never_been_seen(runs: Run, tmp_path: Path) -> None:
    out = tmp_path / "without_b.pth"
    main(["remove", str(runs("abc")), "--set", "b", "--out", str(out)])
    expected = weights(runs("ac"))
    assert all(torch.equal(value, expected[key]) for key, value in weights(out).items())
    state = load_checkpoint(out)
    assert (state["names"], state["next_step"]) == (["a", "c"], 2)
    assert [section["name"] for section in state["config"]["scenario"]["datasets"]] == ["a", "c"]


def test_the_sums_of_a_run_are_shown(runs: Run, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(runs("ab"))])
    text = capsys.readouterr().out
    assert "a: 24 samples\nb: 24 samples\n" in text
    assert "sums over 26 features: 6,512 bytes; each set can be removed" in text


def test_what_cannot_be_changed_is_refused(runs: Run, tmp_path: Path, tiny_run: Path) -> None:
    out = str(tmp_path / "x.pth")
    ab = str(runs("ab"))
    for arguments, message in (
        (["merge", ab, str(runs("b")), "--out", out], r"'b' is in \S+ too, .* add --add-same"),
        (["remove", ab, "--set", "x", "--out", out], r"has no sums of 'x'\. It has: a, b\."),
        (["show", str(tiny_run)], r"holds no sums, as it is no run of StreamingRidge"),
        (
            ["merge", ab, str(runs("c", align="offset")), "--out", out],
            r"cl_strategy\.align is 'offset', and None in",
        ),
        (
            ["merge", ab, str(runs("c", weighting="sets")), "--out", out],
            r"cl_strategy\.weighting is 'sets'",
        ),
    ):
        with pytest.raises(CheckpointError, match=message):
            main(arguments)
    assert not Path(out).exists()


def test_other_weights_cannot_be_merged(runs: Run, config: Config, tmp_path: Path) -> None:
    ab = runs("ab")
    config["seed"] = 1
    other = runs("c")
    with pytest.raises(
        CheckpointError, match=r"'backbone\.\S+' differs from .* with the same seed"
    ):
        main(["merge", str(ab), str(other), "--out", str(tmp_path / "x.pth")])


def test_a_later_machine_takes_over_the_first_one_s_statistics(
    runs: Run, config: Config, tmp_path: Path
) -> None:
    config["cl_strategy"]["standardize"] = "first"
    whole, first, alone = runs("ab"), runs("a"), runs("b")
    out = tmp_path / "x.pth"
    with pytest.raises(CheckpointError, match=r"'head\.shift' differs .* with load_from="):
        main(["merge", str(first), str(alone), "--out", str(out)])
    config["load_from"] = str(first / "checkpoints" / "last.pth")
    main(["merge", str(first), str(runs("b")), "--out", str(out)])
    assert torch.allclose(exact(out), exact(whole), rtol=0, atol=1e-8)
    with pytest.raises(CheckpointError, match=r"standardize='first': .* 'a', so it cannot be"):
        main(["remove", str(whole), "--set", "a", "--out", str(out)])


def test_a_run_without_sums_and_a_single_run_are_refused(runs: Run, tmp_path: Path) -> None:
    state = load_checkpoint(runs("a") / "checkpoints" / "last.pth")
    state["strategy"]["ridge"]["sums"] = {"sets": {}, "products": {}}  # as before the first set
    empty = tmp_path / "empty.pth"
    save_checkpoint(empty, state)
    with pytest.raises(CheckpointError, match=r"has learnt no data set yet"):
        main(["show", str(empty)])
    with pytest.raises(ConfigError, match=r"merge: one run alone"):
        main(["merge", str(empty), "--out", str(tmp_path / "x.pth")])


def test_parts_of_one_set_are_added_where_that_is_meant(runs: Run, tmp_path: Path) -> None:
    out = tmp_path / "x.pth"
    main(["merge", str(runs("ab")), str(runs("b")), "--add-same", "--out", str(out)])
    assert float(load_checkpoint(out)["strategy"]["ridge"]["sums"]["sets"]["b"]["count"]) == 48.0


def test_damaged_sums_are_refused(runs: Run, tmp_path: Path) -> None:
    state = load_checkpoint(runs("ab") / "checkpoints" / "last.pth")
    state["strategy"]["ridge"]["sums"]["products"]["a"] = torch.zeros(3)
    path = tmp_path / "damaged.pth"
    save_checkpoint(path, state)
    with pytest.raises(CheckpointError, match=r"its sums cannot be read \(products of another"):
        main(["show", str(path)])
