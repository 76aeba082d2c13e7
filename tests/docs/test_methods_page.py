"""The page of all methods has each of them, where it lies, an equation and a source."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from cliqa.config.load import load_config
from cliqa.registry import PLUGINS, STRATEGIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "methods.md").read_text(encoding="utf-8")
NAME, BODY = re.compile(r"^### (.+)$", re.MULTILINE), re.compile(r"^### .+$|^## .+$", re.MULTILINE)


def methods() -> dict[str, Path]:
    """Return the files of cliqa's own strategies and plugins by their names."""
    found = {}
    for registry in (STRATEGIES, PLUGINS):
        registry.import_from_location()
        for name, one in registry.module_dict.items():
            if one.__module__.startswith("cliqa."):
                found[name] = Path(one.__module__.replace(".", "/") + ".py")
    return found


def sections() -> dict[str, str]:
    """Return the text below each heading of a method."""
    return {match[1]: BODY.split(PAGE[match.end() :])[0] for match in NAME.finditer(PAGE)}


def test_every_method_is_there_and_no_other() -> None:
    assert set(sections()) - {"Gates"} == set(methods())


@pytest.mark.parametrize("name", [*sorted(methods()), "Gates"])
def test_each_has_an_equation_a_source_and_its_file(name: str) -> None:
    text = sections()[name]
    assert text.lstrip().startswith("```text\n")
    named = [Path(path) for path in re.findall(r"`(cliqa/[\w/]+\.py|config/\w+\.py)`", text)]
    assert all((ROOT / path).is_file() for path in named)
    if name != "Gates":
        assert methods()[name] in named
    bounds = ("Naive", "JointTraining", "Cumulative")
    assert name in bounds or "Ours" in text or re.search(r"(19|20)\d\d", text)


def test_the_arguments_and_defaults_it_quotes_are_those_of_the_code() -> None:
    quoted: dict[str, tuple[str, float | str]] = {
        "L2P": ("strength", 0.5),
        "CODAPrompt": ("strength", 0.0),
        "DER": ("alpha", 0.1),
        "MultiHead": ("strength", 10.0),
        "LoRA": ("measure", "covariance"),
        "LwF": ("temperature", 2.0),
        "L2": ("anchor", "last"),
        "TaskSpecificParts": ("shared", "first"),
        "ModelMerging": ("start", "merged"),
        "ClassifierAlignment": ("samples", 256),
    }
    for name, (argument, value) in quoted.items():
        assert inspect.signature(PLUGINS.module_dict[name]).parameters[argument].default == value, (
            name
        )
        shown = value if isinstance(value, str) else f"{value:g}"
        assert shown in sections()[name], name


@pytest.mark.parametrize("name", ["clear_lwf", "fmnist_lwf"])
def test_the_configs_over_classes_distil_as_hinton_does(name: str) -> None:
    assert f"`config/{name}.py`" in sections()["LwF"]
    section = load_config(ROOT / "config" / f"{name}.py")["cl_strategy"]
    assert section["alpha"] == section["temperature"] ** 2
