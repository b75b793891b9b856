"""What pyproject.toml cannot say: the templates are compiled when the package is built.

Jinja2 takes a sixth of a cold start for it, and its results depend on nothing but the templates.
"""

import importlib.util
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildPython(build_py):
    """Copies the package as ever, then compiles the copy of the templates."""

    def run(self) -> None:
        """Builds; an editable installation takes the templates of the checkout as they are at the time."""
        super().run()
        if not self.editable_mode:
            # the file alone: the package itself needs NumPy
            spec = importlib.util.spec_from_file_location("environment", HERE / "nncompile/compiler/environment.py")
            assert spec is not None and spec.loader is not None
            environment = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(environment)
            environment.compile_templates(Path(self.build_lib, "nncompile", "templates"))


setup(cmdclass={"build_py": BuildPython})
