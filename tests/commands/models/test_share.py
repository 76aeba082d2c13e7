"""``tools/share.py`` as a user calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cliqa
from cliqa.commands.models.share import main
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError
from tests.forks import run_script
from tools.predict import main as predict

pytest.importorskip("safetensors")
pytestmark = pytest.mark.integration

TOOL = Path(__file__).resolve().parents[3] / "tools" / "share.py"


def test_a_folder_is_written_and_predicts(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s"
    main([str(tiny_run), "me/x", "--license", "mit", "--out", str(out), "--no-onnx"])
    said = capsys.readouterr().out
    assert f"written: {out} (load it: cliqa.load('{out}'))" in said
    images = [str(tiny_data / "a"), "--device", "cpu"]
    predict([str(tiny_run), *images])
    wanted = capsys.readouterr().out
    predict([str(out), *images])
    assert capsys.readouterr().out == wanted
    assert cliqa.load(out, device="cpu").path == out / "model.safetensors"


def test_what_is_no_run_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(ConfigError, match=f"{name}: give the work_dir of a run, with its res"):
            main([str(tmp_path / name), "me/x", "--license", "mit", "--out", str(tmp_path / "s")])
    with pytest.raises(ConfigError, match="'x': not the name of a repository on the Hub"):
        main([str(tmp_path), "x", "--license", "mit"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], r"--license: a shared model needs one"),
        (["--license", "cc-by4.0"], r"Did you mean 'cc-by-4\.0'"),
        (["--license", "mit", "--out", "{run}"], r"--out .* already exists and is not empty"),
    ],
)
def test_mistakes_are_told_before_torch_is_imported(
    arguments: list[str], line: str, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tiny_run), "me/x", *(a.format(run=tiny_run) for a in arguments)]
    assert run_entry_point(lambda: main(given)) == 2
    assert re.search(line, capsys.readouterr().err)


def test_help_is_fast_and_the_shim_starts_it() -> None:
    found = run_script(TOOL, "--help", cwd=TOOL.parents[1], anew=False)
    assert found.returncode == 0
    assert "--license" in found.stdout
