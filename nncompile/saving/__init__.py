"""Saving and loading, with the names of ``keras.saving``.

A ``.keras`` file is the genuine archive of Keras 3: real Keras opens it and predicts
the same, and the reverse. ``.weights.h5`` is likewise, and so is the legacy ``.h5``, of
which the forms of Keras 1 and 2 are read. Files are replaced in one step
(``storage.py``), and what is read may come from anyone (``hdf5.py``, ``archive.py``,
``objects.py`` say what is refused).
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from .. import absent, registry
from ..errors import FileFormatError, ModelError, UnsupportedError
from ..layers.legacy import caller_level
from . import storage
from .objects import (
    CustomObjectScope,
    checked_custom,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    model_from_json,
    model_from_object,
    model_to_json,
    refuse_code,
    register_keras_serializable,
    serialize_keras_object,
    version_of,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "model_to_json",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

_LEGACY = (".h5", ".hdf5")


def _name(filepath: Any, what: str) -> str:
    if not isinstance(filepath, (str, os.PathLike)):
        raise ModelError(f"{what}: expected the path of a file, received {type(filepath).__name__}.")
    path = os.fspath(filepath)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if path.startswith(("hf://", "gs://", "s3://", "http://", "https://")):
        raise UnsupportedError(f"{what}: {path:.200} is not on this machine. Download it first.")
    return path


# Models ----------------------------------------------------------------------------


def save_model(
    model: Any,
    filepath: storage.Path,
    overwrite: bool = True,
    zipped: bool | None = None,
    include_optimizer: bool = True,
    **kwargs: Any,
) -> None:
    """Writes a model as a ``.keras`` file, or as legacy ``.h5``: its layers, weights and optimizer.

    The file is there as a whole or, on error, as it was.

    Args:
        model: any model, built or not.
        filepath: where; the name ends in ``.keras``, or in ``.h5`` or ``.hdf5``.
        overwrite: whether an existing file is replaced.
        zipped: only None or True.
        include_optimizer: whether to write how the model was compiled, and the state of
            the optimizer.
        **kwargs: ``save_format="keras"`` or ``"h5"``, which Keras 2 took.

    Raises:
        ModelError: the name has another ending, the file exists, or the model
            has something that no file can hold.
        UnsupportedError: a form of file that is not written.
        OSError: the file cannot be written.

    Source: ``keras.saving.save_model``.
    """
    from . import archive

    registry.check_keywords("save_model", {k: v for k, v in kwargs.items() if k != "save_format"}, _SAVE)
    path = _name(filepath, "save_model")
    legacy = path.endswith(_LEGACY)
    form = kwargs.get("save_format") or ("h5" if legacy else "keras")
    if form == "tf":
        raise UnsupportedError(
            f"save_model: {path:.200}: the form of TensorFlow is not supported. Give a name that ends in .keras."
        )
    if zipped is False:
        raise UnsupportedError("save_model: zipped=False is not supported yet: a model is one file.")
    if legacy and form in ("h5", "hdf5"):
        if not getattr(model, "built", False):
            raise ModelError(
                f"save_model: {getattr(model, 'name', 'the model')} is not built, which a legacy file cannot hold. "
                "Build it, or give a name that ends in .keras."
            )
        from . import legacy_h5

        storage.check_target(path, overwrite, "save_model")
        legacy_h5.save(model, path, include_optimizer)
        return
    if not path.endswith(".keras") or form != "keras":
        raise ModelError(
            f"save_model: expected the name of a file that ends in .keras or .h5, received {path!r:.200}. "
            "For weights alone call save_weights(), for C call export()."
        )
    storage.check_target(path, overwrite, "save_model")
    if not getattr(model, "built", True):
        warnings.warn(
            f"save_model: {model.name} is not built, so that the file may be without weights. "
            "Build it first, or call it on data.",
            UserWarning,
            stacklevel=caller_level(),
        )
    archive.save(model, path, include_optimizer)


_SAVE = ("overwrite", "zipped", "include_optimizer", "save_format")


def load_model(
    filepath: storage.Path,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a model: ``.keras``, the ``.h5`` of Keras 1 and 2, or a ``config.json`` alone.

    What kind of file it is, is seen in the file and not in its name. It may come from
    anyone: no code in it is run, nothing is imported, no other file is opened.

    Args:
        filepath: the file, or a folder with the members of a ``.keras`` archive.
        custom_objects: classes and functions of your own, by the names in the file.
        compile: whether to compile the model as it was compiled.
        safe_mode: only True.

    Returns:
        The model. One of a ``config.json`` has new weights.

    Raises:
        FileFormatError: there is no such file, or it is damaged, foreign or hostile.
        UnsupportedError: a class or an option in it is not supported.
        OSError: the operating system cannot read it.

    Source: ``keras.saving.load_model``.
    """
    refuse_code("load_model", safe_mode)
    custom = checked_custom(custom_objects, "load_model")
    path = _name(filepath, "load_model")
    if os.path.isdir(path):
        from . import archive

        return archive.load_folder(path, custom, compile)
    data = storage.read_file(path)
    if data.startswith(b"PK"):
        from . import archive

        return archive.load(data, path, custom, compile)
    if data.startswith(b"\x89HDF"):
        from . import legacy_h5

        return legacy_h5.load(data, path, custom, compile)
    if data[:64].lstrip().startswith(b"{"):
        config = storage.parse_object(data, path)
        return model_from_object(config, path, custom, compile=compile, version=version_of(config))
    raise FileFormatError(
        f"{path}: expected a model (.keras, .h5 or config.json), found "
        + ("an empty file." if not data else f"a file that begins with {data[:8]!r}.")
    )


