"""Every example of the README and of docs/ is run, or at least checked.

* A Python block with a title is a file of a project (``my_project/...``, ``config/...``). A config
  is trained, over small data; after ``<!-- test: resolve -->``, where its data or the time are
  missing here, its names and arguments are checked alone.
* A Python block without a title is a script, run in that project after the blocks before it.
* Commands are parsed by the tools themselves; configs in them are loaded with their options.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributed.run import get_args_parser

import cliqa
import cliqa.registry as registries
from cliqa.commands.main import COMMANDS, DATA
from cliqa.config.components import quick_check
from cliqa.config.inheritance import base_path
from cliqa.config.load import load_config
from cliqa.demo_data.fashion import FashionData
from cliqa.engine.check import check_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCK = re.compile(
    r"(<!-- test: (?P<mark>\w+) -->\n)?"
    r"```python(?: title=\"(?P<title>[^\"]+)\")?\n(?P<code>.*?)```",
    re.DOTALL,
)
SHELL = re.compile(r"```shell\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(python [\w/]+\.py [^`]*)`")
WITH_PYTHON = [name for name, text in PAGES.items() if "```python" in text]
PLACEHOLDERS = ("config/x.py", "CONFIG")


class Block(NamedTuple):
    """A Python block: the file that it is, None for a script; run it, or resolve it alone."""

    title: str | None
    code: str
    resolve: bool


def blocks_of(page: str) -> list[Block]:
    """Return the Python blocks of a page."""
    found = [match.groupdict() for match in BLOCK.finditer(PAGES[page])]
    assert len(found) == PAGES[page].count("```python")
    return [Block(each["title"], each["code"], each["mark"] == "resolve") for each in found]


def brightness_images(folder: Path, count: int) -> list[str]:
    """Write images whose score is their brightness; return the rows of their table."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    rows = []
    for k in range(count):
        pixels = noise.uniform(0, 60, (120, 120, 3)) + 180 * k / count
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{k}.png")
        rows.append(f"{k}.png,{1 + 4 * k / count:.2f}")
    return rows


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a base of the project's configs."""
    text = path.read_text()
    assert old in text, path
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the configs, whose generated data are small and whose epochs are one."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "config", root / "config")
    bases = root / "config" / "_base_"
    demo = bases / "datasets" / "generated_eva_ava_koniq.py"
    replace_in(demo, '"DemoData"', '"DemoData", train=20, val=4, test=12')
    replace_in(bases / "schedules" / "adamw_8e.py", "train_epochs=8", "train_epochs=1")
    replace_in(bases / "schedules" / "sgd_15e.py", "train_epochs=15", "train_epochs=1")
    replace_in(bases / "default_runtime.py", 'num_workers = "auto"', "num_workers = 0")
    FashionData(train=120, test=60).write(root / "data" / "fashion")
    (root / "data" / "mnist" / "MNIST").mkdir(parents=True)
    (root / "data" / "mnist" / "MNIST" / "raw").symlink_to(  # the same files, by their contents
        root / "data" / "fashion" / "FashionMNIST" / "raw"
    )
    fashion = bases / "datasets" / "fashion_mnist.py"
    text = re.sub(r'dataset_root="[^"]*"', 'dataset_root="data/fashion"', fashion.read_text())
    fashion.write_text(text)
    rows = brightness_images(root / "data" / "my_set" / "images", 30)
    labels = "\n".join(["file,mos", *rows]) + "\n"
    (root / "data" / "my_set" / "labels.csv").write_text(labels)
    (root / "folder").mkdir()
    photo = Image.new("RGB", (120, 130), (90, 120, 60))
    photo.save(root / "photo.jpg")
    photo.save(root / "folder" / "other.jpg")
    return root


