"""Panel of one run's predictions: a figure whose points can be clicked, and the images behind."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

import cliqa
from cliqa.api.results import RunResults
from cliqa.app.errors import message_of
from cliqa.app.figures import Spots, drawn, picture_of, spots_of
from cliqa.app.loaded import loaded
from cliqa.app.parts import facts, figure, hint, note, on, shown_image, shown_table, table
from cliqa.app.settings import Settings
from cliqa.evaluation.records.predictions import ScorePredictions, load_class_predictions
from cliqa.evaluation.records.results import main_measure
from cliqa.evaluation.records.tables import number
from cliqa.utils.errors import ArtifactError, CliqaError
from cliqa.visualization.confusion import draw_confusion
from cliqa.visualization.scatter import draw_scatter

WORST = 12
"""Images in the table of the largest errors."""

CLICK = "Click a point of the figure, or a row of the table: the image appears here."
NO_PREDICTIONS = "No predictions of this model on this data set are kept."
FAR = "There is no point there. Click nearer to one."


def images_panel(settings: Settings, run: gr.State, stamp: gr.State) -> None:
    """Add the panel; it is drawn anew when the stamp changes."""
    with gr.Row(visible=False) as choosing:
        dataset = gr.Dropdown([], label="Data set", elem_id="look-dataset", interactive=True)
        after = gr.Dropdown([], label="Model", elem_id="look-after", interactive=True)
    spots: gr.State = gr.State(None)
    with gr.Row():
        with gr.Column(min_width=320):
            scatter = figure("Predictions and true scores", elem_id="look-scatter")
        with gr.Column(min_width=320):
            about = gr.HTML(visible=False, elem_id="look-about")
            image = figure("Image", elem_id="look-image")
    worst = table("Largest errors", elem_id="look-worst")

    def choices(name: object, dataset_: object, after_: object) -> list[Any]:
        """Offer the run's data sets and models, and draw the chosen ones."""
        if name is None:
            none = [shown_image(None), None, shown_table(None), shown_image(None), note("")]
            # a list that is hidden keeps its choice in the browser: it must stay a possible one
            return [gr.Row(visible=False), gr.skip(), gr.skip(), *none]
        found = cliqa.results(settings.path_of(name))
        sets, models = found.content["datasets"], list(found.matrix().index)
        chosen = str(dataset_ if dataset_ in sets else sets[0])
        model = str(after_ if after_ in models else models[-1])
        shown: list[Any] = [gr.Row(visible=True)]
        shown += [gr.Dropdown(sets, value=chosen), gr.Dropdown(models, value=model)]
        try:
            picture, places, rows = _drawn(found, chosen, model)
        except ArtifactError:
            none = [shown_image(None), None, shown_table(None), shown_image(None)]
            return [*shown, *none, note(NO_PREDICTIONS)]
        drawn_ = [shown_image(picture), places, shown_table(rows), shown_image(None)]
        return [*shown, *drawn_, note(CLICK)]

    def show(name: object, dataset_: object, after_: object, index: int) -> list[Any]:
        """Show one image of the run's predictions."""
        found = cliqa.results(settings.path_of(name))
        rows = found.predictions(str(dataset_), str(after_))
        if not 0 <= index < len(rows):
            raise ArtifactError("There is no such image in the run's predictions.")
        row = {str(name): value for name, value in rows.iloc[index].items()}
        try:
            with loaded(settings).images(name) as images:
                pixels = images.read(str(dataset_), index, str(row["image"]))
        except CliqaError as error:  # the numbers are there without the image
            return [shown_image(None), f"{_told(row)}{hint(message_of(error) or '')}"]
        return [shown_image(pixels), _told(row)]

    def click(
        name: object, dataset_: object, after_: object, places: Spots | None, event: gr.SelectData
    ) -> list[Any]:
        x, y = _pixel(event.index)
        near = None if places is None else places.nearest(x, y)
        if near is None:
            return [shown_image(None), hint(FAR if places is not None else CLICK)]
        return show(name, dataset_, after_, near)

    def pick(name: object, dataset_: object, after_: object, event: gr.SelectData) -> list[Any]:
        """Show the image of a row of the table, by the name in it."""
        rows = cliqa.results(settings.path_of(name)).predictions(str(dataset_), str(after_))
        given = event.row_value if isinstance(event.row_value, list) else [None]
        found = np.flatnonzero(rows["image"].to_numpy() == str(given[0]))
        return show(name, dataset_, after_, int(found[0]) if len(found) else -1)

    chosen = [run, dataset, after]
    outputs = [choosing, dataset, after, scatter, spots, worst, image, about]
    on(stamp.change, choices, chosen, outputs)
    on([dataset.input, after.input], choices, chosen, outputs)
    on(scatter.select, click, [*chosen, spots], [image, about])
    on(worst.select, pick, chosen, [image, about])


