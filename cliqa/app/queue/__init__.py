"""Runs that are asked for in a browser: what can be asked for, and the queue that trains them.

`choices` lists streams, models and methods, `request` makes a config of a choice, `jobs` keeps the
queue in files, `runner` starts and stops processes. Not here: components of the page
(`cliqa.app.tabs`), and training itself, which is ``cliqa train`` in a process of its own.
"""
