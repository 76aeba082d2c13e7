"""Online streams: every image once, in chunks, with hooks at the experiences' ends alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.engine import train as engine_train
from cliqa.engine.check import check_config
from cliqa.engine.online import check_online
from cliqa.engine.run import Run
from cliqa.engine.train import train
from cliqa.evaluation.anytime import anytime_area, anytime_points
from cliqa.training.supervised.nearest_class_mean import NearestClassMean
from cliqa.utils.errors import ConfigError
from cliqa.visualization.history import load_metrics

Config = dict[str, Any]
Work = Callable[..., Path]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return a function that trains a config and returns the work_dir."""
    monkeypatch.setattr(engine_train, "draw_run", lambda _: [])

    def run(config: Config, name: str, **options: Any) -> Path:
        train(config, config_file="t.py", work_dir=tmp_path / name, device="cpu", **options)
        return tmp_path / name

    return run


@pytest.fixture
def of_chunks(tiny_config: Config) -> Callable[..., Config]:
    """Return a function that makes an online config over a and b, 24 training images each."""

    def make(strategy: Config | None = None, **online: Any) -> Config:
        config = copy.deepcopy(tiny_config)
        config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
        if online:
            config["scenario"]["online"] = {"chunk_size": 8, **online}
        own = {k: v for k, v in config["cl_strategy"].items() if k != "mem_size"}
        own |= {"type": "Naive", "train_epochs": 1, "scheduler": None, **(strategy or {})}
        config["cl_strategy"] = own
        return {**config, "loggers": [], "metrics": [], "evaluation": {"bootstrap": 0}}

    return make


def final(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / "last.pth", weights_only=True)["strategy"]


def test_one_chunk_an_experience_changes_no_bit(
    of_chunks: Callable[..., Config], work: Work, assert_same: Callable[[Any, Any], None]
) -> None:
    replay = {"type": "Replay", "mem_size": 10, "train_epochs": 2}
    plain, whole = work(of_chunks(replay), "a"), work(of_chunks(replay, chunk_size=24), "b")
    assert_same(final(whole), final(plain))
    assert (whole / "matrix.csv").read_bytes() == (plain / "matrix.csv").read_bytes()


def test_chunks_come_one_after_the_other(of_chunks: Callable[..., Config], work: Work) -> None:
    folder = work(of_chunks({"train_epochs": 2}, evaluate_every=1), "run")
    epochs = [row for row in load_metrics(folder) if row["kind"] == "epoch"]
    assert [row["epoch"] for row in epochs] == [1, 2, 3, 4, 5, 6] * 2
    assert [row["images"] for row in epochs] == [8, 8, 16, 16, 24, 24] * 2
    evaluated = [row["epoch"] for row in epochs if "anytime" in row]
    assert evaluated == [2, 4] * 2  # after a chunk; that at the end is evaluated anyway
    assert all(set(row["anytime"]) == {"a", "b"} for row in epochs if "anytime" in row)
    results = json.loads((folder / "results.json").read_text())
    points = anytime_points(load_metrics(folder), ["a", "b"], "srcc")
    assert [images for images, _ in points] == [8, 16, 24, 32, 40, 48]
    assert results["summary"]["aaa"] == pytest.approx(anytime_area(points))
    last = np.mean(results["matrix"]["srcc"][1])
    assert points[-1][1] == pytest.approx(last)


def test_evaluations_in_between_change_no_weight(
    of_chunks: Callable[..., Config], work: Work, assert_same: Callable[[Any, Any], None]
) -> None:
    ewc = {"type": "EWC", "strength": 10.0}
    quiet, asked = (
        work(of_chunks(ewc, seed=1), "a"),
        work(of_chunks(ewc, evaluate_every=2, seed=1), "b"),
    )
    for part in ("model", "optimizer"):
        assert_same(final(quiet)[part], final(asked)[part])


