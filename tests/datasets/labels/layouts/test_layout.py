"""Small twins of the files that other projects publish, with their oddities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from cliqa.datasets.labels.layouts.layout import LAYOUTS, declared_scale, guess_layout, layout_of
from cliqa.datasets.labels.score_columns import read_scores
from cliqa.datasets.labels.table import ScoreTable, check_table
from cliqa.datasets.quality.koniq import read_koniq
from cliqa.datasets.splits import with_known_splits
from cliqa.utils.errors import ConfigError, DatasetError

KONIQ = Path(__file__).parents[5] / "shared/data/labels/koniq10k_distributions_sets.csv"

# layout, file, content, images, scores, std, groups, direction
TWINS: dict[str, tuple[str, str, str, Any]] = {
    "NR meta info": (
        "pyiqa",
        "meta_info_TID2013Dataset.csv",
        "ref_name,dist_name,mos,std\r\nI01.BMP,I01_01_1.bmp,5.5,0.13\r\nI01.BMP,i01_02_1.bmp,5,0.2",
        {"images": ("I01_01_1.bmp", "i01_02_1.bmp"), "raw": [5.5, 5.0], "std": [0.13, 0.2]},
    ),
    "a variance called std, a MOS called dmos": (
        "pyiqa",
        "meta_info_KADID10kDataset.csv",
        "ref_name,dist_name,dmos,std\r\nI01.png,I01_01_01.png,4.57,0.49\r\n",
        {"raw": [4.57], "std": [0.7], "groups": ("I01.png",), "higher": True},
    ),
    "a DMOS called mos": (
        "pyiqa",
        "meta_info_LIVEIQADataset.csv",
        "ref_name,dist_name,mos\nrefimgs/a.bmp,jp2k/img2.bmp,28.0\n",
        {"images": ("jp2k/img2.bmp",), "groups": ("refimgs/a.bmp",), "higher": False},
    ),
    "practice images": (
        "pyiqa",
        "meta_info_LIVEChallengeDataset.csv",
        "img_name,mos,std\nt1.bmp,63.9,18.3\nt7.bmp,77.8,17\n10.bmp,32.5,19.1\n",
        {"images": ("10.bmp",), "raw": [32.5], "std": [19.1]},
    ),
    "deviations of ratings, and split codes": (
        "pyiqa",
        "meta_info_KonIQ10kDataset.csv",
        "img_name,mos,std,split,c1,c2,c3,c4,c5,c_total\na.jpg,75,0.5,0,0,0,0,1,0,105\n"
        "b.jpg,50,0.6,1,0,0,1,0,0,99\nc.jpg,0,0,2,1,0,0,0,0,101\n",
        {
            "std": [12.5, 15.0, 0.0],
            "splits": ("train", "val", "test"),
            "ratings": (0.0, 25.0, 50.0, 75.0, 100.0),
        },
    ),
    "quoted names": (
        "pyiqa",
        "meta_info_KonIQ10k++Dataset.csv",
        '"filename","qmos","sd","votes","blur"\n"8.jpg",3.9,1.03,64,0.04\n',
        {"images": ("8.jpg",), "raw": [3.9], "std": [1.03]},
    ),
    "two columns of one name": (
        "pyiqa",
        "meta_info_SPAQDataset.csv",
        "Image name,MOS,Brightness,ISO,Brightness\n00001.jpg,48.8,47.4,200,-1.2\n",
        {"images": ("00001.jpg",), "raw": [48.8]},
    ),
    "a rounded mean beside the votes": (
        "pyiqa",
        "meta_info_AVADataset.csv",
        "img_name,MOS,c1,c2,c3,c4,c5,c6,c7,c8,c9,c10,semantic_tag1,official split,ILGnet split\n"
        "1.jpg,5.33,0,0,0,1,0,2,0,0,0,0,1,0,2\n2.jpg,10.0,0,0,0,0,0,0,0,0,0,3,2,2,0\n",
        {"raw": [16 / 3, 10.0], "splits": ("train", "test"), "ratings": tuple(range(1, 11))},
    ),
    "Elo scores": (
        "pyiqa",
        "meta_info_PIPALDataset.csv",
        "hq_name,dist_name,elo_score\nA0001.bmp,A0001_00_00.bmp,1520.06\n",
        {"raw": [1520.06], "groups": ("A0001.bmp",)},
    ),
    "rows that end with a bare CR": (
        "biqa_cl",
        "koniq10k_train_score.txt",
        "1024x768/1.jpg\t3.27\t0.57\r1024x768/2.jpg\t3.5\t0.54\r",
        {"images": ("1024x768/1.jpg", "1024x768/2.jpg"), "raw": [3.27, 3.5], "std": [0.57, 0.54]},
    ),
    "an inverted DMOS": (
        "biqa_cl",
        "csiq_test.txt",
        "dst_imgs/awgn/a_b.AWGN.1.png\t0.958000\t0.014000\r",
        {"groups": ("A_B",), "higher": True},
    ),
    "scenes": (
        "liqe",
        "clive_val_clip.txt",
        "Images/9.JPG\t73.2\tother realistic\thuman\tlandscape\tinvalid\n",
        {"raw": [73.2], "std": None, "scene2": ("landscape",)},
    ),
    "a comma and a blank": (
        "maniqa",
        "kadid10k_label.txt",
        "I01_01_01.png, 4.57\nI01_01_02.png, 4.33\n",
        {"images": ("I01_01_01.png", "I01_01_02.png"), "groups": ("I01", "I01")},
    ),
    "a tab": (
        "maniqa",
        "koniq10k_label.txt",
        "10.jpg\t3.828571429\n11.jpg\t3.479166667\n",
        {"raw": [3.828571429, 3.479166667]},
    ),
    "a set and its year": (
        "maniqa",
        "pipal22_train.txt",
        "A0001_00_00.bmp, 1520.0648\n",
        {"groups": ("A0001",)},
    ),
    "a DMOS": (
        "maniqa",
        "csiq_label.txt",
        "1600.AWGN.1.png 0.061989\n1600.AWGN.2.png 0.206245\n",
        {"groups": ("1600", "1600"), "higher": False},
    ),
    "conversations": (
        "q_align",
        "train_split_1.json",
        json.dumps([{"id": "a", "image": "csiq/a.png", "conversations": [], "gt_score": 0.06}]),
        {"images": ("csiq/a.png",), "raw": [0.06]},
    ),
    "a list to test": (
        "q_align",
        "livec.json",
        json.dumps([{"img_path": "livec/1.bmp", "gt_score": 63.9}]),
        {"images": ("livec/1.bmp",), "raw": [63.9]},
    ),
    "counts and a z-score": (
        "koniq",
        "koniq10k_scores_and_distributions.csv",
        '"image_name","c1","c2","c3","c4","c5","c_total","MOS","SD","MOS_zscore"\n'
        '"1.jpg",0,0,25,73,7,105,3.83,0.53,77.4\n',
        {"raw": [77.4], "std": [13.25], "splits": None},
    ),
    "a variance": (
        "kadid",
        "kadid10k.csv",
        "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.49\n",
        {"raw": [4.57], "std": [0.7], "groups": ("I01.png",), "higher": True},
    ),
}


def read(root: Path, layout: str, name: str, content: str) -> ScoreTable:
    (root / name).write_bytes(content.encode())
    return with_known_splits(read_scores(root / name, layout=layout))


@pytest.mark.parametrize("twin", TWINS)
def test_a_published_file_is_read_by_one_word(tmp_path: Path, twin: str) -> None:
    layout, name, content, expected = TWINS[twin]
    table = read(tmp_path, layout, name, content)
    known = LAYOUTS[layout].known_set(name)
    if layout != "q_align":  # its files do not tell whose they are
        assert known is not None
        ends, higher = declared_scale({"labels": name, "layout": layout})
        assert len(check_table(table, (float(ends[0]), float(ends[1])))) == len(table)
        assert higher == expected.get("higher", True)
        assert guess_layout(tmp_path / name) == layout
    for key in ("images", "groups", "splits", "ratings"):
        assert getattr(table, key) == expected.get(key, getattr(table, key)), key
    for key in ("raw", "std"):
        found, wanted = getattr(table, key), expected.get(key, getattr(table, key))
        assert (found is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert table.attributes.get("scene2") == expected.get("scene2")


def test_an_option_comes_before_the_layout(tmp_path: Path) -> None:
    text = TWINS["a rounded mean beside the votes"][2]
    path = tmp_path / "meta_info_AVADataset.csv"
    path.write_text(text)
    table = read_scores(path, layout="pyiqa", split_column="ILGnet split", score_column="MOS")
    assert (table.splits, table.raw.tolist()) == (("2", "0"), [5.33, 10.0])


def test_a_file_of_an_unknown_set_has_columns_and_no_scale(tmp_path: Path) -> None:
    table = read(tmp_path, "biqa_cl", "mine_test.txt", "a.jpg\t3.2\t0.5\n")
    assert table.raw.tolist() == [3.2]
    with pytest.raises(ConfigError, match=r"missing argument 'score_range' \(layout='biqa_cl' do"):
        declared_scale({"labels": "mine_test.txt", "layout": "biqa_cl"})
    options = {"labels": ["mine_test.txt"], "layout": "biqa_cl", "score_range": (1, 5)}
    with pytest.raises(ConfigError, match="missing argument 'higher_is_better'"):
        declared_scale(options)


def test_an_unknown_layout() -> None:
    with pytest.raises(ConfigError, match=r"layout='biqacl': .*Did you mean 'biqa_cl'\? There are"):
        layout_of("biqacl")


def test_a_row_without_a_header_is_told_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a.jpg\t3.5\t0.2\n")
    with pytest.raises(DatasetError, match=r"columns=.*or layout='biqa_cl'.*read as \['a\.jpg', '"):
        read_scores(path)
    assert read_scores(path, layout="biqa_cl").raw.tolist() == [3.5]


def test_a_list_of_pairs_is_refused_for_the_scores_that_it_follows_from(tmp_path: Path) -> None:
    p = norm.cdf((3.1 - 2.7) / np.hypot(0.5, 0.6))
    (tmp_path / "bid_train.txt").write_text(f"a.JPG\tb.JPG\t{p:.6f}\t0.5\t0.6\t1\r")
    for options in ({"layout": "biqa_cl"}, {}):
        with pytest.raises(DatasetError, match=r"list of pairs .*bid_train_score\.txt.*Fidelity"):
            read_scores(tmp_path / "bid_train.txt", **options)


def test_splits_that_pyiqa_draws_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "img_name,mos,ratio802_seed123_split_01\na.jpg,3,train\nb.jpg,4,test\n"
    name = "meta_info_SPAQDataset.csv"
    with caplog.at_level("INFO", "cliqa"):
        assert read(tmp_path, "pyiqa", name, text).splits is None
    assert "set split_column='ratio802_seed123_split_01'" in caplog.text
    table = read_scores(tmp_path / name, layout="pyiqa", split_column="ratio802_seed123_split_01")
    assert table.splits == ("train", "test")


@pytest.mark.skipif(not KONIQ.is_file(), reason="the official labels are not here")
def test_the_official_labels_are_read_alike() -> None:
    mine, official = with_known_splits(read_scores(KONIQ, layout="koniq")), read_koniq(KONIQ)
    assert (mine.images, mine.splits) == (official.images, official.splits)
    assert mine.ratings == official.ratings
    for key in ("raw", "std", "shares"):
        np.testing.assert_allclose(getattr(mine, key), getattr(official, key))
