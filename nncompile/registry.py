"""Names of classes and functions: lookup, suggestions, Keras' serialized form.

A class or function becomes known by a decorator and by nothing else::

    @register("optimizers")
    class Adam(Optimizer): ...

What is registered is found by ``optimizers.get("adam")``, by files that name it, and
by the conformance suite, which tests everything that is registered.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from .errors import FileFormatError, ModelError, ModelTypeError, UnknownObjectError, UnsupportedError

T = TypeVar("T")

KINDS = (
    "layers", "activations", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers", "regularizers",
    "constraints",
)  # fmt: skip
"""The kinds of things that are looked up by name; each is a public module."""

_tables: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_canonical: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_custom: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}


@functools.lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """``LeakyReLU`` becomes ``leaky_re_lu``, by Keras' own rule."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def register(kind: str, *aliases: str) -> Callable[[T], T]:
    """Makes a class or function known under its own name and ``aliases``.

    A class is known by its name in snake case as well.
    """

    def decorate(thing: T) -> T:
        name = thing.__name__  # type: ignore[attr-defined]
        _canonical[kind][name] = thing
        for key in (name, snake_case(name) if inspect.isclass(thing) else name, *aliases):
            _tables[kind].setdefault(key, thing)
        return thing

    return decorate


def registered(kind: str) -> dict[str, Any]:
    """Returns everything of ``kind`` by its own name, in order of registration."""
    return dict(_canonical[kind])


def table(kind: str) -> dict[str, Any]:
    """Returns everything of ``kind`` by all the names that it is known by."""
    return dict(_tables[kind])


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Makes a decorator by which a user's class or function becomes known to files as ``package>name``.

    Args:
        package: what its name begins with in files.
        name: the rest; its own if None.

    Returns:
        A decorator that returns what it is given.

    Source: ``keras.saving.register_keras_serializable``.
    """

    def decorate(thing: T) -> T:
        key = f"{package}>{name or thing.__name__}"  # type: ignore[attr-defined]
        _custom[key] = thing
        _custom_names[thing] = key
        return thing

    return decorate


def registered_name(thing: Any) -> str | None:
    """Returns ``package>name`` of a user's class or function, or None."""
    return _custom_names.get(thing)


def custom_objects() -> dict[str, Any]:
    """Returns the user's registered classes and functions by ``package>name``."""
    return dict(_custom)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `` Did you mean 'x'?`` for the names nearest to ``name``, or nothing."""
    known = list(dict.fromkeys(known))
    by_lower = {k.lower(): k for k in reversed(known)}
    import difflib

    found = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if not found:
        return ""
    return " Did you mean " + " or ".join(repr(by_lower[f]) for f in found) + "?"


def find(kind: str, name: str) -> Any:
    """Returns what is registered as ``name``.

    Raises:
        ModelError: there is nothing of that name; the nearest names are listed.
        UnsupportedError: a name that only Keras has.
    """
    table = _tables[kind]
    if name in table:
        return table[name]
    for key in (name, f"Custom>{name}"):
        if key in _custom:
            return _custom[key]
    from . import absent, old_names

    if old_names.has(kind, name):
        return old_names.find(kind, name, stacklevel=4)
    why = absent.reason(kind, name) or old_names.REFUSED.get(kind, {}).get(name)
    if why is not None:
        raise UnsupportedError(f"{kind}: {name!r} is not supported: {why}.")
    raise ModelError(f"{kind}: unknown name {name!r}.{nearest(name, table)}")


def look_up(kind: str, identifier: Any, expected: str) -> Any:
    """Returns what a name, a serialized form or the thing itself stands for.

    Args:
        kind: one of :data:`KINDS`.
        identifier: what the user gave.
        expected: what could have been given, for the message.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: a name that only Keras has.
    """
    if isinstance(identifier, str):
        found = find(kind, identifier)
    else:
        found = deserialize(identifier, kind) if isinstance(identifier, Mapping) else identifier
    if not callable(found):
        kind_of = type(identifier).__name__
        raise ModelError(f"{kind}: expected {expected}, received {identifier!r} ({kind_of}).")
    return found


def check_keywords(owner: str, unknown: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises the error that a misspelled keyword deserves: Python's TypeError, and the ValueError that Keras has.

    Args:
        owner: what was called, for the message.
        unknown: the keywords that were not understood.
        known: the keywords that would have been.
    """
    for name in unknown:
        hint = nearest(name, known)
        raise ModelTypeError(f"{owner} got an unexpected keyword argument {name!r}.{hint}")


