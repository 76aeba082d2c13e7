from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cliqa.benchmarks.data_check import check_data
from cliqa.config.load import load_config
from cliqa.datasets.own.options import load_with_data
from cliqa.utils.errors import ConfigError, DatasetError
from tests.datasets.own.conftest import Own

CONFIG = Path(__file__).resolve().parents[3] / "config"


def load(files: Any, options: tuple[str, ...] = (), config: str = "my_data.py") -> dict[str, Any]:
    scenario = load_with_data(files, partial(load_config, CONFIG / config), options)["scenario"]
    assert isinstance(scenario, dict)
    return scenario


def test_without_files_the_config_stays() -> None:
    assert load([])["datasets"][0]["labels"] == "scores.csv"


def test_a_published_file_is_known_by_its_name_and_shape(
    own: Own, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [f"{k}.png\t{1 + k / 5}\t0.5" for k in range(20)]
    path = own(rows[0], lambda k: rows[k], name="kadid10k_train_score.txt", folder="images")
    path.write_bytes("\r".join(rows[:12]).encode())
    (path.parent / "kadid10k_val.txt").write_bytes("\r".join(rows[12:15]).encode())
    (path.parent / "kadid10k_test.txt").write_bytes("\r".join(rows[15:]).encode())
    with caplog.at_level("INFO", "cliqa"):
        scenario = load(path)
    assert scenario["datasets"] == [
        {
            "type": "ScoreFile",
            "labels": path.name,
            "layout": "biqa_cl",
            "images": "images",
            "score_range": (1, 5),
            "higher_is_better": True,
            "root": ".",
        }
    ]
    assert f"{path.name}: layout: 'biqa_cl', 12 images" in caplog.messages
    caplog.clear()
    with caplog.at_level("INFO", "cliqa"):
        check_data({"scenario": scenario}, tell=True)
    assert "train 12, val 3, test 5 (by the file" in caplog.text


def test_one_file_becomes_the_configs_data_set(own: Own) -> None:
    path = own("image,mos", lambda k: f"{k}.png,{k / 4}")
    scenario = load(path)
    assert scenario["dataset_root"] == str(path.parent)
    assert scenario["datasets"] == [
        {
            "type": "ScoreFile",
            "labels": "my.csv",
            "score_column": "mos",
            "score_range": (0.0, 5.0),
            "higher_is_better": True,
            "root": ".",
        }
    ]
    assert scenario["type"] == "QualityStream"


def test_several_files_are_a_stream(own: Own) -> None:
    first = own("image,mos", lambda k: f"{k}.png,{k / 4}", name="my.csv")
    second = own("image,dmos", lambda k: f"{k}.png,{k * 5}", name="b/my.csv", folder="b")
    scenario = load([str(first), second], ("scenario.datasets.1.name=late",))
    assert scenario["dataset_root"] == str(first.parent)
    names = [(part.get("name"), part["root"]) for part in scenario["datasets"]]
    assert names == [(None, "."), ("late", "b")]
    grown = load([str(first), second])["datasets"]
    assert [part.get("name") for part in grown] == [None, "b_my"]  # as in a run of the first alone


def test_files_of_one_name_in_folders_of_one_name(own: Own) -> None:
    paths = [
        own("image,mos", lambda k: f"{k}.png,{k / 4}", name=f"{a}/data/my.csv", folder=f"{a}/data")
        for a in "xyz"
    ]
    names = [part.get("name") for part in load(paths)["datasets"]]
    assert names == [None, "data_my", "data_my_3"]  # the first has its file's, my
    with pytest.raises(ConfigError, match=r"my\.csv is given twice.*scenario\.datasets\.1\.name="):
        load([paths[0], paths[0]])
    twice = load([paths[0], paths[0]], ("scenario.datasets.1.name=again",))["datasets"]
    assert [part.get("name") for part in twice] == [None, "again"]


def test_the_users_options_answer_what_is_open(own: Own) -> None:
    path = own("image,value", lambda k: f"{k}.png,{1.5 + k / 3}")
    with pytest.raises(DatasetError) as error:
        load(path)
    assert len(str(error.value).splitlines()) == 2
    given = "scenario.datasets.0."
    answers = (f"{given}score_range=(1,10)", f"{given}higher_is_better=False")
    section = load(path, answers)["datasets"][0]
    assert (section["score_range"], section["higher_is_better"]) == ((1, 10), False)


def test_what_is_wrong_in_all_files_comes_with_the_questions(own: Own) -> None:
    first = own("image,mos", lambda k: f"{k}.png,{k / 4 if k != 3 else 'x'}")
    second = own("image,value", lambda k: f"{k}.png,{k / 30}", name="b.csv")
    (second.parent / "7.png").unlink()
    with pytest.raises(DatasetError) as error:
        load([first, second])
    lines = str(error.value).splitlines()
    assert "'mos' is 'x', which is not a number" in lines[0]
    assert "is a higher 'value' better?" in lines[-2]
    assert "1 of 20 images" in lines[-1]


def test_a_missing_file_has_a_suggestion(own: Own) -> None:
    path = own("image,mos", lambda k: f"{k}.png,{k}")
    with pytest.raises(DatasetError, match=r"ny\.csv: no such label file\. Did you mean 'my\.csv'"):
        load(path.with_name("ny.csv"))


def test_generated_data_of_the_config_are_not_wanted(own: Own) -> None:
    path = own("image,mos", lambda k: f"{k}.png,{k / 4}")
    assert load(path, config="demo.py")["generate"] is None


@pytest.mark.parametrize("option", ["scenario.dataset_root=x", "scenario.datasets=[]"])
def test_data_sets_are_given_once(own: Own, option: str) -> None:
    path = own("image,mos", lambda k: f"{k}.png,{k / 4}")
    with pytest.raises(ConfigError, match="--data gives the data sets already"):
        load(path, (option,))


def test_streams_of_classes_take_no_scores(own: Own) -> None:
    path = own("image,mos", lambda k: f"{k}.png,{k / 4}")
    with pytest.raises(ConfigError, match="not a stream of scores"):
        load(path, config="cifar100_replay.py")
