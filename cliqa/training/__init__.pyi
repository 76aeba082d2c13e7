from cliqa.pretraining.plugins.label_free import LabelFreePretraining as LabelFreePretraining
from cliqa.training.loop.avalanche_loop import RunSettings as RunSettings
from cliqa.training.loop.options import TrainingOptions as TrainingOptions
from cliqa.training.loop.schedule import Schedule as Schedule
from cliqa.training.plugins.base import ContinualPlugin as ContinualPlugin
from cliqa.training.plugins.der import DER as DER
from cliqa.training.plugins.distillation import Distillation as Distillation
from cliqa.training.plugins.ema import EMA as EMA
from cliqa.training.plugins.ewc import EWC as EWC
from cliqa.training.plugins.l2 import L2 as L2
from cliqa.training.plugins.lora import LoRA as LoRA
from cliqa.training.plugins.lwf import LwF as LwF
from cliqa.training.plugins.mas import MAS as MAS
from cliqa.training.plugins.packnet import PackNet as PackNet
from cliqa.training.plugins.pruning import ChannelPruning as ChannelPruning
from cliqa.training.plugins.qat import QAT as QAT
from cliqa.training.plugins.replay import Replay as Replay
from cliqa.training.plugins.si import SI as SI
from cliqa.training.plugins.task_specific import TaskSpecificParts as TaskSpecificParts
from cliqa.training.plugins.text_replay import TextReplay as TextReplay
from cliqa.training.supervised.cumulative import Cumulative as Cumulative
from cliqa.training.supervised.joint import JointTraining as JointTraining
from cliqa.training.supervised.naive import Naive as Naive
from cliqa.training.supervised.nearest_class_mean import NearestClassMean as NearestClassMean

__all__: list[str]
