"""What a shared model does not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.hub.private import check_no_secret, hidden, public_config
from cliqa.utils.errors import ConfigError


def test_only_some_sections_are_shared() -> None:
    config: dict[str, Any] = {
        "model": {"type": "X", "pretrained": True, "weights": "/home/me/w.pth"},
        "scenario": {"dataset_root": "/mnt/disk/data", "datasets": [{"root": "eva"}]},
        "cl_strategy": {"plugins": [{"type": "Distillation", "teacher": "~/runs/a"}]},
        "loggers": [{"type": "WandBLogger", "entity": "us"}],
        **{"work_dir": "/home/me/w", "load_from": "/home/me/x.pth", "seed": 3, "amp": False},
    }
    assert public_config(config) == {
        "model": {"type": "X"},
        "scenario": {"dataset_root": "(not in the file)/data", "datasets": [{"root": "eva"}]},
        "cl_strategy": {"plugins": [{"type": "Distillation", "teacher": "(not in the file)/a"}]},
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("after a on b: /home/me/x y.png: odd", "after a on b: (not in the file)/x y.png: odd"),
        (r"C:\Users\me\a.png is odd", "(not in the file)/a.png is odd"),
        ("see ~/runs/a now", "see (not in the file)/a now"),
        ("1/2 of srcc/plcc", "1/2 of srcc/plcc"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        (("/a/b/c", 3, None), ("(not in the file)/c", 3, None)),
        ({"k": ["/tmp/x"]}, {"k": ["(not in the file)/x"]}),
    ],
)
def test_folders_are_hidden_inside_sentences_too(given: Any, wanted: Any) -> None:
    assert hidden(given) == wanted


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x hf_" + 24 * "a", r"a token \(hf_aaa\.\.\.\)"),
        ("AKIA" + 16 * "B", r"a token \(AKIABB\.\.\.\)"),
        ("key: value-of-it", "the value of MY_API_KEY"),
        ("/home/somebody/x", "your home folder"),
    ],
)
def test_tokens_and_the_home_folder_are_refused(
    text: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "value-of-it")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    with pytest.raises(ConfigError, match=rf"README.md: would hold {what}, so nothing is shared"):
        check_no_secret({"config.json": "{}", "README.md": text})
    check_no_secret({"config.json": "{}"})
