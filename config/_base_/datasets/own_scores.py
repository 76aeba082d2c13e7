"""One data set from `scores.csv` (columns image, score) in `scenario.dataset_root`."""

_base_ = ["./eva_ava_koniq.py"]  # its pipelines and metrics

scenario = dict(
    dataset_root="data/mine",
    datasets=[
        dict(
            type="ScoreFile",
            root=".",
            labels="scores.csv",
            score_range=(0, 100),
            higher_is_better=True,
        ),
    ],
)
