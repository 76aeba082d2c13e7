"""Commands about a trained model: predict, compress, profile, retrieve, share, serve, show.

Not here: what trains it (`runs`), and how a model scores images (`cliqa.inference`).
"""
