"""Tests of cliqa.config.options; refusals are in test_config_broken.py too."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cliqa.config.options import apply_options
from cliqa.utils.errors import ConfigError

CONFIG: dict[str, Any] = {
    "scenario": {"type": "Stream", "datasets": [{"type": "A"}, {"type": "B"}], "sizes": (8, 8)},
    "model": {"backbone": {"type": "ResNet", "depth": 18}, "neck": None},
    "cl_strategy": {
        "type": "Naive",
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
        "plugins": [],
    },
    "loggers": [{"type": "TextLogger"}],
    "seed": 0,
}


def changed(*options: str) -> dict[str, Any]:
    """Return CONFIG with options applied, after a check that CONFIG itself stays as it is."""
    before = copy.deepcopy(CONFIG)
    result = apply_options(CONFIG, options)
    assert before == CONFIG
    return result


def test_no_options_change_nothing() -> None:
    assert changed() == CONFIG


def test_nested_keys_and_list_items() -> None:
    config = changed("cl_strategy.optimizer.lr=1e-3", "scenario.datasets.1.root=b", "seed=None")
    assert config["cl_strategy"]["optimizer"]["lr"] == 0.001
    assert config["scenario"]["datasets"] == [{"type": "A"}, {"type": "B", "root": "b"}]
    assert config["seed"] is None


def test_a_later_option_wins_and_sees_the_earlier() -> None:
    config = changed("loggers.0.file=a", "loggers.0.file=b", "loggers.0=dict(rank=1)")
    assert config["loggers"] == [{"type": "TextLogger", "file": "b", "rank": 1}]


def test_new_keys_of_components_are_left_to_their_signatures() -> None:
    config = changed("cl_strategy.mem_size=5", "model.head=dict(type='Linear')")
    assert config["cl_strategy"]["mem_size"] == 5
    assert config["model"]["head"] == {"type": "Linear"}


def test_new_sections() -> None:
    config = changed("work_dir=runs/a,b", "checkpoint_config.interval=5", "metrics=[]")
    assert config["work_dir"] == "runs/a,b"
    assert config["checkpoint_config"] == {"interval": 5}
    assert config["metrics"] == []


def test_a_key_of_a_dict_that_is_not_there_yet() -> None:
    for options in (("checkpoint_config.interval=5",), ("checkpoint_config.every=None",), ()):
        config = changed(*options, "checkpoint_config.every.experiences=2")
        assert config["checkpoint_config"]["every"] == {"experiences": 2}
    with pytest.raises(ConfigError, match=r"has no key 'experience'\. Did you mean 'experiences'"):
        changed("checkpoint_config.every.experience=2")
    advice = (
        r'every is 5, which has no keys\. .*: checkpoint_config\.every="dict\(experiences=\.\.\.\)"'
    )
    with pytest.raises(ConfigError, match=advice):
        changed("checkpoint_config.every=5", "checkpoint_config.every.experiences=2")


def test_dicts_merge_or_replace_as_in_files() -> None:
    merged = changed("cl_strategy.optimizer=dict(lr=1)")["cl_strategy"]["optimizer"]
    assert merged == {"type": "SGD", "lr": 1, "momentum": 0.9}
    option = "cl_strategy.optimizer=dict(type='Adam', _delete_=True)"
    assert changed(option)["cl_strategy"]["optimizer"] == {"type": "Adam"}
    option = "cl_strategy=dict(optimizer=dict(type='Adam', _delete_=True))"
    assert changed(option)["cl_strategy"]["optimizer"] == {"type": "Adam"}
    assert changed(option)["cl_strategy"]["type"] == "Naive"


def test_lists_are_replaced() -> None:
    config = changed("cl_strategy.plugins=[dict(type='L2')]", "scenario.sizes=(16,16)")
    assert config["cl_strategy"]["plugins"] == [{"type": "L2"}]
    assert config["scenario"]["sizes"] == (16, 16)


def test_none_takes_a_part_away() -> None:
    assert changed("cl_strategy.plugins=None")["cl_strategy"]["plugins"] is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cl_strategy.plugins.0.type=L2", r"list cl_strategy.plugins \(items none: it is empty\)"),
        ("loggers.-1.file=a", r"'-1' is not an index of the list loggers \(items 0 to 0\)"),
        ("scenario.sizes.0=3", r"scenario.sizes is \(8, 8\), which has no keys"),
        (
            "scenario.generate.size=1",
            "scenario has no key 'generate'. It has type, datasets, sizes",
        ),
        ("cl_strategy.optimizer=[1]", r"cl_strategy.optimizer is .* cannot become \[1\]"),
        (
            "momentum=0.5",
            "unknown section. Did you mean 'cl_strategy.optimizer.momentum'. Sections: scenario,",
        ),
    ],
)
def test_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--cfg-options .*{message}"):
        apply_options(CONFIG, [option])


NAMES = ["2024", "True", "[z]", "~x", "scores (1).csv", "a=b", "a,b", "#1", "None", "dict(a=1)"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["scenario.dataset_root", "scenario.datasets.0.suffix"])
def test_a_name_is_a_name_whatever_it_looks_like(key: str, name: str) -> None:
    scenario = {"type": "QualityStream", "dataset_root": "x", "datasets": [{"type": "ScoreFile"}]}
    changed = apply_options({"scenario": scenario}, [f"{key}={name}"])["scenario"]
    owner = changed if key.endswith("_root") else changed["datasets"][0]
    assert owner[key.rpartition(".")[2]] == name


def test_a_work_dir_may_be_called_2024() -> None:
    assert changed("work_dir=2024")["work_dir"] == "2024"
    assert changed("work_dir=None")["work_dir"] is None


def test_numbers_stay_numbers_where_no_name_is_held() -> None:
    scenario = {"type": "QualityStream", "datasets": [{"type": "ScoreFile"}]}
    options = ["scenario.datasets.0.seed=2024", "scenario.max_train=3"]
    found = apply_options({"scenario": scenario}, options)["scenario"]
    assert (found["datasets"][0]["seed"], found["max_train"]) == (2024, 3)


@pytest.mark.parametrize("text", ["(" * 40 + ")" * 40, "[" * 500 + "]" * 500, str(2**70)])
def test_what_no_config_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="levels are allowed|64 are allowed|nested too deeply"):
        changed(f"model.neck={text}")


def test_mistakes_of_several_options_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        changed("sed=1", "cl_strategy.optimizer.lr", "seed=3", "loggers.4.file=a.log")
    lines = str(caught.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == [
        "--cfg-options sed",
        "--cfg-options cl_strategy.optimizer.lr",
        "--cfg-options loggers.4.file",
    ]