def _drawn(found: RunResults, dataset: str, after: str) -> tuple[Any, Spots | None, pd.DataFrame]:
    """Return the figure of a model's predictions, its points, and the largest errors."""
    rows = found.predictions(dataset, after)
    if main_measure(found.content) == "accuracy":
        place = list(found.matrix().index).index(after)
        logits = load_class_predictions(found.work_dir, place, dataset)
        return drawn(draw_confusion, [logits], after), None, _wrong(rows)
    k, t = found.content["datasets"].index(dataset), list(found.matrix().index).index(after)
    bands = {name: band[t][k] for name, band in found.content["interval"].items()}
    scores = ScorePredictions(
        rows["prediction"].to_numpy(),
        rows["target"].to_numpy(),
        rows["raw_target"].to_numpy(),
        rows["image"].to_numpy(),
    )
    made = draw_scatter({dataset: scores}, after, {dataset: bands}, scale="dataset")
    picture = picture_of(made)
    shown = scores.on_own_scale() if scores.scale() else scores
    return picture, spots_of(made, shown.prediction, shown.target), _largest(rows)


def _largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the images with the largest errors of scores."""
    order = rows["error"].abs().sort_values(ascending=False, kind="stable").index[:WORST]
    chosen = rows.loc[order]
    apart = chosen["raw_prediction"] - chosen["raw_target"]
    return pd.DataFrame(
        {
            "image": chosen["image"],
            "true score": [number(v, 2) for v in chosen["raw_target"]],
            "prediction": [number(v, 2) for v in chosen["raw_prediction"]],
            "error": [f"{v:+.2f}" for v in apart],
        }
    )


def _wrong(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the images of the surest wrong classes."""
    wrong = rows[rows["prediction"] != rows["target"]]
    chosen = wrong.sort_values("probability", ascending=False, kind="stable")[:WORST]
    return pd.DataFrame(
        {
            "image": chosen["image"],
            "true class": chosen["target"],
            "prediction": chosen["prediction"].fillna("none"),
            "probability": [number(v, 2) for v in chosen["probability"]],
        }
    )


def _told(row: Mapping[str, Any]) -> str:
    """Return what is known of one image."""
    name = {"Image": str(row["image"])}
    if "probability" in row:
        sure = f"{row['prediction']} ({number(row['probability'], 2)})"
        return facts({**name, "True class": str(row["target"]), "Prediction": sure})
    raw, said = row["raw_target"], row["raw_prediction"]
    shown = {"True score": number(raw, 2), "Prediction": number(said, 2)}
    return facts({**name, **shown, "Error": f"{said - raw:+.2f}"})


def _pixel(index: object) -> tuple[float, float]:
    """Return the pixel that was clicked.

    Raises:
        ArtifactError: It is none.
    """
    if isinstance(index, (list, tuple)) and len(index) == 2:
        x, y = index
        if all(isinstance(value, (int, float)) for value in (x, y)):
            return float(x), float(y)
    raise ArtifactError(f"{html.escape(ascii(index)[:60])}: no point of the figure.")
