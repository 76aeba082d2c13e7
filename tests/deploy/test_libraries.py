"""Optional libraries."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from cliqa import deploy
from cliqa.deploy.libraries import library
from cliqa.utils.errors import ConfigError


def test_what_is_missing_is_named_with_its_extra() -> None:
    message = r'nosuchthing cannot be imported \(.*pip install -e "\.\[openvino\]"'
    with pytest.raises(ConfigError, match=message):
        library("nosuchthing.part", "openvino")


def test_nothing_heavy_is_imported_with_the_package() -> None:
    modules = [module.name for module in pkgutil.iter_modules(deploy.__path__)]
    code = (
        f"import sys; from cliqa.deploy import {', '.join(modules)}; "
        "print([m for m in ('onnx', 'onnxruntime', 'openvino', 'nncf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
