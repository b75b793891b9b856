"""Objects as Keras' dictionaries, and back.

    {"module": "keras.layers", "class_name": "Dense", "config": {...}, "registered_name": null}

What a dictionary names is looked up in the tables of :mod:`nncompile.registry`, among
what the user registered, and in ``custom_objects``. Nothing is ever imported, and no
code is read out of a file, whatever it says: a file can only choose among classes that
are there already, each of which is made by its own ``from_config``.

All names of a configuration are checked before the first object is made, and so is how
much memory its sizes would take.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import absent, registry
from ..errors import BuildError, FileFormatError, InternalError, ModelError, UnknownObjectError, UnsupportedError
from ..layers import limits, serialization
from ..layers.base import Layer
from ..ops import symbolic
from . import legacy_config, storage

if TYPE_CHECKING:
    from typing_extensions import Self

Custom = Mapping[str, Any]

register_keras_serializable = registry.register_keras_serializable

MAX_WIDTH = 1 << 24
"""The most numbers that a row may have, an image of 4096 x 4096."""

MAX_EXPANSION = 100
"""How many times larger than the stored numbers the declared weights may be: files may
be compressed."""

FREE_SIZE = 1 << 20
"""Up to this many bytes, 1 MiB, how much is stored does not matter."""

CODE = frozenset(("Lambda", "__lambda__", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer"))
"""Classes of Keras that carry code, or the path of code, in their configuration."""

VALUES = frozenset(
    ("__keras_tensor__", "__numpy__", "__tensor__", "__bytes__", "__slice__", "__ellipsis__", "DTypePolicy")
)
"""Names in the place of a class that stand for plain values."""

OPERATIONS = ("keras.src.ops.", "keras.ops.")
"""Modules of the operations that a functional model may be made of, beside layers."""

_KERAS = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras|nncompile)(\.|$)")


def _register_all() -> None:
    """Makes all that a file may name known, which importing it does."""
    from .. import losses, metrics, models, optimizers  # noqa: F401


# Names -----------------------------------------------------------------------------


def get_registered_name(obj: Any) -> str:
    """Returns ``package>name`` of a registered class or function, else its own name.

    Args:
        obj: the class or function.

    Source: ``keras.saving.get_registered_name``.
    """
    return registry.registered_name(obj) or str(obj.__name__)


def get_registered_object(name: str, custom_objects: Custom | None = None, module_objects: Custom | None = None) -> Any:
    """Returns the class or function that is registered as ``name``, or None.

    Args:
        name: ``package>name``, or a key of one of the dictionaries.
        custom_objects: where to look next.
        module_objects: where to look last.

    Source: ``keras.saving.get_registered_object``.
    """
    for table in (registry.custom_objects(), custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """Returns the table of registered classes and functions, to be read and changed.

    Source: ``keras.saving.get_custom_objects``.
    """
    return registry._custom


class CustomObjectScope:
    """Makes classes and functions known by name while a ``with`` block runs.

    Args:
        custom_objects: them, by the names that files use.

    Source: ``keras.saving.CustomObjectScope``.
    """

    _lock = threading.RLock()
    _absent = object()

    def __init__(self, custom_objects: Custom | None) -> None:
        self.custom_objects = dict(custom_objects or {})
        self._before: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with self._lock:
            table = get_custom_objects()
            self._before.append({k: table.get(k, self._absent) for k in self.custom_objects})
            table.update(self.custom_objects)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            table = get_custom_objects()
            for key, thing in self._before.pop().items():
                if thing is self._absent:
                    table.pop(key, None)
                else:
                    table[key] = thing


custom_object_scope = CustomObjectScope


def checked_custom(custom_objects: Any, where: str) -> dict[str, Any]:
    """Returns ``custom_objects`` as a dictionary, and raises ModelError if it is none."""
    if custom_objects is None:
        return {}
    if not isinstance(custom_objects, Mapping) or not all(isinstance(k, str) for k in custom_objects):
        raise ModelError(
            f"{where}: expected custom_objects to be a dictionary of names to classes and functions, "
            f"received {custom_objects!r:.80}."
        )
    return dict(custom_objects)


# Objects to dictionaries -----------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """Returns Keras' dictionary of a layer, model, optimizer, loss, metric or function.

    Plain values, lists and dictionaries become what JSON can hold.

    Args:
        obj: the object, or a structure of such.

    Raises:
        UnsupportedError: there is no way to write it.
        ModelError: a lambda, which has no name by which it could be found again.

    Source: ``keras.saving.serialize_keras_object``.
    """
    _register_all()
    if inspect.isfunction(obj) or inspect.isbuiltin(obj):
        return registry.describe_function(obj)
    if inspect.isclass(obj):
        raise UnsupportedError(f"{obj!r} cannot be saved: it is a class. Give an object of it.")
    return serialization.plain(obj)


# Dictionaries to objects -----------------------------------------------------------


def model_config(model: Any) -> dict[str, Any]:
    """Returns the dictionary of a model for a file, in which each of its layers is known again.

    Args:
        model: a model, or a layer.
    """
    with registry.numbering():
        form: dict[str, Any] = registry.without_single(serialize_keras_object(model))
    return form


def deserialize_keras_object(
    config: Any, custom_objects: Custom | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """Makes the object that :func:`serialize_keras_object` described.

    Args:
        config: a dictionary with ``class_name`` and ``config``; lists and other
            dictionaries of such; or a plain value, which is returned.
        custom_objects: the user's classes and functions by name.
        safe_mode: only True: code in a configuration is never run.
        **kwargs: ``module_objects``, where names are looked up last.

    Returns:
        The object.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a class that is not known, or not supported.

    Source: ``keras.saving.deserialize_keras_object``.
    """
    registry.check_keywords("deserialize_keras_object", _without(kwargs, "module_objects"), ["module_objects"])
    refuse_code("deserialize_keras_object", safe_mode)
    custom = {**(kwargs.get("module_objects") or {}), **checked_custom(custom_objects, "custom_objects")}
    return made(config, "deserialize_keras_object", custom, within=True)


def _without(keywords: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in keywords.items() if k != name}


def refuse_code(where: str, safe_mode: Any) -> None:
    """Raises UnsupportedError for ``safe_mode=False``, which asks to run code of a file."""
    if not safe_mode:
        raise UnsupportedError(f"{where}: safe_mode=False is not supported: code in a file is never run. Leave it out.")


def made(config: Any, where: str, custom: Custom, within: bool = False) -> Any:
    """Makes what a configuration describes, and turns all that goes wrong into errors of ours.

    Args:
        config: as of :func:`deserialize_keras_object`.
        where: where it comes from, for messages.
        custom: the user's classes and functions by name.
        within: whether it is a part of what is being read, if anything is.
    """
    check_names(config, where, custom)
    with CustomObjectScope(custom), registry.sharing(within):
        return guarded(lambda: _made(_numbered(config), custom), where)


def guarded(make: Callable[[], Any], where: str) -> Any:
    """Returns ``make()``; what it raises about a configuration becomes FileFormatError.

    A constructor may raise anything for arguments that no programmer would write.
    """
    try:
        return make()
    except (BuildError, InternalError):
        raise
    except UnsupportedError as error:
        raise UnsupportedError(f"{where}: {error}") from error
    except RecursionError:
        raise FileFormatError(f"{where}: nested too deeply.") from None
    except MemoryError:
        raise FileFormatError(f"{where}: its sizes take more memory than there is.") from None
    except Exception as error:
        hint = " Give what is yours in custom_objects." if "unknown name" in str(error) else ""
        kind = "" if isinstance(error, (FileFormatError, ModelError)) else f"{type(error).__name__}: "
        raise FileFormatError(f"{where}: {kind}{error}{hint}") from error


def _made(config: Any, custom: Custom) -> Any:
    if isinstance(config, (list, tuple)):
        return [_made(item, custom) for item in config]
    if isinstance(config, str):
        return custom.get(config, config)
    if not isinstance(config, Mapping):
        return config
    name, inner = config.get("class_name"), config.get("config")
    if name is None or "config" not in config:
        return {key: _made(value, custom) for key, value in config.items()}
    if name in VALUES:
        return _value(str(name), inner)
    thing: Any = _custom(config, custom)
    kind = kind_of(config) if thing is None else None
    if kind == "layers" or (inspect.isclass(thing) and issubclass(thing, Layer)):
        _register_all()
        made = serialization.deserialize(config, custom)
    elif kind is not None:
        made = registry.deserialize(config, kind, custom)
    elif not inspect.isclass(thing):
        made = thing
    elif not isinstance(inner, Mapping):
        raise FileFormatError(f"{name}: expected a configuration, found {inner!r:.80}.")
    else:
        cls: Any = thing
        made = cls.from_config(dict(inner))
    return _finished(made, config)


def _numbered(config: Any) -> Any:
    """Returns a configuration in which the first of equal layers has the number that those after it have.

    Keras leaves it out there. Which layer it is, is clear as long as only one without a number is the same.
    """
    shared = [item for item in _dictionaries(config) if registry.SHARED in item and item["class_name"] not in VALUES]
    layers = {item[registry.SHARED]: item for item in shared if kind_of(item) == "layers"}
    if not layers:
        return config

    def known(item: Mapping[str, Any]) -> tuple[Any, Any]:
        inner = item["config"]
        return item["class_name"], inner.get("name") if isinstance(inner, Mapping) else None

    names = {known(item) for item in layers.values()}
    first: dict[str, list[int]] = {}
    for item in _dictionaries(config):
        if registry.SHARED not in item and known(item) in names:
            first.setdefault(_bare(item), []).append(id(item))
    numbers: dict[int, Any] = {}
    for number, item in layers.items():
        same = first.get(_bare(item), [])
        if len(same) == 1:
            numbers[same[0]] = number

    def with_numbers(value: Any) -> Any:
        if isinstance(value, Mapping):
            result = {key: with_numbers(item) for key, item in value.items()}
            return {**result, registry.SHARED: numbers[id(value)]} if id(value) in numbers else result
        return [with_numbers(item) for item in value] if isinstance(value, (list, tuple)) else value

    return with_numbers(config)


def _bare(item: Mapping[str, Any]) -> str:
    """Returns the text of a layer's class and configuration without numbers of what is shared."""

    def bare(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: bare(item) for key, item in value.items() if key != registry.SHARED}
        return [bare(item) for item in value] if isinstance(value, (list, tuple)) else value

    return json.dumps([item["class_name"], bare(item["config"])], sort_keys=True, default=str)


