"""Python as another process: what it imports, and that nothing starts it in another way."""

from __future__ import annotations

import ast
import os
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliqa.app.queue import process as app_process
from cliqa.serve.options import ServiceOptions
from cliqa.serve.supervisor import Supervisor
from cliqa.studies.backends.commands import TRAIN, Command
from cliqa.studies.backends.jobs import Job, carried
from cliqa.studies.backends.local import Local
from cliqa.studies.backends.submitit import SlurmJobs
from cliqa.utils.system import python_process
from cliqa.utils.system.python_process import python_command, safe_with_package, with_package
from tests.test_loaders import _full_name, _imported, sources
from tests.trees import tree_of

ROOT = Path(__file__).resolve().parents[3]
OWN = ROOT / "cliqa" / "utils" / "system" / "python_process.py"
no_option = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no -P yet")

WAYS = frozenset(
    {
        *("sys.executable", "sys._base_executable", "os.fork", "os.forkpty", "runpy.run_path"),
        *("multiprocessing.Process", "multiprocessing.Pool", "multiprocessing.set_start_method"),
        *("concurrent.futures.ProcessPoolExecutor", "torch.multiprocessing"),
    }
)
"""What starts another Python, or names the program that does."""

PROGRAMS = ("python", "python3", "cliqa", "torchrun")
CONTEXTS = ("mp_context", "multiprocessing_context")
"""Arguments that choose how Python starts a process."""

WORDS = ("execut", "fork", "runpy", "process", "Process", *PROGRAMS[:1], "torchrun")
"""One of these stands in every file that could; the others need not be parsed."""

PACKAGE = python_process.PACKAGE


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: modules there have the names of Python's own, and end it."""
    for name in ("random", "queue", "json", "torch", "numpy", PACKAGE):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@no_option
@pytest.mark.usefixtures("trap")
def test_a_module_of_pythons_name_in_the_current_folder_replaces_nothing() -> None:
    def output_of(variables: dict[str, str]) -> str:
        done = subprocess.run(
            python_command(*TRAIN, "--help"), env=variables, capture_output=True, check=False
        )
        return (done.stdout + done.stderr).decode()

    assert "usage: cliqa train" in output_of(with_package(os.environ))


@no_option
@pytest.mark.usefixtures("trap")
def test_nor_where_another_library_makes_the_command_line() -> None:
    command = [sys.executable, "-m", "random"]
    assert subprocess.run(command, env=dict(os.environ), check=False).returncode == 1
    variables = safe_with_package(os.environ)
    assert subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of installed packages, in which the package seems to lie."""
    folder = tmp_path / "site-packages"
    (folder / PACKAGE).mkdir(parents=True)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(python_process, "ROOT", folder.resolve())
    return folder


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("given", [{}, {"PYTHONPATH": ""}, {"PYTHONPATH": "/mine"}])
def test_an_installed_package_is_found_anyway(given: dict[str, str]) -> None:
    assert with_package(given) == given


def test_a_checkout_is_put_in_front_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # an empty PYTHONPATH does not mean this folder
    root = str(ROOT)
    assert with_package({"A": "b"}) == {"A": "b", "PYTHONPATH": root}
    assert with_package({"PYTHONPATH": ""})["PYTHONPATH"] == root
    assert with_package({"PYTHONPATH": "/mine"})["PYTHONPATH"] == f"{root}{os.pathsep}/mine"
    given = {"PYTHONPATH": os.pathsep.join(("/mine", root))}
    assert with_package(given) == given  # the user's order stays
    other = tmp_path / "other"
    (other / PACKAGE).mkdir(parents=True)
    given = {"PYTHONPATH": os.pathsep.join((str(other), root))}
    assert with_package(given)["PYTHONPATH"].split(os.pathsep) == [root, str(other), root]


class _Executor:
    """A stand-in for submitit's."""

    def submit(self, _: object) -> dict[str, str]:
        return dict(os.environ)


def _variables_of_all(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables of the processes of every part of the package."""
    yield Local()._variables
    yield carried(1)
    yield Supervisor(ServiceOptions("m.onnx"))._variables(str(folder))
    job = Job.of(Command(("a",), folder / "log"), folder, "", {})
    yield SlurmJobs._submit(_Executor(), job)
    code = ["-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    with (folder / "log").open("wb") as log, (folder / "held").open("ab") as held:
        assert app_process.launched(code, log, held).wait() == 0
    values: dict[str, str] = ast.literal_eval((folder / "log").read_text())
    yield values


def test_every_process_finds_a_checkout_before_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    found = [each["PYTHONPATH"] for each in _variables_of_all(tmp_path)]
    assert found == [f"{ROOT}{os.pathsep}/mine"] * 5
    assert os.environ["PYTHONPATH"] == "/mine"
    assert python_process.SAFE_PATH not in os.environ


@pytest.mark.usefixtures("installed")
def test_no_process_has_everybodys_packages_before_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    assert [each["PYTHONPATH"] for each in _variables_of_all(tmp_path)] == ["/mine"] * 5
    monkeypatch.delenv("PYTHONPATH")
    assert ["PYTHONPATH" in each for each in _variables_of_all(tmp_path)] == [False] * 5


def other_ways(path: Path) -> Iterator[str]:
    """Yield the lines of a file that start another Python, or name the program that does."""
    if not any(word in path.read_text(encoding="utf-8") for word in WORDS):
        return
    nodes = list(ast.walk(tree_of(path)))
    names = _imported(nodes)
    for node in nodes:
        if isinstance(node, (ast.Attribute, ast.Name)):
            found = _full_name(node, names) in WAYS
        elif isinstance(node, ast.Call):
            found = any(_is_command(given) for given in node.args)
        else:
            found = isinstance(node, ast.keyword) and node.arg in CONTEXTS
        if found:
            yield f"{path} {ast.unparse(node)}"


def _is_command(node: ast.expr) -> bool:
    """Return whether a list that a function is given begins with the name of a program."""
    first = node.elts[0] if isinstance(node, (ast.List, ast.Tuple)) and node.elts else None
    return isinstance(first, ast.Constant) and first.value in PROGRAMS


def test_python_is_started_in_one_way() -> None:
    found = [way for path in sources() if path != OWN for way in other_ways(path)]
    assert found == [], "take cliqa.utils.system.python_process.python_command"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import sys\nrun([sys.executable, '-m', 'x'])", 1),
        ("from sys import executable as python\nrun([python])", 1),
        ("run(['python', '-m', 'x']); run(('python3',))", 2),
        ("import multiprocessing as mp\nmp.Process(target=f); mp.Pool()", 2),
        ("from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor(2)", 1),
        ("DataLoader(x, multiprocessing_context='spawn')", 1),
        ("import sys\nsys.exit(1); run(['git', 'describe'])", 0),
    ],
)
def test_other_ways_are_found(source: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(source)
    assert len(list(other_ways(tmp_path / "x.py"))) == count
