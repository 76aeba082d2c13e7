"""The deployed files of a study's runs beside the models in float32: quality, size and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cliqa.evaluation.records.results import read_artifact
from cliqa.evaluation.records.study import Study, estimate
from cliqa.utils.errors import ArtifactError

Kinds: TypeAlias = Mapping[str, tuple[type, ...]]

FILE = Path("deploy") / "deployments.json"
"""What a search for a deployment writes into a run's work_dir."""

COLUMNS = (
    *("float_quality", "deployed_quality", "lost"),
    *("float_mib", "deployed_mib", "smaller"),
    *("float_ms", "deployed_ms", "faster"),
)
"""The quality on the test sets, the file's size in MiB, and the CPU time of a pass in milliseconds:
of PyTorch in float32, of the file that was chosen, and both compared."""

FLOAT = "torch-fp32"
"""The recipe that all others are compared with."""

_NUMBER, _NONE = (int, float), type(None)
_HEAD: Kinds = {
    **dict.fromkeys(("target", "chosen_on", "processor", "measure"), (str,)),
    "threads": (int,),
    "best": (str, _NONE),
}
_ROW: Kinds = {
    "key": (str,),
    "note": (str,),
    "file": (str, _NONE),
    **dict.fromkeys(("bytes", "cpu_ms", "faster", "test_quality"), (*_NUMBER, _NONE)),
}
_RECIPE: Kinds = {"backend": (str,), "precision": (str,), "pruning": _NUMBER}
"""The types of what the file holds, as far as it is read."""


def read_deployments(work_dir: str | Path) -> dict[str, Any] | None:
    """Return what a run's search for a deployment found; None where there was none.

    Raises:
        ArtifactError: The file is damaged.
    """
    path = Path(work_dir) / FILE
    if not path.is_file():
        return None
    held = read_artifact(path, "", "")[1]
    if not _is_table(held):
        raise ArtifactError(f"{path}: no table of deployments. Delete it and search again.")
    return dict(held)


def _is_table(held: Any) -> bool:  # noqa: ANN401  any JSON
    """Return whether a content has the form that a search writes."""
    if not _fits(held, _HEAD) or not _are(held.get("rows"), dict):
        return False
    batch, budget = held.get("batch"), held.get("budget")
    return (
        all(_fits(row, _ROW) and _fits(row.get("recipe"), _RECIPE) for row in held["rows"])
        and _are(held.get("front"), str)
        and _are(batch, int)
        and len(batch) == len("BCHW")
        and isinstance(budget, dict)
        and _are(list(budget.values()), (*_NUMBER, _NONE))
    )


def _fits(part: object, kinds: Kinds) -> bool:
    """Return whether a part is an object with keys of these types."""
    return isinstance(part, dict) and all(
        key in part and _is(part[key], kind) for key, kind in kinds.items()
    )


def _are(items: object, kind: type | tuple[type, ...]) -> bool:
    """Return whether there is a list with items of a type."""
    return isinstance(items, list) and all(_is(item, kind) for item in items)


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """Return whether a value has a type; true and false are no numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def deployed_values(held: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the numbers of one search by the names of `COLUMNS`; None where no file was chosen.

    Args:
        held: The content of ``deployments.json``.
    """
    rows = {row["key"]: row for row in held["rows"]}
    base, best = rows.get(FLOAT), rows.get(held.get("best"))
    if base is None or best is None:
        return dict.fromkeys(COLUMNS)
    quality, deployed = base["test_quality"], best["test_quality"]
    return {
        "float_quality": quality,
        "deployed_quality": deployed,
        "lost": None if None in (quality, deployed) else quality - deployed,
        "float_mib": base["bytes"] / 2**20,
        "deployed_mib": best["bytes"] / 2**20,
        "smaller": best["smaller"],
        "float_ms": best["cpu_ms"] * best["faster"],  # measured in turns with the file
        "deployed_ms": best["cpu_ms"],
        "faster": best["faster"],
    }


def add_deployed(study: Study, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Add ``deployed`` to a study: a row a config whose runs have searched for a deployment.

    A row has ``config``, ``runs``, ``recipes`` (how often each was chosen) and ``columns``, as the
    study's rows. What a run has without a chosen file is noted.

    Args:
        study: The content of ``study.json``.
        found: The contents of ``deployments.json`` by config and replicate.
    """
    rows = []
    for name in [row["config"] for row in study["rows"]]:
        searches = found.get(name, {})
        if not searches:
            continue
        values = {key: deployed_values(held) for key, held in searches.items()}
        columns = {
            column: estimate({key: own[column] for key, own in values.items()})
            for column in COLUMNS
        }
        chosen = [held["best"] for held in searches.values() if held.get("best")]
        recipes = {key: chosen.count(key) for key in dict.fromkeys(chosen)}
        rows.append({"config": name, "runs": len(values), "recipes": recipes, "columns": columns})
        without = [key for key, held in searches.items() if not held.get("best")]
        if without:
            where = ", ".join(without)
            study["notes"].append(f"{name}: no recipe keeps to the budget ({where})")
    study["deployed"] = rows
    if rows:
        study["notes"].append(_machines([h for runs in found.values() for h in runs.values()]))


def _machines(searches: Sequence[Mapping[str, Any]]) -> str:
    """Return in words what was timed, and where."""
    seen = dict.fromkeys(
        f"{held['processor']}, {held['threads']} thread(s), {held['batch'][0]} image(s) of "
        f"{held['batch'][2]} x {held['batch'][3]} pixels"
        for held in searches
    )
    return f"deployed: CPU time of a pass; {'; '.join(seen)}"
