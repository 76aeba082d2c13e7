"""Take the documentation's pictures of the app again, into ``docs/images``.

``CLIQA_RUN=work_dirs/demo python -m pytest tests/app/browser/pictures.py``, where the run is
that of ``config/demo.py``. pytest looks into this file only when it is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import cliqa
from tests.app.browser.session import Session
from tests.app.client import ROOT, address_in, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = 9
"""Test images of the run that are scored."""

SECONDS = 300_000
"""Milliseconds for which a run or a search is waited for."""

OUT = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def run() -> Path:
    """Return the run."""
    if "CLIQA_RUN" not in os.environ:
        pytest.skip("CLIQA_RUN names no run")
    return Path(os.environ["CLIQA_RUN"]).resolve()


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server over the folder of the run."""
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = ["--work-dirs", str(run.parent), "--port", "0", "--device", "cpu"]
    with started(arguments, log) as process:
        yield address_in(log, process)


@pytest.mark.browser
def test_pictures(server: str, browser: Browser, run: Path, tmp_path: Path) -> None:
    pictures = images_of(run, tmp_path)
    session = Session(browser, server)
    picture_of_a_training(session)
    session.tab("Look")
    session.chosen("#look-run")
    session.choose("#look-run", run.name)
    session.says("#look-state", f"config/{run.name}.py")
    settle(session, "#look-forgetting img")
    session.shoot(OUT / "app_look.png")
    session.tab("Score")
    session.chosen("#score-model")
    session.choose("#score-model", run.name)
    session.choose("#score-scale", "eva")
    session.drop("#score-files", pictures)
    session.find("#score-go").click()
    session.says("#score-state", f"{IMAGES} scored")
    session.find("#score-gallery .thumbnail-item").click()
    settle(session, "#score-looks img")
    session.shoot(OUT / "app_score.png")
    picture_of_a_search(session, run)
    session.close()


def picture_of_a_training(session: Session) -> None:
    """Train two epochs of the demo's stream with EWC, and wait for its second experience."""
    session.tab("Train")
    session.chosen("#train-stream")
    session.choose("#train-stream", "generated_eva_ava_koniq")
    session.choose("#train-method", "EWC")
    session.page.get_by_text("Arguments of the method").click()
    session.page.get_by_label("strength", exact=False).first.fill("100")
    for field, value in (("epochs", "4"), ("name", "photos_ewc")):
        box = session.find(f"#train-{field} input, #train-{field} textarea")
        box.fill(value)
        box.press("Tab")
    session.find("#train-go").click()
    state = session.page.locator("#train-state:visible").filter(has_text="Experience 3")
    state.first.wait_for(timeout=SECONDS)
    settle(session, "#train-matrix img")
    session.shoot(OUT / "app_train.png")
    done = session.page.locator("#train-state:visible").filter(has_text="photos_ewc: finished")
    done.first.wait_for(timeout=SECONDS)


def picture_of_a_search(session: Session, run: Path) -> None:
    """Search for smaller forms of the run's model."""
    session.tab("Compress")
    session.find("#compress-refresh").click()
    session.chosen("#compress-run")
    session.choose("#compress-run", run.name)
    session.find("#compress-go").click()
    found = session.page.locator("#compress-table .body-cell").filter(has_text="int8").first
    found.wait_for(timeout=SECONDS)
    settle(session, "#compress-pareto img")
    session.shoot(OUT / "app_compress.png")


def images_of(run: Path, folder: Path) -> list[Path]:
    """Return copies of some test images of a run's first data set, from bad to good."""
    results = cliqa.results(run)
    name = results.content["datasets"][0]
    rows = results.predictions(name).sort_values("target")
    chosen = rows.iloc[:: max(1, len(rows) // IMAGES)].head(IMAGES)
    images, files = results.images(), []
    for index, image in zip(map(int, chosen.index), chosen["image"], strict=True):
        files.append(folder / f"{Path(image).stem}.png")
        Image.fromarray(images.read(name, index, image)).save(files[-1])
    return files


def settle(session: Session, selector: str) -> None:
    """Wait until a figure is there and nothing moves."""
    session.find(selector)
    session.page.wait_for_timeout(2000)
