"""Streams of the literature, by name.

A preset is a list of data sets with the folders they are looked for in, below
``scenario.dataset_root``.
"""

from __future__ import annotations

from typing import Any

from cliqa.registry import closest
from cliqa.utils.errors import ConfigError

_BIQA_CL = ("LIVE", "CSIQ", "BID", "LIVEC", "KonIQ10k", "KADID10k")

PRESETS: dict[str, tuple[str, ...]] = {
    "eva-ava-koniq": ("EVA", "AVA", "KonIQ10k"),
    # Zhang et al., Continual learning for blind image quality assessment, TPAMI 2023
    "biqa-cl": _BIQA_CL,
    "biqa-cl-reverse": tuple(reversed(_BIQA_CL)),
    "koniq-spaq-kadid-agiqa": ("KonIQ10k", "SPAQ", "KADID10k", "AGIQA3K"),
}

FOLDERS = {
    "AGIQA3K": "agiqa3k",
    "AVA": "ava",
    "BID": "bid",
    "CSIQ": "csiq",
    "EVA": "eva",
    "KADID10k": "kadid10k",
    "KonIQ10k": "koniq",
    "LIVE": "live",
    "LIVEC": "livec",
    "SPAQ": "spaq",
}


def preset(name: str) -> list[dict[str, Any]]:
    """Return the data sets of one of the `PRESETS`, as a config would list them.

    Raises:
        ConfigError: There is no such preset.

    >>> preset("eva-ava-koniq")[0]
    {'type': 'EVA', 'root': 'eva'}
    """
    if name not in PRESETS:
        raise ConfigError(
            f"scenario.datasets: no stream is called '{name}'.{closest(name, PRESETS)} "
            f"Known: {', '.join(PRESETS)}; or list them: [dict(type='EVA', root=...), ...]."
        )
    return [{"type": kind, "root": FOLDERS[kind]} for kind in PRESETS[name]]
