"""``test_config.py`` as a user calls it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cliqa.commands.runs.test import main
from cliqa.config.load import dump_config, load_config
from cliqa.utils.cli import run_entry_point
from tests.forks import run_script

pytestmark = pytest.mark.integration

Call = Callable[..., tuple[int, str, str]]
SCRIPT = str(Path(__file__).resolve().parents[1] / "test_config.py")


@pytest.fixture
def call(tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that evaluates the shared run here: exit status, stdout and stderr."""

    def run(*arguments: object, out: bool = True) -> tuple[int, str, str]:
        given = [str(tiny_run / "config.py"), str(tiny_run), *map(str, arguments)]
        given += ["--out", str(tmp_path / "out.json")] if out else []
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: main(given))
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def koniq(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a folder in KonIQ-10k's layout, with images of the stream's size."""
    root = tmp_path / "koniq"
    (root / "1024x768").mkdir(parents=True)
    rows = ["image_name,MOS,set"]
    for k, split in enumerate(("test", "test", "test", "test", "training", "validation")):
        with Image.open(tiny_data / "b" / f"b{k:02d}.png") as image:
            image.rotate(180).save(root / "1024x768" / f"{k}.png")
        rows.append(f"{k}.png,{20 + 10 * k},{split}")
    (root / "koniq10k_distributions_sets.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.slow
def test_the_numbers_of_the_run_are_found_again(tiny_run: Path, tmp_path: Path) -> None:
    words = (SCRIPT, tiny_run / "config.py", tiny_run, "--out", tmp_path / "out.json")
    found = run_script(*words, cwd=tmp_path, anew=True)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    results = json.loads((tiny_run / "results.json").read_text())
    again = json.loads((tmp_path / "out.json").read_text())
    for k, name in enumerate(results["datasets"]):
        for measure, matrix in results["matrix"].items():
            assert again["datasets"][name]["metrics"][measure] == matrix[-1][k]
        low, high = results["interval"]["srcc"][-1][k]
        line = next(line for line in found.stdout.splitlines() if line.startswith(f"{name} "))
        assert f"{results['matrix']['srcc'][-1][k]:.3f}" in line
        assert f"{low:.3f}..{high:.3f}" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json"]


def test_chosen_data_sets_and_others(
    call: Call, koniq: Path, tiny_data: Path, tmp_path: Path
) -> None:
    own = (
        f"dict(type='ScoreFile', root='{tiny_data / 'c'}', labels='scores.csv', images='.', "
        "score_range=(0, 1), higher_is_better=True, name='mine', fractions=(0.5, 0.0, 0.5))"
    )
    status, table, told = call("--datasets", "b", f"KonIQ10k={koniq}", own)
    assert status == 0, told
    found = json.loads((tmp_path / "out.json").read_text())["datasets"]
    assert {name: data["metrics"]["num_samples"] for name, data in found.items()} == {
        "b": 12,
        "koniq": 4,
        "mine": 20,
    }
    assert [row["raw_target"] for row in found["koniq"]["predictions"]] == [20, 30, 40, 50]
    assert [line.split()[0] for line in table.splitlines()[-3:]] == ["b", "koniq", "mine"]


def test_all_images(call: Call, tmp_path: Path) -> None:
    status, table, told = call("--split", "all", "--datasets", "a")
    assert status == 0, told
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["protocol"]["split"] == "all"
    assert len(found["datasets"]["a"]["predictions"]) == 40
    assert table.splitlines()[-1].split()[:2] == ["a", "40"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--datasets", "d"], "--datasets d: the config has a, b, c. For another data set write"),
        (["--datasets", "KonIQ=x"], "unknown data set 'KonIQ'. Did you mean 'KonIQ10k'?"),
        (["--datasets", "KonIQ10k=gone"], "gone"),
        (["--cfg-options", "model.head.type=CosineScoreHead"], "differ: model.head.type"),
        (["--cfg-options", "model.hed.type=CosineScoreHead"], "head"),
        (["--device", "cuda:99"], "Use --device auto or cpu."),
    ],
)
def test_mistakes_are_told_in_a_line(
    call: Call, tmp_path: Path, arguments: list[str], message: str
) -> None:
    status, table, told = call(*arguments)
    assert (status, table) == (2, "")
    assert message in told
    assert "Traceback" not in told
    assert len([line for line in told.splitlines() if not line.startswith(" ")]) == 1
    assert not (tmp_path / "out.json").exists()


def test_a_run_of_another_config_is_refused_with_its_own(
    call: Call, tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = load_config(tiny_run / "config.py")
    config["scenario"]["eval_transform"].insert(0, {"type": "Resize", "size": 12})
    dump_config(config, tmp_path / "other.py")
    status = run_entry_point(lambda: main([str(tmp_path / "other.py"), str(tiny_run)]))
    told = capfd.readouterr().err
    assert status == 2
    assert "these keys differ: scenario.eval_transform" in told
    assert str(tiny_run / "config.py") in told


def test_a_config_that_was_never_trained_gets_advice(
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status = run_entry_point(lambda: main([str(tiny_run / "config.py"), "--work-dir", "w"]))
    assert status == 2
    assert capfd.readouterr().err.startswith("error: w: no such checkpoint. Train first")


def test_an_unknown_split_is_argparses(call: Call) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("--split", "tests")
    assert stopped.value.code == 2
