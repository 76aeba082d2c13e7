"""The syntax trees of the project's files, which several tests walk through."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from cliqa.config.names import parse_file


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    tree = parse_file(path)
    assert tree is not None, f"{path} is no Python"
    return tree
