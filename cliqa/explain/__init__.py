"""Why a model gives a score: attention maps, words, feature embeddings, degradation rankings.

Computed here from a trained model, and drawn. Figures of a run's results are in
`cliqa.visualization`.
"""
