"""mmengine's and mmpretrain's config keys, and what to write for them here.

`keys` says it for every known key, `optimization` and `pipelines` for the sections with contents of
their own. Nothing is imported or built: whole configs are converted in `cliqa.models.mmpretrain`.
"""
