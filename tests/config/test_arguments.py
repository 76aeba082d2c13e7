"""Tests of cliqa.config.arguments."""

from __future__ import annotations

import enum
import inspect
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import ReplayPlugin
from mmpretrain.models import CrossEntropyLoss, LinearClsHead
from torch import nn
from torch.optim import SGD
from torchvision.transforms import v2

from cliqa.config.annotations import UNKNOWN, TwoNumbers
from cliqa.config.arguments import (
    arguments_of,
    checked_arguments,
    describe,
    lenient,
    parameters_of,
)
from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    from no_such_package import Nothing  # type: ignore[import-not-found]


class Colour(enum.Enum):
    """An enumeration of names."""

    RED = "red"


class Component:
    """Takes arguments of every kind."""

    def __init__(  # type: ignore[no-untyped-def]
        self,
        flag: bool = False,
        count: int = 0,
        rate: float = 0.1,
        name: str = "",
        root: str | Path = ".",
        folder: Path = Path("."),
        maybe: int | None = None,
        policy: Literal["error", "skip"] = "error",
        pair: tuple[int, int] = (1, 2),
        limits: TwoNumbers = (0.0, 1.0),
        many: Sequence[float] = (),
        deep: Sequence[Sequence[int]] = (),
        either: str | bool = "",
        part: Mapping[str, Any] | None = None,
        colour: Colour = Colour.RED,
        hidden: Nothing = 0,
        endless: float = math.inf,
        wrong: int = None,  # type: ignore[assignment]  # noqa: RUF013
        bare=1,  # noqa: ANN001
    ) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("flag", True, True),
        ("flag", "No", False),
        ("flag", "YES", True),
        ("flag", 0, False),
        ("count", 3, 3),
        ("count", -(2**63), -(2**63)),
        ("rate", 1, 1),
        ("rate", 1e-3, 1e-3),
        ("name", "2024", "2024"),
        ("name", "not UTF-8: \udcff", "not UTF-8: \udcff"),
        ("root", "data", "data"),
        ("root", Path("data"), Path("data")),
        ("folder", "data", Path("data")),
        ("maybe", None, None),
        ("maybe", 2, 2),
        ("policy", "skip", "skip"),
        ("pair", [3, 4], (3, 4)),
        ("limits", [1, 5], [1, 5]),
        ("many", (1, 0.5), (1, 0.5)),
        ("many", [], []),
        ("deep", [[1], [2, 3]], [[1], [2, 3]]),
        ("either", "no", False),
        ("either", "a.pth", "a.pth"),
        ("either", True, True),
        ("part", {"type": "A"}, {"type": "A"}),
        ("colour", "red", Colour.RED),
        ("colour", Colour.RED, Colour.RED),
        ("hidden", object, object),
        ("endless", math.inf, math.inf),
        ("wrong", None, None),
        ("wrong", 3, 3),
        ("bare", [None], [None]),
        ("unknown", 5, 5),
    ],
)
def test_what_fits_is_taken_and_converted(name: str, value: Any, taken: Any) -> None:
    found = checked_arguments(Component, {name: value}, "x.")[name]
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("flag", "maybe", "expected true or false, got 'maybe'."),
        ("flag", None, "expected true or false, got None."),
        ("flag", 2, "expected true or false, got 2."),
        ("flag", 1.0, "expected true or false, got 1.0."),
        ("count", 3.0, "expected an integer, got 3.0."),
        ("count", True, "expected an integer, got True."),
        ("count", "3", "expected an integer, got '3'."),
        ("count", None, "expected an integer, got None."),
        ("rate", "fast", "expected a number, got 'fast'."),
        ("rate", False, "expected a number, got False."),
        ("rate", math.nan, "expected a finite number, got nan."),
        ("rate", -math.inf, "expected a finite number, got -inf."),
        ("name", ["a"], "expected a string, got ['a']."),
        ("name", 3, "expected a string, got 3. If it is a name, write it in quotes: '3'."),
        ("root", True, "expected a path, got True. If it is a name, write it in quotes: 'True'."),
        ("root", None, "expected a path, got None."),
        ("maybe", "a", "expected an integer or None, got 'a'."),
        ("policy", "skp", "expected 'error' or 'skip', got 'skp'."),
        ("pair", [1], "expected a list of two integers, got [1]."),
        ("pair", 3, "expected a list of two integers, got 3."),
        ("limits", [1, 2, 3], "expected a list of two numbers, got [1, 2, 3]."),
        ("limits", (0, math.nan), "expected a list of two finite numbers, got (0, nan)."),
        ("many", "12", "expected a list of numbers, got '12'."),
        ("many", [[1.0]], "expected a list of numbers, got [[1.0]]."),
        ("deep", [1], "expected a list of lists of integers, got [1]."),
        ("either", 3, "expected a string or true or false, got 3."),
        ("part", "ResNet", "expected dict(...) or None, got 'ResNet'."),
        ("colour", "green", "expected 'red', got 'green'."),
        ("endless", "x", "expected a number, got 'x'."),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_arguments(Component, {name: value}, "scenario 'X': ")
    assert str(caught.value).startswith(f"scenario 'X': {name}: {message}")
    assert "\n" not in str(caught.value)


