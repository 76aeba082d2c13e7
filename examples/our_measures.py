"""cliqa's measures and figures for predictions that any other code has made.

python examples/our_measures.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.predictions import ScorePredictions
from cliqa.evaluation.records.tables import report
from cliqa.visualization.curves import draw_forgetting
from cliqa.visualization.matrix import draw_matrix
from cliqa.visualization.scatter import draw_scatter
from cliqa.visualization.style import save_figure

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
names = ["eva", "ava", "koniq"]
draw = np.random.default_rng(0)
truth = {name: draw.uniform(0, 1, 200) for name in names}  # your scores, 0..1, higher = better

rows, last = [], {}
for step, learnt in enumerate(names):  # your model after each data set, on each data set
    for index, name in enumerate(names):
        noise = 0.1 + 0.15 * abs(step - index)
        prediction = np.clip(truth[name] + noise * draw.normal(size=200), 0, 1)
        found = quality_metrics(prediction, truth[name], bootstrap=200)  # with 95 % intervals
        rows.append({"experience": step, "dataset": name, **found.to_row()})
        images = np.array([f"{k}.jpg" for k in range(200)])
        last[name] = ScorePredictions(prediction, truth[name], 1 + 4 * truth[name], images)
        print(f"after {learnt} on {name}: SRCC {found.srcc:.3f}, PLCC {found.plcc:.3f}")

results = build_results(
    rows, experiences=names, datasets=names, status="finished", seed=0, config="my own code"
)
print(report(results))  # the matrix, mSRCC, forgetting ... with their meanings
figures = {
    "matrix": draw_matrix(results, "srcc"),
    "forgetting": draw_forgetting(results),
    "scatter": draw_scatter(last, "after koniq"),
}
for name, figure in figures.items():
    print(save_figure(figure, folder / f"{name}.png"))