@pytest.fixture
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the project; the components that a page registers are forgotten at the end."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(ROOT / "tests" / "docs" / "services")
    monkeypatch.syspath_prepend(project)
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    own = [
        one for one in vars(registries).values() if isinstance(one, registries.ComponentRegistry)
    ]
    for registry in own:
        registry.import_from_location()
    before = [dict(registry.module_dict) for registry in own]
    yield project
    for registry, known in zip(own, before, strict=True):
        registry.module_dict.clear()
        registry.module_dict.update(known)
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_project"]:
        del sys.modules[name]
    shutil.rmtree(project / "my_project", ignore_errors=True)
    importlib.invalidate_caches()


def run(block: Block) -> None:
    """Do what a reader would do with a block."""
    if block.title is None:
        exec(compile(block.code, "example.py", "exec"), {"__name__": "example"})
        return
    path = Path(block.title)
    path.parent.mkdir(exist_ok=True)
    path.write_text(block.code)
    if path.parent.name != "config":
        importlib.invalidate_caches()
    elif block.resolve:
        config = load_config(path)
        quick_check(config)
        check_config(config)
    else:
        assert cliqa.train(path, device="cpu").results.status == "finished"


def check_method() -> None:
    """The method changes what is learnt."""
    plain = cliqa.train("config/demo_naive.py", device="cpu").results.history
    own = cliqa.results("work_dirs/demo_decay").history
    assert (own["loss"] != plain["loss"]).all()


def check_data_set() -> None:
    """The data set is what was learnt."""
    assert list(cliqa.results("work_dirs/my_set").matrix().columns) == ["myset"]


def check_metric() -> None:
    """The metric reaches the loggers."""
    file = next(Path("work_dirs/demo_largest_error").rglob("events*"))
    events = EventAccumulator(str(file.parent))
    events.Reload()
    assert any(tag.startswith("LargestError_Exp") for tag in events.Tags()["scalars"])


def check_model() -> None:
    """The head and the model are what was trained."""
    names = {"demo_mlp_head": "head.layers.0.weight", "demo_tiny_net": "body.0.weight"}
    for run_name, weight in names.items():
        network = cliqa.load(f"work_dirs/{run_name}", device="cpu", trust=True).network
        assert weight in network.state_dict()


def check_loggers() -> None:
    """TensorBoard shows the run; a logger for each service shows it, and a resume continues it."""
    file = next(Path("work_dirs/demo_tensorboard").rglob("events*"))
    events = EventAccumulator(str(file.parent))
    events.Reload()
    assert {"train/lr", "test/srcc/eva"} <= set(events.Tags()["scalars"])
    for service in ("comet", "mlflow", "clearml"):
        name = {"comet": "CometLogger", "mlflow": "MLflowLogger", "clearml": "ClearMLLogger"}
        config = f"config/demo_{service}.py"
        Path(config).write_text(
            "_base_ = ['demo_naive.py']\n"
            f"custom_imports = dict(imports=['my_project.{service}_logger'])\n"
            f"loggers = [dict(type='{name[service]}')]\n"
        )
        calls: list[Any] = importlib.import_module("recorded").calls
        calls.clear()
        run = cliqa.train(config, device="cpu")
        told: dict[str, list[Any]] = {}
        for what, arguments, _ in calls:
            told.setdefault(what, []).append(arguments)
        values = {key: value for part, _ in told["values"] for key, value in part.items()}
        final = run.results.matrix("srcc").loc[:, "eva"].iloc[-1]
        assert values["test/srcc/eva"] == pytest.approx(final)
        assert {"train/loss", "train/lr", "val/srcc/koniq"} <= values.keys()
        assert len(told["table"]) == 3  # two matrices and the summary
        assert told["start"][0][1] is None
        assert {"config", "close"} <= told.keys()
        record = json.loads((run.work_dir / "run.json").read_text())["loggers"]
        assert record[name[service]]["id"] == "1a2b"
        assert record[name[service]]["link"].startswith("https://")
        calls.clear()
        cliqa.train(config, device="cpu", resume=True)
        assert next(arguments for what, arguments, _ in calls if what == "start")[1] == "1a2b"


