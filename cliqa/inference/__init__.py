"""Trained models in use: predict images, evaluate data sets, test few-shot, compute features.

A run's checkpoint and an exported file are used through one interface (`image_model`), and
`predict.Predictor` opens either. Training is in `cliqa.engine`; the measures are in
`cliqa.evaluation`.
"""
