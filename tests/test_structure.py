"""The project's shape: who imports whom, how long files are, what is documented and tested."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from avalanche.training.plugins import SupervisedPlugin

from cliqa.config.names import package_folder
from tests.trees import tree_of

ROOT = Path(__file__).resolve().parents[1]
LINES = 300
FLAT = 16
SCRIPT = 45  # a script of tools/ starts a command of the package, and does nothing itself
TESTED = 0.8

LAYERS = (
    {"moved"},
    {"utils"},
    {"config"},
    {"registry"},
    {"transforms", "losses"},
    {"datasets", "models"},
    {"benchmarks", "demo_data", "evaluation", "deploy"},
    {"training"},
    {"pretraining", "visualization"},
    {"engine"},
    {"inference", "studies"},
    {"compress", "explain"},
    {"hub"},
    {"api"},
    {"app", "serve"},
    {"commands"},
    {"tools", "train_config", "test_config", "__main__", "setup"},
)
"""Rooms from the bottom to the top; a room imports from lower layers and from itself alone."""

LIBRARIES = {
    "avalanche": {"benchmarks", "training", "evaluation.metrics", "engine", "api"},
    "mmpretrain": {"models"},
    "mmengine": {"config", "registry", "models"},
    "gradio": {"app"},
    "huggingface_hub": {"hub"},
    "playwright": set(),
    "fastapi": {"app", "serve"},
    "starlette": {"app", "serve"},
    "uvicorn": {"app", "serve"},
    "h11": {"serve"},
    "python_multipart": {"serve"},
    "prometheus_client": {"serve"},
    "wandb": set(),
}
"""Libraries that only some rooms import."""


OTHERS = {"before_run"}
"""Names like hooks' that Avalanche's loggers call themselves."""


def sources(root: Path = ROOT) -> list[Path]:
    """Return the project's source files: the package, the tools and the entry points."""
    packages = [path for name in ("cliqa", "tools") for path in (root / name).rglob("*.py")]
    return sorted([*packages, *root.glob("*.py")])


def module_of(path: Path, root: Path = ROOT) -> str:
    """Return a file's dotted name, without the package's: ``models.heads`` for its __init__."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == "cliqa" else parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what a file imports with the lines, imports inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield node.lineno, start
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def layer_of(room: str) -> int:
    """Return how high a room lies, -1 for what is no room."""
    return next((level for level, rooms in enumerate(LAYERS) if room in rooms), -1)


def room_mistakes(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Yield the imports of a file that lead up or sideways."""
    room = module_of(path, root).split(".")[0]
    if not room:  # the package itself has a test of its own
        return
    for line, imported in imports_of(path):
        parts = imported.split(".")
        if imported.startswith("."):
            yield f"{path}:{line} has a relative import; write cliqa..."
        other = parts[1] if parts[0] == "cliqa" and len(parts) > 1 else parts[0]
        if other == room or layer_of(other) < 0 or parts[0] not in ("cliqa", *LAYERS[-1]):
            continue
        if layer_of(other) >= layer_of(room):
            yield f"{path}:{line} ({room}) imports {imported}, which lies no lower"


