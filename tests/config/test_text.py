"""Tests of cliqa.config.text, and of what a config file may be, as load_config sees it."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from cliqa.config.load import load_config
from cliqa.utils.errors import ConfigError

GOOD = """
scenario = dict(type="QualityStream", datasets=[])
model = dict(type="ImageClassifier", backbone=dict(type="ResNet"))
cl_strategy = dict(type="Naive")
"""
NEWER = "from mmengine.config import read_base\nwith read_base():\n    "


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(GOOD + "seed = 3\n", encoding="utf-8-sig")
    (tmp_path / "x.py").write_text("_base_ = 'base.py'\n", encoding="utf-8-sig")
    (tmp_path / "plain.py").write_text(GOOD + "seed = 3\n", encoding="utf-8")
    assert load_config(tmp_path / "x.py") == load_config(tmp_path / "plain.py")


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems(tmp_path: Path, end: str) -> None:
    (tmp_path / "x.py").write_bytes((GOOD + "seed = 3\n").replace("\n", end).encode())
    assert load_config(tmp_path / "x.py")["seed"] == 3


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("from .c import *", r"_base_ = \['\./c\.py'\] and types"),
        ("from .._base_.models.x import *", r"_base_ = \['\.\./_base_/models/x\.py'\]"),
        ("from ...a import *\n    from .b import *", r"\['\.\./\.\./a\.py', '\./b\.py'\]"),
        ("from mmpretrain.configs.x import *", r"_base_ = \['\./base\.py'\]"),
        ("pass", r"_base_ = \['\./base\.py'\]"),
    ],
)
def test_newer_configs_are_told_how_to_be_written(
    tmp_path: Path, statement: str, written: str
) -> None:
    (tmp_path / "x.py").write_text(NEWER + statement)
    message = rf"x\.py, line 2: 'with read_base\(\):' is not supported\. Write .*{written}"
    with pytest.raises(ConfigError, match=message.replace(".*_base_", "_base_")):
        load_config(tmp_path / "x.py")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le"), r"x\.py: is UTF-16\. Save .* UTF-8"),
        (codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"), r"x\.py: is UTF-16\."),
        (GOOD.encode() + b"# \xe9\n", r"x\.py, line 5: not UTF-8"),
        (GOOD.encode() + b"\0", r"null byte"),
        (b"", r"no section 'scenario'"),
        (b"\tseed = 1\n", r"x\.py, line 1: unexpected indent"),
        (b"seed = " + b"9" * 5000, r"x\.py, line 1: Exceeds the limit .*digits"),
        (
            GOOD.encode() + b"seed = 10 ** 5000",
            r"seed: an integer of 16610 bits\. At most 64 are allowed",
        ),
        (
            GOOD.encode() + b"d = 1\nfor _ in range(3000):\n    d = dict(a=d)\nmodel['x'] = d\n",
            r"x\.py: .*(nested too deeply|recursion)",
        ),
        (b"model = " + b"dict(a=" * 1000 + b"1" + b")" * 1000, r"x\.py.*: "),
        (b"_base_ = exit(3)\n", r"x\.py, line 1: _base_ cannot be evaluated"),
        (b"_base_ = 'a\\0.py'\n", r"its base .*: (no such config file|cannot be read)"),
        (b"_base_ = '" + b"a" * 300 + b".py'\n", r"its base .*cannot be read \(File name too long"),
        (GOOD.encode() + b"raise SystemExit\n", r"x\.py, line 5: SystemExit"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.py").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(tmp_path / "x.py")
    sections = 1 if content else 3  # an empty file lacks three
    assert len(str(caught.value).split("\n")) == sections


def test_what_a_config_prints_stays_off_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.py").write_text(GOOD + "print('hello')\n")
    load_config(tmp_path / "x.py")
    assert capsys.readouterr() == ("", "hello\n")
