"""Small copies of the official layouts, with real image files and made-up labels."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import scipy.io
from PIL import Image

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP"}
LIVE_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}


@pytest.fixture(scope="module", autouse=True)
def _mat_files(request: pytest.FixtureRequest) -> None:
    """Read MATLAB files in a moment, but for the tests of their reader."""
    if request.path.stem != "test_mat_file":
        request.getfixturevalue("quick_mat_files")


@functools.cache
def encoded(suffix: str, place: int) -> bytes:
    colour = (place * 37 % 256, place * 101 % 256, place * 7 % 256)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, FORMATS[suffix])
    return buffer.getvalue()


def write_images(folder: Path, names: Iterable[str]) -> None:
    """Write one 8 x 6 image of its own colour per name."""
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(path.suffix.lower(), place % 256))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([*lines, ""]).encode())


def write_xlsx(path: Path, rows: Iterable[Iterable[object]], name: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    sheet = book.create_sheet(name) if name else book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    book.save(path)


def write_eva(root: Path) -> None:
    votes = [(100 + k, f"u{v}", (k + v) % 11) for v in range(3) for k in range(20)]
    header = (
        "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4"
    )
    rows = [f"{i}={u}={s}=1=2=3=4=1=12.5=0=0=1=0" for i, u, s in votes]
    write_lines(root / "data/votes_filtered.csv", [header, *rows])
    write_images(root / "images/EVA_together", [f"{100 + k}.jpg" for k in range(20)])


def write_ava(root: Path) -> None:
    rows = []
    for k in range(40):
        counts = [(k + rating) % 4 for rating in range(10)]
        rows.append(f"{k + 1} {110 + k} {' '.join(map(str, counts))} 1 22 1396")
    write_lines(root / "AVA.txt", rows)
    test = [str(110 + k) for k in range(30, 40)]
    write_lines(root / "aesthetics_image_lists/generic_test.jpgl", [*test, "999999"])
    write_images(root / "ava_images", [f"{110 + k}.jpg" for k in range(40)])


def koniq_row(k: int) -> tuple[list[float], float]:
    share = [0.0, 0.125, 0.25, 0.5, 0.125] if k % 2 else [0.5, 0.25, 0.25, 0.0, 0.0]
    return share, 3.0 + 4.0 * k


def write_koniq(root: Path) -> None:
    rows = ["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set"]
    for k in range(20):
        share, mos = koniq_row(k)
        split = ("training", "training", "training", "validation", "test")[k % 5]
        rows.append(f"{k}.jpg,{','.join(map(str, share))},104,{mos},0.5,{split}")
    write_lines(root / "koniq10k_distributions_sets.csv", rows)
    write_images(root / "1024x768", [f"{k}.jpg" for k in range(20)])


def write_koniq_scores(root: Path) -> None:
    rows = ["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore"]
    for k in range(20):
        share, mos = koniq_row(k)
        counts = [round(part * 104) for part in share]
        mean = sum((i + 1) * part for i, part in enumerate(share))
        rows.append(f"{k}.jpg,{','.join(map(str, counts))},104,{mean},0.5,{mos}")
    write_lines(root / "koniq10k_scores_and_distributions.csv", rows)
    write_images(root / "512x384", [f"{k}.jpg" for k in range(20)])


def write_spaq(root: Path) -> None:
    rows = [[f"{k:05d}.jpg", 5.0 * k + 0.25, 50.0] for k in range(12)]
    header = ["Image name", "MOS", "Brightness"]
    write_xlsx(root / "Annotations/MOS and Image attribute scores.xlsx", [header, *rows])
    write_images(root / "TestImage", [f"{k:05d}.jpg" for k in range(12)])


def write_kadid(root: Path) -> None:
    names = [f"I{r:02d}_{t:02d}_01.png" for r in range(1, 11) for t in range(1, 4)]
    rows = [f"{name},{name[:3]}.png,{1.0 + k % 9 / 2.25:.2f},0.49" for k, name in enumerate(names)]
    write_lines(root / "dmos.csv", ["dist_img,ref_img,dmos,var", *rows])
    write_images(root / "images", names)


def write_agiqa(root: Path) -> None:
    rows = ["name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"]
    for k in range(30):
        prompt = f'"a cat, number {k % 10}"'
        rows.append(f"m_{k:03d}.jpg,{prompt},,,,{k / 7:.4f},0.25,{k / 8:.4f},0.5")
    write_lines(root / "data.csv", rows)
    write_images(root, [f"m_{k:03d}.jpg" for k in range(30)])


def write_livec(root: Path) -> None:
    names = [f"t{k}.bmp" for k in range(7)] + [f"{k}.bmp" for k in range(12)]
    cells = np.empty((19, 1), dtype=object)
    cells[:, 0] = names
    data = root / "Data"
    data.mkdir(parents=True, exist_ok=True)
    mos = np.arange(19.0)[None] * 5.0
    scipy.io.savemat(data / "AllImages_release.mat", {"AllImages_release": cells})
    scipy.io.savemat(data / "AllMOS_release.mat", {"AllMOS_release": mos})
    scipy.io.savemat(data / "AllStdDev_release.mat", {"AllStdDev_release": mos / 10.0})
    write_images(root / "Images", names[7:])


def csiq_names() -> list[str]:
    kinds = ("AWGN", "jpeg2000")
    return [f"ref_{r}.{kind}.{n}.png" for r in range(10) for kind in kinds for n in (1, 2)]


def write_csiq(root: Path) -> None:
    names = csiq_names()
    rows = [f"{name} {k / len(names):.6f}" for k, name in enumerate(names)]
    write_lines(root / "csiq_label.txt", rows)
    write_images(root / "dst_imgs_all", names)


def write_tid2013(root: Path) -> None:
    names = [f"I{r:02d}_{t:02d}_1.bmp" for r in range(1, 11) for t in (1, 2)]
    names[-1] = "I10_24_5.bmp"  # TID2008 has no such type
    rows = [f"{k * 0.45:.5f} {name}" for k, name in enumerate(names)]
    write_lines(root / "mos_with_names.txt", rows)
    spelt = [name.lower() if k % 3 == 0 else name[:-3] + "BMP" for k, name in enumerate(names)]
    write_images(root / "distorted_images", spelt)


def write_live(root: Path) -> None:
    names = [f"{folder}/img{k}.bmp" for folder, n in LIVE_FOLDERS.items() for k in range(1, n + 1)]
    total = len(names)
    originals = (np.arange(total) % 10 == 9).astype(np.uint8)
    dmos = np.where(originals, 0.0, np.linspace(-2.5, 111.5, total))
    cells = np.empty((1, total), dtype=object)
    cells[0] = [f"ref{k % 29}.bmp" for k in range(total)]
    root.mkdir(parents=True, exist_ok=True)
    labels = {"dmos_new": dmos[None], "dmos_std": np.full((1, total), 2.0), "orgs": originals[None]}
    scipy.io.savemat(root / "dmos_realigned.mat", labels)
    scipy.io.savemat(root / "refnames_all.mat", {"refnames_all": cells})
    write_images(root, [name for name, org in zip(names, originals, strict=True) if not org])


def write_bid(root: Path) -> None:
    rows = [[k + 1, k / 4.0, 0.5] for k in range(12)]
    header = ["Image Number", "Average Subjective Grade", "std"]
    write_xlsx(root / "DatabaseGrades.xlsx", [header, *rows])
    write_images(root, [f"DatabaseImage{k + 1:04d}.JPG" for k in range(12)])


def write_tid2008(root: Path) -> None:
    names = [f"I{r:02d}_{t:02d}_4.bmp" for r in range(1, 11) for t in (1, 17)]
    write_lines(root / "mos_with_names.txt", [f"{k * 0.4:.4f} {n}" for k, n in enumerate(names)])
    write_images(root / "distorted_images", names)


def write_mdid(root: Path) -> None:
    names = [f"img{r:02d}_{k:02d}.bmp" for r in range(1, 21) for k in range(1, 81)]
    write_lines(root / "mos.txt", [f"{k / 200:.4f}" for k in range(len(names))])
    write_images(root / "distortion_images", names)


def write_nits(root: Path) -> None:
    names = [f"I{r}D{d}L{n}" for r in range(1, 10) for d in (1, 9) for n in (1, 5)]
    header = ["Distorted Image Name", "Original Image Name", "Score"]
    rows = [[f"{name}.bmp", f"{name[:2]}.bmp", 2.5 * k] for k, name in enumerate(names)]
    write_xlsx(root / "Database/Score.xlsx", [header, *rows])
    write_images(root / "Database", [f"{name}.bmp" for name in names])


def write_pipal(root: Path) -> None:
    for r in range(10):
        names = [f"A{r:04d}_{kind:02d}_{k:02d}.bmp" for kind in (0, 6) for k in range(2)]
        rows = [f"{name},{900 + 40 * r + 150 * k}.5" for k, name in enumerate(names)]
        write_lines(root / f"Train_Label/A{r:04d}.txt", rows)
        write_images(root / "Dist_Imgs", names)


def write_kadis(root: Path) -> None:
    types = (1, 18, 9, 25, 11, 2, 3, 4, 5, 6)
    names = [f"photo-{k}.png" for k in range(len(types))]
    rows = [f"{name},{kind},{kind}" for name, kind in zip(names, types, strict=True)]
    write_lines(root / "kadis700k_ref_imgs.csv", ["ref_im,dist_type_1,dist_type_2", *rows])
    write_images(root / "ref_imgs", names)
    made = [(name[:-4], kind) for name, kind in zip(names, types, strict=True) if kind < 18]
    versions = [f"{name}_{kind:02d}_{n:02d}.bmp" for name, kind in made for n in range(1, 6)]
    write_images(root / "dist_imgs", versions)


def write_agiqa1k(root: Path) -> None:
    rows = []
    for k in range(20):
        prompt = f"bird, driving car, {('city', 'wild')[k % 2]}, style {k % 10}"
        rows.append([f"{('deepai', 'dreamStudio')[k // 10]}_{k}_0_0_0.jpg", prompt, k / 4])
    write_xlsx(root / "AIGC_MOS_Zscore.xlsx", [["Image", "Prompt", "MOS"], *rows])
    write_images(root / "file", [str(row[0]) for row in rows])


def write_aigciqa2023(root: Path) -> None:
    (root / "DATA/MOS").mkdir(parents=True)
    for number in (1, 2, 3):
        scores = np.linspace(20.0, 80.0, 2400)[:, None] + number
        scipy.io.savemat(root / f"DATA/MOS/mosz{number}.mat", {"MOSz": scores})
    write_images(root / "Image/allimg", [f"{k}.png" for k in range(2400)])


def write_cid2013(root: Path) -> None:
    numbers = ("I", "VI")
    names = [f"IS_{s}_C{c:02d}_D{d:02d}" for s in numbers for c in range(1, 9) for d in (1, 2)]
    header = ["Source_ID", "Image set specific  MOS", "Realigned MOS"]
    rows = [[name, 50.0, 3.0 * k - 9.5] for k, name in enumerate(names)]
    path = root / "CID2013 data - version 12112014.xlsx"
    write_xlsx(path, [header, *rows], name="CID2013 MOS")
    folders = {"I": "IS1", "VI": "IS6"}
    parts = [name.split("_") for name in names]
    write_images(root, [f"{folders[s]}/co{int(c[1:])}/IS_{s}_{c}_{d}.jpg" for _, s, c, d in parts])


def write_uhdiqa(root: Path) -> None:
    rows, names = [], []
    for k in range(20):
        part = ("training", "training", "training", "validation", "test")[k % 5]
        rows.append(f"{k}.jpg,{0.3 + k / 50:.4f},{part},5515")
        names.append(f"{part}/{k}.jpg")
    write_lines(root / "uhd-iqa-metadata.csv", ["image_name,quality_mos,set,orig_width", *rows])
    write_images(root, names)


PIQ_HEADER = "IMAGE PATH,JOD,JOD STD,CI LOW,IMAGE,SCENE,ATTRIBUTE,CONDITION"


def write_piq23(root: Path) -> None:
    scenes = [f"{('Indoor', 'Night')[s % 2]}_Scene_{s}" for s in range(8)]
    pictures = [
        (f"{3 * s + k}_{scene}.jpg", scene) for s, scene in enumerate(scenes) for k in (0, 1)
    ]
    for part, shift in (("Overall", 0.0), ("Details", 0.5), ("Exposure", -0.5)):
        rows = [
            f"{part}\\{name},{k / 2 - 4 + shift},0.4,-1,{name},{scene},{part},{scene.split('_')[0]}"
            for k, (name, scene) in enumerate(pictures)
        ]
        write_lines(root / f"Scores_{part}.csv", [PIQ_HEADER, *rows])
        write_images(root / part, [name for name, _ in pictures])
    sides = [("Train", "Test")[s >= 6] for s in range(8)]
    lines = [f"{scene},{side},2" for scene, side in zip(scenes, sides, strict=True)]
    write_lines(root / "Scene Split.csv", ["SCENE,SPLIT,NB IMAGES", *lines])
    lines = [f"{name},{('Train', 'Test')[k % 4 == 1]}" for k, (name, _) in enumerate(pictures)]
    write_lines(root / "Device Split.csv", ["IMAGE,SPLIT", *lines])


def write_flive(root: Path) -> None:
    data = root / "database"
    names = [f"{('blur_dataset', 'voc_emotic_ava')[k % 2]}/p{k:02d}.jpg" for k in range(20)]
    rows = [f"{name},{4.5 * k + 5}" for k, name in enumerate(names)]
    write_lines(data / "labels_image.csv", ["name,mos", *rows])
    bases = [name.split("/")[1] for name in names]
    patches = [f"patches/{base}_patch_{n}.jpg" for base in bases for n in (1, 2, 3)]
    rows = [f"{name},{1.5 * k + 3}" for k, name in enumerate(patches)]
    write_lines(data / "labels_patch.csv", ["name,mos", *rows])
    write_lines(data / "labels640.csv", ["mos_image,name_image", *(f"1,{n}" for n in names[:4])])
    rows = [f"{name},{k < 3}" for k, name in enumerate(names[4:])]
    write_lines(data / "labels=640_padded.csv", ["name_image,is_valid", *rows])
    write_images(data, [*names, *patches])


def write_score_file(root: Path) -> None:
    rows = [f"pictures/{k}.png,{k / 2},0.5" for k in range(20)]
    write_lines(root / "scores.csv", ["image,score,std", *rows])
    write_images(root / "pictures", [f"{k}.png" for k in range(20)])


WRITERS = {
    "EVA": write_eva,
    "AVA": write_ava,
    "KonIQ10k": write_koniq,
    "KonIQ10k without split": write_koniq_scores,
    "SPAQ": write_spaq,
    "KADID10k": write_kadid,
    "AGIQA3K": write_agiqa,
    "LIVEC": write_livec,
    "CSIQ": write_csiq,
    "TID2013": write_tid2013,
    "LIVE": write_live,
    "BID": write_bid,
    "TID2008": write_tid2008,
    "MDID": write_mdid,
    "NITSIQA": write_nits,
    "PIPAL": write_pipal,
    "KADIS700k": write_kadis,
    "AGIQA1K": write_agiqa1k,
    "AIGCIQA2023": write_aigciqa2023,
    "CID2013": write_cid2013,
    "UHDIQA": write_uhdiqa,
    "PIQ23": write_piq23,
    "FLIVE": write_flive,
    "ScoreFile": write_score_file,
}


@pytest.fixture
def layout(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a data set's official layout and returns its root."""

    def write(kind: str) -> Path:
        root = tmp_path / kind.replace(" ", "_")
        WRITERS[kind](root)
        return root

    return write