def rename_keywords(
    owner: str, keywords: dict[str, Any], renamed: Mapping[str, str], stacklevel: int = 3
) -> dict[str, Any]:
    """Returns ``keywords`` with Keras 1 and 2 spellings replaced, warning once for each.

    Raises:
        TypeError: the old and the new spelling were both given.
    """
    result = dict(keywords)
    for old, new in renamed.items() if result else ():
        if old in result:
            if new in result:
                raise ModelTypeError(f"{owner} got both {old!r} and {new!r}; {old!r} is the old name.")
            warnings.warn(
                f"{owner}: {old!r} is the spelling of Keras 1 or 2; use {new!r}.",
                DeprecationWarning,
                stacklevel=stacklevel,
            )
            result[new] = result.pop(old)
    return result


def refuse(owner: str, **given: Any) -> None:
    """Raises UnsupportedError for the first argument that is not None or False."""
    for name, value in given.items():
        if value is not None and value is not False:
            shown = repr(value) if isinstance(value, (str, int, float, tuple)) else type(value).__name__
            raise UnsupportedError(f"{owner}: {name}={shown:.60} is not supported yet.")


_collected: ContextVar[dict[str, Any] | None] = ContextVar("classes and functions of the user's", default=None)


@contextlib.contextmanager
def collecting() -> Iterator[dict[str, Any]]:
    """Fills a dictionary with the user's classes and functions that are serialized meanwhile, by their names."""
    found: dict[str, Any] = {}
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def is_collecting() -> bool:
    """Whether what has no name gets one, as the things themselves are at hand: see :func:`collecting`."""
    return _collected.get() is not None


SHARED = "shared_object_id"
"""Keras' key for the number of a layer that stands in a description several times."""

_numbers: ContextVar[dict[int, tuple[int, Any]] | None] = ContextVar("numbers of layers that are written", default=None)
_shared: ContextVar[dict[Any, Any] | None] = ContextVar("layers that were read, by number", default=None)


@contextlib.contextmanager
def numbering() -> Iterator[None]:
    """Layers get a number in descriptions meanwhile, the same wherever they stand; see :func:`without_single`."""
    token = _numbers.set({})
    try:
        yield
    finally:
        _numbers.reset(token)


@contextlib.contextmanager
def sharing(within: bool = False) -> Iterator[None]:
    """Descriptions of one number make one layer meanwhile: that of several models or wrappers.

    Args:
        within: whether it is a part of what is being read, if anything is.
    """
    outer = _shared.get() if within else None
    token = _shared.set({} if outer is None else outer)
    try:
        yield
    finally:
        _shared.reset(token)


def number(layer: Any, form: dict[str, Any]) -> dict[str, Any]:
    """Writes the number of a layer into its description, and returns that."""
    known = _numbers.get()
    if known is not None:
        form[SHARED] = known.setdefault(id(layer), (len(known) + 1, layer))[0]  # it lives as long as its number
    return form


