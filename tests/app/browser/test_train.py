"""A person trains in a browser: puts a run together, follows it, stops it, resumes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cliqa
from cliqa.app.queue.jobs import Jobs
from cliqa.config.load import dump_config
from tests.app.browser.session import Session
from tests.app.client import address_in, started

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Open = Callable[..., Session]
SECONDS = 60_000
"""Milliseconds for which a process of its own is waited for."""


@pytest.fixture(scope="module")
def configs(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of configs with one stream, one model and one config of both."""
    from tests.conftest import config_over  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("configs")
    config = config_over(tiny_data)
    del config["scenario"]["datasets"][2]
    config["cl_strategy"] = {
        key: value for key, value in config["cl_strategy"].items() if key != "mem_size"
    } | {"type": "Naive", "train_epochs": 1}
    model = {"model": config.pop("model")}
    stream = {"scenario": config.pop("scenario")}
    for name, part in (("datasets/painted", stream), ("models/small", model)):
        (folder / "_base_" / name).parent.mkdir(parents=True, exist_ok=True)
        dump_config(part, folder / "_base_" / f"{name}.py")
    dump_config(config, folder / "tiny_naive.py")
    text = (folder / "tiny_naive.py").read_text()
    bases = '_base_ = ["_base_/datasets/painted.py", "_base_/models/small.py"]\n'
    (folder / "tiny_naive.py").write_text(bases + text)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder of runs."""
    return tmp_path_factory.mktemp("train") / "runs"


@pytest.fixture(scope="module")
def server(runs: Path, configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server of the test's own."""
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = ["--work-dirs", str(runs), "--configs", str(configs), "--port", "0"]
    with started([*arguments, "--device", "cpu"], log) as process:
        yield address_in(log, process)
    jobs = Jobs(runs)
    for job in jobs.all():  # nothing outlives the tests
        jobs.stop(job.name)
        jobs.stop(job.name)


def wait_for(session: Session, text: str) -> None:
    """Wait until the queue says something."""
    found = session.page.locator("#train-state:visible").filter(has_text=text).first
    found.wait_for(timeout=SECONDS)


def fill(session: Session, selector: str, value: object) -> None:
    """Type into a field."""
    field = session.find(f"{selector} input, {selector} textarea")
    field.fill(str(value))
    field.press("Tab")


def test_a_run_is_put_together_trained_and_looked_at(
    open_page: Open, runs: Path, tmp_path: Path
) -> None:
    session = open_page()
    session.tab("Train")
    assert session.chosen("#train-stream") == "painted"
    assert session.chosen("#train-model") == "small"
    session.choose("#train-method", "EWC")
    session.says("#train-method", "strength / 2")
    session.page.get_by_text("Arguments of the method").click()
    strength = session.page.get_by_label("strength", exact=False).first
    strength.fill("much")
    session.find("#train-go").click()
    session.says(".toast-body", "strength: expected a number, got 'much'")
    assert not (runs / ".queue").exists() or list((runs / ".queue").glob("*/job.json")) == []
    strength.fill("12.5")
    session.find("#train-show").click()
    session.says("#train-config .cm-content", "QualityStream")
    fill(session, "#train-seed", 3)  # the config that is shown would not be the one that is run
    session.page.locator("#train-config").wait_for(state="hidden")
    fill(session, "#train-name", "../up")
    session.find("#train-go").click()
    session.says(".toast-body", "use letters, digits")
    assert session.find("#train-name textarea, #train-name input").input_value() == "../up"
    fill(session, "#train-name", "first")
    session.find("#train-go").click()
    session.says("#train-queue", "first")
    session.shoot(tmp_path / "running.png")
    wait_for(session, "first: finished.")
    session.find("#train-matrix img")
    session.find("#train-curves img")
    session.says("#train-queue", "first: finished, SRCC")
    assert cliqa.results(runs / "first").status == "finished"
    session.tab("Look")
    session.find("#look-refresh").click()
    session.find("#look-matrix img")
    compress(session, runs / "first", tmp_path)
    session.tab("Train")
    session.find("#train-remove").click()
    first = session.page.locator("#train-queue label").filter(has_text=re.compile("^first:"))
    first.wait_for(state="hidden")
    assert (runs / "first" / "results.json").is_file()


def compress(session: Session, run: Path, tmp_path: Path) -> None:
    """Search for smaller forms of a run's model, and download the chosen one."""
    session.tab("Compress")
    session.find("#compress-refresh").click()
    assert session.chosen("#compress-run") == run.name
    session.find("#compress-go").click()
    session.says("#compress-state", "compress_first")
    session.find("#compress-go").click()
    session.says(".toast-body", "a search of it is in the queue already")
    table = session.page.locator("#compress-table .body-cell").filter(has_text="int8").first
    table.wait_for(timeout=2 * SECONDS)
    session.find("#compress-pareto img")
    best = session.chosen("#compress-file")
    with session.page.expect_download() as download:
        session.find("#compress-download").click()
    download.value.save_as(tmp_path / f"{best}.onnx")
    own = (run / "deploy" / f"{best}.onnx").read_bytes()
    assert (tmp_path / f"{best}.onnx").read_bytes() == own
    session.shoot(tmp_path / "compress.png")


def test_a_run_outlives_the_page_stops_with_a_checkpoint_and_resumes(
    open_page: Open, runs: Path
) -> None:
    session = open_page()
    session.choose("#train-method", "Naive")
    fill(session, "#train-epochs", 90_000)
    fill(session, "#train-name", "long")
    session.find("#train-go").click()
    wait_for(session, "Experience 1")
    fill(session, "#train-name", "second")
    session.find("#train-go").click()
    session.says("#train-queue", "second: waiting")
    session.page.close()

    again = open_page()
    again.says("#train-queue", "long: running")
    again.page.locator("#train-queue label", has_text="second").click()
    wait_for(again, "It starts when the runs before it have ended.")
    again.find("#train-stop").click()
    again.says("#train-queue", "second: stopped")
    again.page.locator("#train-queue label", has_text="long").click()
    wait_for(again, "Experience 1")
    again.find("#train-stop").click()
    again.says("#train-queue", "long: stopped")
    assert (runs / "long" / "last_checkpoint").is_file()
    again.find("#train-resume").click()
    wait_for(again, "long: running.")
    jobs = Jobs(runs)
    jobs.stop("long")


def test_a_narrow_window_has_room_for_it(open_page: Open) -> None:
    session = open_page(width=390)
    session.find("#train-go")
    assert session.overflow <= 0
