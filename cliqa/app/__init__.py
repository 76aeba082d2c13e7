"""The web app: a page with a tab for each kind of work, and its server.

Everything on the page comes from the public API (`cliqa.results`, `cliqa.load` ...) and from the
figures of `cliqa.visualization` and `cliqa.explain`. Not here: reading of files of runs, and
anything that a script without a browser could want.
"""
