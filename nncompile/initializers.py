"""Initial numbers of weights, with the names of ``keras.initializers``.

An initializer is called with a shape and an element type and returns a NumPy array.
As in Keras, one that was given no seed draws one when it is made: the same object
gives the same numbers at every call, another object gives others.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import config as settings
from . import random, registry
from .docstrings import completed, family_of
from .errors import FileFormatError, ModelError
from .registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
Shape = Sequence[int]
InitializerFunction = Callable[..., Any]

_TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution cut off at -2 and 2."""

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")


def _number(value: Any, owner: str, name: str) -> float:
    """Checks that an argument is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ModelError(f"{owner}: expected {name} to be a number, received {value!r:.80}.")
    number: float = value.item() if isinstance(value, np.generic) else value
    return number


def _axes(axes: Any, owner: str, name: str) -> list[int] | None:
    """Checks that an argument is a list of axes, or None."""
    if axes is None:
        return None
    if not isinstance(axes, (list, tuple)) or not all(type(axis) is int for axis in axes):
        raise ModelError(f"{owner}: expected {name} to be a list of integers, received {axes!r:.80}.")
    return list(axes)


def _element_type(dtype: Any) -> Any:
    return np.dtype(settings.floatx() if dtype is None else dtype)


class Initializer:
    """Base of initializers; subclass it, or give any ``function(shape, dtype=None)``.

    Source: ``keras.initializers.Initializer``.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        """Returns the numbers.

        Args:
            shape: of the weight.
            dtype: its element type; ``config.floatx()`` if None.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, shape, dtype=None).")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the initializer that :meth:`get_config` described.

        Args:
            config: its arguments.

        Raises:
            FileFormatError: an entry is not an argument of the class.
        """
        arguments = dict(config)
        accepted = inspect.signature(cls).parameters
        if "dtype" not in accepted:
            arguments.pop("dtype", None)  # written by the Keras of TensorFlow 1
        try:
            inspect.signature(cls).bind(**arguments)
        except TypeError as error:
            raise FileFormatError(f"{cls.__name__}: its configuration does not fit: {error}.") from error
        return cls(**arguments)

    def clone(self) -> Self:
        """Returns an equal initializer."""
        return type(self).from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


# ------------------------------------------------------------------ fixed numbers


@register("initializers", "zero")
class Zeros(Initializer):
    """All 0.

    Source: ``keras.initializers.Zeros``.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        return np.zeros(tuple(shape), dtype=_element_type(dtype))


@register("initializers", "one")
class Ones(Initializer):
    """All 1.

    Source: ``keras.initializers.Ones``.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        return np.ones(tuple(shape), dtype=_element_type(dtype))


@register("initializers")
class Constant(Initializer):
    """All ``value``; or, given an array, exactly its numbers.

    Args:
        value: a number, or an array of the shape that will be asked for.

    Source: ``keras.initializers.Constant``.
    """

    def __init__(self, value: Any = 0.0) -> None:
        if isinstance(value, Mapping):
            value = _array_from_config(value)
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ModelError(f"Constant: expected a number, received {value!r:.80}.")
        self.value = array.copy() if array.ndim else value

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        if isinstance(self.value, np.ndarray):
            if self.value.shape != tuple(shape):
                raise ModelError(f"Constant: the array given has shape {self.value.shape}, the weight {tuple(shape)}.")
            return self.value.astype(_element_type(dtype))
        return np.full(tuple(shape), self.value, dtype=_element_type(dtype))

    def get_config(self) -> dict[str, Any]:
        if not isinstance(self.value, np.ndarray):
            return {"value": self.value.item() if isinstance(self.value, np.generic) else self.value}
        inner = {"value": self.value.tolist(), "dtype": str(self.value.dtype)}
        return {"value": {"class_name": "__numpy__", "config": inner}}


