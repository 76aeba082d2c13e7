"""The wheel: what is in it, and what it does away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cliqa.config.load import load_config

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.integration]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of a copy of the tracked files, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if files.returncode:
        pytest.skip("no git checkout")
    for name in filter(None, files.stdout.decode().split("\0")):
        if name.startswith(("cliqa/", "config/", "tools/")) or "/" not in name:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():  # one may be deleted and not committed yet
                (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(
        command, cwd=folder / "source", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_its_texts_and_the_configs_alone(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"cliqa"}
    configs = {path.relative_to(ROOT / "config") for path in (ROOT / "config").rglob("*.py")}
    assert {f"cliqa/.mim/configs/{path.as_posix()}" for path in configs} <= names
    texts = [path for path in (ROOT / "cliqa").rglob("*") if path.suffix in (".yaml", ".pyi")]
    files = [*texts, *(ROOT / "cliqa").rglob("*.py"), ROOT / "cliqa" / "py.typed"]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= names


def test_the_installed_package_runs_its_commands_and_configs(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    done = subprocess.run([*install, str(site), str(wheel)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    variables = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> str:
        command = [sys.executable, str(site / "bin" / "cliqa"), *words]
        found = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    config = run("print-config", "cliqa::demo_naive.py")
    (tmp_path / "same.py").write_text(config)
    assert load_config(tmp_path / "same.py") == load_config(ROOT / "config" / "demo_naive.py")
    where = "import cliqa; print(cliqa.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert found.stdout.startswith(str(site))
    epoch = ("cl_strategy.train_epochs=1", "scenario.dataset_root=data")
    small = [f"scenario.generate.{key}" for key in ("train=12", "val=4", "test=6")]
    seeds = ("--seeds", "0", "--no-bracket", "--device", "cpu", "--out", "study")
    told = run("study", "cliqa::demo_naive.py", *seeds, "--cfg-options", *epoch, *small)
    assert "demo_naive" in told
    assert (tmp_path / "study" / "demo_naive" / "seed_0" / "results.json").is_file()
