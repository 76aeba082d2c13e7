from cliqa.pretraining.plugins.label_free import LabelFreePretraining as LabelFreePretraining
from cliqa.training.loop.avalanche_loop import RunSettings as RunSettings
from cliqa.training.loop.options import TrainingOptions as TrainingOptions
from cliqa.training.loop.schedule import Schedule as Schedule
from cliqa.training.plugins.averaging.ema import EMA as EMA
from cliqa.training.plugins.base import ContinualPlugin as ContinualPlugin
from cliqa.training.plugins.compression.pruning import ChannelPruning as ChannelPruning
from cliqa.training.plugins.compression.qat import QAT as QAT
from cliqa.training.plugins.isolation.lora import LoRA as LoRA
from cliqa.training.plugins.isolation.packnet import PackNet as PackNet
from cliqa.training.plugins.isolation.task_specific import TaskSpecificParts as TaskSpecificParts
from cliqa.training.plugins.regularization.ewc import EWC as EWC
from cliqa.training.plugins.regularization.l2 import L2 as L2
from cliqa.training.plugins.regularization.mas import MAS as MAS
from cliqa.training.plugins.regularization.si import SI as SI
from cliqa.training.plugins.rehearsal.der import DER as DER
from cliqa.training.plugins.rehearsal.replay import Replay as Replay
from cliqa.training.plugins.rehearsal.text_replay import TextReplay as TextReplay
from cliqa.training.plugins.teachers.distillation import Distillation as Distillation
from cliqa.training.plugins.teachers.ladder_rehearsal import LadderRehearsal as LadderRehearsal
from cliqa.training.plugins.teachers.lwf import LwF as LwF
from cliqa.training.supervised.cumulative import Cumulative as Cumulative
from cliqa.training.supervised.joint import JointTraining as JointTraining
from cliqa.training.supervised.naive import Naive as Naive
from cliqa.training.supervised.nearest_class_mean import NearestClassMean as NearestClassMean

__all__: list[str]
