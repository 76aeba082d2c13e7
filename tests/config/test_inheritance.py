"""Tests of cliqa.config.inheritance; refusals are in test_config_broken.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.config.inheritance import ConfigFile, read_chain
from cliqa.utils.errors import ConfigError


def write(folder: Path, **files: str) -> ConfigFile:
    """Write files and return the chain of x.py."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return read_chain(folder / "x.py")


def test_bases_in_their_order(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        x="_base_ = ['a.py', './b.py']\nseed = 1",
        a="_base_ = 'c.py'",
        b="b = 1",
        c="c = 1",
    )
    assert [part.path.name for part in file.chain()] == ["x.py", "a.py", "c.py", "b.py"]
    assert file.names == {"_base_", "seed", "b", "c"}


def test_paths_are_as_a_user_would_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "_base_").mkdir(parents=True)
    (tmp_path / "config" / "_base_" / "b.py").write_text("")
    (tmp_path / "config" / "x.py").write_text("_base_ = '../config/_base_/b.py'")
    monkeypatch.chdir(tmp_path)
    paths = [str(part.path) for part in read_chain("config/x.py").chain()]
    assert paths == [str(Path("config/x.py")), str(Path("config/_base_/b.py"))]


def test_the_same_base_twice_is_no_circle(tmp_path: Path) -> None:
    file = write(
        tmp_path, x="_base_ = ['a.py', 'b.py']", a="_base_ = 'c.py'", b="_base_ = 'c.py'", c=""
    )
    assert [part.path.name for part in file.chain()] == ["x.py", "a.py", "c.py", "b.py", "c.py"]


def test_assigned_names_with_lines(tmp_path: Path) -> None:
    text = (
        "a, (b, *c) = 1, (2, 3)\n"
        "for d in range(2):\n"
        "    e = [hidden for hidden in 'x']\n"
        "def function():\n"
        "    local = 1\n"
        "a = 2\n"
        "f: int = 3\n"
        "model = dict(key=(g := 4))\n"
    )
    assigned = write(tmp_path, x=text).assigned
    assert assigned == {"a": 1, "b": 1, "c": 1, "d": 2, "e": 3, "f": 7, "model": 8, "g": 8}


def test_used_names(tmp_path: Path) -> None:
    text = (
        "_base_ = 'a.py'\n"
        "rate = 0.1\n"
        "model = dict(rate=rate, depth=_base_.depth, width={{_base_.width.first}})\n"
        "def function():\n"
        "    return inner\n"
    )
    file = write(tmp_path, x=text, a="depth = 1\nwidth = dict(first=1)")
    assert {"rate", "inner"} <= file.used
    assert "depth" not in file.used
    assert file.used_of_bases == {"depth": 3, "width": 3}


def test_methods_of_the_bases_dict_are_no_names(tmp_path: Path) -> None:
    write(tmp_path, x="_base_ = 'a.py'\nseed = len(_base_.keys()) + _base_.get('x', 1)", a="b = 1")


def test_placeholders_before_the_syntax_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIQA_TEST_BASE", "a")
    text = (
        "_base_ = ['{{ fileDirname }}/{{$CLIQA_TEST_BASE:b}}.py']\n"
        "workers = {{'$CLIQA_TEST_UNSET:3'}}\n"
        "name = '{{fileBasenameNoExtension}}{{ fileExtname }}'\n"
    )
    file = write(tmp_path, x=text, a="seed = 1")
    assert "seed" in file.names
    assert file.assigned.keys() == {"_base_", "workers", "name"}


@pytest.mark.parametrize(
    "line",
    [
        "x = {{_base_.a}}",
        "x = dict(y={{ _base_.a }}, z=[{{_base_.a}}, ({{_base_.a.b}}, 1)])",
        "x = {'y': {{_base_.a}}}",
        "# {{_base_.a}} * 2",
        '"""A docstring with {{_base_.a}}."""',
    ],
)
def test_placeholders_that_are_whole_values(tmp_path: Path, line: str) -> None:
    write(tmp_path, x=f"_base_ = 'a.py'\n{line}", a="a = dict(b=1)")


@pytest.mark.parametrize(
    "line",
    [
        "x = {{_base_.a}} * 2",
        "x = [{{_base_.a}}[0]]",
        "x = [*{{_base_.a}}]",
        "x = '{{_base_.a}}/b'",
        "x = f'{{_base_.a}}'",
    ],
)
def test_placeholders_that_would_be_garbage(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.py, line 2: \{\{_base_\.a\}\} can only be a whole"):
        write(tmp_path, x=f"_base_ = 'a.py'\n{line}", a="a = 1")


def test_bases_of_other_packages_are_read_like_any_base(tmp_path: Path) -> None:
    file = write(tmp_path, x="_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'")
    assert file.bases[0].path.name == "resnet18_8xb32_in1k.py"
    assert {"model", "optim_wrapper", "train_dataloader"} <= file.names
    with pytest.raises(ConfigError, match="line 2: no base sets 'modell'. Did you mean 'model'"):
        write(tmp_path, x="_base_ = 'mmpretrain::_base_/models/resnet18.py'\nseed = _base_.modell")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("mmpretrain::_base_/models/resnet19.py", "no such config.*Did you mean 'resnet1.*py'"),
        ("mmdet::x.py", r"x\.py: its base mmdet::x\.py: the package 'mmdet' is not installed"),
        ("numpy::x.py", "the package 'numpy' brings no configs"),
        ("a.b::x.py", r"the package 'a\.b' is not installed"),
        ("::x.py", "the package '' is not installed"),
    ],
)
def test_bases_of_packages_that_are_not_there(tmp_path: Path, base: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, x=f"_base_ = {base!r}")


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.py").write_text("")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"x\.py: cannot be read \(Permission denied\)"):
        read_chain(tmp_path / "x.py")
