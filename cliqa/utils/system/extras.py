"""How an optional library is installed: what errors advise that miss one."""

from __future__ import annotations

from cliqa.utils.system.python_process import PACKAGE, ROOT


def install_extra(extra: str) -> str:
    """Return the command that installs an extra of the package: of a checkout, or of a wheel.

    Args:
        extra: Its name in ``pyproject.toml``.
    """
    if (ROOT / "pyproject.toml").is_file():
        return f'pip install -e ".[{extra}]"'
    return f'pip install "{PACKAGE}[{extra}]"'
