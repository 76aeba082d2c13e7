from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.quality.ava import read_ava_list
from cliqa.datasets.quality.eva import EVA, read_eva_scores, read_eva_votes
from cliqa.utils.errors import DatasetError

Layout = Callable[[str], Path]


def test_an_images_score_is_the_mean_of_its_votes(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("image_id=user_id=score\n71=a=4\n106=a=10\n71=b=7\n106=b=10\n71=c=10\n")
    table = read_eva_votes(path)
    assert table.images == ("71.jpg", "106.jpg")
    np.testing.assert_allclose(table.raw, [7.0, 10.0])
    assert table.std is not None
    np.testing.assert_allclose(table.std, [6.0**0.5, 0.0])
    assert table.rows == (2, 3)
    assert table.ratings == (4, 7, 10)
    assert table.shares is not None
    np.testing.assert_allclose(table.shares, [[1 / 3, 1 / 3, 1 / 3], [0.0, 0.0, 1.0]])


def test_votes_on_a_slider_have_no_levels(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    rows = [f"7=u{k}={k / 20}" for k in range(150)]
    path.write_text("\n".join(["image_id=user_id=score", *rows]))
    table = read_eva_votes(path)
    assert table.shares is None
    assert table.ratings == ()
    assert table.std is not None


def test_a_single_vote_out_of_range_is_named_with_its_own_row(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("image_id=user_id=score\n71=a=4\n71=b=11\n71=c=1\n")
    with pytest.raises(DatasetError, match="row 3: score 11 is outside the declared range"):
        read_eva_votes(path)


def test_ready_made_scores_get_a_suffix(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("image_id,score\nimage_001,7.5\nimage_002.png,6.2\n")
    table = read_eva_scores(path)
    assert table.images == ("image_001.jpg", "image_002.png")
    assert table.raw.tolist() == [7.5, 6.2]


def test_the_data_set_reads_votes_or_scores(layout: Layout, tmp_path: Path) -> None:
    root = layout("EVA")
    official = EVA(root)
    assert official.keys[0] == "ava/100"
    rows = [f"{100 + k},{k / 2}" for k in range(20)]
    (root / "mine.csv").write_text("\n".join(["image_id,score", *rows]))
    simple = EVA(root, labels="mine.csv")
    assert simple.keys == official.keys
    assert simple.raw_scores[3] == 1.5


def test_only_numbered_images_count_as_avas(layout: Layout) -> None:
    root = layout("EVA")
    folder = root / "images/EVA_together"
    rows = ["image_id,score"]
    for k, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"image_{k}.jpg")
        rows.append(f"image_{k},5")
    (root / "mine.csv").write_text("\n".join(rows))
    assert EVA(root, labels="mine.csv").keys[0] == "eva/image_0.jpg"


def test_another_delimiter_is_refused_or_declared(layout: Layout) -> None:
    path = layout("EVA") / "data/votes_filtered.csv"
    root = path.parents[1]
    path.write_text(path.read_text().replace("=", ","))
    with pytest.raises(DatasetError, match=r"separated by ',', not by '='.*delimiter=','"):
        EVA(root)
    assert len(EVA(root, delimiter=",")) == 20


def test_the_official_ids_overlap_with_avas_test_list(shared_data: Path) -> None:
    labels = shared_data / "labels"
    ids = read_csv(labels / "eva_image_content_category.csv", ("image_id",)).text("image_id")
    test = read_ava_list(labels / "ava_generic_test.jpgl")
    assert (len(set(ids)), len(test)) == (5101, 20000)
    assert len(test.intersection(map(int, ids))) == 490
