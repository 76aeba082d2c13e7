"""Reference pages that are written from the code whenever the documentation is built."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HERE = Path(__file__).resolve().parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def pages() -> dict[str, str]:
    """Return the generated pages by their names below ``reference/``."""
    for folder in (HERE, HERE.parents[1]):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from command_lines import cli_page  # noqa: PLC0415  found once the path is set
        from components import KINDS, component_page  # noqa: PLC0415
        from config_keys import config_page  # noqa: PLC0415

        found = {f"components/{kind}": component_page(kind) for kind in KINDS}
        return {"config": config_page(), "cli": cli_page(), **found}
