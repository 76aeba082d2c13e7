"""The model card, from the results and the config alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from cliqa.evaluation.records.results import check_results
from cliqa.hub.card import model_card
from cliqa.hub.card_data import card_data
from cliqa.hub.facts import Facts
from cliqa.hub.licences import Licence

RESULTS: dict[str, Any] = {
    **{"status": "finished", "seed": 4, "joint": False},
    **{"experiences": ["eva", "ava"], "datasets": ["eva", "ava", "kadid"], "unseen": ["kadid"]},
    "matrix": {
        "srcc": [[0.9, 0.1, None], [0.8, 0.7, 0.5]],
        "plcc": [[0.91, 0.11, None], [0.81, 0.71, None]],
    },
    "interval": {"srcc": [[[0.8, 0.95], [0.0, 0.2], None], [[0.7, 0.9], [0.6, 0.8], [0.4, 0.6]]]},
    "summary": {"msrcc": 0.75, "bwt": -0.1, "forgetting": 0.1, "mpi": None},
    "seconds": {"train": [10.0, 20.4], "eval": [1.0, None]},
    "memory": {"peak": [1 << 20, 3 << 20], "kept": [1, 2]},
    "warnings": ["mpi: not measured", "after eva on kadid: constant prediction"],
}


def quality(name: str) -> dict[str, Any]:
    scale = {"score_range": (1, 5), "higher_is_better": True}
    return {"type": "ScoreFile", "labels": f"{name}.csv", "images": ".", "name": name, **scale}


@pytest.fixture
def facts() -> Facts:
    """Return the facts of a run over two data sets and an unseen one."""
    return Facts(
        repository="me/iqa",
        licence=Licence("cc-by-4.0"),
        config={
            "scenario": {
                "type": "QualityStream",
                "datasets": [quality("eva"), quality("ava")],
                "eval_transform": [{"type": "CenterCrop", "size": (9, 9)}],
            },
            "model": {"type": "QualityModel"},
            "cl_strategy": {"type": "EWC", "plugins": [{"type": "Replay"}]},
            "seed": 4,
        },
        results=check_results(RESULTS, "results.json"),
        learnt=["eva", "ava"],
        classes=[],
        channels=3,
        parameters=1234567,
        sizes={"eva": {"train": 10, "test": 5}},
        run={"device": "cuda", "python": "3.11.7", "packages": {"torch": "2.12.1"}},
        onnx="pixels",
    )


def section(card: str, title: str) -> str:
    return card.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_card_tells_what_was_measured(facts: Facts) -> None:
    card = model_card(facts)
    assert "scores the quality of images: 0 to 1, higher is better" in card
    assert "eva -> ava" in card
    results = section(card, "Results")
    assert "0.800 [0.700, 0.900]" in results
    assert "kadid (unseen)" in results
    assert "forgetting: 0.100 (best before the end minus final)" in results
    assert "after eva on kadid: constant prediction" in results
    assert "1 to 5" in section(card, "Data")
    protocol = section(card, "Protocol")
    assert "this is one run, of seed 4" in protocol
    assert yaml.safe_load(protocol.partition("```yaml\n")[2].partition("```")[0]) == [
        {"type": "CenterCrop", "size": [9, 9]}
    ]
    cost = section(card, "Cost")
    for words in ("1,234,567", "30 s", "3 MiB", "cuda", "python 3.11.7, torch 2.12.1"):
        assert words in cost
    limits = section(card, "Limits")
    assert "It has learnt eva, ava and nothing else" in limits
    assert "On kadid, never learnt" in limits
    assert "generated" not in card.replace("generated images", "")


@pytest.mark.parametrize(
    ("generate", "words"),
    [
        ({"type": "DemoData"}, "painted by cliqa's generator `DemoData`: drawn scenes, no photogr"),
        ({"type": "DemoData", "photos": "x"}, "photographs that cliqa's generator `DemoData` has"),
        ({"type": "FashionData"}, "enlarged digits in the file format of Fashion-MNIST"),
        ({"type": "FashionData", "sprite": "x"}, "small tiles of a sprite"),
        ({"type": "ClearData"}, "painted by cliqa's generator `ClearData`"),
    ],
)
def test_data_that_nobody_photographed_are_said_to_be_so(
    generate: dict[str, Any], words: str, facts: Facts
) -> None:
    scenario = {**facts.config["scenario"], "generate": generate}
    facts = replace(facts, config={**facts.config, "scenario": scenario})
    card = model_card(facts)
    assert card.count(words) == 3  # at the top, in the data, in the limits
    assert "They are not the published data sets" in card
    head = card_data(facts)
    assert "datasets" not in head
    assert head["model-index"][0]["results"][0]["dataset"]["type"] == "generated-eva"


def test_the_hub_reads_the_head(facts: Facts) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(model_card(facts)).data
    assert (data.license, data.library_name) == ("cc-by-4.0", "cliqa")
    assert data.datasets == ["ava", "eva"]
    assert data.metrics == ["spearmanr", "pearsonr"]
    assert "image-quality-assessment" in data.tags
    found = [(one.dataset_name, one.metric_type, one.metric_value) for one in data.eval_results]
    assert found == [
        *(("eva", "spearmanr", 0.8), ("eva", "pearsonr", 0.81)),
        *(("ava", "spearmanr", 0.7), ("ava", "pearsonr", 0.71)),
        ("kadid", "spearmanr", 0.5),
    ]


def test_other_licences_and_classes_have_their_own_words(facts: Facts) -> None:
    results = {**facts.results, "joint": True, "matrix": {"accuracy": [[0.9, 0.8, None]]}}
    other = Licence("other", "our terms", "https://example.org/t")
    facts = replace(
        facts,
        licence=other,
        results={**results, "interval": {}, "summary": {}},
        classes=["cat", "dog"],
        onnx="",
        no_onnx="the step RandomCrop cannot be in a graph.",
    )
    card = model_card(facts)
    assert "classifies images into 2 classes (cat, dog)" in card
    assert "all at once" in card
    assert "[our terms](<https://example.org/t>)" in section(card, "Licence")
    assert "There is no `model.onnx`: the step RandomCrop" in section(card, "Use")
    assert "### Forgetting" not in card
    head = card_data(facts)
    assert head["license_name"] == "our terms"
    assert head["metrics"] == ["accuracy"]
    assert "onnx" not in head["tags"]


def test_what_the_run_needs_to_be_used_is_said(facts: Facts) -> None:
    strategy = {**facts.config["cl_strategy"], "inference": "oracle"}
    config = {**facts.config, "cl_strategy": strategy, "custom_imports": {"imports": ["mine"]}}
    results = {**facts.results, "experiences": ["eva", "ava", "koniq"]}
    limits = section(model_card(replace(facts, config=config, results=results)), "Limits")
    assert "The run stopped before it learnt koniq." in limits
    assert "inference='oracle'" in limits
    assert "loads with trust=True alone" in limits
    card = model_card(replace(facts, onnx="preprocessed images"))
    assert "`cliqa predict model.onnx IMAGES` prepares them" in card


def test_pretrained_weights_are_named(facts: Facts) -> None:
    card = model_card(replace(facts, started_from=["model.backbone.pretrained=True"]))
    assert "pretrained weights: `model.backbone.pretrained=True`." in section(card, "Method")
    assert "and the pretrained weights that it started from" in section(card, "Licence")
    assert "pretrained" not in model_card(facts)


def test_names_with_special_characters_stay_texts(facts: Facts) -> None:
    facts = replace(facts, learnt=["my set: #1", "yes"])
    head = yaml.safe_load(model_card(facts).split("---\n")[1])
    assert head["datasets"] == ["yes"]


def test_no_name_or_text_of_a_run_is_markdown(facts: Facts) -> None:
    classes = [
        "<img src=x>",
        "a\n---\nlicense: mit\n---\n# mine",
        "[x](https://e.org)",
        "`c",
        "__d__",
    ]
    licence = Licence("other", "our ](x) *terms*", "https://example.org/a_(b)")
    text = "``` \n````\n# mine"
    config = {**facts.config, "model": {"type": "QualityModel", "prompts": [text, "Grün"]}}
    card = model_card(
        replace(facts, classes=classes, licence=licence, config=config, onnx="", no_onnx="<b>\n# x")
    )
    assert (
        r"(\<img src=x>, a --- license: mit --- # mine, [x]\(https://e.org), \`c, \_\_d\_\_)."
        in card
    )
    assert r"[our \]\(x) \*terms\*](<https://example.org/a_(b)>)" in section(card, "Licence")
    assert r"There is no `model.onnx`: \<b> # x" in card
    block = section(card, "Method").partition("`````yaml\n")[2].partition("\n`````\n")[0]
    assert yaml.safe_load(block)["model"]["prompts"] == [text, "Grün"]
    assert "Grün" in block
    assert [line for line in card.splitlines() if line == "# mine"] == []


def test_a_thousand_classes_are_not_a_page(facts: Facts) -> None:
    card = model_card(replace(facts, classes=[f"class{k}" for k in range(1000)]))
    assert "1000 classes (class0, class1, " in card
    assert "class49 and 950 more)" in card
