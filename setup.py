"""Put the configs into the wheel, where OpenMMLab's packages have theirs; see `pyproject.toml`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Build the package, and copy ``config/`` to ``cliqa/.mim/configs``.

    ``cliqa::demo.py`` names a config there. An editable install needs no copy: it uses the
    checkout's folder.
    """

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        root = Path(__file__).resolve().parent / "config"
        for path in sorted(root.rglob("*.py")):
            target = Path(self.build_lib, "cliqa", ".mim", "configs", path.relative_to(root))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithConfigs})
