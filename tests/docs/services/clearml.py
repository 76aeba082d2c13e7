"""Stands for ClearML's library."""

from __future__ import annotations

import pandas as pd
from recorded import record  # type: ignore[import-not-found]  # found by the tests alone


class Logger:
    """Stands for a task's logger."""

    report_image = staticmethod(record("image"))

    def report_scalar(self, title: str, series: str, value: float, iteration: int) -> None:
        record("values")({f"{title}/{series}": value}, iteration)

    def report_table(
        self, title: str, series: str, iteration: int, table_plot: pd.DataFrame
    ) -> None:
        record("table")(title, table_plot)


class Task:
    """Stands for a task."""

    id = "1a2b"
    close = staticmethod(record("close"))
    connect_configuration = staticmethod(record("config"))

    @staticmethod
    def init(
        project_name: str,
        task_name: str,
        continue_last_task: str | bool,
        auto_connect_frameworks: bool,
    ) -> Task:
        record("start")(task_name, continue_last_task or None)
        return Task()

    def get_output_log_web_page(self) -> str:
        return "https://clearml.test/run"

    def get_logger(self) -> Logger:
        return Logger()
