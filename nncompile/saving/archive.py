"""The ``.keras`` archive of Keras 3: a ZIP file of three members.

    metadata.json       who wrote it, and when
    config.json         the model: classes by name, their arguments, how it was compiled
    model.weights.h5    the numbers, see ``weights_h5.py``

Members are read into memory and never extracted, so their names are nobody's paths.
Each is looked at before it is read: what it declares to become, and out of how much.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import struct
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import FileFormatError, NncompileError, UnsupportedError
from . import hdf5, objects, storage, weights_h5

if TYPE_CHECKING:
    import zipfile

KERAS_VERSION = "3.15.1"
"""The release of Keras whose form is written."""

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MAX_DIRECTORY = 1 << 20
"""The largest list of members that is read, 1 MiB: that of some 20,000 members."""

MAX_EXPANSION = 100
"""How many times larger than what is stored a member may become."""

FREE_SIZE = 1 << 20
"""Up to this many bytes, 1 MiB, how much is stored does not matter."""

MAGIC = b"PK\x03\x04"


def save(model: Any, path: storage.Path, include_optimizer: bool = True) -> None:
    """Writes a model as a ``.keras`` archive, all of it or nothing."""
    import zipfile

    _warn_of_names(model)
    config = objects.model_config(model)
    if not include_optimizer:
        config["compile_config"] = {}
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    members = (
        (METADATA, json.dumps(metadata).encode()),
        (CONFIG, json.dumps(config).encode()),
        (WEIGHTS, weights_h5.write(model, include_optimizer)),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            # The time of a member says nothing that metadata.json does not.
            archive.writestr(zipfile.ZipInfo(name), data)
    storage.write_file(path, [buffer.getbuffer()])


def _warn_of_names(model: Any) -> None:
    """Warns of names that are good here and that Keras refuses when it opens the file."""
    for _, layer in weights_h5.places(model):
        for named in (layer, getattr(layer, "input_layer", None)):
            if named is not None and "/" in named.name:
                warnings.warn(
                    f"{weights_h5.describe(named)}: Keras does not open a model with a '/' in the name of a layer. "
                    "Give it another name if Keras is to read the file.",
                    UserWarning,
                    stacklevel=5,
                )
                return


def members_of(data: bytes, where: str) -> dict[str, bytes]:
    """Returns the members of an archive that count, by name.

    Raises:
        FileFormatError: it is damaged, lists a member twice, or becomes too large.
        UnsupportedError: it has its weights in a form that is not read.
    """
    import zipfile

    _check_directory(data, where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise FileFormatError(f"{where}: the member {twice!r:.80} twice in one archive.")
            if sum(info.file_size for info in infos) > storage.MAX_FILE:
                raise FileFormatError(f"{where}: expected at most 4 GiB in an archive, found more.")
            if CONFIG not in names:
                raise FileFormatError(
                    f"{where}: expected the member {CONFIG!r}. Found: {names[:5]!r:.200}. "
                    "The archive is not a Keras model."
                )
            if WEIGHTS not in names and "model.weights.npz" in names:
                raise UnsupportedError(f"{where}: weights in model.weights.npz are not supported yet.")
            if WEIGHTS not in names:
                raise FileFormatError(f"{where}: expected the member {WEIGHTS!r}, found {names[:5]!r:.200}.")
            return {
                info.filename: _read(archive, info, f"{where}: {info.filename}")
                for info in infos
                if info.filename in (CONFIG, METADATA, WEIGHTS)
            }
    except NncompileError:
        raise
    except Exception as error:  # zipfile raises nearly everything, by what it stumbles over
        raise FileFormatError(f"{where}: damaged ZIP archive: {error}.") from error


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
    declared, stored = info.file_size, info.compress_size
    if info.flag_bits & 1:
        raise FileFormatError(f"{where}: an encrypted member.")
    if info.filename != WEIGHTS and declared > storage.MAX_JSON:
        raise FileFormatError(f"{where}: expected at most {storage.MAX_JSON} bytes, declared are {declared}.")
    if declared > FREE_SIZE and declared > MAX_EXPANSION * stored:
        raise FileFormatError(f"{where}: declared are {declared} bytes, and stored {stored}.")
    with archive.open(info) as member:
        data = member.read(declared)
        # The check sum is compared at the end, which nothing but a further read reaches.
        if len(data) != declared or member.read(1):
            raise FileFormatError(f"{where}: expected {declared} bytes, found another number.")
    return data


def _check_directory(data: bytes, where: str) -> None:
    """Raises FileFormatError if the list of members is missing or too large to be one.

    ``zipfile`` makes an object of every entry before anything can be asked of it.
    """
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 22 - 0xFFFF))
    if end < 0 or len(data) - end < 22:
        raise FileFormatError(f"{where}: the archive ends too early. The file is cut off, or damaged.")
    size = struct.unpack_from("<L", data, end + 12)[0]
    locator = end - 20
    if locator >= 56 and data[locator : locator + 4] == b"PK\x06\x07":
        # Where zipfile takes the record of large archives from, whatever the locator says.
        size = max(size, struct.unpack_from("<Q", data, locator - 56 + 40)[0])
    if size > MAX_DIRECTORY:
        raise FileFormatError(f"{where}: {size} bytes of names; a model has three members.")


def load(data: bytes, where: str, custom: objects.Custom, compile: bool) -> Any:
    """Makes the model of a ``.keras`` archive that is in memory."""
    return from_members(members_of(data, where), where, custom, compile)


def load_folder(path: storage.Path, custom: objects.Custom, compile: bool) -> Any:
    """Makes the model of a folder that has the members of an archive as files."""
    where = os.fspath(path)
    members = {
        name: storage.read_file(os.path.join(where, name), nofollow=True)
        for name in (CONFIG, METADATA, WEIGHTS)
        if name != METADATA or os.path.lexists(os.path.join(where, name))
    }
    return from_members(members, where, custom, compile)


def from_members(members: dict[str, bytes], where: str, custom: objects.Custom, compile: bool) -> Any:
    """Makes a model of the contents of the three members.

    Raises:
        FileFormatError: one of them is damaged or hostile, or they do not fit together.
        UnsupportedError: a class or an option in it is not supported.
    """
    config = storage.parse_object(members[CONFIG], f"{where}: {CONFIG}")
    version = _version(members.get(METADATA), where)
    weights = members[WEIGHTS]
    model = objects.model_from_object(
        config, f"{where}: {CONFIG}", custom, compile=compile, stored=len(weights), version=version
    )
    source = f"{where}: {WEIGHTS}"
    with hdf5.opened(weights, source) as file:
        plan = weights_h5.read(file, model, source, error=FileFormatError)
    weights_h5.assign(plan)
    return model


def _version(data: bytes | None, where: str) -> int:
    """Returns the major version of the Keras that wrote an archive; 3 if it does not say."""
    if data is None:
        return 3
    metadata = storage.parse_object(data, f"{where}: {METADATA}")
    return objects.major_version(metadata.get("keras_version"), default=3)
