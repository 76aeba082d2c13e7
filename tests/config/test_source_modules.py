"""Tests of cliqa.config.source_modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from cliqa.config.source_modules import package_folder, public_names

FILES = {
    "__init__.py": "from .one import *\nfrom .two import Second as Renamed\nimport os.path\n",
    "one.py": (
        "import json as js\nfrom sys import argv\nfrom .deep import *\n"
        "class First: pass\ndef function(): hidden = 1\nVALUE = _private = 1\n"
        "a, (b, *c) = 1, (2, 3)\n"
        "try:\n    from fast import Quick\nexcept ImportError:\n    class Quick: pass\n"
        "if True:\n    note: int = 3\nfor k in range(2): pass\ngone = 1\ndel gone\n"
    ),
    "two.py": "class Second: pass\n",
    "deep/__init__.py": "from ..two import *\nfrom cliqa_test_tree.deep.leaf import *\n",
    "deep/leaf.py": "class Leaf: pass\nfrom . import *\n",
    "broken.py": "class (",
    "far.py": "from no_such_package import *\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package cliqa_test_tree and return its folder."""
    folder = tmp_path / "cliqa_test_tree"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_names_of_a_package(tree: Path) -> None:
    expected = {
        *("js", "argv", "First", "function", "VALUE", "a", "b", "c", "Quick", "note", "k", "gone"),
        *("Second", "Leaf", "Renamed", "os"),
    }
    assert public_names("cliqa_test_tree") == expected
    assert "cliqa_test_tree" not in sys.modules


def test_names_of_a_module(tree: Path) -> None:
    assert public_names("cliqa_test_tree.two") == {"Second"}


def test_star_imports_may_be_circular(tree: Path) -> None:
    assert public_names("cliqa_test_tree.deep") == {"Second", "Leaf"}


@pytest.mark.parametrize("module", ["broken", "far", "none", "deep.none"])
def test_what_the_files_do_not_tell(tree: Path, module: str) -> None:
    assert public_names(f"cliqa_test_tree.{module}") is None


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.sub", "sys"])
def test_what_is_not_installed_or_has_no_files(module: str) -> None:
    assert public_names(module) is None
    assert package_folder(module) is None


def test_folders(tree: Path) -> None:
    assert package_folder("cliqa_test_tree.deep") == tree / "deep"
    assert package_folder("cliqa_test_tree.two") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "torch.optim",
        "torch.optim.lr_scheduler",
        "torch.nn",
        "torchvision.transforms.v2",
        "avalanche.training.supervised",
        "avalanche.training.plugins",
        "avalanche.evaluation.metrics",
        "avalanche.logging",
    ],
)
def test_no_class_or_function_of_the_libraries_is_missed(module: str) -> None:
    found = public_names(module)
    assert found is not None
    imported = vars(importlib.import_module(module)).items()
    real = {name for name, value in imported if callable(value) and not name.startswith("_")}
    assert real <= found
