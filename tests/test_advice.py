"""What a message advises exists: every ``key=`` and ``--option`` in the package's error texts.

A key must be an argument of a component that a config can name, of a function of the package, a
key of the shipped configs, or stand on the reviewed list below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from cliqa import registry
from cliqa.benchmarks.online import OnlineStream
from cliqa.config.options import apply_options
from cliqa.models.backbones.extractor import build_extractor
from cliqa.models.build import build_model
from cliqa.registry import ComponentRegistry, build_component, parameters_of
from cliqa.training.loop.options import TrainingOptions
from cliqa.utils.arguments import ARGUMENTS
from cliqa.utils.errors import ModelError
from tests.trees import tree_of

ROOT = Path(__file__).resolve().parents[1]

REVIEWED = {
    "KEY": "any key of a config",
    "TYPE": "any data set",
    "KADID10k": "a data set",
    "FILE": "any file of scores",
    "EWC": "the label of a run, with the value of its setting",
    "scores.csv": "a file of scores",
    "dataset_type": "an older word for the scenario's type, which is understood",
    "base_batch_size": "of auto_scale_lr, as mmengine calls it",
    "auto_scale_lr.base_batch_size": "of auto_scale_lr",
    "enable": "of auto_scale_lr",
    "auto_scale_lr.enable": "of auto_scale_lr",
    "keep_ratio": "of mmcv's Resize, in a message about its config",
    "class": "of HTML, in a page of the app",
    "partition": "of sbatch",
    "gpus_per_node": "of sbatch",
    "time": "of sbatch",
    "executor": "of --slurm",
    "RAY_AUTH_MODE": "Ray's variable",
    "takes_chunks": "an attribute that the author of a strategy sets",
}
"""Words before a ``=`` that are no key of ours, and what they are."""

REVIEWED_OPTIONS = {
    "--force-reinstall": "pip's",
    "--shm-size": "docker's",
    "--local-dir": "that of hf download",
    "--logdir": "TensorBoard's",
    "--append": "WandB's",
    "--head": "of ray start",
    "--nproc-per-node": "torchrun's",
}
"""Options of other programs."""

_KEY = re.compile(r"(?<![\w.\-])((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)=(?![=>])")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def sources() -> list[Path]:
    """Return the package, its tools and entry points."""
    files = [path for name in ("cliqa", "tools") for path in (ROOT / name).rglob("*.py")]
    return sorted([*files, *ROOT.glob("*_config.py")])


def text_of(node: ast.AST) -> str:
    """Return the text of a string or an f-string, with a blank mark for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return "\N{BLACK SQUARE}" if isinstance(node, ast.FormattedValue) else ""


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield lines and texts of a module that a user may read, all but docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented):
            skipped |= {id(part.value) for part in node.body if isinstance(part, ast.Expr)}
        if isinstance(node, (ast.Module, ast.ClassDef)):  # what stands below a constant
            skipped |= {id(part.value) for part in node.body if isinstance(part, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if part is not node}
        if id(node) not in skipped and isinstance(node, (ast.Constant, ast.JoinedStr)):
            yield node.lineno, text_of(node)


@cache
def all_texts() -> tuple[tuple[Path, int, str], ...]:
    """Return every text of the project with its place."""
    found = []
    for path in sources():
        tree = tree_of(path)
        found += [(path, line, text) for line, text in texts(tree)]
    return tuple(found)


@cache
def known_keys() -> frozenset[str]:
    """Return every name that a config, a function or a class of the package takes."""
    names = {"type", *TrainingOptions.__dataclass_fields__, *OnlineStream.__dataclass_fields__}
    registries = [v for v in vars(registry).values() if isinstance(v, ComponentRegistry)]
    for each in registries:
        for name in each.names():
            component = each.get(name)
            if component is not None:
                names |= set(parameters_of(component)[0])
    for path in [*sources(), *(ROOT / "config").rglob("*.py")]:
        in_config = path.is_relative_to(ROOT / "config")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = node.args
                own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                names |= {argument.arg for argument in own}
            if in_config:
                if isinstance(node, ast.keyword) and node.arg:
                    names.add(node.arg)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names.add(node.id)
    return frozenset(names)


@cache
def known_options() -> frozenset[str]:
    """Return every option of the command lines."""
    found = {"--help", *(name for name in ARGUMENTS if name.startswith("--"))}
    for path in sources():
        tree = tree_of(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                found |= {text_of(a) for a in node.args if text_of(a).startswith("--")}
    return frozenset(found)


def unknown(pattern: re.Pattern[str], known: frozenset[str]) -> list[str]:
    """Return what texts advise and nobody takes, with places."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name!r} in {text[:160]!r}"
        for path, line, text in all_texts()
        if " " in text
        for name in pattern.findall(text)
        if name not in known and name.rpartition(".")[2] not in known
    ]


def test_keys_that_messages_name_exist() -> None:
    assert unknown(_KEY, known_keys() | set(REVIEWED)) == []


def test_options_that_messages_name_exist() -> None:
    assert unknown(_OPTION, known_options() | set(REVIEWED_OPTIONS)) == []


def test_misnamed_advice_would_be_found() -> None:
    tree = ast.parse('raise ValueError(f"{a}: set train_mb_sise={b}, or --lrr. ")\n')
    ((_, text),) = [found for found in texts(tree) if found[1]]
    assert _KEY.findall(text) == ["train_mb_sise"]
    assert _OPTION.findall(text) == ["--lrr"]
    assert {"train_mb_size", "score_range", "higher_is_better", "fractions"} <= known_keys()
    assert "train_mb_sise" not in known_keys()
    assert "--cfg-options" in known_options()


def _no_network(*arguments: Any, **options: Any) -> None:
    raise URLError("no route")


MODELS: dict[str, dict[str, Any]] = {
    "LightweightModel": {"backbone": "resnet18"},
    "HyperIQA": {},
    "MSHyperIQA": {},
    "SwinHyperIQA": {},
    "TorchvisionBackbone": {"arch": "resnet18", "nodes": ["layer4"], "weights": "DEFAULT"},
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_advice_for_a_failed_download_works(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", _no_network)
    section = {"type": kind, **MODELS[kind]}
    if kind != "TorchvisionBackbone":
        section["pretrained"] = True
    with pytest.raises(ModelError, match="cannot be downloaded") as error:
        build_component(registry.MODELS, section, "model")
    told = re.search(r"for (\w+) cannot.* (\w+)='path/of/the/file'", str(error.value))
    assert told is not None
    file = tmp_path / "published.pth"
    torch.save(torchvision.models.get_model(told[1], weights=None).state_dict(), file)
    section[told[2]] = str(file)
    build_component(registry.MODELS, section, "model")


@pytest.mark.parametrize("kind", [name for name in MODELS if name != "TorchvisionBackbone"])
def test_the_advice_for_a_configs_model_names_keys_that_exist(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", _no_network)
    config = {"model": {"type": kind, **MODELS[kind], "pretrained": True}}
    with pytest.raises(ModelError) as error:
        build_model(config["model"])
    options = re.findall(r"(model[\w.]+=\S+)", str(error.value))
    assert len(options) == 2
    without = apply_options(config, options[1:])["model"]
    build_model(without)


def test_the_advice_for_a_backbone_names_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", _no_network)
    config = {
        "model": {
            "backbone": {"type": "TorchvisionBackbone", **MODELS["TorchvisionBackbone"]},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": 2, "in_channels": 512},
        }
    }
    with pytest.raises(ModelError, match=r"model\.backbone\.weights='path.*weights=None") as error:
        build_model(config["model"])
    options = re.findall(r"(model[\w.]+=\S+)", str(error.value))
    build_model(apply_options(config, options[1:])["model"])


def test_the_advice_for_an_extractor_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", _no_network)
    with pytest.raises(ModelError, match=r"checkpoint='path/of/the/file'"):
        build_extractor("resnet18")
    file = tmp_path / "published.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), file)
    build_extractor("resnet18", checkpoint=file)


OF_THE_CHECKOUT = re.compile(
    r"\b(?:config|docs|tools|perf|tests)/[\w/]+\.(?:py|md)|\b\w+_config\.py"
)
"""Files that an installed package has not got."""


def test_messages_name_no_file_of_the_checkout() -> None:
    named = [
        f"{path.relative_to(ROOT)}, line {node.lineno}: {found[0]}"
        for path in sorted((ROOT / "cliqa").rglob("*.py"))
        for node in _texts(tree_of(path))
        if (found := OF_THE_CHECKOUT.search(node.value)) and "://" not in node.value
    ]
    assert not named, "an installed package has cliqa::demo.py and the command cliqa instead"


def _texts(tree: ast.Module) -> Iterator[Any]:
    """Yield the texts of a module that are no documentation."""
    nodes = list(ast.walk(tree))
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in documentation:
                yield node
