"""Small data sets that the package makes itself, in the official layouts of real ones."""

from cliqa.datasets.generated.demo_data import DemoData, write_demo_data

__all__ = ["DemoData", "write_demo_data"]