def _array_from_config(config: Mapping[str, Any]) -> Array:
    """Reads the form in which Keras writes an array into a configuration."""
    inner = config.get("config")
    if config.get("class_name") not in ("__numpy__", "__tensor__") or not isinstance(inner, Mapping):
        raise FileFormatError(f"Constant: expected a number or an array, received {config!r:.80}.")
    try:
        dtype = np.dtype(str(inner.get("dtype")))
        array = np.asarray(inner.get("value"))
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"Constant: the array cannot be read: {error}.") from error
    if dtype.kind not in "biuf" or array.dtype.kind not in "biuf":
        raise FileFormatError(f"Constant: expected numbers, received an array of {dtype} and {array.dtype}.")
    return array.astype(dtype)


@register("initializers", "IdentityInitializer")
class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere.

    Args:
        gain: what is on the diagonal.

    Source: ``keras.initializers.Identity``.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _number(gain, "Identity", "gain")

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        if len(shape) != 2:
            raise ModelError(f"Identity: expected a weight of two axes, received shape {tuple(shape)}.")
        return self.gain * np.eye(*shape, dtype=_element_type(dtype))

    def get_config(self) -> dict[str, Any]:
        # Keras leaves the gain out and reads it if it is there, so it is written when it matters.
        return {} if self.gain == 1 else {"gain": self.gain}


# ------------------------------------------------------------------ random numbers


class RandomInitializer(Initializer):
    """Base of initializers that draw.

    Args:
        seed: integer: the same numbers always. SeedGenerator: others at every call.
            None: an integer is drawn now.

    Source: ``keras.initializers.RandomInitializer``.
    """

    def __init__(self, seed: Any = None) -> None:
        self._init_seed = seed
        if isinstance(seed, Mapping):
            self._init_seed = seed = _seed_from_config(seed, type(self).__name__)
        if seed is None:
            seed = random.default_seed()
        elif isinstance(seed, bool) or not isinstance(seed, (int, np.integer, random.SeedGenerator)):
            raise ModelError(
                f"{type(self).__name__}: expected seed to be an integer or a SeedGenerator, received {seed!r}."
            )
        self.seed: int | random.SeedGenerator = int(seed) if isinstance(seed, np.integer) else seed

    def get_config(self) -> dict[str, Any]:
        seed = self._init_seed
        if isinstance(seed, random.SeedGenerator):
            seed = {
                "module": "keras.random",
                "class_name": "SeedGenerator",
                "config": seed.get_config(),
                "registered_name": None,
            }
        return {"seed": int(seed) if isinstance(seed, np.integer) else seed}


def _seed_from_config(config: Mapping[str, Any], owner: str) -> random.SeedGenerator:
    inner = config.get("config")
    if config.get("class_name") != "SeedGenerator" or not isinstance(inner, Mapping):
        raise FileFormatError(f"{owner}: expected a seed, received {config!r:.80}.")
    return random.SeedGenerator(seed=inner.get("seed"), name=inner.get("name"))


@register("initializers", "normal")
class RandomNormal(RandomInitializer):
    """Normal distribution: density ``e^(-((x - mean) / stddev)^2 / 2)``, scaled.

    Args:
        mean: of the distribution.
        stddev: its standard deviation.
        seed: as of :class:`RandomInitializer`.

    Source: ``keras.initializers.RandomNormal``.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = _number(mean, type(self).__name__, "mean")
        self.stddev = _number(stddev, type(self).__name__, "stddev")
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        values: Array = random.normal(shape, self.mean, self.stddev, dtype, self.seed)
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@register("initializers")
class TruncatedNormal(RandomNormal):
    """Normal distribution, drawn again wherever it is over two ``stddev`` from ``mean``.

    Args:
        mean: of the distribution.
        stddev: its standard deviation before it is cut off.
        seed: as of :class:`RandomInitializer`.

    Source: ``keras.initializers.TruncatedNormal``.
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        return np.asarray(random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed))


