"""SPAQ's quality and five attributes in turn: a head for each over one trunk, asked by its name.

python train_config.py config/iqa_spaq_attributes.py --device cuda \
    --cfg-options scenario.dataset_root=DATA
"""

_base_ = ["iqa_naive.py"]
attributes = ("brightness", "colorfulness", "contrast", "noisiness", "sharpness")
scenario = dict(
    datasets=[
        dict(type="SPAQ", root="spaq"),
        *(dict(type="SPAQ", root="spaq", score=name, name=name) for name in attributes),
    ]
)
# which target is asked for is known: "oracle" takes its head
cl_strategy = dict(type="MultiHead", strength=3.0, distill="mse", inference="oracle")