def library_mistakes(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Yield the imports of a library in a room that must do without it."""
    module = f"{module_of(path, root)}."
    for line, imported in imports_of(path):
        rooms = LIBRARIES.get(imported.split(".")[0])
        if rooms is not None and not any(module.startswith(f"{room}.") for room in rooms):
            yield f"{path}:{line} imports {imported}; only {sorted(rooms)} may"


@cache
def hooks() -> frozenset[str]:
    """Return the names of Avalanche's hooks, from its sources."""
    folder = package_folder("avalanche")
    assert folder is not None
    return frozenset(
        method.name
        for node in tree_of(folder / "core.py").body
        if isinstance(node, ast.ClassDef)
        and "Meta" not in node.name  # hooks of meta-learning alone
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name.startswith(("before_", "after_"))
    )


def hook_mistakes(paths: list[Path]) -> Iterator[str]:
    """Yield the methods of plugins, metrics and loggers that look like hooks and are none."""
    classes = {
        node.name: (path, node)
        for path in paths
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }

    def is_called(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name.endswith(("Plugin", "PluginMetric", "Logger", "GenericPluginMetric")):
            return True
        if name not in classes or name in seen:
            return False
        bases = [getattr(base, "id", getattr(base, "attr", "")) for base in classes[name][1].bases]
        return any(is_called(base, seen | {name}) for base in bases)

    for name, (path, node) in classes.items():
        methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
        for method in methods if is_called(name) else ():
            if method.startswith(("before_", "after_")) and method not in hooks() | OTHERS:
                yield f"{path}: {name}.{method} is no hook of Avalanche: it would never run"


def test_rooms_import_from_below_alone() -> None:
    assert [mistake for path in sources() for mistake in room_mistakes(path)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {".".join(("cliqa", *module_of(path).split("."))): path for path in sources()}
    graph = {
        name: {imported for _, imported in imports_of(path) if imported in modules}
        for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules of the circle


def test_libraries_stay_in_their_rooms() -> None:
    assert [mistake for path in sources() for mistake in library_mistakes(path)] == []


def test_every_room_has_a_layer() -> None:
    rooms = {module_of(path).split(".")[0] for path in sources()} - {""}
    assert {room for room in rooms if layer_of(room) < 0} == set()


def test_the_package_itself_imports_nothing_but_its_old_paths() -> None:
    imported = [name for _, name in imports_of(ROOT / "cliqa" / "__init__.py")]
    assert imported == ["cliqa.moved", "cliqa.moved.install"]


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {str(path): lines for path, lines in lengths.items() if lines > LINES} == {}


def test_rooms_are_small() -> None:
    counts = Counter(path.parent for path in sources() if path.name != "__init__.py")
    del counts[ROOT / "tools"]  # scripts: users look for a command in one folder
    assert {str(room): count for room, count in counts.items() if count > FLAT} == {}


def test_scripts_only_start_a_command() -> None:
    for path in [*(ROOT / "tools").glob("*.py"), *ROOT.glob("*_config.py")]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= SCRIPT, path
        assert "from cliqa.commands." in text, path


def test_rooms_say_what_is_in_them_and_what_is_not() -> None:
    rooms = [path for path in sources() if path.name == "__init__.py"]
    short = [
        str(path)
        for path in rooms
        if len((ast.get_docstring(tree_of(path)) or "").splitlines()) < 3
    ]
    assert short == []


def test_modules_are_documented() -> None:
    assert [str(path) for path in sources() if not ast.get_docstring(tree_of(path))] == []


def test_most_modules_have_a_test_of_their_name() -> None:
    files = [path for path in sources() if not path.name.startswith("__")]
    modules = [path for path in files if path.is_relative_to(ROOT / "cliqa")]
    missing = []
    for path in modules:
        folder = path.relative_to(ROOT).parent
        folder = Path(*folder.parts[1:]) if folder.parts[0] == "cliqa" else folder
        if not (ROOT / "tests" / folder / f"test_{path.name}").is_file():
            missing.append(str(path.relative_to(ROOT)))
    assert len(missing) <= (1 - TESTED) * len(modules), missing


def test_hooks_are_spelt_as_avalanche_calls_them() -> None:
    assert list(hook_mistakes(sources())) == []


def test_hooks_are_those_of_avalanches_plugins() -> None:
    real = {name for name in dir(SupervisedPlugin) if name.startswith(("before_", "after_"))}
    assert hooks() == real


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the root of a project with some mistakes."""
    files = {
        "cliqa/utils/io.py": "def late():\n    from cliqa import registry\n",
        "cliqa/datasets/eva.py": "import cliqa.models.build\nfrom cliqa.transforms import crops\n",
        "cliqa/datasets/ava.py": "from .eva import EVA\n",
        "cliqa/losses/rank.py": "from avalanche import core\n",
        "cliqa/evaluation/metrics/a.py": "import avalanche.core\nfrom wandb import init\n",
        "cliqa/evaluation/records/tables.py": "import avalanche\n",
        "cliqa/engine/run.py": "from tools.predict import main\nimport cliqa.datasets.eva\n",
        "cliqa/training/a.py": (
            "class Base(SupervisedPlugin):\n    def after_train_exp(self): ...\n"
            "class Far(mine.Base):\n    def before_backwards(self): ...\n"
            "    def before_backward(self): ...\n    def reset(self): ...\n"
            "class Other:\n    def before_lunch(self): ...\n"
        ),
        "train_config.py": "import cliqa.engine.train\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_that_lead_up_or_sideways_are_found(project: Path) -> None:
    found = [m for path in sources(project) for m in room_mistakes(path, project)]
    assert [mistake.removeprefix(f"{project}/") for mistake in found] == [
        "cliqa/datasets/ava.py:1 has a relative import; write cliqa...",
        "cliqa/datasets/ava.py:1 has a relative import; write cliqa...",
        "cliqa/datasets/eva.py:1 (datasets) imports cliqa.models.build, which lies no lower",
        "cliqa/engine/run.py:1 (engine) imports tools.predict, which lies no lower",
        "cliqa/engine/run.py:1 (engine) imports tools.predict.main, which lies no lower",
        "cliqa/utils/io.py:2 (utils) imports cliqa.registry, which lies no lower",
    ]


def test_libraries_in_other_rooms_are_found(project: Path) -> None:
    found = [m for path in sources(project) for m in library_mistakes(path, project)]
    assert sorted({mistake.removeprefix(f"{project}/").split(";")[0] for mistake in found}) == [
        "cliqa/evaluation/metrics/a.py:2 imports wandb",
        "cliqa/evaluation/metrics/a.py:2 imports wandb.init",
        "cliqa/evaluation/records/tables.py:1 imports avalanche",
        "cliqa/losses/rank.py:1 imports avalanche",
        "cliqa/losses/rank.py:1 imports avalanche.core",
    ]


def test_misspelt_hooks_are_found(project: Path) -> None:
    names = [mistake.split(": ")[1].split(" ")[0] for mistake in hook_mistakes(sources(project))]
    assert names == ["Base.after_train_exp", "Far.before_backwards"]
