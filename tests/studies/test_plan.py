"""Which runs a study has, and what is refused before any of them starts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config, load_config
from cliqa.engine.sections import with_command_line
from cliqa.engine.streams import build_data_sets
from cliqa.studies.bracket import Bracket, sibling
from cliqa.studies.plan import Plan, plan_study
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json

Write = Callable[..., Path]

ALONE = Bracket(look=False)


@pytest.fixture
def write(tmp_path: Path, tiny_config: dict[str, Any]) -> Write:
    """Return a function that writes a config of a method and returns its path."""

    def make(name: str, method: str = "Naive", folder: str = "config", **scenario: Any) -> Path:
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"].pop("mem_size")
        config["cl_strategy"]["type"] = method
        config["scenario"] |= scenario
        dump_config(config, tmp_path / folder / f"{name}.py")
        return tmp_path / folder / f"{name}.py"

    return make


def test_every_config_is_run_with_every_seed(write: Write, tmp_path: Path) -> None:
    configs = [write("tiny_l2", "L2"), write("tiny_replay", "Replay")]
    options = ["cl_strategy.train_epochs=7"]
    plan = plan_study(configs, [3, 1], tmp_path / "out", bracket=ALONE, options=options)
    assert plan.names == ("tiny_l2", "tiny_replay")
    assert (plan.naive, plan.joint) == (None, None)
    assert plan.replicates == ["seed 3", "seed 1"]
    assert [str(run) for run in plan.runs] == [
        *("tiny_l2, seed 3", "tiny_replay, seed 3", "tiny_l2, seed 1", "tiny_replay, seed 1")
    ]
    run = plan.runs[1]
    assert run.folder == tmp_path / "out" / "tiny_replay" / "seed_3"
    assert run.log == tmp_path / "out" / "tiny_replay" / "seed_3.log"
    assert run.options == ("cl_strategy.train_epochs=7",)
    assert run.config == with_command_line(load_config(configs[1], options), seed=3)
    assert not any(run.is_finished() for run in plan.runs)
    assert not (tmp_path / "out").exists()


def test_orders_are_run_with_every_seed(write: Write, tmp_path: Path) -> None:
    orders = [("a", "b", "c"), ("c", "a", "b")]
    plan = plan_study([write("x")], [0, 1], tmp_path, bracket=ALONE, orders=orders)
    assert plan.replicates == [
        *("order a-b-c seed 0", "order a-b-c seed 1", "order c-a-b seed 0", "order c-a-b seed 1")
    ]
    run = plan.runs[2]
    assert run.folder == tmp_path / "x" / "order_c-a-b" / "seed_0"
    assert run.config["scenario"]["order"] == ["c", "a", "b"]
    assert load_config(run.file, run.options)["scenario"]["order"] == ["c", "a", "b"]


def test_bounds_beside_a_config_are_found(write: Write, tmp_path: Path) -> None:
    replay, other = write("tiny_replay", "Replay"), write("tiny_l2", "L2")
    naive, joint = write("tiny_naive"), write("tiny_joint", "JointTraining")
    plan = plan_study([replay, other], [0], tmp_path)
    assert plan.names == ("tiny_replay", "tiny_l2", "tiny_naive", "tiny_joint")
    assert (plan.naive, plan.joint) == ("tiny_naive", "tiny_joint")
    plan = plan_study([joint, replay, naive], [0], tmp_path)  # named once, run once
    assert plan.names == ("tiny_joint", "tiny_replay", "tiny_naive")
    assert len(plan.runs) == 3


def test_bounds_can_be_named_or_left_out(write: Write, tmp_path: Path) -> None:
    replay, _ = write("tiny_replay", "Replay"), write("tiny_naive")
    low, high = write("low"), write("high", "Cumulative")
    plan = plan_study([replay], [0], tmp_path, bracket=Bracket(low, high))
    assert plan.names == ("tiny_replay", "low", "high")
    plan = plan_study([replay], [0], tmp_path, bracket=Bracket(joint=high))
    assert (plan.naive, plan.joint) == ("tiny_naive", "high")
    plan = plan_study([replay], [0], tmp_path, bracket=ALONE)
    assert plan.names == ("tiny_replay",)
    with pytest.raises(ConfigError, match=r"low.py: cannot be both --naive and --joint"):
        plan_study([replay], [0], tmp_path, bracket=Bracket(low, low))


def test_the_longest_name_in_common_wins(tmp_path: Path) -> None:
    for name in ("a_naive", "a_b_naive", "demo_naive"):
        (tmp_path / f"{name}.py").touch()
    found = {
        name: (sibling(tmp_path / f"{name}.py", "naive") or Path("none")).stem
        for name in ("a_b_replay", "a_b", "a_c_replay", "demo", "a_naive", "other_replay", "ab")
    }
    assert found == {
        "a_b_replay": "a_b_naive",
        "a_b": "a_b_naive",
        "a_c_replay": "a_naive",
        "demo": "demo_naive",
        "a_naive": "a_naive",
        "other_replay": "none",
        "ab": "none",
    }


def test_bounds_over_other_data_are_not_taken(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("tiny_naive", order=["c", "b", "a"])
    write("tiny_joint", "JointTraining", train_transform=[{"type": "ToTensor"}])
    with caplog.at_level("WARNING", logger="cliqa"):
        plan = plan_study([write("tiny_replay", "Replay")], [0], tmp_path)
    assert (plan.naive, plan.joint) == (None, "tiny_joint")
    assert "tiny_naive.py is not used as" in caplog.text
    assert "its data differ (scenario.order)" in caplog.text


def test_two_bounds_are_one_too_many(write: Write, tmp_path: Path) -> None:
    configs = [write("a_l2", "L2"), write("b_l2", "L2")]
    write("a_naive"), write("b_naive")
    with pytest.raises(ConfigError, match=r"--naive: .*a_naive.py and .*b_naive.py are found"):
        plan_study(configs, [0], tmp_path)


def test_configs_that_cannot_stand_together(
    write: Write, tmp_path: Path, clear_config: dict[str, Any]
) -> None:
    def plan(*configs: Path, **more: Any) -> Plan:
        return plan_study(configs, [0], tmp_path, bracket=ALONE, **more)

    first = write("x")
    with pytest.raises(ConfigError, match=r"x.py: given twice"):
        plan(first, first.parent / ".." / "config" / "x.py")
    with pytest.raises(
        ConfigError, match=r"two configs are called 'x', and runs are distinguished"
    ):
        plan(first, write("x", folder="other"))
    dump_config(clear_config, tmp_path / "clear.py")
    with pytest.raises(ConfigError, match=r"x.py: QualityStream, .*clear.py: CLEAR\). Study each"):
        plan(first, tmp_path / "clear.py")
    with pytest.raises(ConfigError, match=r"gone.py"):
        plan(first, tmp_path / "gone.py")
    with pytest.raises(ConfigError, match=r"x.py: cl_strategy.optimizer: unknown.*'SGD'"):
        plan(first, options=["cl_strategy.optimizer.type=SDG"])
    with pytest.raises(ConfigError, match=r"--orders a,b: .*clear.py is no QualityStream"):
        plan(tmp_path / "clear.py", orders=[("a", "b")])


def test_seeds_and_orders(write: Write, tmp_path: Path) -> None:
    file = write("x")
    with pytest.raises(ConfigError, match=r"--seeds: name at least one"):
        plan_study([file], [], tmp_path)
    with pytest.raises(ConfigError, match=r"--seeds: 2 is given twice. Name each once"):
        plan_study([file], [2, 0, 2], tmp_path)
    with pytest.raises(ConfigError, match=r"--orders: a,b,c is given twice"):
        plan_study([file], [0], tmp_path, orders=[("a", "b", "c")] * 2)
    with pytest.raises(ConfigError, match=r"--orders a,b: must name each .*x.py once: a,b,c"):
        plan_study([file], [0], tmp_path, orders=[("a", "b")])


def test_names_of_data_sets_may_be_their_types(tmp_path: Path) -> None:
    demo = "config/demo_naive.py"
    plan = plan_study([demo], [0], tmp_path, bracket=ALONE, orders=[("koniq", "eva", "ava")])
    assert plan.replicates == ["order koniq-eva-ava seed 0"]
    with pytest.raises(ConfigError, match="once: eva,ava,koniq"):
        plan_study([demo], [0], tmp_path, orders=[("koniq", "eva")])


def test_a_finished_run_is_known_by_its_config_and_seed(write: Write, tmp_path: Path) -> None:
    file = write("x")
    run = plan_study([file], [4], tmp_path, bracket=ALONE).runs[0]
    results: dict[str, Any] = {
        "status": "finished",
        "seed": 4,
        "experiences": ["a"],
        "datasets": ["a"],
        "matrix": {"srcc": [[0.5]]},
        "summary": {},
    }
    write_json(run.folder / "results.json", results)
    assert not run.is_finished()  # nobody knows of which config
    dump_config(run.config, run.folder / "config.py")
    assert run.is_finished()
    write_json(run.folder / "results.json", {**results, "status": "interrupted"})
    assert not run.is_finished()
    write_json(run.folder / "results.json", {**results, "seed": 5})
    assert not run.is_finished()
    (run.folder / "results.json").unlink()
    assert not run.is_finished()
    elsewhere = plan_study(
        [file], [4], tmp_path, bracket=ALONE, options=["scenario.dataset_root=/moved"]
    )
    assert not elsewhere.runs[0].is_finished()  # where the data lie does not matter


def test_a_folder_of_another_config_is_refused(write: Write, tmp_path: Path) -> None:
    file = write("x")
    run = plan_study([file], [4], tmp_path, bracket=ALONE).runs[0]
    dump_config(run.config, run.folder / "config.py")
    options = ["cl_strategy.train_epochs=9"]
    other = plan_study([file], [4], tmp_path, bracket=ALONE, options=options).runs[0]
    with pytest.raises(
        ConfigError, match=r"seed_4: holds a run .* differ: cl_strategy.train_epoch"
    ):
        other.is_finished()


def test_a_pretraining_is_refused(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "config" / "qualiclip_demo.py"
    with pytest.raises(ConfigError, match=r"qualiclip_demo.*pretrains without.*--pretraining"):
        plan_study([config], [0], tmp_path)


def test_random_splits_are_the_replicates(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    dump_config(tiny_config, tmp_path / "x.py")
    plan = plan_study([tmp_path / "x.py"], [5, 6], tmp_path, options=["scenario.splits=3"])
    assert plan.replicates == ["split 0", "split 1", "split 2"]
    assert [run.folder.name for run in plan.runs] == ["split_0", "split_1", "split_2"]
    assert [run.config["seed"] for run in plan.runs] == [5, 6, 7]
    assert [run.config["scenario"]["split_index"] for run in plan.runs] == [0, 1, 2]
    assert plan.runs[1].options == ("scenario.splits=3", "scenario.split_index=1")
    tests = [set(images_of(dict(run.config["scenario"]))) for run in plan.runs]
    assert tests[0] != tests[1] != tests[2]
    again = plan_study([tmp_path / "x.py"], [5], tmp_path, options=["scenario.splits=3"])
    assert set(images_of(dict(again.runs[2].config["scenario"]))) == tests[2]


def images_of(scenario: dict[str, Any]) -> list[str]:
    return build_data_sets(scenario)[0].subset("test").files


@pytest.mark.parametrize(
    ("options", "orders", "message"),
    [
        (["scenario.splits=0"], [], r"scenario\.splits: expected a whole number of at least 1"),
        (["scenario.splits=2"], [("a", "b", "c")], "repeat one of them at a time"),
    ],
)
def test_splits_that_cannot_be(
    options: list[str],
    orders: list[tuple[str, ...]],
    message: str,
    tiny_config: dict[str, Any],
    tmp_path: Path,
) -> None:
    dump_config(tiny_config, tmp_path / "x.py")
    with pytest.raises(ConfigError, match=message):
        plan_study([tmp_path / "x.py"], [0], tmp_path, options=options, orders=orders)


def test_configs_of_a_study_have_the_same_splits(
    tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    dump_config(tiny_config, tmp_path / "x.py")
    tiny_config["scenario"]["splits"] = 4
    dump_config(tiny_config, tmp_path / "y.py")
    with pytest.raises(
        ConfigError, match=r"have the same scenario\.splits.*x\.py: \(None.*y\.py: \(4"
    ):
        plan_study([tmp_path / "x.py", tmp_path / "y.py"], [0], tmp_path)


def test_folds_are_the_replicates(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    dump_config(tiny_config, tmp_path / "x.py")
    plan = plan_study([tmp_path / "x.py"], [0], tmp_path, options=["scenario.folds=3"])
    assert plan.replicates == ["fold 0", "fold 1", "fold 2"]
    assert [run.folder.name for run in plan.runs] == ["fold_0", "fold_1", "fold_2"]
