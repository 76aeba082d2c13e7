"""The documentation builds without a warning, offline, and knows every component and key."""

from __future__ import annotations

import re
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import pytest

import cliqa
import cliqa.registry as registries
from cliqa.config.sections import SECTIONS
from tests.forks import run_script

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("mkdocs") is None or find_spec("mkdocstrings") is None,
        reason="mkdocs is not installed: pip install -e '.[docs]'",
    ),
]

ROOT = Path(__file__).resolve().parents[2]
MKDOCS = """
import sys
sys.path.insert(0, ".")  # as python -m does
from mkdocs.__main__ import cli
cli()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site."""
    folder = tmp_path_factory.mktemp("site")
    script = tmp_path_factory.mktemp("script") / "mkdocs_here.py"
    script.write_text(MKDOCS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        words = (script, "build", "--strict", "--site-dir", folder)
        built = run_script(*words, cwd=ROOT, anew=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def page(site: Path, name: str) -> str:
    """Return the text of a page of the reference, with its tags."""
    return unescape((site / "reference" / f"{name}.html").read_text(encoding="utf-8"))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for path in pages:
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//[^\">\s]+", text)
        fetched += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|preconnect)[^>]*//[^>]+", text)
        assert fetched == [], path


def test_every_component_has_a_place(site: Path) -> None:
    found = [x for x in vars(registries).values() if isinstance(x, registries.ComponentRegistry)]
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in (site / "reference" / "components").glob("*.html")
    )
    for registry in found:
        registry.import_from_location()
        own = [n for n, one in registry.module_dict.items() if one.__module__.startswith("cliqa.")]
        missing = [n for n in own if not re.search(rf'<h2 id="?{n.lower()}[">\s]', text)]
        assert missing == [], registry.name


def test_every_key_has_a_meaning(site: Path) -> None:
    text = page(site, "config")
    rows = [
        re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    ]
    keys = [row for row in rows if row]
    assert [re.sub("<.*?>", "", row[0]) for row in keys[: len(SECTIONS)]] == list(SECTIONS)
    assert [row[0] for row in keys if not row[-1].strip()] == []


def test_every_tool_and_function_is_described(site: Path) -> None:
    cli, api = page(site, "cli"), page(site, "api")
    for path in [*(ROOT / "tools").glob("*.py"), ROOT / "train_config.py", ROOT / "test_config.py"]:
        assert f"{path.name}" in cli, path
    for name in cliqa.__all__:
        assert re.search(rf'id="?cliqa\.[\w.]+\.{name}[">\s]', api), name
