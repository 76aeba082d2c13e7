"""The files for people: what the image, the workflows, the hooks and the citation name exists."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import cliqa

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
BUILT = ("dist", "build/site")
"""Paths that a workflow's own steps make."""

TOOLS = {
    "python",
    "docker",
    "cliqa",
    "gh",
    "test",
    "sudo",
    "make",
    "rm",
    ".ci/versions",
    ".ci/torch",
}
"""Programs that a step may start."""


def program(name: str) -> str:
    """Return the path of a program of this environment; skip where it is not installed."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}")
    if found is None:
        pytest.skip(f"{name} is not installed: pip install -e '.[dev]'")
    return found


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pinned(package: str) -> str:
    """Return the version of a package that pyproject.toml asks for."""
    found = re.search(rf'"{package}==([\d.]+)"', PROJECT)
    assert found is not None
    return found[1]


# -------------------------------------------------------------------- workflows


def load(path: Path) -> dict[Any, Any]:
    """Return a workflow; YAML 1.1 reads its key ``on`` as True."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def steps_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the steps of a workflow with their jobs."""
    for job, content in load(path)["jobs"].items():
        yield from ((job, step) for step in content["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_it_needs(path: Path) -> None:
    content = load(path)
    assert set(content[True]) <= {"push", "pull_request", "workflow_dispatch"}
    assert content["permissions"] == {"contents": "read"}  # a job asks for more by itself
    for name, job in content["jobs"].items():
        assert job["timeout-minutes"] <= 60
        assert job["runs-on"].startswith("ubuntu-")
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(content["jobs"]) - {name}
    for _, step in steps_of(path):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_exists(path: Path) -> None:
    for job, step in steps_of(path):
        for command in re.split(r"&&|\n", step.get("run", "")):
            words = shlex.split(command)
            if words:
                check_command(words, f"{path.name}, {job}")


def check_command(words: list[str], where: str) -> None:
    """Check the program, the targets and the paths of a command."""
    assert words[0] in TOOLS, where
    if words[0] == "make":
        variables = dict(word.split("=") for word in words[1:] if "=" in word)
        assert set(variables) <= set(re.findall(r"^(\w+) \?=", text_of("Makefile"), re.M)), where
        assert {word for word in words[1:] if "=" not in word} <= TARGETS, where
    if words[0] == "cliqa" and not words[1].startswith("-"):
        from cliqa.commands.main import COMMANDS  # noqa: PLC0415

        assert words[1] in COMMANDS, where
        if "::" in words[2]:
            assert (ROOT / "config" / words[2].partition("::")[2]).is_file(), where
    for word in words:
        if "/" in word and not word.startswith(("-", "$")) and not word.startswith(BUILT):
            assert (ROOT / word).exists(), where


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_paths_that_a_workflow_names_exist(path: Path) -> None:
    made = "build/site"  # by make docs, as mkdocs.yml says
    assert f"site_dir: {made}" in text_of("mkdocs.yml")
    for _, step in steps_of(path):
        given = step.get("with", {})
        for name in str(given.get("cache-dependency-path", "")).split():
            assert (ROOT / name).is_file()
        assert given.get("path", "dist") in BUILT


def test_the_pythons_are_those_that_are_promised() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    cases = jobs["versions"]["strategy"]["matrix"]["case"]
    listed = re.search(r"^ +cases=\(([^)]*)\)", text_of(".ci/versions"), re.M)
    assert listed is not None
    assert cases == listed[1].split()
    lowest = re.search(r'requires-python = ">=([\d.]+)"', PROJECT)
    assert lowest is not None
    assert cases[0].startswith(f"{lowest[1]}:lowest")


def test_a_release_is_tried_before_it_is_published() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert (jobs["try"]["needs"], jobs["pypi"]["needs"]) == ("build", "try")
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}
    text = text_of(".github/workflows/release.yml")
    assert "secrets." not in text  # trusted publishing; nothing to leak
    assert "cliqa.__version__" in text


# -------------------------------------------------------------------- the image


def copied() -> list[str]:
    """Return what the Dockerfile copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", text_of("Dockerfile"), re.M)
    return [word for line in lines for word in line.split()[:-1]]


def test_the_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    found = subprocess.run(
        [program("hadolint"), "--no-color", str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout + found.stderr == ""
    assert found.returncode == 0


def test_what_the_image_is_made_of_exists_and_is_sent() -> None:
    kept = re.findall(r"^!(.+)$", text_of(".dockerignore"), re.M)
    assert sorted(kept) == sorted(set(copied()))
    assert all((ROOT / name).exists() for name in kept)
    text = text_of("Dockerfile")
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)$", text, re.M)
    for extra in extras.split(","):
        assert f"\n{extra} = [" in PROJECT
    (torch,) = re.findall(r"^ARG TORCH=(.+)$", text, re.M)
    assert torch in re.findall(r"^    (\w+)\)", text_of(".ci/torch"), re.M)


def test_nothing_else_is_sent_to_the_builder() -> None:
    first = [line for line in text_of(".dockerignore").splitlines() if not line.startswith("#")][0]
    assert fnmatch.fnmatch("data", first)
    assert fnmatch.fnmatch(".git", first)


def test_the_image_runs_the_command_as_an_ordinary_user() -> None:
    text = text_of("Dockerfile")
    *_, user = re.findall(r"^USER (\S+)$", text, re.M)
    assert f"useradd --create-home --uid {user} " in text
    assert int(user) > 1000
    (entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', text, re.M)
    assert re.search(rf"^\[project\.scripts\]\n{entry} = ", PROJECT, re.M)
    assert text.rindex("\nUSER ") < text.rindex("\nENTRYPOINT ")


# -------------------------------------------------------------------- hooks, citation, words


def test_the_hooks_have_the_projects_versions() -> None:
    repositories = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    by_name = {one["repo"].rpartition("/")[2]: one for one in repositories}
    assert by_name["ruff-pre-commit"]["rev"] == f"v{pinned('ruff')}"
    for hook in by_name["local"]["hooks"]:
        words = shlex.split(hook["entry"])
        assert words[0] in ("make", ".venv/bin/python")
        assert words[0] != "make" or set(words[1:]) <= TARGETS
        assert all((ROOT / word).is_file() for word in words if word.endswith(".py"))


def test_the_hooks_are_valid() -> None:
    command = [program("pre-commit"), "validate-config", str(ROOT / ".pre-commit-config.yaml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == cliqa.__version__
    assert {"message", "title", "authors", "type", "license", "keywords"} <= set(citation)
    assert citation["type"] == "software"
    assert all(
        set(author) <= {"name", "given-names", "family-names"} for author in citation["authors"]
    )
    assert f'name = "{citation["authors"][0]["name"]}"' in PROJECT
    for word in citation["keywords"]:
        assert f'"{word}"' in PROJECT
    assert text_of("LICENSE").startswith(f"{citation['license']} License")


def test_what_contributors_are_told_is_true() -> None:
    text = text_of("CONTRIBUTING.md")
    for target in re.findall(r"\bmake ([\w-]+)(?=[ `]|$)", text, re.M):
        assert target in TARGETS or target == "a", target
    for path in re.findall(r"\]\(([^)#]+)\)|`((?:cliqa|tests|config|\.github)/[\w/.]+\w)`", text):
        assert (ROOT / (path[0] or path[1])).exists(), path
    for marker in re.findall(r"`(slow|exhaustive|integration|gpu|download)`", text):
        assert f'"{marker}: ' in PROJECT
    for number, name in ((300, "LINES"), (16, "FLAT")):
        assert f"{name} = {number}\n" in text_of("tests/test_structure.py")
        assert str(number) in text
    assert "CONTRIBUTING.md" in text_of("README.md")
    assert "CITATION.cff" in text_of("README.md")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_issue_templates_have_what_they_need(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name == "config.yml":
        assert set(content) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(content)
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in fields}) == len(fields)
    assert all(part["attributes"]["label"] for part in fields)
    assert any(part.get("validations", {}).get("required") for part in fields)