def without_single(form: Any) -> Any:
    """Returns a description in which only those layers have a number that stand in it more than once."""
    counts: dict[Any, int] = {}

    def count(value: Any) -> None:
        if isinstance(value, dict):
            if SHARED in value:
                counts[value[SHARED]] = counts.get(value[SHARED], 0) + 1
            for item in value.values():
                count(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                count(item)

    def reduced(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: reduced(v) for k, v in value.items() if k != SHARED or counts[v] > 1}
        return type(value)(map(reduced, value)) if isinstance(value, (list, tuple)) else value

    count(form)
    return reduced(form)


def _is_layer(thing: Any) -> bool:
    return hasattr(thing, "get_build_config")


def written_name(thing: Any) -> str:
    """Returns the name under which a configuration has a class or function of the user's.

    While :func:`collecting`, what has no name gets one.

    Raises:
        ModelError: it has no name, or it is that of another thing.
    """
    name = registered_name(thing) or str(getattr(thing, "__name__", "<lambda>"))
    found = _collected.get()
    if name == "<lambda>":
        if found is None:
            raise ModelError(
                f"{thing!r} cannot be saved, because it has no name. Write it as a function, "
                "with register_keras_serializable() above it."
            )
        known = [key for key, other in found.items() if other is thing]
        name = known[0] if known else f"<lambda> {len(found)}"
    if found is not None and found.setdefault(name, thing) is not thing:
        raise ModelError(f"{name!r} is the name of two things, {found[name]!r} and {thing!r}. Rename one of them.")
    return name


def describe_function(function: Any) -> dict[str, Any]:
    """Returns Keras' description of a function of the user's.

    Raises:
        ModelError: it has no name by which it could be found again.
    """
    written = written_name(function)
    return {
        "module": "builtins",
        "class_name": "function",
        "config": written if registered_name(function) is None else str(function.__name__),
        "registered_name": written,
    }


def serialize(thing: Any, kind: str) -> Any:
    """Returns Keras' serialized form of an object or function of ``kind``.

    Built-in functions become their name; objects become
    ``{"module", "class_name", "config", "registered_name"}``.
    """
    if thing is None or isinstance(thing, (str, bool, int, float)):
        return thing
    if inspect.isfunction(thing) or inspect.isbuiltin(thing):
        name = str(thing.__name__)
        if registered_name(thing) is None and _canonical[kind].get(name) is thing:
            return name
        return describe_function(thing)
    cls = type(thing)
    # what stands for one kind may be of another: a layer as an activation
    home = next((k for k in (kind, *KINDS) if _canonical[k].get(cls.__name__) is cls), None)
    form: dict[str, Any] = {
        "module": None if home is None else f"keras.{home}",
        "class_name": cls.__name__,
        "config": thing.get_config(),
        "registered_name": written_name(cls) if home is None else None,
    }
    if not _is_layer(thing):
        return form
    build_config = thing.get_build_config()
    if build_config is not None:
        form["build_config"] = build_config
    return number(thing, form)


def deserialize(config: Any, kind: str, custom: Mapping[str, Any] | None = None) -> Any:
    """Makes the object that :func:`serialize` described.

    Only names in the tables, in ``custom`` or registered by the user are looked up:
    nothing is ever imported because a file names it.
    While :func:`sharing`, layers of one number are one layer.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: the class or function is not one that is known.
    """
    if config is None:
        return None
    custom = {**_custom, **(custom or {})}
    if isinstance(config, str):
        return custom[config] if config in custom else find(kind, config)
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise FileFormatError(f"{kind}: expected a name or a serialized object, received {config!r:.80}.")
    name, inner = config["class_name"], config.get("config")
    if name == "function":
        name, inner = str(inner), None
    key = config.get("registered_name")
    thing = custom.get(key) if isinstance(key, str) else None
    thing = thing or custom.get(name) or custom.get(f"Custom>{name}")
    if thing is None:
        thing = _tables[kind].get(name)
    if thing is None and str(config.get("module")).removeprefix("keras.") in KINDS:
        thing = _tables[str(config["module"]).removeprefix("keras.")].get(name)
    if thing is None:
        raise UnknownObjectError(
            f"{kind}: {name!r} is not known here.{nearest(name, _tables[kind])} "
            "Give a class of your own in custom_objects, or register it."
        )
    if not inspect.isclass(thing):
        return thing
    if not isinstance(inner, Mapping):
        raise FileFormatError(f"{kind}: {name}: expected a configuration, received {inner!r:.80}.")
    shared, key = _shared.get(), config.get(SHARED)
    if shared is None or not isinstance(key, (int, str)):
        return thing.from_config(dict(inner))  # type: ignore[attr-defined]
    if type(shared.get(key)) is not thing:
        made = thing.from_config(dict(inner))  # type: ignore[attr-defined]
        if not _is_layer(made):
            return made
        shared[key] = made
    return shared[key]
