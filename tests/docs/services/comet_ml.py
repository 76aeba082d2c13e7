"""Stands for Comet's library."""

from __future__ import annotations

from recorded import record  # type: ignore[import-not-found]  # found by the tests alone


class Experiment:
    """Stands for a run."""

    url = "https://comet.test/run"
    set_name = staticmethod(record("name"))
    log_parameters = staticmethod(record("config"))
    log_table = staticmethod(record("table"))
    log_image = staticmethod(record("image"))
    end = staticmethod(record("close"))

    def get_key(self) -> str:
        return "1a2b"

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        record("values")(values, step)


def start(project_name: str, experiment_key: str | None) -> Experiment:
    """Begin a run."""
    record("start")(project_name, experiment_key)
    return Experiment()
