"""A person looks at runs and studies in a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cliqa
from cliqa.app.tabs.look_images import _drawn
from tests.app.browser.session import Session

pytestmark = pytest.mark.browser

Open = Callable[..., Session]


def test_a_run_is_shown_with_its_figures_and_numbers(open_page: Open, tmp_path: Path) -> None:
    session = open_page()
    session.tab("Look")
    session.says("#look-state", "learnt one after the other: a, b, c")
    session.find("#look-matrix img")
    session.find("#look-curves img")
    session.find("#look-forgetting img")
    session.page.get_by_role("img", name="Models (rows) on data sets (columns)").wait_for()
    session.says("#look-summary", "final SRCC, mean over the learnt data sets")
    before = session.find("#look-matrix img").get_attribute("src")
    session.choose("#look-measure", "PLCC")
    session.page.wait_for_function(
        "old => document.querySelector('#look-matrix img')?.src !== old", arg=before
    )
    session.choose("#look-run", "gated")
    session.says("#look-gate", "weight of own")
    session.tab("Training")
    session.find("#look-history img")
    session.tab("Cost")
    session.says("#look-size", "Parameters")
    session.says("#look-costs", "after b")
    session.shoot(tmp_path / "cost.png")


def test_a_point_shows_its_image(open_page: Open, work_root: Path) -> None:
    session = open_page()
    session.tab("Look")
    session.tab("Images")
    session.says("#look-about", "Click a point")
    session.find("#look-scatter img")
    rows = cliqa.results(work_root / "tiny").predictions("a")
    largest = rows.iloc[int(np.argmax(rows["error"].abs()))]
    session.cell("#look-worst", str(largest["image"])).click()
    session.says("#look-about", f"{largest['raw_target']:.2f}")
    session.says("#look-about", str(largest["image"]))
    session.find("#look-image img")
    drawn, spots, _ = _drawn(cliqa.results(work_root / "tiny"), "a", "after c")
    assert spots is not None
    apart = np.hypot(*(spots.places[:, None] - spots.places[None]).transpose(2, 0, 1))
    alone = int(np.argmax((apart + 1e6 * np.eye(len(apart))).min(axis=1)))
    picture = session.find("#look-scatter img")
    size = picture.bounding_box()
    assert size is not None
    share = size["width"] / drawn.size[0]
    assert size["height"] / drawn.size[1] == pytest.approx(share, rel=0.02)
    x, y = (spots.places[alone] * share).tolist()
    picture.click(position={"x": x, "y": y})
    session.says("#look-about", str(rows["image"][alone]))
    picture.click(position={"x": size["width"] - 3, "y": 3})
    session.says("#look-about", "There is no point there")
    session.choose("#look-dataset", "b")
    session.says("#look-about", "Click a point")


def test_runs_are_compared_and_studies_read(open_page: Open) -> None:
    session = open_page()
    session.tab("Look")
    session.says("#look-state", "Finished")  # the lists are filled, and stay as they are
    session.tab("Compare")
    session.says("#look-compare-hint", "Choose other runs")
    session.choose("#look-others", "more/second")
    session.find("#look-comparison img")
    session.says("#look-compare-table", "more/second")
    session.says("#look-matrix-1", "more/second")
    with session.page.expect_download() as download:
        session.find("#look-compare-csv").click()
    assert download.value.suggested_filename == "comparison.csv"
    names = [line.split(",")[0] for line in download.value.path().read_text().splitlines()]
    assert names == ["run", "tiny", "more/second"]
    session.page.keyboard.press("Escape")
    session.tab("Studies")
    session.find("#look-study-figure img")
    session.says("#look-study-table-0", "config/b.py")


def test_a_run_that_goes_on_is_followed(open_page: Open, work_root: Path) -> None:
    session = open_page()
    session.tab("Look")
    session.chosen("#look-run")
    session.choose("#look-run", "going")
    session.says("#look-state", "Running, 3 of 3")
    file = work_root / "going" / "results.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "seed": 41}))
    try:
        session.says("#look-state", "seed 41")  # without a click
    finally:
        file.write_text(json.dumps(content))


def test_nothing_of_another_run_stays_beside_one_that_cannot_be_read(
    open_page: Open, work_root: Path
) -> None:
    session = open_page()
    session.tab("Look")
    session.find("#look-matrix img")
    file = work_root / "more" / "second" / "results.json"
    content, written = file.read_text(), file.stat().st_mtime
    file.write_text("{}")
    try:
        session.choose("#look-run", "more/second")
        session.says("#look-state", "more/second: results.json: 'status' is missing")
        session.page.locator("#look-matrix img").wait_for(state="hidden")
        session.page.locator("#look-summary").wait_for(state="hidden")
        session.choose("#look-run", "tiny")
        session.find("#look-matrix img")
        session.tab("Compare")
        session.choose("#look-others", "more/second")
        session.says("#look-compare-hint", "more/second: results.json: 'status' is missing")
    finally:
        file.write_text(content)
        os.utime(file, (written, written))  # the lists of other tests have the newest first


def test_what_is_shown_stays_where_it_is_from_tab_to_tab(open_page: Open) -> None:
    session = open_page()
    places = []
    for name in ("Train", "Look", "Score", "Compress"):
        session.tab(name)
        session.page.wait_for_timeout(100)
        box = session.find(".head h1").bounding_box()
        assert box is not None
        places.append(box["x"])
    assert len(set(places)) == 1


def test_a_narrow_window_is_filled_and_not_left(open_page: Open) -> None:
    session = open_page(width=390)
    session.tab("Look")
    session.find("#look-curves img")
    for name in ("Training", "Images", "Cost", "Compare", "Studies"):
        session.tab(name)
        assert session.overflow == 0, name
    session.tab("Score")
    assert session.overflow == 0
