from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cliqa.datasets.own.examine import count_copies, examine, unreadable_files
from tests.datasets.own.conftest import Own, write_images


def section(**options: Any) -> dict[str, Any]:
    usual = {"labels": "my.csv", "score_range": (0, 10), "higher_is_better": True}
    return {**usual, **options}


def test_what_a_data_set_holds(own: Own) -> None:
    rows = [f"{k}.png,{k / 2},r{k // 2}" for k in range(20)]
    path = own("image,score,group", lambda k: rows[k])
    path.write_text(path.read_text() + rows[0] + "\n")
    shutil.copy(path.parent / "3.png", path.parent / "4.png")
    found = examine(section(), path.parent, copies=True)
    assert (found.mistakes, found.repeated, found.copies, found.drawn) == ([], 1, 1, True)
    assert found.lines(7) == [
        f"images: 20 in {path.parent}",
        "splits: train 16, val 2, test 2 (drawn with the seed 7, 10 groups kept together)",
        "checks: repeated rows 1, copies of another image 1, unreadable images 0",
    ]


def test_all_mistakes_come_together(own: Own) -> None:
    cells = {2: "2.png,12,train", 3: "gone.png,3,train", 4: "4.png,4,blind", 5: "4.png,5,train"}
    path = own("image,score,split", lambda k: cells.get(k, f"{k}.png,{k / 2},train"))
    (path.parent / "7.png").write_text("no image")
    found = examine(section(), path.parent)
    wanted = [
        "unknown split 'blind'",
        "score 12 is outside the declared range",
        "image '4.png' was labelled before",
        "1 of 20 images of",
        "1 of 19 images cannot be decoded. The first: ",
    ]
    assert [text in line for text, line in zip(wanted, found.mistakes, strict=True)] == [True] * 5
    assert found.lines(0) == []


def test_wrong_cells_of_all_columns_come_together(own: Own) -> None:
    path = own("image,score,std", lambda k: f"{k}.png,{'x' if k < 3 else k},{'' if k else 1}")
    assert examine(section(), path.parent).mistakes == [
        f"{path}, row 2: 'score' is 'x', which is not a number (and 2 more rows). Correct it, or "
        "leave such rows out.",
        f"{path}, row 3: 'std' is empty (and 18 more rows). Fill it in. Or set "
        "std_column=None to do without this column.",
    ]


def test_missing_columns_name_their_option(own: Own) -> None:
    path = own("file,mos", lambda k: f"{k}.png,{k}")
    first, second = examine(section(), path.parent).mistakes
    assert "no column 'image'" in first
    assert "Set image_column='...'" in first
    assert "no column 'score'" in second
    assert "Set score_column='...'" in second


def test_images_that_may_be_left_out_are_no_mistakes(own: Own) -> None:
    path = own("image,score", lambda k: f"{k}.png,{k / 2}")
    (path.parent / "7.png").write_text("no image")
    (path.parent / "8.png").unlink()
    assert examine(section(missing="skip", on_bad_image="skip"), path.parent).mistakes == []


def test_one_file_per_split(own: Own) -> None:
    path = own("image,score", lambda k: f"{k}.png,{k / 2}")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:11]))
    (path.parent / "t.csv").write_text("\n".join([lines[0], *lines[11:]]))
    found = examine(section(test_labels="t.csv"), path.parent)
    assert found.mistakes == []
    assert "train 9, val 1, test 10" in found.lines(0)[1]
    (path.parent / "t.csv").write_text("a,b\n1,2\n")
    missing = examine(section(test_labels="t.csv", val_labels="v.csv"), path.parent).mistakes
    assert ["v.csv: no such label file" in line for line in missing] == [True, False, False]


def test_a_missing_folder(tmp_path: Path) -> None:
    (line,) = examine(section(), tmp_path / "gone").mistakes
    assert "my: no folder" in line
    assert "--data" in line


def test_broken_downloads_are_found_by_their_end(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.jpg", "b.jpg", "c.png"])
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.jpg").write_bytes(whole + b"\0" * 100)  # as some cameras append
    files = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.png", "d.jpg")]
    (reason,) = unreadable_files(files)
    assert "b.jpg: cannot be decoded" in reason


def test_copies_are_counted_by_content(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.bmp", "b.bmp", "c.bmp"])  # of one size
    shutil.copy(tmp_path / "a.bmp", tmp_path / "d.bmp")
    files = sorted(map(str, tmp_path.iterdir()))
    assert count_copies(files) == 1
    assert count_copies([*files, files[0], str(tmp_path / "gone.bmp")]) == 1