def test_every_mistake_has_a_line() -> None:
    given = {"count": "a", "flag": True, "rate": None}
    with pytest.raises(ConfigError) as caught:
        checked_arguments(Component, given, "x.")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["x.count", "x.rate"]


def test_what_is_given_is_left_alone() -> None:
    given = {"flag": "no", "pair": [1, 2]}
    checked_arguments(Component, given, "x.")
    assert given == {"flag": "no", "pair": [1, 2]}


@pytest.mark.parametrize(
    ("component", "given", "taken"),
    [
        (torch.optim.SGD, {"lr": 1, "nesterov": "no"}, {"lr": 1, "nesterov": False}),
        (torch.nn.HuberLoss, {"delta": 1}, {"delta": 1}),
        (torch.optim.lr_scheduler.StepLR, {"step_size": 2.0}, {"step_size": 2.0}),
        (v2.RandomErasing, {"value": "random"}, {"value": "random"}),
        (v2.Resize, {"size": None, "max_size": 8}, {"size": None, "max_size": 8}),
        (accuracy_metrics, {"epoch": "yes"}, {"epoch": True}),
        (LinearClsHead, {"topk": (1, 5)}, {"topk": (1, 5)}),
        (CrossEntropyLoss, {"use_soft": "no"}, {"use_soft": False}),
        (CrossEntropyLoss, {"class_weight": "a.npy"}, {"class_weight": "a.npy"}),
    ],
)
def test_libraries_annotations_count_with_allowances(
    component: Any, given: dict[str, Any], taken: dict[str, Any]
) -> None:
    assert checked_arguments(component, given, "x.") == taken


@pytest.mark.parametrize(
    ("component", "given", "message"),
    [
        (torch.optim.SGD, {"nesterov": "maybe"}, "nesterov: expected true or false, got 'maybe'"),
        (torch.optim.SGD, {"momentum": "a"}, "momentum: expected a number, got 'a'"),
        (torch.optim.SGD, {"momentum": math.nan}, "momentum: expected a finite number, got nan"),
        (torch.optim.SGD, {"lr": "fast"}, "lr: expected a number, got 'fast'"),
        (torch.optim.Adam, {"betas": [1]}, r"betas: expected a list of two numbers, got \[1\]"),
        (ReplayPlugin, {"mem_size": [3]}, r"mem_size: expected an integer, got \[3\]"),
        (accuracy_metrics, {"epoch": 3}, "epoch: expected true or false, got 3"),
    ],
)
def test_libraries_annotations_are_held_to(
    component: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"x\.{message}"):
        checked_arguments(component, given, "x.")


def test_allowances() -> None:
    assert lenient(tuple[int]) == (tuple[int, ...] | None)
    assert lenient(int | str) == (int | float | None | str)
    assert lenient(bool) == (bool | None)


