"""Broken configs, one mistake each: a ConfigError says where it is and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cliqa.config.components import quick_check
from cliqa.config.load import load_config
from cliqa.utils.errors import ConfigError

SCENARIO = """
scenario = dict(
    type="QualityStream",
    datasets=[dict(type="KonIQ10k", root="koniq")],
    train_transform=[dict(type="GridCrop", size=8)],
    eval_transform=[dict(type="GridCrop", size=8)],
)
"""
MODEL = """
model = dict(backbone=dict(type="ResNet", depth=18), head=dict(type="LinearClsHead"))
"""
STRATEGY = """
cl_strategy = dict(
    type="Naive",
    train_mb_size=8,
    train_epochs=2,
    optimizer=dict(type="SGD", lr=0.1),
    scheduler=None,
    loss=dict(type="L1Loss"),
)
"""
GOOD = SCENARIO + MODEL + STRATEGY
CHILD = '_base_ = ["base.py"]\n'
RUNTIME = 'loggers = [dict(type="TextLogger")]\nseed = 0\n'
ALL = {"base.py": GOOD}
NO_OPTIONS: list[str] = []


def load(
    folder: Path,
    files: str | Mapping[str, str],
    options: Sequence[str],
) -> None:
    """Write the files, load x.py and look its names up."""
    for name, text in ({"x.py": files} if isinstance(files, str) else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    quick_check(load_config(folder / "x.py", options))


def test_the_configs_are_good_without_their_mistakes(tmp_path: Path) -> None:
    load(tmp_path, {**ALL, "x.py": CHILD + RUNTIME}, ["cl_strategy.optimizer.lr=0.2"])


FILES = {
    "missing file": ({"other.py": GOOD}, r"x\.py: no such config file"),
    "missing file, near name": ({"xx.py": GOOD}, r"x\.py: no such .*Did you mean 'xx\.py'"),
    "missing base": (
        {"bases.py": GOOD, "x.py": CHILD},
        r"x\.py: its base .*base\.py: no such .*Did you mean 'bases\.py'.*relative to the file",
    ),
    "base is a folder": (
        {"base.py/y.py": GOOD, "x.py": CHILD},
        r"x\.py: its base .*base\.py: is a folder",
    ),
    "base is yaml": (
        {"base.yaml": "a: 1", "x.py": '_base_ = "base.yaml"' + GOOD},
        r"its base .*base\.yaml: a config is a Python file.*'\.yaml' is not supported",
    ),
    "inherits from itself": ({"x.py": '_base_ = "x.py"'}, r"x\.py -> .*x\.py: .*from itself"),
    "inherits in a circle": (
        {"x.py": CHILD, "base.py": '_base_ = ["x.py"]'},
        r"x\.py -> .*base\.py -> .*x\.py: .*from itself",
    ),
    "_base_ is a number": ("_base_ = 3" + GOOD, r"x\.py, line 1: _base_ must be a path"),
    "_base_ has a number": ('_base_ = ["x", 3]' + GOOD, r"x\.py, line 1: _base_ must be a path"),
    "_base_ cannot be evaluated": (
        "_base_ = [here + '/y.py']" + GOOD,
        r"x\.py, line 1: _base_ cannot be evaluated .*'here'",
    ),
    "_base_ twice": ('_base_ = []\n_base_ = ["y.py"]' + GOOD, r"x\.py, line 2: set _base_ once"),
    "_base_ in an if": ("if True:\n    _base_ = []\n" + GOOD, r"x\.py, line 2: set _base_ once"),
    "_bases_": ({**ALL, "x.py": '_bases_ = ["base.py"]'}, r"_bases_: .*Did you mean '_base_'"),
    "__base__": ({**ALL, "x.py": '__base__ = ["base.py"]'}, r"__base__: .*Did you mean '_base_'"),
    "syntax error": (GOOD + "x = dict(\n", r"x\.py, line 19: .*never closed"),
    "syntax error in a base": (
        {"base.py": GOOD + "x = [1,\n", "x.py": CHILD},
        r"base\.py, line 19: .*never closed",
    ),
    "null byte": (GOOD + "\0", r"x\.py.*: .*null byte"),
    "unset environment variable": (
        GOOD + "load_from = '{{$CLIQA_UNSET:}}'",
        r"x\.py, line 19: the environment variable CLIQA_UNSET is not set.*\{\{\$CLIQA_UNSET:def",
    ),
}

CODE = {
    "name error": (GOOD + "seed = sed\n", r"x\.py, line 19: NameError: name 'sed'"),
    "name error, near name": (
        "batch_size = 3\n" + GOOD + "seed = batchsize\n",
        r"x\.py, line 20: NameError.*Did you mean 'batch_size'",
    ),
    "name of a base": (
        {"base.py": GOOD + "size = 3", "x.py": CHILD + "seed = size"},
        r"x\.py, line 2: NameError.*A base sets it: write _base_\.size",
    ),
    "error in a base": (
        {"base.py": GOOD + "seed = 1 / 0", "x.py": CHILD},
        r"base\.py, line 19: ZeroDivisionError: division by zero",
    ),
    "import error": ("import no_such_module\n" + GOOD, r"x\.py, line 1: ModuleNotFoundError"),
    "exit": (GOOD + "raise SystemExit(3)", r"x\.py, line 19: SystemExit: 3"),
    "error without a message": (GOOD + "assert not scenario", r"x\.py, line 19: AssertionError\."),
    "unknown name of a base": (
        {**ALL, "x.py": CHILD + "seed = _base_.sceed"},
        r"x\.py, line 2: no base sets 'sceed'",
    ),
    "unknown placeholder of a base": (
        {**ALL, "x.py": CHILD + "seed = {{_base_.modle}}"},
        r"x\.py, line 2: no base sets 'modle'\. Did you mean 'model'",
    ),
    "unknown key of a base's dict": (
        {**ALL, "x.py": CHILD + "seed = {{_base_.model.depth}}"},
        r"x\.py: no base has the key depth\.",
    ),
    "placeholder in an expression": (
        {"base.py": GOOD + "size = 3", "x.py": CHILD + "seed = {{_base_.size}} * 2"},
        r"x\.py, line 2: .*only be a whole value.*_base_\.size \* 2",
    ),
    "placeholder in a call": (
        {"base.py": GOOD + "size = 3", "x.py": CHILD + "seed = len({{ _base_.size }})"},
        r"x\.py, line 2: .*only be a whole value",
    ),
    "placeholder in a string": (
        {"base.py": GOOD + "root = 'a'", "x.py": CHILD + "work_dir = '{{_base_.root}}/b'"},
        r"x\.py, line 2: .*only be a whole value.*f'\{_base_\.root\}/x'",
    ),
    "misspelt placeholder": (
        GOOD + "work_dir = 'runs/{{ fileBasenameNoExtention }}'",
        r"work_dir: unknown placeholder \{\{ fileBasenameNoExtention \}\}.*fileBasenameNoExten",
    ),
    "same name in two bases": (
        {**ALL, "more.py": MODEL, "x.py": '_base_ = ["base.py", "more.py"]'},
        r"x\.py: its bases .*base\.py and .*more\.py both set model",
    ),
    "same name below a base": (
        {
            **ALL,
            "more.py": MODEL,
            "two.py": '_base_ = ["base.py", "more.py"]',
            "x.py": "_base_ = 'two.py'",
        },  # noqa: E501
        r"two\.py: its bases .*base\.py and .*more\.py both set model",
    ),
    "dict over a string": (
        {**ALL, "x.py": CHILD + "model = dict(backbone=dict(type=dict(name='ResNet')))"},
        r"x\.py: type is a dict, but its base has a str there.*_delete_=True",
    ),
    "module in a list": (
        {**ALL, "x.py": CHILD + "import os\nloggers = [os]"},
        r"x\.py: cannot pickle 'module' object: a config holds numbers",
    ),
    "reserved name": (GOOD + "filename = 'x'", r"x\.py: filename is reserved"),
    "variable changed too late": (
        {"base.py": "rate = 0.1\n" + GOOD.replace("lr=0.1", "lr=rate"), "x.py": CHILD + "rate = 1"},
        r"x\.py, line 2: rate has no effect.*base\.py.*line 1.*cl_strategy\.optimizer\.lr",
    ),
    "pipeline changed too late": (
        {
            "base.py": "test_pipeline = [dict(type='GridCrop')]\n"
            + GOOD.replace(
                'eval_transform=[dict(type="GridCrop", size=8)]', "eval_transform=test_pipeline"
            ),  # noqa: E501
            "x.py": CHILD + "test_pipeline = [dict(type='GridCrop', size=9)]",
        },
        r"x\.py, line 2: test_pipeline has no effect.*scenario\.eval_transform",
    ),
}

SECTIONS = {
    "nothing": ("", r"x\.py: no section 'scenario'.*_base_/datasets/"),
    "no model": (SCENARIO + STRATEGY, r"x\.py: no section 'model'.*_base_/models/"),
    "no strategy": (SCENARIO + MODEL, r"x\.py: no section 'cl_strategy'.*_base_/schedules/"),
    "cl_stategy": (GOOD.replace("cl_str", "cl_st"), r"x\.py, line 11.*Did you mean 'cl_strategy'"),
    "senario": (GOOD.replace("scenario", "senario"), r"senario: .*Did you mean 'scenario'"),
    "model_": (GOOD.replace("model", "model_"), r"model_: .*Did you mean 'model'"),
    "Model": (GOOD.replace("model", "Model"), r"Model: .*Did you mean 'model'"),
    "work_dri": (GOOD + "work_dri = 'a'", r"line 19: work_dri: .*Did you mean 'work_dir'"),
    "metric": (GOOD + "metric = []", r"line 19: metric: .*Did you mean 'metrics'"),
    "checkpoint": (
        GOOD + "checkpoint = dict(interval=1)",
        r"checkpoint.*move it to checkpoint_con",
    ),
    "optimizer": (
        GOOD + "optimizer = dict(type='SGD')",
        r"'optimizer' is not a top-level key; move it to cl_strategy\.optimizer",
    ),
    "device": (GOOD + "device = 'cpu'", r"device: .*on the command line: --device"),
    "pipeline beside the scenario's": (
        GOOD + "train_pipeline = [dict(type='ToTensor')]",
        r"train_pipeline: not used, as scenario\.train_transform is set\. Change that key",
    ),
    "unknown section": (
        GOOD + "buffer = dict(type='Reservoir')",
        r"x\.py, line 19: buffer: unknown section, and not used\. Sections: scenario,",
    ),
    "unknown section, a list": (GOOD + "stages = [dict(type='A')]", r"stages: unknown section"),
    "strategy is a number": (SCENARIO + MODEL + "cl_strategy = 3", r"cl_strategy: expected dict"),
    "strategy replaced": ({**ALL, "x.py": CHILD + "cl_strategy = None"}, r"cl_strategy: expected"),
    "model is a name": (
        SCENARIO + STRATEGY + "model = 'ResNet'",
        r"model: expected dict.*'ResNet'",
    ),
    "loggers is a dict": (GOOD + "loggers = dict(type='TextLogger')", r"loggers: expected a list"),
    "metrics has names": (GOOD + "metrics = ['loss_metrics']", r"metrics: expected a list of dict"),
    "work_dir is a number": (GOOD + "work_dir = 3", r"work_dir: expected a string or None, got 3"),
    "load_from is empty": (GOOD + "load_from = ''", r"load_from: expected a path or dict"),
    "seed is true": (GOOD + "seed = True", r"seed: expected an integer >= 0 or None, got True"),
    "seed is negative": (GOOD + "seed = -1", r"seed: expected an integer >= 0 or None, got -1"),
    "seed is a float": (GOOD + "seed = 1.0", r"seed: expected an integer >= 0 or None, got 1\.0"),
    "deterministic benchmarks": (
        GOOD + "deterministic = True\ncudnn_benchmark = True",
        r"deterministic and cudnn_benchmark are both set.*Keep one",
    ),
    "amp is a word": (
        GOOD + "amp = 'fast'",
        r"amp: expected true, false, 'bfloat16', 'float16' or 'auto'.*got 'fast'",
    ),
    "num_workers": (
        GOOD + "num_workers = -1",
        r"num_workers: expected 'auto' or an integer from 0 to \d+ .*got -1",
    ),
    "interval is zero": (
        GOOD + "checkpoint_config = dict(interval=0)",
        r"checkpoint_config\.interval: expected an integer >= 1",
    ),
    "interval misspelt": (
        GOOD + "checkpoint_config = dict(intervl=1)",
        r"checkpoint_config\.intervl: unknown key\. Did you mean 'interval'",
    ),
    "bootstrap misspelt": (
        GOOD + "evaluation = dict(bootstraps=10)",
        r"evaluation\.bootstraps: unknown key\. Did you mean 'bootstrap'",
    ),
    "misspelt delete": (
        {**ALL, "x.py": CHILD + "cl_strategy = dict(optimizer=dict(_delete=True))"},
        r"x\.py: cl_strategy\.optimizer\._delete: .*_delete_=True",
    ),
    "custom import fails": (
        GOOD + "custom_imports = dict(imports=['no_such_module'])",
        r"x\.py: custom_imports: importing 'no_such_module' failed.*PYTHONPATH",
    ),
    "custom import is a string": (
        GOOD + "custom_imports = dict(imports='os')",
        r"custom_imports\.imports: expected a list of strings",
    ),
}

VALUES = {
    "lambda": ("lambda x: x", r"the function <lambda>.*dict\(type"),
    "class": ("__import__('pathlib').Path", r"the class pathlib\.Path.*Write its name: 'pathlib"),
    "path": ("__import__('pathlib').Path('a')", r"a pathlib\.\w+\. Write it as a string"),
    "array": ("__import__('numpy').zeros(2)", r"a numpy\.ndarray\. Add \.tolist\(\)"),
    "numpy integer": ("__import__('numpy').int64(2)", r"a numpy\.int64\. Add \.tolist\(\)"),
    "set": ("{1, 2}", r"a set\. Write a list"),
    "bytes": ("b'a'", r"a bytes\. Write it as"),
    "tuple as a key": ("{(1, 2): 3}", r"the key \(1, 2\) is a tuple\. Use a string"),
}

OPTIONS = {
    "no equals sign": ("seed", r"--cfg-options seed: expected KEY=VALUE"),
    "no key": ("=3", r"--cfg-options =3: expected KEY=VALUE"),
    "empty part": ("cl_strategy..lr=3", r"--cfg-options cl_strategy\.\.lr=3: expected KEY=VALUE"),
    "unknown section": ("sed=3", r"--cfg-options sed: unknown section\. Did you mean 'seed'"),
    "key without its section": (
        "train_epochs=3",
        r"--cfg-options train_epochs: .*Did you mean 'cl_strategy\.train_epochs'",
    ),
    "misspelt key": (
        "cl_strategy.train_epoch=3",
        r"cl_strategy has no key 'train_epoch'\. Did you mean 'train_epochs'",
    ),
    "misspelt key on the way": (
        "cl_strategy.optimzer.lr=3",
        r"cl_strategy has no key 'optimzer'\. Did you mean 'optimizer'",
    ),
    "parent does not exist": ("cl_strategy.warmup.epochs=3", r"cl_strategy has no key 'warmup'"),
    "parent is None": ("cl_strategy.scheduler.gamma=3", r"cl_strategy\.scheduler is None"),
    "parent is a number": ("cl_strategy.train_epochs.x=3", r"train_epochs is 2, which has no keys"),
    "index past the end": (
        "scenario.datasets.1.root=a",
        r"not an index of the list scenario\.datasets \(items 0 to 0\).*scenario\.datasets=\[",
    ),
    "key of a list": ("scenario.datasets.root=a", r"'root' is not an index of the list"),
    "dict to a string": (
        "cl_strategy.optimizer=AdamW",
        r"cl_strategy\.optimizer is .*cannot become 'AdamW'.*optimizer\.type=",
    ),
    "section to None": ("model=None", r"model: expected dict"),
    "list of dicts to a string": (
        "scenario.datasets=KonIQ10k",
        r"list of 1 dicts and cannot become 'KonIQ10k'.*datasets\.0\.type",
    ),
    "brackets": ("scenario.order=[a,b", r"scenario\.order=\[a,b: '\]' is missing"),
    "brackets, wrong order": ("scenario.order=a),b", r"'\)' has no opening bracket"),
    "dict that is none": ("cl_strategy.loss=dict(type=L1)", r"cannot read dict\(type=L1\)"),
    "call": ("cl_strategy.loss=dict(type=open('a'))", r"cannot read dict\(type=open"),
    "wrong kind": ("seed=-3", r"seed: expected an integer >= 0 or None, got -3"),
    "key of a section with fixed keys": (
        "checkpoint_config.intervall=3",
        r"checkpoint_config has no key 'intervall'\. Did you mean 'interval'",
    ),
    "inside a number": ("seed.a=3", r"--cfg-options seed\.a"),
}

NAMES = {
    "optimizer": (
        "cl_strategy.optimizer.type=SDG",
        r"unknown optimizer 'SDG'\. Did you mean 'SGD'",
    ),
    "strategy": ("cl_strategy.type=Naiv", r"cl_strategy: unknown strategy 'Naiv'\. Did you mean"),
    "loss": ("cl_strategy.loss.type=L1Los", r"cl_strategy\.loss: unknown loss 'L1Los'\. Did you"),
    "backbone": ("model.backbone.type=ResNt", r"model\.backbone: unknown model 'ResNt'\. Did you"),
    "data set": (
        "scenario.datasets.0.type=Koniq10K_",
        r"scenario\.datasets\[0\]: unknown data set 'Koniq10K_'\. Did you mean 'KonIQ10k'",
    ),
    "transform": (
        "scenario.train_transform.0.type=GridCorp",
        r"scenario\.train_transform\[0\]: unknown transform 'GridCorp'\. Did you mean 'GridCrop'",
    ),
    "scenario": ("scenario.type=QualityStrem", r"scenario: unknown scenario .*'QualityStream'"),
    "type is None": ("cl_strategy.type=None", r"cl_strategy: no 'type'\. Name the strategy"),
    "type is a number": ("cl_strategy.loss.type=3", r"cl_strategy\.loss\.type: expected a name"),
    "argument": (
        "scenario.train_transform.0=dict(sizes=8)",
        r"scenario\.train_transform\[0\] 'GridCrop': unexpected argument 'sizes'.*'size'",
    ),
}


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        pytest.param(*case, id=name)
        for cases in (FILES, CODE, SECTIONS)
        for name, case in cases.items()
    ],
)
def test_file(tmp_path: Path, files: str | Mapping[str, str], pattern: str) -> None:
    with pytest.raises(ConfigError, match=re.compile(pattern, re.DOTALL)):
        load(tmp_path, files, NO_OPTIONS)


@pytest.mark.parametrize(
    ("value", "pattern"), [pytest.param(*case, id=name) for name, case in VALUES.items()]
)
def test_value(tmp_path: Path, value: str, pattern: str) -> None:
    text = SCENARIO + STRATEGY + f"model = dict(backbone=[dict(a={value})])"
    with pytest.raises(ConfigError, match=rf"x\.py: model\.backbone\.0\.a: .*{pattern}"):
        load(tmp_path, text, NO_OPTIONS)


@pytest.mark.parametrize(
    ("option", "pattern"),
    [pytest.param(*case, id=name) for cases in (OPTIONS, NAMES) for name, case in cases.items()],
)
def test_option(tmp_path: Path, option: str, pattern: str) -> None:
    with pytest.raises(ConfigError, match=pattern):
        load(tmp_path, GOOD + "seed = 0\n", [option])


def test_variable_as_an_option(tmp_path: Path) -> None:
    text = "size = 8\n" + GOOD.replace("train_mb_size=8", "train_mb_size=size")
    with pytest.raises(ConfigError, match="'size' is a variable of the config file, which has"):
        load(tmp_path, text, ["size=3"])


def test_pipeline_as_an_option(tmp_path: Path) -> None:
    text = "train_pipeline = [dict(type='GridCrop', size=8)]\n" + GOOD.replace(
        'train_transform=[dict(type="GridCrop", size=8)]', "train_transform=train_pipeline"
    )
    with pytest.raises(ConfigError, match=r"no effect.*Use scenario\.train_transform\.0\.size="):
        load(tmp_path, text, ["train_pipeline.0.size=3"])


def test_wrong_encoding(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(GOOD.encode() + "# gr\xfcn".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"x\.py, line 19: not UTF-8"):
        load_config(tmp_path / "x.py")


@pytest.mark.parametrize("name", ["x.yaml", "x.json", "x"])
def test_other_kinds_of_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match=rf"{name}: a config is a Python file"):
        load_config(tmp_path / name)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder. Give the name of a config file in it"):
        load_config(tmp_path)