def _finished(made: Any, config: Mapping[str, Any]) -> Any:
    """Builds and compiles what was made, as far as the configuration says so."""
    build, compile_ = config.get("build_config"), config.get("compile_config")
    if build and not getattr(made, "built", True) and hasattr(made, "build_from_config"):
        if not isinstance(build, Mapping):
            raise FileFormatError(f"expected build_config to be an object, found {build!r:.80}.")
        made.build_from_config(dict(build))
    if compile_ and hasattr(made, "compile_from_config"):
        if not isinstance(compile_, Mapping):
            raise FileFormatError(f"expected compile_config to be an object, found {compile_!r:.80}.")
        made.compile_from_config(dict(compile_))
    return made


def _value(name: str, inner: Any) -> Any:
    if not isinstance(inner, Mapping):
        raise FileFormatError(f"{name}: expected an object, found {inner!r:.80}.")
    if name in ("__numpy__", "__tensor__"):
        dtype = np.dtype(str(inner.get("dtype", "float32")))
        if dtype.kind not in "fiub":
            raise FileFormatError(f"{name}: expected numbers, found {dtype}.")
        return np.array(inner["value"], dtype=dtype)
    if name == "__bytes__":
        return str(inner["value"]).encode("utf-8")
    if name == "__slice__":
        return slice(inner.get("start"), inner.get("stop"), inner.get("step"))
    return ... if name == "__ellipsis__" else inner.get("name")


