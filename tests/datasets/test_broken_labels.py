"""Every way in which a label file can be wrong gives a DatasetError that says what and where.

Each case writes a right official layout, damages it, and builds the data set; nothing may be
written and no other error may come through.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import scipy.io

from cliqa.registry import DATASETS, build_component
from cliqa.utils.errors import DatasetError

Damage = Callable[[Path], object]


def replace(old: str, new: str, count: int = 1) -> Damage:
    """Return a damage that replaces text, which must be there."""

    def apply(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))

    return apply


def append(line: str) -> Damage:
    return lambda path: path.write_text(path.read_text() + line + "\n")


def content(data: bytes) -> Damage:
    return lambda path: path.write_bytes(data)


def cell(place: str, value: object) -> Damage:
    """Return a damage that sets one cell of a workbook."""

    def apply(path: Path) -> None:
        book = openpyxl.load_workbook(path)
        book.worksheets[0][place] = value
        book.save(path)

    return apply


def matlab(name: str, change: Callable[[np.ndarray], object] | None) -> Damage:
    """Return a damage that changes a variable of a MATLAB file, or removes it."""

    def apply(path: Path) -> None:
        variables = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
        if change is None:
            del variables[name]
        else:
            variables[name] = change(variables[name])
        scipy.io.savemat(path, variables or {"nothing": 0})

    return apply


def with_value(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.astype(np.float64)
        changed.flat[place] = value
        return changed

    return change


def remove_images(pattern: str) -> Damage:
    def apply(path: Path) -> None:
        found = sorted(path.parent.rglob(pattern))
        assert found
        for file in found:
            file.unlink()

    return apply


def rename(path: Path) -> None:
    path.rename(path.with_name("renamed"))


def shorten_live(path: Path) -> None:
    """Cut all variables of LIVE's two files to 900 rows."""
    for name in ("dmos_new", "dmos_std", "orgs"):
        matlab(name, lambda array: array[:, :900])(path)
    matlab("refnames_all", lambda array: array[:, :900])(path.with_name("refnames_all.mat"))