@register("initializers", "uniform")
class RandomUniform(RandomInitializer):
    """Uniform in [minval, maxval).

    Args:
        minval: the least number.
        maxval: what all numbers are below.
        seed: as of :class:`RandomInitializer`.

    Source: ``keras.initializers.RandomUniform``.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval = _number(minval, type(self).__name__, "minval")
        self.maxval = _number(maxval, type(self).__name__, "maxval")
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        values: Array = random.uniform(shape, self.minval, self.maxval, dtype, self.seed)
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def compute_fans(
    shape: Shape, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Returns how many inputs and outputs a weight of ``shape`` connects.

    Args:
        shape: ``(inputs, outputs)``, or with further axes of a receptive field before.
        input_axes: axes of inputs, if they are not where ``shape`` says.
        output_axes: axes of outputs; both must be given or neither is used.
    """
    sizes = tuple(int(size) for size in shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(sizes[a] for a in input_axes), math.prod(sizes[a] for a in output_axes)
    if len(sizes) < 2:
        size = sizes[0] if sizes else 1
        return size, size
    field = math.prod(sizes[:-2])
    return sizes[-2] * field, sizes[-1] * field


@register("initializers")
class VarianceScaling(RandomInitializer):
    """Scales with the number of connections n: variance ``scale / max(1, n)``.

    Args:
        scale: positive number.
        mode: n is ``"fan_in"`` (inputs), ``"fan_out"`` (outputs) or ``"fan_avg"`` (mean).
        distribution: ``"truncated_normal"`` (drawn again beyond two standard
            deviations, and scaled so that the variance is right afterwards),
            ``"untruncated_normal"``, or ``"uniform"`` in ±sqrt(3 * variance).
        seed: as of :class:`RandomInitializer`.
        input_axes: see :func:`compute_fans`.
        output_axes: see :func:`compute_fans`.

    Raises:
        ModelError: an argument is none of these.

    Source: ``keras.initializers.VarianceScaling``.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        owner = type(self).__name__
        scale = _number(scale, owner, "scale")
        if not scale > 0:
            raise ModelError(f"{owner}: expected a positive scale, received {scale!r}.")
        if mode not in _MODES:
            raise ModelError(f"{owner}: expected mode to be one of {_MODES}, received {mode!r}.")
        wanted = str(distribution).lower()
        wanted = "truncated_normal" if wanted == "normal" else wanted
        if wanted not in _DISTRIBUTIONS:
            raise ModelError(
                f"{owner}: expected distribution to be one of {_DISTRIBUTIONS}, received {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = wanted
        self.input_axes = _axes(input_axes, owner, "input_axes")
        self.output_axes = _axes(output_axes, owner, "output_axes")
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            values: Array = random.uniform(shape, -limit, limit, dtype, self.seed)
            return values
        if self.distribution == "untruncated_normal":
            values = random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
            return values
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return np.asarray(random.truncated_normal(shape, 0.0, stddev, dtype, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A VarianceScaling whose scale, mode and distribution are in its name.

    Args:
        seed: as of :class:`RandomInitializer`.
        input_axes: see :func:`compute_fans`.
        output_axes: see :func:`compute_fans`.
    """

    _fixed: tuple[float, str, str] = (1.0, "fan_in", "truncated_normal")

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self._fixed, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.__doc__:
            family = family_of(_Named.__doc__ or "")
            cls.__doc__ = completed(cls.__doc__, family.arguments, family)

    def get_config(self) -> dict[str, Any]:
        seed = super().get_config()["seed"]
        return {"seed": seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


@register("initializers")
class GlorotUniform(_Named):
    """Uniform in ±sqrt(6 / (inputs + outputs)). Glorot and Bengio, 2010.

    Source: ``keras.initializers.GlorotUniform``.
    """

    _fixed = (1.0, "fan_avg", "uniform")


@register("initializers")
class GlorotNormal(_Named):
    """Truncated normal, variance 2 / (inputs + outputs). Glorot and Bengio, 2010.

    Source: ``keras.initializers.GlorotNormal``.
    """

    _fixed = (1.0, "fan_avg", "truncated_normal")


@register("initializers")
class HeUniform(_Named):
    """Uniform in ±sqrt(6 / inputs). He et al., 2015.

    Source: ``keras.initializers.HeUniform``.
    """

    _fixed = (2.0, "fan_in", "uniform")


@register("initializers")
class HeNormal(_Named):
    """Truncated normal, variance 2 / inputs. He et al., 2015.

    Source: ``keras.initializers.HeNormal``.
    """

    _fixed = (2.0, "fan_in", "truncated_normal")


@register("initializers")
class LecunUniform(_Named):
    """Uniform in ±sqrt(3 / inputs). LeCun et al., 1998.

    Source: ``keras.initializers.LecunUniform``.
    """

    _fixed = (1.0, "fan_in", "uniform")


@register("initializers")
class LecunNormal(_Named):
    """Truncated normal, variance 1 / inputs. LeCun et al., 1998.

    Source: ``keras.initializers.LecunNormal``.
    """

    _fixed = (1.0, "fan_in", "truncated_normal")


@register("initializers", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix whose columns, or rows if it is wide, are orthonormal.

    The Q of the QR decomposition of a normal matrix, with the signs that make R's
    diagonal positive, so that every orthogonal matrix is equally likely. Axes before
    the last count as rows. Saxe et al., 2014.

    Args:
        gain: factor of the matrix.
        seed: as of :class:`RandomInitializer`.

    Raises:
        ModelError: when called for fewer than two axes.

    Source: ``keras.initializers.Orthogonal``.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = _number(gain, "Orthogonal", "gain")
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        if len(shape) < 2:
            raise ModelError(f"Orthogonal: expected a weight of two axes or more, received shape {tuple(shape)}.")
        columns = int(shape[-1])
        rows = math.prod(int(size) for size in shape[:-1])
        kind = settings.checked_float(dtype or settings.floatx(), "Orthogonal")
        tall = random.normal((max(rows, columns), min(rows, columns)), dtype="float64", seed=self.seed)
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q.T if rows < columns else q)).reshape(tuple(shape)).astype(kind)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


# ------------------------------------------------------------------ lookup


def serialize(initializer: Any) -> Any:
    """Returns Keras' serialized form of an initializer.

    Args:
        initializer: an object, or a function.

    Source: ``keras.initializers.serialize``.
    """
    return registry.serialize(initializer, "initializers")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the initializer that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: the class is not known.

    Source: ``keras.initializers.deserialize``.
    """
    found = registry.deserialize(config, "initializers", custom_objects)
    return found() if inspect.isclass(found) else found


def get(identifier: Any) -> InitializerFunction | None:
    """Returns the initializer that ``identifier`` stands for.

    Args:
        identifier: an initializer, its class, its name (``"glorot_uniform"``,
            ``"GlorotUniform"``, ``"zeros"``, …), its serialized form, any
            ``function(shape, dtype=None)``, an array of initial numbers, or None.

    Raises:
        ModelError: it is none of these.

    Source: ``keras.initializers.get``.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, Mapping)):
        identifier = deserialize(identifier)
    elif isinstance(identifier, (np.ndarray, np.generic)):
        identifier = Constant(identifier)
    elif inspect.isclass(identifier):
        identifier = identifier()
    if not callable(identifier):
        raise ModelError(
            f"initializers: expected a name, an initializer, a function or an array, received {identifier!r:.80}."
        )
    function: InitializerFunction = identifier
    return function


def initial_value(initializer: InitializerFunction, shape: Shape, dtype: str, where: str) -> Array:
    """Calls an initializer and checks what it returns.

    Args:
        initializer: as :func:`get` returns it.
        shape: of the weight.
        dtype: its element type.
        where: name of the weight, for errors.

    Returns:
        The numbers, in that shape.

    Raises:
        ModelError: the numbers have another shape, or there is no room for them.
    """
    try:
        value = np.asarray(initializer(tuple(shape), dtype=dtype))
    except MemoryError as error:
        size = math.prod(shape) * np.dtype(dtype).itemsize / 1e9
        raise ModelError(f"{where}: a weight of shape {tuple(shape)} needs {size:,.1f} GB of memory.") from error
    if value.shape != tuple(shape):
        raise ModelError(f"{where}: its initializer returned shape {value.shape} instead of {tuple(shape)}.")
    return value.astype(dtype, copy=False)


# The names in lower case that Keras has as well.
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros
