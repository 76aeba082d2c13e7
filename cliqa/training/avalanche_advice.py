"""What to use instead of those of Avalanche's strategies and plugins that no config can run."""

from __future__ import annotations

from typing import NamedTuple


class Instead(NamedTuple):
    """Why one of Avalanche's cannot run, and what does what it is for.

    Attributes:
        why: The reason, as the end of "Avalanche's ...".
        classes: A method of ours for classes; with a space: the advice as a sentence.
        scores: The same for scores; empty where it is that for classes.
    """

    why: str
    classes: str
    scores: str = ""

    def sentence(self, kind: str) -> str:
        """Return reason and advice for a stream of ``"classes"`` or ``"scores"``."""
        use = self.scores if kind == "scores" and self.scores else self.classes
        advice = use if " " in use else f"Use this package's '{use}'."
        return f"Avalanche's {self.why}. {advice}"


def _of_scores(use: str) -> Instead:
    return Instead("needs class or task labels, and this stream has scores", use)


_NO_LABELS = "learns to reconstruct its inputs, and no labels"
_MEANS = "needs a model with a nearest-mean classifier and a feature extractor of its own"
_GENERATOR = Instead(
    "needs a generator's strategy as an object", "Set cl_strategy.type='GenerativeReplay'.", "LwF"
)

INSTEAD = {
    "AETraining": Instead(_NO_LABELS, "Naive"),
    "AR1": Instead("makes its own MobileNet, whose weights it downloads", "FeatureReplay"),
    "BiC": Instead("assigns to experience.dataset, which 0.6 forbids", "ICaRL", "Replay"),
    "CWRStarPlugin": Instead(
        "takes the model as an object", "Set cl_strategy.type='CWRStar'.", "LwF"
    ),
    "CheckpointPlugin": Instead(
        "keeps Python objects", "Every run keeps checkpoints: checkpoint_config, --resume."
    ),
    "CoPE": Instead(
        "runs, but the model learns embeddings, and no saved file would hold the prototypes that "
        "make classes of them",
        "ICaRL",
        "Replay",
    ),
    "CurrentDataFeCAMUpdate": Instead(_MEANS, "ClassifierAlignment", "StreamingRidge"),
    "CurrentDataNCMUpdate": Instead(_MEANS, "NearestClassMean", "StreamingRidge"),
    "ER_AML": Instead(
        "needs a feature extractor as an object, and waits forever where a class has fewer "
        "samples in the memory than a batch",
        "ER_ACE",
        "Replay",
    ),
    "EarlyStoppingPlugin": Instead(
        "is done by a key", "Set cl_strategy.patience=3 (keep_best=True gives the best epoch back)."
    ),
    "EvaluationPlugin": Instead("is done by keys", "Set metrics=[...] and loggers=[...]."),
    "ExpertGateStrategy": Instead(
        "makes its own AlexNets, whose weights it downloads", "TaskSpecificParts"
    ),
    "FeCAMOracle": Instead(_MEANS, "StreamingRidge"),
    "FeatureDistillation": Instead(
        "needs a model that keeps its last features in an attribute", "LwF"
    ),
    "FeatureReplay": Instead("puts another model in the place of this one", "FeatureReplay"),
    "GSS_greedy": Instead(
        "replays the empty slots of its memory as black images of class 0, and fails on batches "
        "larger than what it holds",
        "MIR",
    ),
    "GenerativeReplayPlugin": _GENERATOR,
    "ICaRL": Instead("needs a feature extractor and a classifier as objects", "ICaRL", "Replay"),
    "JointTraining": Instead("trains on the whole stream in one call", "JointTraining"),
    "LRSchedulerPlugin": Instead(
        "takes a scheduler as an object",
        "Set cl_strategy.scheduler=dict(type='StepLR', step_size=1, gamma=0.5).",
    ),
    "LaMAML": Instead("needs the package 'higher'", "MIR"),
    "LearningToPrompt": Instead("makes its own vision transformer", "L2P"),
    "MemoryFeCAMUpdate": Instead(_MEANS, "ClassifierAlignment", "StreamingRidge"),
    "MemoryNCMUpdate": Instead(_MEANS, "ICaRL", "StreamingRidge"),
    "NCMOracle": Instead(_MEANS, "NearestClassMean", "StreamingRidge"),
    "PNNStrategy": Instead(
        "adds a column to the network for each task, which no checkpoint would fit", "PackNet"
    ),
    "PackNet": Instead("needs a PackNetModel, and does not find its own plugin", "PackNet"),
    "SCR": Instead("needs an SCRModel of two networks as objects", "ICaRL", "Replay"),
    "StreamingLDA": Instead("needs a network of features as an object", "StreamingRidge"),
    "SupervisedPlugin": Instead("is the base of plugins and does nothing", "Drop it."),
    "TrainGeneratorAfterExpPlugin": _GENERATOR,
    "VAETraining": Instead(_NO_LABELS, "Naive"),
}
"""By the name of the strategy, and of the plugin, without ``Plugin`` where both are one method."""

INSTEAD_OF_CLASSES = {
    name: _of_scores(use)
    for name, use in {
        "CWRStar": "LwF",
        "DER": "DER",
        "ER_ACE": "Replay",
        "GDumb": "GDumb",
        "GenerativeReplay": "LwF",
        "LFL": "LwF",
        "LwF": "LwF",
        "MAS": "MAS",
        "MER": "Replay",
        "MIR": "MIR",
        "RAR": "MIR",
    }.items()
}
"""The same over scores, of those that learn classes."""


def advice(name: str, kind: str) -> str:
    """Return why Avalanche's `name` cannot run over a kind of labels, and what to use."""
    method = name.removesuffix("Plugin")
    tables = [INSTEAD, INSTEAD_OF_CLASSES] if kind == "scores" else [INSTEAD]
    for table in tables:
        found = table.get(name) or table.get(method)
        if found is not None:
            return found.sentence(kind)
    return "Avalanche's needs parts that no config can give. Use it in a script of your own."
