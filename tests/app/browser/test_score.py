"""A person scores images in a browser."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

import cliqa
from tests.app.browser.session import Session

pytestmark = pytest.mark.browser

Open = Callable[..., Session]


def test_images_are_dropped_scored_explained_and_saved(
    open_page: Open, work_root: Path, tiny_data: Path, tmp_path: Path
) -> None:
    session = open_page()
    session.tab("Score")
    session.chosen("#score-model")
    session.choose("#score-model", "gated")
    session.choose("#score-scale", "a")
    (tmp_path / "notes.txt").write_text("no image")
    images = [tiny_data / "a" / f"a0{k}.png" for k in range(3)]
    session.drop("#score-files", [*images, tmp_path / "notes.txt"])
    session.find("#score-go").click()
    session.says("#score-state", "3 of 4 images scored by gated, on the scale of a")
    session.says("#score-table", "notes.txt")
    session.find("#score-gallery .thumbnail-item img")
    assert session.page.locator("#score-gallery .thumbnail-item img").count() == 3
    with session.page.expect_download() as download:
        session.find("#score-csv").click()
    download.value.save_as(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").open(encoding="utf-8")))
    own = cliqa.load(work_root / "gated", device="cpu").predict(images, dataset="a")
    expected = sorted(own["score"], reverse=True)
    assert [float(row["score"]) for row in rows[:3]] == pytest.approx(expected, abs=1e-4)
    assert rows[3]["image"] == "notes.txt"
    assert rows[3]["score"] == ""

    session.find("#score-gallery .thumbnail-item").click()
    session.says("#score-title", rows[0]["image"])
    session.find("#score-looks img")
    session.tab("Blur, JPEG, noise")
    session.find("#score-strip img")
    session.tab("By experience")
    session.says("#score-steps", "weight")
    session.shoot(tmp_path / "score.png")


def test_two_sessions_do_not_see_each_other(open_page: Open, tiny_data: Path) -> None:
    first, second = open_page(), open_page()
    for session, name in ((first, "a00.png"), (second, "a01.png")):
        session.tab("Score")
        session.chosen("#score-model")
        session.drop("#score-files", [tiny_data / "a" / name])
    for session in (first, second):
        session.find("#score-go").click()
    for session, own, other in ((first, "a00.png", "a01.png"), (second, "a01.png", "a00.png")):
        session.says("#score-table", own)
        assert session.page.locator("#score-table").filter(has_text=other).count() == 0


def test_mistakes_and_results_fit_into_a_narrow_window(
    open_page: Open, tiny_data: Path, tmp_path: Path
) -> None:
    session = open_page(width=390)
    session.tab("Score")
    session.chosen("#score-model")
    session.find("#score-go").click()
    session.says(".toast-body", "There is no image to score. Drop some")
    (tmp_path / "broken.png").write_bytes(b"no image")
    session.drop("#score-files", [tiny_data / "a" / "a00.png", tmp_path / "broken.png"])
    session.find("#score-go").click()
    session.says("#score-table", "broken.png")
    assert session.overflow == 0
    session.find("#score-gallery .thumbnail-item").click()
    session.find("#score-looks img")
    assert session.overflow == 0
