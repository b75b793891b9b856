"""The folder where builds are kept, private to the user."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from ..errors import BuildError


def cache_folder() -> Path:
    """Returns the folder of the builds, made if need be: ``$NNCOMPILE_CACHE_DIR`` or the user's cache.

    Raises:
        BuildError: it cannot be made or written, or others could write into it.
    """
    named = os.environ.get("NNCOMPILE_CACHE_DIR")
    if named:
        folder = Path(named)
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("nncompile", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise BuildError(
            f"{folder}: the cache folder cannot be made: {error.strerror}. "
            "Set NNCOMPILE_CACHE_DIR to a folder that you can write."
        ) from error
    if named:
        status = folder.stat()  # a link that the user named is the user's choice
    if not stat.S_ISDIR(status.st_mode):
        raise BuildError(f"{folder}: expected a folder, found something else. Set NNCOMPILE_CACHE_DIR to another one.")
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise BuildError(
            f"{folder}: compiled code is loaded from here, and others could change it. "
            f"Run: chown {os.getuid()} {shlex.quote(str(folder))} && chmod 700 {shlex.quote(str(folder))}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BuildError(f"{folder}: the cache folder cannot be written. Set NNCOMPILE_CACHE_DIR to another one.")
    return folder
