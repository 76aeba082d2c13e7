from cliqa.api.deployment import AutoOptimizer as AutoOptimizer
from cliqa.api.deployment import quantize_model as quantize_model
from cliqa.api.evaluation import evaluate as evaluate
from cliqa.api.extension import extend as extend
from cliqa.api.hub import push_to_hub as push_to_hub
from cliqa.api.models import load as load
from cliqa.api.plugins import plugin as plugin
from cliqa.api.results import results as results
from cliqa.api.runs import train as train
from cliqa.api.studies import study_results as study_results
from cliqa.api.trainer import ContinualTrainer as ContinualTrainer
from cliqa.datasets.quality.by_path import AVADataset as AVADataset
from cliqa.datasets.quality.by_path import EVADataset as EVADataset
from cliqa.models.language.create import create_multimodal_model as create_multimodal_model
from cliqa.models.lightweight import create_lightweight_model as create_lightweight_model
from cliqa.training.own_loop.framework import (
    ContinualLearningFramework as ContinualLearningFramework,
)
from cliqa.training.own_loop.strategies import (
    ContinualLearningStrategy as ContinualLearningStrategy,
)
from cliqa.transforms.degradations.synthetic import SyntheticDegradation as SyntheticDegradation

__all__: list[str]
__version__: str
