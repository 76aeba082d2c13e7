"""CLEAR (Lin et al., NeurIPS 2021): images of the same classes in buckets of time.

`read` reads either layout (`layout`, `trees`, `metadata`, `filelists`, `features`); `prepare`,
`fewshot`, `create` and `from_folder` write data sets. The benchmark is in `cliqa.benchmarks.clear`.
"""
