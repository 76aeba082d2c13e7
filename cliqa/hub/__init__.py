"""Models on the Hub of Hugging Face: what is shared of a run, its card, sending and fetching.

A shared model is a folder (`cliqa.engine.shared_model.folder`), which the Hub stores as it is.
Not here: how models are built of such a folder, as that needs no network (`cliqa.inference`).
"""
