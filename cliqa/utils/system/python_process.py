"""How Python is started as another process: what it imports, and what it never imports by accident.

``python -m`` puts the current folder first on Python's path. A file ``random.py`` that lies where
the user happens to stand would then be imported in place of Python's own.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

SAFE = ("-P",) if sys.version_info >= (3, 11) else ()
"""Keeps the current folder from Python's path; Python 3.10 has no such option."""

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that does the same where another library makes the command line."""

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).resolve().parents[3]
"""The folder that holds the package: a checkout, or that of all installed packages."""


def python_command(*arguments: str | os.PathLike[str]) -> list[str]:
    """Return the command line of this Python, safe from modules in the current folder.

    Args:
        arguments: What Python is given: a script, or ``-m`` and a module, with its arguments.
    """
    return [sys.executable, *SAFE, *map(str, arguments)]


def with_package(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables of a process that imports this very package, also from a checkout.

    An installed package is found anyway: the folder with everybody's packages must not come before
    Python's own library, nor before the folders that the user has put on ``PYTHONPATH``.

    Args:
        variables: The environment of the process.
    """
    given = variables.get("PYTHONPATH", "")
    paths = [Path(path) for path in given.split(os.pathsep) if os.path.isabs(path)]
    first = next((path for path in paths if (path / PACKAGE).is_dir()), None)
    if ROOT in _installed() or (first is not None and first.resolve() == ROOT):
        return dict(variables)
    return {**variables, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), given)))}


def safe_with_package(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables of processes whose command line another library makes.

    Args:
        variables: The environment of the processes; see `with_package`.
    """
    return {**with_package(variables), SAFE_PATH: "1"}


def _installed() -> set[Path]:
    """Return the folders of installed packages, in which every process of this Python looks."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    folders += [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    return {Path(folder).resolve() for folder in folders}
