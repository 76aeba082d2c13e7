"""What installs an optional library, in a checkout and where the package is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.deploy.libraries import library
from cliqa.utils.errors import ConfigError
from cliqa.utils.system import extras
from cliqa.utils.system.extras import install_extra


def test_a_checkout_installs_itself() -> None:
    assert install_extra("serve") == 'pip install -e ".[serve]"'


def test_an_installed_package_has_no_folder_to_install_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    assert install_extra("serve") == 'pip install "cliqa[serve]"'
    with pytest.raises(ConfigError, match=r'Install it with: pip install "cliqa\[hub\]"$'):
        library("nosuchthing", "hub")
