"""The README is short, and says what other files take for granted; its examples run in docs/."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 250


def test_it_names_the_command_that_the_checks_run() -> None:
    commands = (ROOT / ".ci" / "run").read_text().splitlines()[-2:]
    assert commands == ["make test", "make versions"]
    for command in commands:
        assert f"\n{command} " in README


def test_commands_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`?make (\w+)`?", README))
    assert {"demo", "test", "docs"} <= named
    for target in named:
        assert f"\n{target}:" in makefile, target


def test_its_picture_is_small_and_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert len(pictures) == 1
    assert (ROOT / pictures[0]).stat().st_size < 100_000
