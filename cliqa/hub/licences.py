"""The licence of a shared model: the identifiers that the Hub knows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError

KNOWN = frozenset(
    (
        *("afl-3.0", "agpl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0"),
        *("bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd"),
        *("bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0"),
        *("cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0"),
        *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0"),
        *("creativeml-openrail-m", "deepfloyd-if-license", "ecl-2.0", "epl-1.0", "epl-2.0"),
        *("etalab-2.0", "eupl-1.1", "eupl-1.2", "fair-noncommercial-research-license", "gfdl"),
        *("gpl", "gpl-2.0", "gpl-3.0", "h-research", "intel-research", "isc", "lgpl", "lgpl-2.1"),
        *("lgpl-3.0", "lgpl-lr", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by"),
        *("ofl-1.1", "open-mdw", "openrail", "openrail++", "osl-3.0", "pddl", "postgresql"),
        *("unlicense", "wtfpl", "zlib"),
    )
)
"""The Hub's identifiers of licences, but for those of single published models and ``unknown``."""

OTHER = "other"
LINK = re.compile(r"https://[^\s<>]+|LICEN[SC]E(\.\w+)?")
EXAMPLES = "cc-by-4.0, cc-by-nc-4.0, apache-2.0, mit"
WHOLE_LIST = "https://huggingface.co/docs/hub/repositories-licenses"


@dataclass(frozen=True)
class Licence:
    """A checked licence.

    Attributes:
        identifier: One of `KNOWN`, or ``"other"``.
        name: Of another licence: its name.
        link: Of another licence: where its text is.
    """

    identifier: str
    name: str | None = None
    link: str | None = None


def check_licence(
    identifier: str | None, name: str | None = None, link: str | None = None
) -> Licence:
    """Return a licence, if it is one that the Hub can show.

    Args:
        identifier: The Hub's identifier, or ``"other"``.
        name: Of another licence: its name.
        link: Of another licence: where its text is, an ``https`` address or ``LICENSE``.

    Raises:
        ConfigError: There is none, it is unknown, or another licence lacks a part.

    >>> check_licence("cc-by-4.0")
    Licence(identifier='cc-by-4.0', name=None, link=None)
    """
    if not identifier:
        raise ConfigError(
            f"--license: a shared model needs one, and you alone can choose it: {EXAMPLES}. Mind "
            "the terms of the images, labels and pretrained weights that the model has learnt "
            f"from. All identifiers: {WHOLE_LIST}"
        )
    if identifier == OTHER:
        if not name or not link or not LINK.fullmatch(link):
            raise ConfigError(
                "--license other: give --license-name NAME and --license-link, an https address "
                "of the text (or LICENSE, a file of the repository)."
            )
        if len(name.splitlines()) > 1:
            raise ConfigError(
                f"--license-name {name!r}: give a name in one line; the text is in --license-link."
            )
        return Licence(OTHER, name, link)
    if name or link:
        raise ConfigError(
            f"--license {identifier}: --license-name and --license-link go with --license other."
        )
    if identifier not in KNOWN:
        hint = closest(identifier.lower(), KNOWN)
        raise ConfigError(
            f"--license {identifier}: not an identifier of the Hub.{hint} For example {EXAMPLES}; "
            "or other, with --license-name and --license-link."
        )
    return Licence(identifier)