def _custom(config: Mapping[str, Any], custom: Custom) -> Any:
    """Returns the user's class or function that a dictionary names, or None."""
    known = {**registry.custom_objects(), **custom}
    name, registered = config.get("class_name"), config.get("registered_name")
    names = [registered, config.get("config") if name == "function" else name]
    for key in names:
        for full in (key, f"Custom>{key}"):
            if isinstance(key, str) and full in known:
                return known[full]
    return None


def kind_of(config: Mapping[str, Any]) -> str:
    """Returns in which table the class of a dictionary stands: by its module, else by its name."""
    module, name = config.get("module"), config.get("class_name")
    parts = module.split(".") if isinstance(module, str) else []
    for kind in registry.KINDS:
        if kind in parts:
            return kind
    if name == "function":
        name = config.get("config")
    for kind in registry.KINDS:
        if name in registry.registered(kind):
            return kind
    return "layers"


# Looking before making -------------------------------------------------------------


def _dictionaries(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yields all dictionaries that name a class, in the order of the text, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            if "class_name" in item and "config" in item:
                yield item
            waiting.extend(reversed(list(item.values())))
        elif isinstance(item, (list, tuple)):
            waiting.extend(reversed(item))


def check_names(config: Any, where: str, custom: Custom) -> None:
    """Raises UnsupportedError for the first class that is not one of ours or the user's.

    The module counts: ``mine.layers.Dense`` is not ``keras.layers.Dense``, and must not
    be taken for it.
    """
    _register_all()
    known = {*serialization.MODELS, *(name for kind in registry.KINDS for name in registry._tables[kind])}
    for item in _dictionaries(config):
        name, module, registered = item["class_name"], item.get("module", "keras"), item.get("registered_name")
        what = "class"
        if isinstance(module, str) and module.startswith(OPERATIONS):
            if not isinstance(name, str) or symbolic.function_of(name) is None:
                raise UnsupportedError(f"{where}: {f'{module}.{name}'!r:.120} is not supported yet.")
            continue
        if name == "function":
            name, what = item["config"], "function"
        if not isinstance(name, str) or not isinstance(module, (str, type(None))):
            raise FileFormatError(f"{where}: expected class_name and module to be text, found {name!r:.80}.")
        if _custom(item, custom) is not None or name in VALUES:
            continue
        if name in CODE:
            raise UnsupportedError(
                f"{where}: {name} is not supported: it carries Python code, and code in a file is never run. "
                "Write it as a class of its own, and give it in custom_objects."
            )
        theirs = module is None or _KERAS.match(module) is None
        if what == "function":  # of which Keras writes no other module, and their own name twice
            theirs = theirs and module != "builtins"
        unknown = module == "builtins" and name not in known
        if theirs or unknown or (isinstance(registered, str) and ">" in registered):
            full = str(registered or name) if module in (None, "builtins") else f"{module}.{name}"
            raise UnknownObjectError(
                f"{where}: {full!r:.120} is not known here. Give the {what} in custom_objects={{{name!r:.80}: …}}, "
                "or put register_keras_serializable() above it."
            )
        if name not in known:
            why = next(filter(None, (absent.reason(kind, name) for kind in registry.KINDS)), None)
            because = f": {why}." if why else f" yet.{registry.nearest(name, known)}"
            raise UnsupportedError(
                f"{where}: {f'{module}.{name}'!r:.120} is not supported{because} "
                f"Give a {what} of your own in custom_objects."
            )


def declared_bytes(config: Any, shape: Any = None) -> int:
    """Returns how many bytes the weights of a model take at least, by its configuration alone.

    Args:
        config: of a model or layer, in the form of Keras 3.
        shape: of the input, if that is known from elsewhere.

    Raises:
        FileFormatError: a row has more than 2^24 numbers.
    """
    return _declared(config, _sizes(shape))[0]


def _declared(config: Any, shape: tuple[int, ...] | None) -> tuple[int, tuple[int, ...] | None]:
    """Returns the bytes of a layer's weights and the sizes of a row behind it, if they are known.

    Of a class that is not known here it is not known what it makes; it is the user's.
    """
    inner = config.get("config") if isinstance(config, Mapping) else None
    if not isinstance(inner, Mapping):
        return 0, None
    name = config.get("class_name")
    build = config.get("build_config")
    if shape is None and isinstance(build, Mapping):
        shape = _sizes(build.get("input_shape"))
    for key in ("batch_shape", "batch_input_shape", "build_input_shape"):
        shape = _sizes(inner.get(key)) or shape
    width = shape[-1] if shape else 1
    if isinstance(inner.get("layers"), list) and "output_layers" in inner:
        # What its layers are called on is known when they are called: then what they make is counted.
        layers = [layer for layer in inner["layers"] if isinstance(layer, Mapping)]
        return sum(_declared({**layer, "build_config": None}, None)[0] for layer in layers), None
    if isinstance(inner.get("layers"), list):
        total = 0
        for layer in inner["layers"]:
            size, shape = _declared(layer, shape)
            total += size
        return total, shape
    if name == "Dense":
        units = inner.get("units")
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            return 0, None  # its constructor will say so
        return 4 * units * (width + 1), _limited((*shape[:-1], units) if shape else (units,))
    if name == "Flatten":
        return 0, (math.prod(shape),) if shape else None
    if name == "Reshape":
        target = _sizes([None, *inner["target_shape"]]) if isinstance(inner.get("target_shape"), list) else None
        return 0, target
    weights = {"BatchNormalization": 4 * width, "LayerNormalization": 2 * width}
    if name == "PReLU" and shape:
        weights["PReLU"] = math.prod(shape)
    return 4 * weights.get(str(name), 0), shape


def _sizes(shape: Any) -> tuple[int, ...] | None:
    """Returns the sizes of a row, None if there are none that can be counted."""
    if not isinstance(shape, (list, tuple)) or len(shape) < 2:
        return None
    # A size that is not known yet takes nothing yet.
    return _limited(tuple(n if isinstance(n, int) and n > 0 else 1 for n in shape[1:]))


def _limited(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if math.prod(sizes) > MAX_WIDTH:
        raise FileFormatError(f"a row of {math.prod(sizes)} numbers; the most is {MAX_WIDTH}.")
    return sizes


# Models ----------------------------------------------------------------------------


def model_from_object(
    config: dict[str, Any],
    where: str,
    custom: Custom,
    *,
    compile: bool = True,
    stored: int | None = None,
    version: int = 3,
) -> Any:
    """Makes a model of its dictionary: not only of the right form, but a model.

    Args:
        config: as parsed from JSON.
        where: where it comes from, for messages.
        custom: the user's classes and functions by name.
        compile: whether to compile it as it was compiled.
        stored: how many bytes of weights there are for it; any number if None.
        version: the major version of the Keras that wrote it.

    Raises:
        FileFormatError: it is damaged or hostile, or not the configuration of a model.
        UnsupportedError: a class or an option in it is not supported.
    """
    _register_all()
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), (dict, list)):
        raise FileFormatError(
            f"{where}: expected the configuration of a model, with class_name and config. "
            f"Found: {list(config)[:5]!r:.200}."
        )
    if version < 3:
        training = config.get("compile_config")
        config = legacy_config.modern_model(config, version, where)
        if isinstance(training, dict) and training:
            release = legacy_config.release_of(config.get("keras_version"), legacy_config.LAST_2)
            config["compile_config"] = legacy_config.modern_training(training, where, release)
    compiled = config.get("compile_config") if compile else None
    config = {**config, "compile_config": None}
    check_names(config, where, custom)
    try:
        check_names(compiled, where, custom)
    except UnsupportedError as error:
        raise UnsupportedError(f"{error} Or pass compile=False, if the model shall not be trained.") from None
    name = config["class_name"]
    thing = _custom(config, custom) or serialization.MODELS.get(name)
    if not inspect.isclass(thing) or not issubclass(thing, Layer):
        raise FileFormatError(f"{where}: expected a model, found the configuration of {name!r:.80}.")
    size = guarded(lambda: declared_bytes(config), where)
    limit = storage.MAX_FILE if stored is None else max(FREE_SIZE, MAX_EXPANSION * stored)
    found = "at most 4 GiB are read" if stored is None else f"the file has {stored} bytes for them"
    if size > limit:
        raise FileFormatError(f"{where}: declared are {size} bytes of weights, and {found}.")
    with limits.limited(limit, MAX_WIDTH, found):
        return made({**config, "compile_config": compiled}, where, custom)