def test_options_are_checked_without_importing_torch() -> None:
    code = (
        "import sys, cliqa.config.arguments as a\n"
        "def f(x: int = 0): ...\n"
        "a.checked_arguments(f, {'x': 1}, '')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Base:
    """Takes x and y."""

    def __init__(self, x: int, y: float = 0.5) -> None:
        self.x, self.y = x, y


class PassesOn(Base):
    """Takes z and what Base takes."""

    def __init__(self, z: str = "a", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.z = z


class PassesOnTwice(PassesOn):
    """Takes what PassesOn takes, with another default of y."""

    def __init__(self, y: float = 2.0, **kwargs: Any) -> None:
        PassesOn.__init__(self, y=y, **kwargs)


class KeepsThem(Base):
    """Takes any name: its keywords go elsewhere."""

    def __init__(self, z: str = "a", **options: Any) -> None:
        super().__init__(x=1)
        self.options = dict(z=z, **options)


class TakesOneOut(Base):
    """Takes any name: it looks into its keywords before passing them on."""

    def __init__(self, **kwargs: Any) -> None:
        self.extra = kwargs.pop("extra", None)
        super().__init__(**kwargs)


class Inherits(PassesOn):
    """Has no constructor of its own."""


class Network(nn.Module):
    """Passes keywords to torch's Module, which takes none."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width


class Root:
    """Passes keywords to object, which takes none."""

    def __init__(self, a: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a = a


class Empty:
    """Has no constructor at all."""


def function(a: int, /, b: int, *rest: int, c: int = 3) -> None:
    """Take b and c by name."""


@pytest.mark.parametrize(
    ("component", "names", "open_ended"),
    [
        (Base, "x y", False),
        (PassesOn, "x y z", False),
        (PassesOnTwice, "x y z", False),
        (Inherits, "x y z", False),
        (KeepsThem, "z", True),
        (TakesOneOut, "", True),
        (Network, "width", False),
        (Root, "a", False),
        (Empty, "", False),
        (function, "b c", False),
        (lambda **anything: anything, "", True),
        (dict, "", True),
    ],
)
def test_names(component: Callable[..., Any], names: str, open_ended: bool) -> None:
    found, takes_any = parameters_of(component)
    assert sorted(found) == names.split()
    assert takes_any is open_ended


def test_the_nearest_default_counts() -> None:
    assert parameters_of(PassesOnTwice)[0]["y"].default == 2.0


def test_description_reads_as_it_was_written() -> None:
    found, _ = parameters_of(PassesOn)
    assert describe(found, hidden=()) == "x: int, y: float = 0.5, z: str = 'a'"
    assert describe(found, hidden=["x", "z"]) == "y: float = 0.5"
    assert describe({}, hidden=()) == "no argument"
    assert describe(parameters_of(lambda a, b=1: a)[0], hidden=()) == "a, b = 1"


def test_description_of_annotations_that_are_types() -> None:
    def build(a, b=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return a, b

    build.__annotations__ = {"a": int, "b": list[int]}  # as a module without postponed annotations
    assert describe(parameters_of(build)[0], ()) == "a: int, b: list[int] = None"


def test_arguments_with_their_annotations() -> None:
    found = arguments_of(PassesOnTwice)
    assert found["x"] == (int, inspect.Parameter.empty, __name__)
    assert found["y"] == (float, 2.0, __name__)
    assert found["z"] == (str, "a", __name__)


def test_annotations_that_cannot_be_read_are_unknown() -> None:
    def function(a: NoSuchName, b: int = 0) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    assert arguments_of(function)["a"].annotation is UNKNOWN
    assert arguments_of(function)["b"].annotation is int
    assert arguments_of(min) == {}


def test_an_argument_belongs_to_the_module_that_wrote_it() -> None:
    class Own(SGD):
        def __init__(self, gain: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    found = arguments_of(Own)
    assert (found["gain"].module, found["lr"].module) == (__name__, "torch.optim.sgd")
