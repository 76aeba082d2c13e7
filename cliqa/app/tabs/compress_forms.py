"""The panel of the forms of a model that a search has written, and their files."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.processing_utils import save_file_to_cache

from cliqa.app.parts import after, bullets, facts, figure, hint, on, shown_image, shown_table, table
from cliqa.app.settings import Settings
from cliqa.evaluation.records.study_deployed import FILE, read_deployments
from cliqa.evaluation.records.tables import LABELS, number
from cliqa.transforms.decode import read_image

SPLITS = {"val": "validation", "train": "training"}
"""Parts of the data as they are called in a sentence."""

NONE_YET = (
    "Nothing has been searched for yet. A search writes the model in the chosen precisions for "
    "each backend, prunes and fine-tunes it where you ask for it, measures every file on this "
    "machine, and chooses the best within the budget. It waits in the queue as a run does."
)


def forms_panel(settings: Settings, run: gr.Dropdown, stamp: gr.State) -> None:
    """Add the panel; it is drawn anew when the stamp changes."""
    about = gr.HTML(hint(NONE_YET), elem_id="compress-about")
    found = table("Forms of the model", elem_id="compress-table")
    pareto = figure("Score against size and time", elem_id="compress-pareto")
    with gr.Row(elem_classes=["chosen"]):
        file = gr.Dropdown(
            [], label="File", visible=False, min_width=220, scale=3, elem_id="compress-file"
        )
        download = gr.DownloadButton(
            "Download", visible=False, min_width=120, scale=1, elem_id="compress-download"
        )
    notes = gr.HTML(elem_id="compress-notes")

    def show(name: object) -> list[Any]:
        held = None if name is None else read_deployments(settings.path_of(name))
        if held is None:
            hidden = gr.Dropdown(visible=False)
            return [hint(NONE_YET), shown_table(None), shown_image(None), hidden, ""]
        folder = (settings.path_of(name) / FILE).parent
        picture = folder / f"{FILE.stem}.png"
        image = None
        if _is_own(picture):
            image = read_image(picture).permute(1, 2, 0).numpy()
        files = [row["key"] for row in held["rows"] if _file_of(folder, row) is not None]
        best = held["best"] if held["best"] in files else next(iter(files), None)
        return [
            _summary(held),
            shown_table(_rows(held)),
            shown_image(image),
            gr.Dropdown(files, value=best, visible=bool(files)),
            _notes(held),
        ]

    def offer(name: object, key: object) -> gr.DownloadButton:
        held = None if name is None or key is None else read_deployments(settings.path_of(name))
        row = next((row for row in held["rows"] if row["key"] == key), None) if held else None
        path = _file_of((settings.path_of(name) / FILE).parent, row) if row else None
        if path is None:
            return gr.DownloadButton(visible=False)
        return gr.DownloadButton(value=_copy(path, download.GRADIO_CACHE), visible=True)

    shown = on(stamp.change, show, [run], [about, found, pareto, file, notes], quiet=True)
    on(file.change, offer, [run, file], [download], quiet=True)
    # only then: the file of the run before may be none of this one's
    after(shown, offer, [run, file], [download])


def _summary(held: Mapping[str, Any]) -> str:
    """Return how a search measured, and what it chose."""
    side = " x ".join(map(str, held["batch"][2:]))
    return facts(
        {
            "Chosen": held["best"] or "nothing fits the budget",
            "Best in": held["target"],
            "Limits": _budget(held["budget"], LABELS.get(held["measure"], held["measure"])),
            "Chosen on": f"{SPLITS.get(held['chosen_on'], held['chosen_on'])} data",
            "Measured on": f"{held['processor']}, {_counted(held['threads'], 'thread')}, "
            f"{_counted(held['batch'][0], 'image')} of {side} pixels",
        }
    )


def _budget(budget: Mapping[str, Any], measure: str) -> str:
    """Return the limits of a search in words.

    >>> _budget({"max_drop": 0.02, "max_mib": None, "max_ms": 30}, "SRCC")
    'at most 0.02 of SRCC lost, at most 30 ms'
    """
    words = {
        "max_drop": f"at most {{:g}} of {measure} lost",
        "max_mib": "at most {:g} MiB",
        "max_ms": "at most {:g} ms",
        "min_smaller": "at least {:g} times smaller",
        "min_faster": "at least {:g} times faster",
    }
    found = [text.format(budget[k]) for k, text in words.items() if budget.get(k) is not None]
    return ", ".join(found) or "none"


def _counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> _counted(1, "thread"), _counted(2, "image")
    ('1 thread', '2 images')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _rows(held: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table of a search."""
    measure = LABELS.get(held["measure"], held["measure"])
    rows = []
    for row in held["rows"]:
        share = row["recipe"]["pruning"]
        better = "not beaten" if row["key"] in held["front"] else ""
        rows.append(
            {
                "backend": row["recipe"]["backend"],
                "precision": row["recipe"]["precision"],
                "pruned": f"{share:.0%}" if share else "",
                "MiB": number(row["bytes"] / 2**20, 2) if row["bytes"] else "n/a",
                "CPU ms": number(row["cpu_ms"], 2),
                "faster": f"{row['faster']:.1f}x" if row["faster"] else "n/a",
                f"{measure} (test)": number(row["test_quality"], 3),
                "choice": "chosen" if row["key"] == held["best"] else better,
            }
        )
    return pd.DataFrame(rows)


def _notes(held: Mapping[str, Any]) -> str:
    """Return what is known of single files, or why there is none, as HTML."""
    # how a file was quantized is no choice among the files
    told = [(row["key"], row["note"].removeprefix("chosen: ")) for row in held["rows"]]
    shown = bullets((f"{key}: {note}" for key, note in told if note), most=len(told))
    return f"<h3>Notes</h3>{shown}" if shown else ""


def _file_of(folder: Path, row: Mapping[str, Any]) -> Path | None:
    """Return the file of a recipe, which lies beside the table."""
    name = Path(str(row["file"])).name if row["file"] else ""
    path = folder / name
    return path if name and _is_own(path) else None


def _is_own(path: Path) -> bool:
    """Return whether a file lies where its name says: a link may lead to anything."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _copy(path: Path, cache: str) -> str:
    """Return a copy of a model's files that may be sent: OpenVINO's two files as one archive.

    It lies in gradio's cache, once for each content, and goes with it.
    """
    weights = path.with_suffix(".bin")
    if path.suffix != ".xml" or not _is_own(weights):
        return save_file_to_cache(path, cache)
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        archive = Path(folder) / f"{path.stem}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for part in (path, weights):
                file.write(part, part.name)
        return save_file_to_cache(archive, cache)