# Weights ---------------------------------------------------------------------------


def save_weights(
    model: Any, filepath: storage.Path, overwrite: bool = True, max_shard_size: float | None = None
) -> None:
    """Writes the weights of a model, and the state of its optimizer, as ``.weights.h5``.

    The file is there as a whole or, on error, as it was.

    Args:
        model: a built model.
        filepath: where; the name ends in ``.weights.h5``.
        overwrite: whether an existing file is replaced.
        max_shard_size: only None.

    Raises:
        ModelError: the model is not built, the name has another ending, or the file exists.
        OSError: the file cannot be written.

    Source: ``keras.saving.save_weights``.
    """
    from . import weights_h5

    path = _name(filepath, "save_weights")
    registry.refuse("save_weights", max_shard_size=max_shard_size)
    if not path.endswith(".weights.h5"):
        raise ModelError(f"save_weights: expected the name of a file that ends in .weights.h5, received {path!r:.200}.")
    _check_built(model, "save_weights")
    storage.check_target(path, overwrite, "save_weights")
    storage.write_file(path, [weights_h5.write(model)])


def load_weights(model: Any, filepath: storage.Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Reads the weights of a model, and the state of its optimizer if both have one.

    Everything is read and compared first. If anything is wrong the model is as it was.

    Args:
        model: a built model.
        filepath: a ``.weights.h5``, ``.keras`` or legacy ``.h5`` file.
        skip_mismatch: leave layers out that do not fit, with a warning.
        **kwargs: ``by_name=True`` matches the layers of a legacy file by their names;
            ``objects_to_skip`` is not supported.

    Raises:
        ModelError: the model is not built, or has other layers than the file.
        FileFormatError: there is no such file, or it is damaged, foreign or hostile.
        OSError: the operating system cannot read it.

    Source: ``keras.saving.load_weights``.
    """
    from . import archive, hdf5, legacy_h5, weights_h5

    known = ("by_name", "objects_to_skip", "skip_mismatch")
    registry.check_keywords("load_weights", {k: v for k, v in kwargs.items() if k not in known}, known)
    registry.refuse("load_weights", objects_to_skip=kwargs.get("objects_to_skip"))
    by_name = bool(kwargs.get("by_name"))
    path = _name(filepath, "load_weights")
    _check_built(model, "load_weights")
    if path.endswith(".weights.json"):
        raise UnsupportedError(f"load_weights: {path:.200}: weights in several files are not supported yet.")
    data, where = storage.read_file(path), path
    if data.startswith(b"PK"):
        data, where = archive.members_of(data, path)[archive.WEIGHTS], f"{path}: {archive.WEIGHTS}"
    with hdf5.opened(data, where) as file:
        if legacy_h5.is_legacy(file):
            plan = legacy_h5.read_weights(file, data, model, where, skip_mismatch=skip_mismatch, by_name=by_name)
        elif by_name:
            raise ModelError(f"load_weights: by_name is for files of Keras 2, and {path:.200} is not one.")
        else:
            plan = weights_h5.read(file, model, where, skip_mismatch=skip_mismatch)
    weights_h5.assign(plan)


def _check_built(model: Any, what: str) -> None:
    if not getattr(model, "built", False):
        raise ModelError(
            f"{what}: {getattr(model, 'name', 'the model')} has no weights before it is built. "
            "Put Input() first, call build(input_shape), or train it."
        )


__getattr__ = absent.finder(__name__)