CHECKS = {
    "docs/how-to/loggers.md": check_loggers,
    "docs/how-to/add_a_method.md": check_method,
    "docs/how-to/add_a_data_set.md": check_data_set,
    "docs/how-to/add_a_metric.md": check_metric,
    "docs/how-to/add_a_model.md": check_model,
}
"""What must be true after the examples of a page."""


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, in_project: Path) -> None:
    for block in blocks_of(page):
        run(block)
    if page in CHECKS:
        CHECKS[page]()


def expanded(word: str) -> list[str]:
    """Return a word with its braces expanded, as a shell does."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", word)
    if not match:
        return [word]
    parts = match[1].split(",")
    return [
        w for part in parts for w in expanded(word[: match.start()] + part + word[match.end() :])
    ]


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the commands of a page as words."""
    lines = [
        line for block in SHELL.findall(text) for line in block.replace("\\\n", " ").split("\n")
    ]
    for line in [*lines, *INLINE.findall(text)]:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            quoted = [[w] if "(" in w else expanded(w) for w in words[:end]]
            yield [word for several in quoted for word in several]
            words = words[end + 1 :]


@cache
def load_with(config: str, options: tuple[str, ...]) -> None:
    """Load a config with the options of a command."""
    if "::" in config:  # one that another package brings
        assert base_path(config, ROOT).is_file(), config
        return
    assert (ROOT / config).is_file(), config
    if options:  # the configs alone are checked in test_configs.py
        quick_check(load_config(ROOT / config, options))


def check_script(script: str, words: list[str], written: set[str]) -> None:
    """Check a command of one of our scripts, which start a command of the package."""
    text = (ROOT / script).read_text(encoding="utf-8")
    found = re.search(r"^from cliqa\.commands\.([\w.]+) import main$", text, re.M)
    name = f"cliqa.commands.{found[1]}" if found else script.removesuffix(".py").replace("/", ".")
    check_arguments(name, words, written)


def check_arguments(module: str, words: list[str], written: set[str]) -> None:
    """Check the arguments of a command line that a module parses."""
    args = importlib.import_module(module).parse_args(words)
    given = getattr(args, "config", None) or getattr(args, "configs", None) or []
    for config in [given] if isinstance(given, str) else given:
        if config not in PLACEHOLDERS and config not in written:
            load_with(config, tuple(getattr(args, "cfg_options", ())))


def check_command(words: list[str], written: set[str]) -> None:
    """Check one command of a page."""
    if words[0] == "python" and words[1] != "-m":
        check_script(words[1], words[2:], written)
    elif words[0] == "cliqa":
        table, rest = (DATA, words[2:]) if words[1] == "data" else (COMMANDS, words[1:])
        check_arguments(f"cliqa.commands.{table[rest[0]][0]}", rest[1:], written)
    elif words[0] == "torchrun":
        given = get_args_parser().parse_args(words[1:])
        check_script(given.training_script, given.training_script_args, written)
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"\.\[([\w,]+)\]", " ".join(words))
        project = (ROOT / "pyproject.toml").read_text()
        for extra in ",".join(extras).split(",") if extras else ():
            assert f"\n{extra} = [" in project
    else:
        others = [["ray", "start"], ["hf", "auth"], ["hf", "upload"], ["pre-commit", "install"]]
        others += [["docker", "build"], ["docker", "run"]]
        assert words[0] in ("python", "python3", ".") or words[:2] in others, words


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_understood(page: str) -> None:
    written = set(re.findall(r'title="([^"]+)"', PAGES[page]))
    for words in commands_of(PAGES[page]):
        check_command(words, written)


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_exist(page: str) -> None:
    text = PAGES[page]
    written = set(re.findall(r'title="([^"]+)"', text)) | set(PLACEHOLDERS)
    for word in re.findall(r"(?:config|tools|perf|tests)/[\w/{},]+\.py", text):
        for path in expanded(word):
            assert path in written or (ROOT / path).is_file(), path


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((docs/[^)#]+)(?:#([^)]+))?\)", PAGES["README.md"])
    assert len(links) > 20
    for path, anchor in links:
        assert (ROOT / path).is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path}#{anchor}"
