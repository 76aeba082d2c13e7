"""``python -m cliqa COMMAND``: what the command ``cliqa`` does."""

from __future__ import annotations

import sys

from cliqa.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