KONIQ_ROW = "1.jpg,0.0,0.125,0.25,0.5,0.125,104,{},0.5,{}"
CASES: dict[tuple[str, str], list[tuple[Damage, str]]] = {
    ("EVA", "data/votes_filtered.csv"): [
        (content(b""), r"votes_filtered\.csv: the label file is empty"),
        (content(b"\n\r\n "), "the label file is empty"),
        (replace("image_id=", "imageid="), "no column 'image_id'. Did you mean 'imageid'"),
        (replace("=score=", "=scores="), "no column 'score'. Did you mean 'scores'"),
        (replace("=", ",", -1), r"row 1: .* separated by ',', not by '='"),
        (replace("=", ";", -1), "set delimiter=';'"),
        (replace("104=u0=4=", "104=u0=="), "row 6: 'score' is empty"),
        (replace("104=u0=4=", "104=u0=good="), "row 6: 'score' is 'good'"),
        (replace("104=u0=4=", "104=u0=nan="), "row 6: score nan is not finite"),
        (replace("104=u0=4=", "104=u0=11="), r"row 6: score 11 .* range 0\.\.10"),
        (replace("104=u0=4=1=", "104=u0=4="), "row 6: 12 columns where the header has 13"),
        (replace("\n104=u0", "\n=u0"), "row 6: 'image_id' is empty"),
        (replace("104=u0", "999=u0"), r"1 of 21 images .* missing: 999\.jpg \(row 6\)"),
        (content(b"image_id=user_id=score\n"), "no row below the header"),
        (content(b"image_id=user_id=score\n1=\xe9=3\n"), "row 2: byte 0xe9 is not utf-8"),
        (replace("104=u0=4=", "104=u0=1_0="), "row 6: 'score' is '1_0', which is not a number"),
        (content(b"PK\x03\x04zip"), "is a zip archive"),
        (content(b"<!DOCTYPE html>"), "is a web page"),
        (content(b"image_id,score\n100,5\n100,6\n"), "row 3: image '100.jpg' was labelled"),
        (content(b"image_id,score\n100,5\n101,5\n"), "2 images or groups cannot fill 3"),
        (content(b"image_id,mos\n100,5\n"), "no column 'score'. It has image_id, mos"),
    ],
    ("AVA", "AVA.txt"): [
        (replace("2 111 ", "2 111 7 "), "row 2: 16 columns, expected 15"),
        (replace(" 1396", "", -1), "row 1: 14 columns, expected 15"),
        (replace("2 111 1", "2 111 1.5"), "row 2: '1.5' is not a whole number"),
        (replace("2 111 1", "2 111 \u0663"), "row 2: '\u0663' is not a whole number"),
        (replace("2 111 1", "2 111 -1"), "row 2: the counts .* -1 2 3 0"),
        (append("41 150 0 0 0 0 0 0 0 0 0 0 1 22 1"), "row 41: the counts .* not all 0"),
        (replace("2 111 ", "2 110 "), "row 2: image '110.jpg' was labelled before"),
        (content(b"\x1f\x8b\x08gz"), "is a gzip archive"),
    ],
    ("AVA", "aesthetics_image_lists/generic_test.jpgl"): [
        (lambda path: path.unlink(), r"no label file .*generic_test.*Set test_list"),
        (content(b"140\n141.jpg\n"), "row 2: '141.jpg' is not an image id"),
        (content(b"1\n" + b"9" * 5000), r"row 2: '9{59}\.\.\. \(\d+ characters\)"),
        (content("1\n\u0663\n".encode()), "row 2: '\u0663' is not an image id"),
        (content(b"1\n2\n"), "none of its 2 ids is in .*The test split would be empty"),
    ],
    ("KonIQ10k", "koniq10k_distributions_sets.csv"): [
        (replace("image_name", "name"), "no column 'image_name'. It has name, c1"),
        (replace("MOS", "mos"), "no column 'MOS'. Did you mean 'mos'"),
        (replace(",", ";", -1), "separated by ';', not by ','. Save the file"),
        (replace(",11.0,", ",inf,"), "row 4: score inf is not finite"),
        (replace(",11.0,", ",101.5,"), r"row 4: score 101\.5 .*score_range=\(0, 102\)"),
        (replace(",11.0,", ',"11,0",'), "row 4: 'MOS' is '11,0'.*decimals with a point"),
        (replace(",11.0,0.5", ",11.0,-0.5"), "row 4: standard deviation -12.5"),
        (replace(",0.5,training", ",0.5,practice"), "row 2: unknown split 'practice'"),
        (replace(",0.5,training", ",0.5,"), "row 2: 'set' is empty"),
        (replace(",test", ",training", -1), "no image is in the split 'test'"),
        (replace("1.jpg,0.0,0.125", "1.jpg,0.0,0.25"), r"row 3: .* sum to 1\.125, not to 1"),
        (replace("1.jpg,0.0,0.125", "1.jpg,-0.125,0.25"), "row 3: .* one is negative"),
        (append(KONIQ_ROW.format(8.0, "training")), "row 22: image '1.jpg' was labelled before"),
        (append(KONIQ_ROW.format(7.0, "test")), "row 22: .* also in .*The splits overlap"),
        (append('"unclosed'), "row 22: .*Close every quote"),
        (remove_images("1?.jpg"), r"10 of 20 images .*10\.jpg \(row 12\).* and 5 more"),
        (remove_images("*.jpg"), "20 of 20 images .*The folder holds nothing"),
        (lambda path: rename(path.parent / "1024x768"), r"(?s)no image folder .*512x384 .*layout"),
    ],
    ("KonIQ10k without split", "koniq10k_scores_and_distributions.csv"): [
        (replace("1.jpg,0,13,", "1.jpg,0,23,"), "row 3: .* sum to 114, not to 104"),
        (replace(",11.0", ",-2"), "row 4: score -2 is outside"),
    ],
    ("SPAQ", "Annotations/MOS and Image attribute scores.xlsx"): [
        (content(b"Image name,MOS\n"), "no readable .xlsx workbook"),
        (cell("A1", "Image"), "no column 'Image name'. Did you mean 'Image'"),
        (cell("B1", "mean"), "no column 'MOS'"),
        (cell("C1", "MOS"), "two columns are called 'MOS'"),
        (cell("B3", None), "row 3: 'MOS' is empty"),
        (cell("B3", 100.5), r"row 3: score 100\.5 is outside"),
        (cell("A3", "77777.jpg"), r"missing: 77777\.jpg \(row 3\)"),
    ],
    ("KADID10k", "dmos.csv"): [
        (replace("dist_img", "image"), "no column 'dist_img'"),
        (replace(",0.49", ",-0.49"), "row 2: the variance 'var' is -0.49"),
        (replace(",0.49", ",inf"), "row 2: standard deviation inf"),
        (replace("png,1.00", "png,0.99"), r"row 2: score 0\.99 .* range 1\.\.5"),
        (replace("01.png,I01.png", "01.png,"), "row 2: 'ref_img' is empty"),
        (append(f"{'x' * 300}.png,I01.png,3,0.49"), r"row 32: 'x+\.\.\.' cannot be a file name"),
        (replace("png,1.00", "png,\x1b[31m"), r"row 2: 'dmos' is '\\x1b\[31m', which is no"),
    ],
    ("AGIQA3K", "data.csv"): [
        (replace("mos_quality", "quality"), "no column 'mos_quality'"),
        (replace('"a cat, number 0"', "a cat, number 0"), "row 2: 10 columns .* into quotes"),
        (replace('"a cat, number 0"', ""), "row 2: 'prompt' is empty"),
        (replace(",0.0000,0.25,", ",5.1,0.25,"), r"row 2: score 5\.1 .* range 0\.\.5"),
    ],
    ("LIVEC", "Data/AllMOS_release.mat"): [
        (content(b"nothing like MATLAB"), "no readable MATLAB file"),
        (matlab("AllMOS_release", None), "no variable 'AllMOS_release'"),
        (matlab("AllMOS_release", lambda a: a[:, 1:]), "lengths differ .*AllMOS_release 18"),
        (matlab("AllMOS_release", with_value(9, np.nan)), "row 10: score nan"),
        (matlab("AllMOS_release", with_value(9, 100.5)), r"row 10: score 100\.5"),
        (matlab("AllMOS_release", lambda a: a * 1j), "holds complex128 and no numbers"),
    ],
    ("LIVEC", "Data/AllImages_release.mat"): [
        (lambda path: path.unlink(), r"AllImages_release\.mat: no such label file"),
        (matlab("AllImages_release", lambda a: np.arange(19.0)), "row 1: .* holds no text"),
    ],
    ("LIVEC", "Data/AllStdDev_release.mat"): [
        (matlab("AllStdDev_release", with_value(9, -1)), "row 10: standard deviation -1"),
    ],
    ("CSIQ", "csiq_label.txt"): [
        (replace(" 0.000000", ""), "row 1: 1 columns, expected 2"),
        (replace(" 0.000000", " 1.01"), r"row 1: score 1\.01 .* range 0\.\.1"),
        (replace("ref_0.AWGN.1.png", "ref_0.png"), "row 1: 'ref_0.png' is not reference"),
    ],
    ("TID2013", "mos_with_names.txt"): [
        (replace("0.45000 I01_02_1.bmp", "I01_02_1.bmp 0.45"), "row 2: '0.45' is not reference"),
        (replace("0.45000", "9.5"), r"row 2: score 9\.5 .* range 0\.\.9"),
        (replace("I01_02_1", "I99_02_1"), r"missing: I99_02_1\.bmp"),
    ],
    ("LIVE", "dmos_realigned.mat"): [
        (matlab("orgs", None), "no variable 'orgs'"),
        (matlab("orgs", lambda a: a * 2), "'orgs' must be 0 or 1"),
        (matlab("dmos_new", lambda a: a[:, :779]), "lengths differ"),
        (matlab("dmos_new", with_value(3, 120.0)), r"row 4: score 120 .* -5\.\.115"),
        (matlab("dmos_std", with_value(3, np.nan)), "row 4: standard deviation nan"),
        (shorten_live, "900 rows, expected 982. Use the files of release 2"),
    ],
    ("LIVE", "refnames_all.mat"): [
        (matlab("refnames_all", lambda a: np.zeros(982)), "'refnames_all' holds no text"),
    ],
    ("BID", "DatabaseGrades.xlsx"): [
        (cell("A1", "Number"), "no column 'Image Number'. Did you mean 'Number'"),
        (cell("A3", "two"), "row 3: 'Image Number' is 'two'"),
        (cell("A3", "\u00b2"), "row 3: 'Image Number' is '\u00b2'"),
        (cell("B3", 5.25), r"row 3: score 5\.25 .* range 0\.\.5"),
        (cell("C3", -1), "row 3: standard deviation -1"),
    ],
    ("ScoreFile", "scores.csv"): [
        (replace("image,", "file,"), "no column 'image'. It has file, score"),
        (replace(",0.5", ",-0.5"), "row 2: standard deviation -0.5"),
        (replace("pictures/0", "picture/0"), r"missing: picture/0\.png \(row 2\)"),
        (replace("pictures/0.png", "pictures"), r"missing: pictures \(row 2\)"),
        (content("image,score\na,1".encode("utf-16-le")), "NUL byte"),
        (content(b"version https://git-lfs.github.com/spec/v1"), "Git LFS pointer"),
        (content(b"image,score,split\na,1,train\na,1,test\n"), "row 3: .* The splits overlap"),
        (content(b"image,score,split,group\na,1,train,g\nb,1,val,g\n"), "row 3: 'g' has images"),
    ],
}
FLAT = [(*key, *case) for key, cases in CASES.items() for case in cases]
DECLARED = {"score_range": (0, 10), "higher_is_better": True}


