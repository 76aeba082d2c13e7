"""A strategy of Avalanche's of your own, run from a config: matrix, figures, work_dir.

    python examples/own_strategy.py [FOLDER]

The module that `custom_imports` names registers the strategy; here it is this file itself.
"""

import sys
import tempfile
from pathlib import Path

from avalanche.training.templates import SupervisedTemplate
from torch.nn import functional as F

import cliqa
from cliqa.registry import STRATEGIES


@STRATEGIES.register_module()
class Smoothed(SupervisedTemplate):
    """Cross-entropy with smoothed labels, without any method against forgetting.

    Args:
        smoothing: Share of a label that is spread over all classes.
        arguments: Those of Avalanche's template.
    """

    def __init__(self, smoothing: float = 0.1, **arguments) -> None:
        super().__init__(**arguments)
        self.smoothing = smoothing

    def criterion(self):
        return F.cross_entropy(self.mb_output, self.mb_y, label_smoothing=self.smoothing)


CONFIG = """
_base_ = ["{root}/config/fmnist_naive.py"]
custom_imports = dict(imports=["own_strategy"])
generate = dict(type="FashionData", train=300, test=100)
scenario = dict(dataset_root="{folder}/data", generate=generate)
cl_strategy = dict(type="Smoothed", smoothing=0.2, plugins=[dict(type="Replay", mem_size=100)])
"""

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    sys.modules["own_strategy"] = sys.modules["__main__"]  # not needed for a module on PYTHONPATH
    config = folder / "config.py"
    root = Path(__file__).resolve().parents[1]
    config.write_text(CONFIG.format(root=root.as_posix(), folder=folder.as_posix()))
    run = cliqa.train(config, work_dir=folder / "run", device="cpu")
    print(run.results.matrix("accuracy"), run.results.summary, f"{folder}/run", sep="\n")
