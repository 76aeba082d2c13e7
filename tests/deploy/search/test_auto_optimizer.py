"""The search: what it tries, keeps, passes over, chooses, and goes on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.deploy.profiling import Forward
from cliqa.deploy.search import auto_optimizer as module
from cliqa.deploy.search.auto_optimizer import Artifact, AutoOptimizer
from cliqa.deploy.search.pareto import Budget
from cliqa.deploy.search.recipes import BASELINE, Recipe
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

BATCH = torch.zeros(1, 3, 4, 4)
FP32 = Recipe()
INT8 = Recipe(0, "onnxruntime", "int8")
HALF = Recipe(0.5)
HALF8 = Recipe(0.5, "onnxruntime", "int8")

# bytes, times faster, quality on validation data
WORTH = {
    BASELINE: (100, 1.0, 0.90),
    FP32: (100, 2.0, 0.90),
    INT8: (25, 5.0, 0.895),
    HALF: (25, 4.0, 0.85),
    HALF8: (7, 9.0, 0.84),
}


class Workshop:
    """Makes models that are nothing but their figures, and counts how often."""

    def __init__(self) -> None:
        self.made: list[Recipe] = []
        self.recipe: dict[int, Recipe] = {}

    def build(self, recipe: Recipe) -> Artifact:
        self.made.append(recipe)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            return batch

        self.recipe[id(forward)] = recipe
        self.kept = [*getattr(self, "kept", []), forward]  # an id must not be used again
        return Artifact(forward, WORTH[recipe][0])

    def evaluate(self, made: Artifact) -> tuple[float, float | None]:
        quality = WORTH[self.recipe[id(made.forward)]][2]
        return quality, quality - 0.1

    def time(self, baseline: Forward, other: Forward, *_: Any, **__: Any) -> tuple[float, float]:
        first, second = (WORTH[self.recipe[id(forward)]][1] for forward in (baseline, other))
        return 10.0 / first, 10.0 / second


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    found = Workshop()
    monkeypatch.setattr(module, "measure_in_turns", found.time)
    return found


@pytest.fixture
def search(workshop: Workshop) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        options.setdefault("recipes", [FP32, INT8, HALF, HALF8])
        return AutoOptimizer(*arguments, **options).search(workshop.build, workshop.evaluate, BATCH)

    return run


def test_everything_is_measured_against_the_baseline(search: Callable[..., Any]) -> None:
    outcome = search("size", Budget())
    assert [row.recipe for row in outcome.rows] == [BASELINE, FP32, INT8, HALF, HALF8]
    row = outcome.rows[2]
    assert (row.smaller, row.faster, row.cpu_ms) == (4.0, 5.0, 2.0)
    assert row.drop == pytest.approx(0.005)
    assert row.test_quality == pytest.approx(0.795)
    assert outcome.best.recipe == HALF8
    assert [row.recipe for row in outcome.front] == [FP32, INT8, HALF8]


def test_times_agree_with_their_ratios_on_a_machine_that_slows_down(
    search: Callable[..., Any], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = iter(range(1, 100))

    def time(*arguments: Any, **options: Any) -> tuple[float, float]:
        now = next(slower)
        first, second = workshop.time(*arguments, **options)
        return now * first, now * second

    monkeypatch.setattr(module, "measure_in_turns", time)
    baseline, *others = search("size", Budget()).rows
    for row in others:
        assert row.cpu_ms * row.faster == pytest.approx(baseline.cpu_ms)


def test_without_a_budget_two_hundredths_may_be_lost(search: Callable[..., Any]) -> None:
    assert search("size").best.recipe == INT8
    assert search("latency").best.recipe == INT8
    assert search("quality").best.recipe == FP32


def test_int8_of_a_model_that_has_lost_too_much_is_passed_over(
    search: Callable[..., Any], workshop: Workshop
) -> None:
    outcome = search("size", Budget(max_drop=0.02))
    assert HALF8 not in workshop.made
    assert outcome.rows[-1].note == "skipped: in fp32 it already loses 0.0500"
    assert outcome.best.recipe == INT8


def test_what_loses_no_more_than_is_allowed_is_not_passed_over(search: Callable[..., Any]) -> None:
    limit = WORTH[BASELINE][2] - WORTH[HALF][2]
    assert search("size", Budget(max_drop=limit)).rows[-1].note == ""


def test_one_way_of_fine_tuning_says_nothing_about_the_other(
    search: Callable[..., Any], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Recipe(0.5, "onnxruntime", "int8", distil=False)
    monkeypatch.setitem(WORTH, plain, (7, 9.0, 0.90))
    assert search("size", Budget(max_drop=0.02), recipes=[HALF, plain]).best.recipe == plain


def test_the_choice_does_not_look_at_the_test_sets(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(made: Artifact) -> tuple[float, float | None]:
        quality, _ = workshop.evaluate(made)
        return quality, 1 - quality  # the worse one is the better there

    outcome = AutoOptimizer("quality", Budget(), [FP32, HALF]).search(
        workshop.build, evaluate, BATCH
    )
    assert outcome.best is not None
    assert outcome.best.recipe == FP32
    assert outcome.rows[-1].drop == pytest.approx(0.05)


def test_a_recipe_that_is_no_gain_is_not_on_the_front(
    search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORTH, INT8, (100, 0.8, 0.60))
    outcome = search("latency", Budget(max_drop=0.02), recipes=[FP32, INT8])
    assert INT8 not in [row.recipe for row in outcome.front]
    assert outcome.best.recipe == FP32


def test_where_nothing_fits_it_says_by_how_much(search: Callable[..., Any]) -> None:
    outcome = search("size", Budget(max_drop=0.001, min_faster=3))
    assert outcome.best is None
    text = outcome.verdict()
    assert text.startswith("no recipe keeps to the budget:")
    assert "onnxruntime fp32 is 2.00 times faster (at least 3)" in text
    assert "onnxruntime int8 loses 0.0050 (at most 0.001)" in text
    assert "5.00 times faster, loses 0.0050)" in search("size").verdict()


def test_a_gain_is_called_one(search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORTH, INT8, (25, 5.0, 0.93))
    assert search("size").verdict().endswith("5.00 times faster, gains 0.0300)")


def test_a_failure_is_noted_and_the_search_goes_on(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(recipe: Recipe) -> Artifact:
        if recipe == INT8:
            raise ModelError("no calibration images.")
        return workshop.build(recipe)

    optimizer = AutoOptimizer("size", recipes=[INT8, FP32])
    outcome = optimizer.search(build, workshop.evaluate, BATCH)
    assert outcome.rows[1].note == "failed: no calibration images."
    assert not outcome.rows[1].valid
    assert outcome.best is not None


def test_a_stopped_search_goes_on_where_it_was(workshop: Workshop, tmp_path: Path) -> None:
    recipes = [FP32, INT8, HALF, HALF8]

    def build(recipe: Recipe) -> Artifact:
        if recipe == HALF:
            raise KeyboardInterrupt
        return workshop.build(recipe)

    options: dict[str, Any] = {"recipes": recipes, "folder": tmp_path, "fingerprint": {"run": "a"}}
    torn = AutoOptimizer("size", Budget(), **options)
    with pytest.raises(KeyboardInterrupt):
        torn.search(build, workshop.evaluate, BATCH)
    workshop.made.clear()
    again = AutoOptimizer("size", Budget(), **options)
    outcome = again.search(workshop.build, workshop.evaluate, BATCH)
    assert workshop.made == [BASELINE, HALF, HALF8]
    whole = AutoOptimizer("size", Budget(), recipes=recipes)
    assert outcome == whole.search(workshop.build, workshop.evaluate, BATCH)


def test_a_looser_budget_tries_what_was_passed_over(
    search: Callable[..., Any], tmp_path: Path
) -> None:
    search("size", Budget(max_drop=0.02), folder=tmp_path)
    assert search("size", Budget(max_drop=0.2), folder=tmp_path).best.recipe == HALF8


def test_a_file_that_is_gone_is_made_again(
    search: Callable[..., Any], workshop: Workshop, tmp_path: Path
) -> None:
    search("size", Budget(), folder=tmp_path)
    state = json.loads((tmp_path / "auto.json").read_text())
    state["rows"][2]["file"] = str(tmp_path / "gone.onnx")
    (tmp_path / "auto.json").write_text(json.dumps(state))
    workshop.made.clear()
    search("size", Budget(), folder=tmp_path)
    assert workshop.made == [BASELINE, INT8]


def test_the_state_of_another_search_is_refused(search: Callable[..., Any], tmp_path: Path) -> None:
    search(folder=tmp_path, fingerprint={"checkpoint": "a", "epochs": 1, "threads": 1})
    with pytest.raises(ArtifactError, match="differs in its checkpoint, epochs. Choose another"):
        search(folder=tmp_path, fingerprint={"checkpoint": "b", "epochs": 2, "threads": 1})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "{torn",
        '{"fingerprint": "old", "rows": []}',
        '{"fingerprint": {}, "rows": [{"recipe": {"backend": "tpu"}}]}',
    ],
)
def test_a_damaged_state_is_refused(search: Callable[..., Any], tmp_path: Path, text: str) -> None:
    (tmp_path / "auto.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"auto\.json: no state of a search .* Delete it"):
        search(folder=tmp_path)


def test_a_call_for_fewer_recipes_forgets_nothing(
    search: Callable[..., Any], workshop: Workshop, tmp_path: Path
) -> None:
    search("size", Budget(), folder=tmp_path, recipes=[FP32, HALF])
    rows = search("size", Budget(), folder=tmp_path, recipes=[FP32, INT8]).rows
    assert [row.recipe for row in rows] == [BASELINE, FP32, INT8]
    workshop.made.clear()
    search("size", Budget(), folder=tmp_path)
    assert workshop.made == [BASELINE, HALF8]


def test_rows_without_a_baseline_are_measured_anew(
    search: Callable[..., Any], workshop: Workshop, tmp_path: Path
) -> None:
    search("size", Budget(), folder=tmp_path)
    state = json.loads((tmp_path / "auto.json").read_text())
    (tmp_path / "auto.json").write_text(json.dumps({**state, "rows": state["rows"][1:]}))
    workshop.made.clear()
    assert search("size", Budget(), folder=tmp_path).rows[0].recipe == BASELINE
    assert len(workshop.made) == 5


def test_weights_of_openvino_that_are_gone_are_made_again(
    search: Callable[..., Any], workshop: Workshop, tmp_path: Path
) -> None:
    search("size", Budget(), folder=tmp_path)
    for name in ("m.xml", "m.bin"):
        (tmp_path / name).touch()
    state = json.loads((tmp_path / "auto.json").read_text())
    state["rows"][2]["file"] = str(tmp_path / "m.xml")
    (tmp_path / "auto.json").write_text(json.dumps(state))
    for gone, made in ((False, [BASELINE]), (True, [BASELINE, INT8])):
        if gone:
            (tmp_path / "m.bin").unlink()
        workshop.made.clear()
        search("size", Budget(), folder=tmp_path)
        assert workshop.made == made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "speed"}, "target must be 'size', 'latency' or 'quality', got 'speed'"),
        ({"recipes": []}, "name at least one recipe"),
        (
            {"recipes": [INT8, INT8]},
            "the recipe 'onnxruntime int8' is given twice. Name each backend",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AutoOptimizer(**arguments)