def snapshot(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("kind", "file", "damage", "message"), FLAT)
def test_damaged_labels_give_advice_and_nothing_is_written(
    layout: Callable[[str], Path], kind: str, file: str, damage: Damage, message: str
) -> None:
    root = layout(kind)
    config: dict[str, Any] = {"type": kind.partition(" ")[0], "root": str(root)}
    if kind == "ScoreFile":
        config.update(DECLARED, labels=file)
    build_component(DATASETS, config, "here")
    damage(root / file)
    before = snapshot(root)
    with pytest.raises(DatasetError, match=message):
        build_component(DATASETS, config, "here")
    assert snapshot(root) == before


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("[{]", "line 1, column 3: no valid JSON"),
        ("[]", "the list of entries is empty"),
        ('{"data": []}', "no 'files' at the top"),
        ('[["a.jpg", 5]]', "row 1: expected an object"),
        ('[{"image": "a.jpg", "scor": 5}]', "no column 'score'. Did you mean 'scor'"),
        ('[{"image": "a.jpg", "score": NaN}]', "row 1: score nan is not finite"),
        ('[{"image": "a.jpg", "score": "5,555"}]', "row 1: 'score' is '5,555'"),
        ('[{"image": "a.jpg", "score": 50}]', "row 1: score 50 is outside"),
        ('[{"image": "", "score": 5}]', "row 1: 'image' is empty"),
        (
            '[{"image": "a.jpg", "score": 5}, {"image": "a.jpg", "score": 6}]',
            "row 2: image 'a.jpg'",
        ),
    ],
)
def test_damaged_json_labels_give_advice(
    layout: Callable[[str], Path], entries: str, message: str
) -> None:
    root = layout("ScoreFile")
    (root / "labels.json").write_text(entries)
    config = {"type": "ScoreFile", "root": str(root), "labels": "labels.json", **DECLARED}
    with pytest.raises(DatasetError, match=message):
        build_component(DATASETS, config, "here")
