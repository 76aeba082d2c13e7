"""``tools/retrieve.py`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cliqa.commands.models.retrieve import main
from tests.commands.calls import Call, called

pytestmark = pytest.mark.integration


@pytest.fixture
def call(text_run: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the tool: exit status, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        return called(main, capfd, text_run, *arguments, "--device", "cpu")

    return run


def test_images_are_found_and_measured(call: Call, tiny_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    images = sorted((tiny_data / "a").glob("*.png"))
    status, text, error = call(
        "--query",
        "an excellent photo",
        "--images",
        tiny_data / "a" / "*.png",
        "--top",
        2,
        "--out",
        out,
    )
    assert (status, error) == (0, "")
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 2
    assert rows[0]["similarity"] >= rows[1]["similarity"]
    assert rows[0]["image"] in text
    assert Path(rows[0]["image"]) in images
    captions = "".join(f"{path.name},photo number {k}\n" for k, path in enumerate(images[:4]))
    (tmp_path / "captions.csv").write_text(f"image,text\n{captions}")
    data = f"{tmp_path / 'captions.csv'}={tiny_data / 'a'}"
    status, text, error = call("--data", data, "--k", 1, 4, "--out", out)
    assert (status, error) == (0, "")
    rows = json.loads(out.read_text())["rows"]
    assert [row["recall"] for row in rows if row["k"] == 4] == [1.0, 1.0]
    assert [row["chance"] for row in rows if row["k"] == 1] == [0.25, 0.25]
    assert "recall@k" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give either --query TEXT with --images PATH, or --data DATA"),
        (("--query", "x", "--data", "y"), "give either --query TEXT"),
        (("--query", "x"), "--query: which images?"),
        (("--data", "y", "--k", 0), "--k"),
    ],
)
def test_mistakes_are_told_in_one_line(call: Call, options: tuple[Any, ...], message: str) -> None:
    status, _, error = call(*options)
    assert status != 0
    assert message in error
    assert "Traceback" not in error