def test_a_run_killed_within_an_experience_ends_in_the_same_bits(
    of_chunks: Callable[..., Config],
    work: Work,
    assert_same: Callable[[Any, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = {"type": "Replay", "mem_size": 10, "policy": "reservoir"}
    config = of_chunks(strategy, boundaries="hidden", evaluate_every=1, blur=0.2)
    whole = work(config, "whole")
    finish, calls = Run.finish_epoch, []

    def killed(self: Run, *args: Any, **kwargs: Any) -> None:
        finish(self, *args, **kwargs)
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            work(config, "parts")
    parts = work(config, "parts", resume="auto")
    assert_same(final(parts), final(whole))
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_reservoir_needs_no_boundaries(of_chunks: Callable[..., Config], work: Work) -> None:
    strategy = {"type": "Replay", "mem_size": 10, "policy": "reservoir"}
    memories = []
    for boundaries in ("known", "hidden"):
        state = final(work(of_chunks(strategy, boundaries=boundaries), boundaries))["plugins"]
        (memory,) = (own for key, own in state.items() if key.endswith("Replay"))
        pairs = zip(memory["experience"].tolist(), memory["index"].tolist(), strict=True)
        memories.append(sorted(pairs))
    assert memories[0] == memories[1]
    assert len(memories[0]) == 10


@pytest.mark.parametrize(
    ("strategy", "online", "error"),
    [
        ({"type": "EWC", "strength": 1.0}, {"boundaries": "hidden"}, "'EWC': it acts where an exp"),
        ({"type": "Replay"}, {"boundaries": "hidden"}, r"'Replay': it shares the memory equally"),
        (
            {"scheduler": {"type": "CosineAnnealingLR"}},
            {"boundaries": "hidden"},
            r"cl_strategy\.scheduler: starts again with every experience",
        ),
        ({"reset_optimizer": True}, {"boundaries": "hidden"}, "reset_optimizer: resets at"),
        ({"type": "Cumulative"}, {"seed": 0}, "'Cumulative': trains on all earlier images"),
        ({"keep_best": True}, {"seed": 0}, r"cl_strategy\.keep_best: chooses among epochs"),
        ({}, {"chunk_sise": 4}, r"online: unexpected argument 'chunk_sise'\. Did you mean"),
        ({}, {"chunk_size": 0}, r"scenario\.online\.chunk_size=0: must be at least 2"),
    ],
)
def test_what_cannot_be_online_is_refused(
    of_chunks: Callable[..., Config], strategy: Config, online: Config, error: str
) -> None:
    with pytest.raises(ConfigError, match=error):
        check_config(of_chunks(strategy, **online))


def test_the_section_is_a_dict(of_chunks: Callable[..., Config]) -> None:
    config = of_chunks()
    config["scenario"]["online"] = 64
    with pytest.raises(ConfigError, match=r"scenario\.online: expected dict\(chunk_size"):
        check_config(config)


@pytest.mark.parametrize("name", ["DER", "Replay", "Naive"])
def test_methods_without_boundaries_are_taken(of_chunks: Callable[..., Config], name: str) -> None:
    known: dict[str, Config] = {"DER": {}, "Replay": {"policy": "reservoir"}}
    own = {"mem_size": 5, **known[name]} if name in known else {}
    check_config(of_chunks({"type": name, **own}, boundaries="hidden"))


def test_a_strategy_that_loads_whole_experiences_is_refused(
    of_chunks: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NearestClassMean, "takes_chunks", False)
    with pytest.raises(ConfigError, match=r"'NearestClassMean': loads whole experiences"):
        check_online(of_chunks({"type": "NearestClassMean"}, seed=0))


def test_class_means_take_every_sample_once(
    split_config: Config, work: Work, assert_same: Callable[[Any, Any], None]
) -> None:
    head = {"type": "PrototypeHead", "num_classes": 10, "in_channels": 8}
    split_config["model"]["head"] = head
    del split_config["cl_strategy"]["mem_size"], split_config["cl_strategy"]["scheduler"]
    split_config["cl_strategy"] |= {"type": "NearestClassMean", "train_epochs": 1}
    found = []
    for size in (10000, 40):
        split_config["scenario"] |= {"n_experiences": 2, "online": {"chunk_size": size}}
        config = {**split_config, "loggers": [], "metrics": []}
        found.append(final(work(config, f"chunks{size}"))["model"])
    for key in found[0]:
        if "head" in key:
            assert torch.allclose(found[0][key].float(), found[1][key].float(), atol=1e-5)


def test_classes_come_in_chunks_too(split_config: Config, work: Work) -> None:
    split_config["scenario"] |= {"n_experiences": 2, "online": {"chunk_size": 50}}
    split_config["cl_strategy"] |= {"train_epochs": 1}
    folder = work({**split_config, "loggers": [], "metrics": []}, "classes")
    epochs = [row for row in load_metrics(folder) if row["kind"] == "epoch"]
    assert len(epochs) > 2
    assert max(row["images"] for row in epochs) > 50


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"train_epochs": 2}, "the images of an online stream have passed"),
        ({}, r"online\.blur: new data would have been mixed"),
    ],
)
def test_what_has_passed_does_not_grow(
    of_chunks: Callable[..., Config], work: Work, change: Config, error: str
) -> None:
    folder = work(of_chunks(chunk_size=24, blur=0.1), "run", stop_after=1)
    config = of_chunks(change, chunk_size=24, blur=0.1)
    if not change:
        first = config["scenario"]["datasets"][0]
        config["scenario"]["datasets"].append({**first, "name": "again"})
    with pytest.raises(ConfigError, match=error):
        work(config, folder.name, extend=True)
