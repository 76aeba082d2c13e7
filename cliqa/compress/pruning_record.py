"""The record of pruning a run's model: the content of pruning.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from cliqa.deploy.pruning.prune import PruningReport
from cliqa.engine.build import Parts
from cliqa.evaluation.records.table_styles import Style, Table, render, render_notes
from cliqa.evaluation.records.tables import number

FILE_NAME = "pruning.json"

STAGES = ("before", "pruned", "finetuned")
"""The models that are evaluated: the run's, the pruned one, and that after fine-tuning."""

NOT_FINE_TUNED = (
    "not fine-tuned (epochs=0): the scores are those of a network whose layers have lost their "
    "channels and have not been trained since. Set epochs for one to be used."
)


def pruning_table(report: Mapping[str, Any], style: Style = "text") -> str:
    """Return a report as people read it, in a style of `render`."""
    measure = str(report["measure"]).upper()
    rows = tuple(
        (name, *(number(values[stage]) for stage in STAGES))
        for name, values in report["datasets"].items()
    )
    before, after = report["parameters"]
    table = render(Table(f"{measure} on the test sets", ("", *STAGES), rows), style)
    notes = [
        f"parameters {before:,} -> {after:,}, GMACs {report['macs'][0] / 1e9:.4f} -> "
        f"{report['macs'][1] / 1e9:.4f}",
        *report["notes"],
    ]
    return table + ("\n".join(notes) if style == "text" else render_notes(notes, style).rstrip())


class PruningRecord:
    """The steps of a pruning so far, with the evaluation of each.

    Args:
        settings: The arguments of the pruning.
        parts: The run's benchmark, and a strategy that predicts.
        model: The model before anything of it is pruned.
        notes: Remarks for the report.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        parts: Parts,
        model: nn.Module,
        notes: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._notes = list(notes)
        self._parts = parts
        self._steps: list[PruningReport] = []
        self._measured = {"before": self._measure(model)}

    def add(self, step: PruningReport, model: nn.Module) -> None:
        """Add a step, and evaluate the pruned model."""
        self._steps.append(step)
        self._measured["pruned"] = self._measure(model)

    def finished(self, model: nn.Module) -> dict[str, Any]:
        """Return the content of the finished report."""
        self._measured["finetuned"] = self._measure(model)
        return self.content(finished=True)

    def content(self, *, finished: bool) -> dict[str, Any]:
        """Return the content of pruning.json."""
        first, last = self._steps[0], self._steps[-1]
        names = self._measured["before"]
        return {
            "format": 1,
            "finished": finished,
            "settings": self._settings,
            "parameters": [first.parameters[0], last.parameters[1]],
            "macs": [first.macs[0], last.macs[1]],
            "widths": self._widths(),
            "steps": [{k: v for k, v in s.to_dict().items() if k != "widths"} for s in self._steps],
            "measure": self._parts.targets.measure,
            "datasets": {
                name: {stage: self._measured.get(stage, {}).get(name) for stage in STAGES}
                for name in names
            },
            "notes": [*self._notes, *([] if self._settings["epochs"] else [NOT_FINE_TUNED])],
        }

    def _widths(self) -> dict[str, list[int]]:
        """Return every pruned layer's channels before the first and after the last step."""
        found: dict[str, list[int]] = {}
        for step in self._steps:
            for name, (before, after) in step.widths.items():
                found[name] = [found.get(name, [before])[0], after]
        return found

    def _measure(self, model: nn.Module) -> dict[str, float | None]:
        """Return a model's main measure on every data set's test split."""
        parts, found = self._parts, {}
        strategy = parts.strategy
        strategy.model = model.to(parts.device)
        for name in parts.benchmark.names:
            prediction, target = strategy.predict(parts.benchmark.dataset(name, "test"))
            found[name] = parts.targets.validate(prediction, target)
        return found
