"""cliqa: continual learning for image quality assessment.

Nothing heavy is imported here, so that ``--help`` and a mistake in a config answer at once.
"""

__version__ = "0.1.0"
