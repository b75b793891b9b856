"""The Jinja2 environment that all templates are compiled in; the only importer of Jinja2.

``setup.py`` runs this file alone, to compile the templates when the package is built: what it
imports is needed there as well.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2

Environment = jinja2.Environment

COMPILED = f"compiled-{jinja2.__version__}"
"""Folder beside the templates with the Python that Jinja2 made of them; another version makes its own."""


def safe_comment(text: object) -> str:
    """Text of a user inside a C comment: it cannot end the comment or begin another line."""
    cleaned = "".join(ch if ch.isascii() and ch.isprintable() and ch != "\\" else "?" for ch in str(text))
    return cleaned.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ")


def is_compiled(folder: Path) -> bool:
    """Whether a folder holds what this version of Jinja2 makes of its templates."""
    return (folder / COMPILED).is_dir()


def create(folder: Path, kept: Path | None = None) -> jinja2.Environment:
    """The environment of the templates in a folder, compiled ones if there are any.

    Args:
        folder: the templates.
        kept: a folder for the bytecode of those that are compiled on demand; by default it is not kept.
    """
    made = jinja2.Environment(
        loader=jinja2.ModuleLoader(folder / COMPILED) if is_compiled(folder) else jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        optimized=False,  # it would fold constants, of which there are none, for a tenth of a cold start's rendering
        bytecode_cache=None if kept is None else jinja2.FileSystemBytecodeCache(str(kept)),
    )
    made.globals.clear()
    made.filters["comment"] = safe_comment
    return made


def compile_templates(folder: Path) -> None:
    """Compiles all templates of a folder into one inside it, where :func:`create` finds them; anew if it is there.

    Raises:
        jinja2.TemplateSyntaxError: a template is none.
    """
    shutil.rmtree(folder / COMPILED, ignore_errors=True)  # of a build before this one
    create(folder).compile_templates(folder / COMPILED, extensions=["j2"], zip=None, ignore_errors=False)