def model_from_json(json_string: str, custom_objects: Custom | None = None) -> Any:
    """Returns a model, without its weights, of what ``model.to_json()`` returned.

    Args:
        json_string: what that returned.
        custom_objects: the user's classes and functions by name.

    Raises:
        FileFormatError: it is not that.
        ModelError: it is no text.
        UnsupportedError: a class or an option in it is not supported.
    """
    if not isinstance(json_string, (str, bytes)):
        raise ModelError(f"model_from_json: expected text, received {type(json_string).__name__}.")
    custom = checked_custom(custom_objects, "model_from_json")
    config = storage.parse_object(json_string, "model_from_json")
    return model_from_object(config, "model_from_json", custom, version=version_of(config))


def model_to_json(model: Any, **kwargs: Any) -> str:
    """Returns the configuration of a model as JSON.

    Args:
        model: the model.
        **kwargs: those of ``json.dumps``.
    """
    return json.dumps(serialize_keras_object(model), **kwargs)


def major_version(text: Any, default: int) -> int:
    """Returns 2 for ``"2.15.0"`` or ``"2.2.4-tf"``, and ``default`` for what is no version."""
    found = re.match(r"(\d{1,3})\.", text) if isinstance(text, str) else None
    return int(found[1]) if found else default


def version_of(config: Mapping[str, Any]) -> int:
    """Returns the major version of the Keras that wrote a configuration, by its looks."""
    if "keras_version" in config:
        return major_version(config["keras_version"], default=2)
    if "module" in config:
        return 3
    return 1 if isinstance(config.get("config"), list) else 2
