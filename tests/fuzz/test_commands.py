"""Command lines with one damaged argument; see `conftest`."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliqa.utils.cli import run_entry_point
from tests.fuzz.conftest import cases, check_message, count

STATUSES = {0, 1, 2}
RUN, IMAGE, OUT = "RUN", "IMAGE", "OUT"
"""Places of a command line: a finished run, an image, a folder for what is written."""

COMMANDS: dict[str, tuple[str, list[str]]] = {
    "predict": (
        "cliqa.commands.models.predict",
        [RUN, IMAGE, "--out", f"{OUT}/s.csv", "--batch-size", "2"],
    ),
    "predict crops": (
        "cliqa.commands.models.predict",
        [RUN, IMAGE, "--crops", "grid:2x2", "--crop-size", "12"],
    ),
    "predict scale": (
        "cliqa.commands.models.predict",
        [RUN, IMAGE, "--scale", "1", "5", "--num-workers", "0"],
    ),
    "predict set": (
        "cliqa.commands.models.predict",
        [RUN, IMAGE, "--dataset", "a", "--resize", "16"],
    ),
    "evaluate": (
        "cliqa.commands.runs.evaluate",
        [RUN, "--datasets", "a", "--out", f"{OUT}/e.json"],
    ),
    "evaluate split": (
        "cliqa.commands.runs.evaluate",
        [RUN, "--split", "val", "--table", f"{OUT}/t.md"],
    ),
    "print_config": (
        "cliqa.commands.runs.print_config",
        [f"{RUN}/config.py", "--cfg-options", "seed=1"],
    ),
    "check config": ("cliqa.commands.runs.print_config", [f"{RUN}/config.py", "--check"]),
    "test_config": ("test_config", [f"{RUN}/config.py", RUN, "--out", f"{OUT}/r.json"]),
    "train_config": (
        "train_config",
        [f"{RUN}/config.py", "--work-dir", f"{OUT}/w", "--seed", "1", "--resume", f"{RUN}"],
    ),
    "visualize": (
        "cliqa.commands.runs.visualize",
        [RUN, "--mode", "training", "--out", f"{OUT}/f", "--dpi", "40"],
    ),
    "profile": (
        "cliqa.commands.models.profile_model",
        [RUN, "--repeats", "1", "--warmup", "0", "--batch-sizes", "1", "--sizes", "16"],
    ),
    "demo data": (
        "cliqa.commands.data.make_demo_data",
        ["--out", f"{OUT}/d", "--train", "5", "--val", "2", "--test", "3", "--size", "32"],
    ),
    "export": (
        "cliqa.commands.models.compress",
        ["export", RUN, "--out", f"{OUT}/m.onnx", "--size", "16", "16"],
    ),
    "few-shot": ("cliqa.commands.data.clear_dataset", ["fewshot", f"{OUT}/none", "--shot", "1"]),
    "tuning": (
        "cliqa.commands.studies.tune",
        [f"{OUT}/none.py", "--search", "a.b=int(1, 2)", "--out", f"{OUT}/t"],
    ),
    "study": (
        "cliqa.commands.studies.run_seeds",
        [f"{OUT}/none.py", "--seeds", "0", "--out", f"{OUT}/s"],
    ),
}
JUNK = st.one_of(
    st.sampled_from(
        [
            *("", " ", "-1", "0", "1e30", "nan", "2024", "True", "None", "[z]", "~x", "~", "/"),
            *(".", "..", "/dev/null", "/proc/self/mem", "no/such/place", "scores (1).csv", "a=b"),
            *(
                "--",
                "-x",
                "--unheard-of",
                "x" * 300,
                "a\nb",
                "é",
                "图",
                "\udc80",
                "a,b",
                "%s",
                "{}",
            ),
            *("model.type=os.getcwd", "work_dir=x", "seed=-1", "num_workers=100000", "seed=None"),
            *(
                f"{RUN}",
                f"{RUN}/run.json",
                f"{RUN}/results.json",
                f"{OUT}",
                IMAGE,
                f"{IMAGE}/x.csv",
            ),
            *("grid:0x0", "grid:999x999", "random:0", "random:-1", "none", "1 2 3", "cuda:99"),
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
ENDLESS = {"--repeats", "--warmup", "--train", "--val", "--test", "--size", "--sizes", "--dpi"}
"""Options of which a large number is valid, and takes its time."""


@pytest.fixture(scope="module")
def places(
    tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Return the places' paths; the current folder is one of the test's own meanwhile."""
    parent = tmp_path_factory.mktemp("commands")
    run, out = parent / "run", parent / "out"
    shutil.copytree(tiny_run, run)
    before = Path.cwd()
    (parent / "here").mkdir()
    os.chdir(parent / "here")
    yield {RUN: str(run), IMAGE: str(tiny_data / "a" / "a00.png"), OUT: str(out)}
    os.chdir(before)


def filled(text: str, places: dict[str, str]) -> str:
    """Return an argument with the places' paths in it."""
    for name, path in places.items():
        text = text.replace(name, path)
    return text


def inputs_of(places: dict[str, str]) -> dict[str, bytes]:
    """Return what no command may change: the run's own files, and the image."""
    run = Path(places[RUN])
    kept = [run / "config.py", run / "run.json", run / "results.json", run / "metrics.jsonl"]
    kept += sorted((run / "checkpoints").iterdir())
    return {str(path): path.read_bytes() for path in [*kept, Path(places[IMAGE])]}


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """Draw a command with one argument replaced, dropped, doubled or added."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    module, arguments = COMMANDS[name]
    arguments = list(arguments)
    place = draw(st.integers(0, len(arguments) - 1))
    before = arguments[place - 1] if place else ""
    junk = JUNK if before not in ENDLESS else JUNK.filter(lambda text: not text.strip().isdecimal())
    kind = draw(st.sampled_from(["replace", "replace", "replace", "drop", "double", "add"]))
    if kind == "replace":
        arguments[place] = draw(junk)
    elif kind == "drop":
        del arguments[place]
    elif kind == "double":
        arguments.insert(place, arguments[place])
    else:
        arguments.insert(place, draw(junk))
    return name, module, arguments


@cases(short=30, long=600)
@given(line=command_lines())
def test_a_damaged_command_line(
    line: tuple[str, str, list[str]], places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    name, module, arguments = line
    shutil.rmtree(places[OUT], ignore_errors=True)
    Path(places[OUT]).mkdir(parents=True)
    main = importlib.import_module(module).main
    argv = [filled(text, places) for text in arguments]
    before = inputs_of(places)
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
        try:
            status = run_entry_point(lambda: main(argv))
        except SystemExit as error:  # argparse's
            status = int(error.code or 0)
    assert status in STATUSES, (argv, said.getvalue())
    assert inputs_of(places) == before, f"{argv}: an input was changed"
    if status == 2:
        check_message(said.getvalue())
    count(f"command {name}: {'refused' if status == 2 else 'done'}")
