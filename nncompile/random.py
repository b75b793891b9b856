"""Random numbers, with the names of ``keras.random``.

All numbers come from one NumPy generator of the process, which :func:`set_seed`
resets, unless a call brings its own seed. As in Keras the functions have no state: an
integer as the seed gives the same numbers at every call, a :class:`SeedGenerator`
gives the next ones.

In a formula, where the number of rows is not known, :func:`uniform`, :func:`normal`,
:func:`truncated_normal`, :func:`randint`, :func:`binomial`, :func:`categorical` and :func:`dropout`
build an expression; the numbers are then drawn by the generated C.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backend, config, ops
from .docstrings import Family, described
from .errors import ModelError, UnsupportedError
from .registry import check_keywords
from .variables import Variable

Array = NDArray[Any]
Shape = Sequence["int | None"]

_WORD = 0xFFFF_FFFF

_generator = np.random.default_rng()


def set_seed(seed: int) -> None:
    """Starts the generator of the process over, at ``seed``.

    Args:
        seed: the number that it starts from.
    """
    global _generator
    _generator = np.random.default_rng(_integer_seed(seed) & (1 << 64) - 1)


def generator() -> np.random.Generator:
    """Returns the generator of the process."""
    return _generator


def default_seed() -> int:
    """Returns a seed for something that was given none, drawn from the generator of the process."""
    return int(_generator.integers(1, 10**9))


def next_words(count: int) -> NDArray[np.uint64]:
    """Returns numbers of 64 bits from the generator of the process, in the least time.

    Args:
        count: how many.
    """
    words: NDArray[np.uint64] = _generator.bit_generator.random_raw(count)
    return words


class SeedGenerator:
    """A source of seeds: each use gives other numbers, the same in every run.



    Args:
        seed: where to begin; drawn from the generator of the process if None.
        name: name of the state variable's path.
        **kwargs: none.

    Attributes:
        state: Variable of two unsigned words: the seed, and how often it was used.

    Raises:
        ModelError: ``seed`` is not an integer.

    Source: ``keras.random.SeedGenerator``.
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        check_keywords("SeedGenerator", kwargs, ("seed", "name"))
        self.name = backend.auto_name(type(self).__name__) if name is None else name
        self._initial_seed = None if seed is None else _integer_seed(seed)
        begin = default_seed() if self._initial_seed is None else self._initial_seed
        self.state = Variable(
            np.array([begin & _WORD, 0], dtype="uint32"),
            name="seed_generator_state",
            path=f"{self.name}/seed_generator_state",
            trainable=False,
        )

    def next(self, ordered: bool = True) -> Array:
        """Returns the state, a seed of two words, and moves on.

        Args:
            ordered: whether to count uses; otherwise the state is scrambled, which is
                Keras' way of drawing seeds that do not follow each other.
        """
        state = self.state.value
        if ordered:
            seed, used = (int(word) for word in state)
            after = [seed, (used + 1) & _WORD]
        else:
            after = [(int(word) + 1) * 5387 % 933199 for word in state]
        self.state.assign(np.array(after, dtype="uint32"))
        return state

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make a generator which begins where this one began."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Returns the generator that :meth:`get_config` described.

        Args:
            config: its arguments.
        """
        return cls(**config)


Seed = int | SeedGenerator | None


def _integer_seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ModelError(f"seed: expected an integer, received {seed!r} ({type(seed).__name__}).")
    return int(seed)


def _source(seed: Seed) -> np.random.Generator:
    """Returns the generator that ``seed`` stands for."""
    if seed is None:
        return _generator
    if isinstance(seed, SeedGenerator):
        return np.random.default_rng([int(word) for word in seed.next()])
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ModelError(f"seed: expected an integer or a SeedGenerator, received {seed!r} ({type(seed).__name__}).")
    return np.random.default_rng([int(seed) & _WORD, 0])


_IN_FORMULAS = ("uniform", "normal", "truncated_normal", "randint", "binomial", "categorical", "dropout")


def _sizes(shape: Shape, where: str) -> tuple[int, ...]:
    sizes = tuple(shape)
    if None in sizes:
        raise UnsupportedError(
            f"random.{where}: the number of rows is not known here; "
            f"in a formula these can be used: random.{', random.'.join(_IN_FORMULAS)}."
        )
    return tuple(int(size) for size in sizes if size is not None)


def _float_type(dtype: object, where: str) -> Any:
    name = config.floatx() if dtype is None else config.checked_float(dtype, f"random.{where}")
    return np.dtype(name).type


DRAWN = Family(
    {
        "shape": "of the result; with None in it, as in the shape of a formula's operand,\n"
        "        the result is an expression.",
        "dtype": '``"float32"`` or ``"float64"``; ``config.floatx()`` if None.',
        "seed": "integer, SeedGenerator, or None for the generator of the process.",
    },
    "Numbers of that shape.",
)


@described(DRAWN)
def uniform(shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed: Seed = None) -> Any:
    """Draws from [minval, maxval), every number equally likely: ``minval + (maxval - minval) * u``.

    Args:
        minval: lower bound, included.
        maxval: upper bound, excluded.

    Source: ``keras.random.uniform``.
    """
    if None in tuple(shape):
        return ops.noise(shape, seed) * (maxval - minval) + minval
    kind = _float_type(dtype, "uniform")
    values = _source(seed).random(_sizes(shape, "uniform"), dtype=kind)
    values = values * kind(maxval - minval) + kind(minval)
    if maxval > minval:  # rounding may have reached the bound that is excluded
        values = np.minimum(values, np.nextafter(kind(maxval), kind(minval)))
    return values


@described(DRAWN)
def normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None) -> Any:
    """Draws from the normal distribution, of density ``e^(-((x - mean) / stddev)^2 / 2)``, scaled.

    Args:
        mean: of the distribution.
        stddev: standard deviation of the distribution.

    Source: ``keras.random.normal``.
    """
    if None in tuple(shape):
        return _normal_formula(shape, seed) * stddev + mean
    kind = _float_type(dtype, "normal")
    values = _source(seed).standard_normal(_sizes(shape, "normal"), dtype=kind)
    return np.asarray(values * kind(stddev) + kind(mean))


def _normal_formula(shape: Shape, seed: Seed) -> Any:
    """Normal random numbers as an expression: ``sqrt(-2 log(1 - u)) * cos(2 pi v)``, u and v uniform in [0, 1).

    Box and Muller, 1958. ``1 - u`` has a step of 2^-24, so that the radius reaches 5.77,
    beyond which are 8 of 10^9 normal numbers, and log1p makes it exact where it is small.
    The other way, the inverse of the distribution function at one u, has an end at 5.4
    and in the tails few values far apart. As v is a share of the turn nothing has to be
    reduced: it is ``sin(2 pi w)`` with ``w = |v - 1/2| - 1/4`` in [-1/4, 1/4], an odd polynomial.
    """
    radius = ops.sqrt(-2.0 * ops.log1p(-ops.noise(shape, seed)))
    w = ops.abs(ops.noise(shape, seed) - 0.5) - 0.25
    square = ops.square(w)
    sine = _SINE_OF_TURNS[-1]
    for coefficient in reversed(_SINE_OF_TURNS[:-1]):
        sine = sine * square + coefficient
    return radius * (sine * w)


_SINE_OF_TURNS = (
    6.2831852801544065,
    -41.3416806133465153,
    81.6024763689251797,
    -76.5811726442787245,
    39.7598270853191011,
)
"""Coefficients of w, w^3, … in a polynomial that is sin(2 pi w) for ``|w| <= 1/4``, to 7e-9 (minimax)."""


@described(DRAWN)
def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    """Draws from the normal distribution, again wherever it is over 2 ``stddev`` off.

    The standard deviation of the result is 0.8796 ``stddev``. In a formula, where ``shape`` has
    None in it, nothing is drawn again: it is ``sqrt(2) erfinv(erf(sqrt(2)) (2 u - 1))`` of a
    uniform u, which is distributed the same.

    Args:
        mean: of the distribution.
        stddev: its standard deviation before it is cut off.

    Source: ``keras.random.truncated_normal``.
    """
    if None in tuple(shape):
        centred = math.erf(math.sqrt(2)) * (2.0 * ops.noise(shape, seed) - 1.0)
        return ops.erfinv(centred) * (math.sqrt(2) * stddev) + mean
    kind = _float_type(dtype, "truncated_normal")
    source = _source(seed)
    values = np.asarray(source.standard_normal(_sizes(shape, "truncated_normal"), dtype=kind))
    while (outside := np.abs(values) > 2).any():
        values[outside] = source.standard_normal(int(outside.sum()), dtype=kind)
    return np.asarray(values * kind(stddev) + kind(mean))


@described(DRAWN)
def randint(shape: Shape, minval: int, maxval: int, dtype: str = "int32", seed: Seed = None) -> Any:
    """Draws integers from [minval, maxval), every one equally likely.

    In a formula, where ``shape`` has None in it, they are ``minval + floor(u (maxval - minval))``
    of a uniform u with 24 bits.

    Args:
        minval: the least.
        maxval: what all are below.
        dtype: a type of integers.

    Raises:
        ModelError: the type is not one of integers, or in a formula there are over 2^24 of them.

    Source: ``keras.random.randint``.
    """
    if np.dtype(dtype).kind not in "iu":
        raise ModelError(f"random.randint: expected an integer type, received dtype={dtype!r}.")
    if None in tuple(shape):
        if not 0 < maxval - minval <= 1 << 24:
            raise ModelError(f"random.randint: expected 1 to 2^24 integers, received {minval} to {maxval}.")
        return ops.floor(ops.noise(shape, seed) * float(maxval - minval)) + float(minval)
    return np.asarray(_source(seed).integers(minval, maxval, _sizes(shape, "randint"), dtype=np.dtype(dtype)))


@described(DRAWN)
def categorical(logits: ArrayLike, num_samples: int, dtype: str = "int32", seed: Seed = None) -> Any:
    """Draws ``num_samples`` classes for each row of unnormalised log-probabilities: with ``e^logits / sum(e^logits)``.

    A class is where ``logits - log(-log(u))`` is largest, of uniform u (Gumbel, 1954).

    Args:
        logits: shape (rows, classes); values of a formula as well.
        num_samples: how many.
        dtype: type of the numbers of an array.

    Returns:
        Class numbers, shape (rows, num_samples).

    Raises:
        ModelError: logits of another shape.

    Source: ``keras.random.categorical``.
    """
    if isinstance(logits, ops.Expression):
        if len(logits.shape) != 2:
            raise ModelError(f"random.categorical: expected logits (rows, classes), received shape {logits.shape}.")
        drawn = []
        for _ in range(num_samples):
            u = ops.noise(logits.shape, seed) + 2.0**-25  # never 0, whose logarithm would never be drawn
            drawn.append(ops.argmax(logits - ops.log(-ops.log(u)), axis=-1))
        return ops.stack(drawn, axis=-1)
    scores = np.asarray(logits, dtype="float64")
    if scores.ndim != 2:
        raise ModelError(f"random.categorical: expected logits (rows, classes), received shape {scores.shape}.")
    # The largest of log-probabilities with Gumbel noise is distributed as the classes are.
    noise = _source(seed).gumbel(size=(scores.shape[0], num_samples, scores.shape[1]))
    return np.asarray(np.argmax(scores[:, None, :] + noise, axis=-1).astype(dtype))


@described(DRAWN)
def gamma(shape: Shape, alpha: ArrayLike, dtype: str | None = None, seed: Seed = None) -> Array:
    """Draws from the gamma distribution of scale 1: density ``x^(alpha - 1) * e^-x``, scaled.

    Args:
        shape: of the result; in a formula there is none.
        alpha: the shape parameter, above 0.

    Source: ``keras.random.gamma``.
    """
    kind = _float_type(dtype, "gamma")
    return np.asarray(_source(seed).gamma(np.asarray(alpha), size=_sizes(shape, "gamma"))).astype(kind)


@described(DRAWN)
def beta(shape: Shape, alpha: ArrayLike, beta: ArrayLike, dtype: str | None = None, seed: Seed = None) -> Array:
    """Draws from the beta distribution: density ``x^(alpha - 1) * (1 - x)^(beta - 1)``, scaled.

    Args:
        shape: of the result; in a formula there is none.
        alpha: above 0.
        beta: above 0.

    Source: ``keras.random.beta``.
    """
    kind = _float_type(dtype, "beta")
    values = _source(seed).beta(np.asarray(alpha), np.asarray(beta), size=_sizes(shape, "beta"))
    return np.asarray(values).astype(kind)


@described(DRAWN)
def binomial(
    shape: Shape, counts: ArrayLike, probabilities: ArrayLike, dtype: str | None = None, seed: Seed = None
) -> Any:
    """Draws how many of ``counts`` trials succeed, each with its probability.

    In a formula, where ``shape`` has None in it, each trial is drawn: ``counts`` is then a number up to 64.

    Args:
        counts: of trials.
        probabilities: of success, from 0 to 1.

    Raises:
        ModelError: in a formula, other counts.

    Source: ``keras.random.binomial``.
    """
    if None in tuple(shape):
        if np.ndim(counts) or not 0 < counts <= 64 or counts != int(counts):  # type: ignore[operator,arg-type]
            raise ModelError(f"random.binomial: in a formula expected counts from 1 to 64, received {counts!r}.")
        trials = [ops.cast(ops.less(ops.noise(shape, seed), probabilities), dtype) for _ in range(int(counts))]  # type: ignore[arg-type]
        return functools.reduce(operator.add, trials)
    kind = _float_type(dtype, "binomial")
    whole = np.asarray(counts).astype("int64")
    values = _source(seed).binomial(whole, np.asarray(probabilities), size=_sizes(shape, "binomial"))
    return np.asarray(values).astype(kind)


def shuffle(x: ArrayLike, axis: int = 0, seed: Seed = None) -> Array:
    """Returns ``x`` with its slices along ``axis`` in random order; slices stay whole.

    Args:
        x: array.
        axis: along which.
        seed: integer, SeedGenerator, or None for the generator of the process.

    Source: ``keras.random.shuffle``.
    """
    return np.asarray(_source(seed).permutation(np.asarray(x), axis=axis))


def noise_like(inputs: Any, noise_shape: Shape | None = None, seed: Seed = None) -> Any:
    """Draws uniform numbers in [0, 1) that meet ``inputs``.

    Args:
        inputs: array or expression.
        noise_shape: of the numbers, None in it for a size of the input; that of the
            input if None. Along axes of 1 the numbers are the same.
        seed: integer, SeedGenerator, or None.

    Returns:
        Numbers in that shape.

    Raises:
        ModelError: ``noise_shape`` does not fit the input.
        UnsupportedError: in a formula, one number for the whole batch.
    """
    shape = ops.shape(inputs)
    if noise_shape is None:
        return uniform(shape, seed=seed)
    wanted = tuple(noise_shape)
    fits = len(wanted) == len(shape) and all(n in (None, 1, size) for n, size in zip(wanted, shape, strict=True))
    if not fits:
        raise ModelError(f"random: expected noise_shape to fit an input of shape {shape}, received {wanted}.")
    wanted = tuple(size if n is None else n for n, size in zip(wanted, shape, strict=True))
    if shape[0] is None and wanted[0] is not None:
        raise UnsupportedError(
            f"random: noise_shape={tuple(noise_shape)} is one number for the whole batch, which is not supported "
            "yet in a formula. Begin it with None."
        )
    noise = uniform(wanted, seed=seed)
    return noise if wanted == shape else ops.broadcast_to(noise, shape)


def dropout(inputs: Any, rate: float, noise_shape: Shape | None = None, seed: Seed = None) -> Any:
    """Sets a random share of ``inputs`` to zero and scales up the rest.

    Where U is uniform in [0, 1): ``x / (1 - rate)`` if ``U < 1 - rate``, else 0.

    Args:
        inputs: array or expression.
        rate: share to drop, from 0 (all stay) to 1 (none does).
        noise_shape: of U, None in it for a size of the input; that of the input if None.
            Along axes of 1 all is dropped or kept together.
        seed: integer, SeedGenerator, or None.

    Returns:
        Numbers in the shape of ``inputs``.

    Raises:
        ModelError: ``rate`` is not such a share, or ``noise_shape`` does not fit the input.

    Source: ``keras.random.dropout``; Srivastava et al., 2014.
    """
    if isinstance(rate, bool) or not 0 <= rate <= 1 or math.isnan(rate):
        raise ModelError(f"random.dropout: expected a rate between 0 and 1, received {rate!r}.")
    if rate == 0:
        return inputs
    if rate == 1:
        return ops.zeros_like(inputs)
    keep = 1.0 - rate
    noise = noise_like(inputs, noise_shape, seed)
    return ops.where(ops.less(noise, keep), inputs * (1.0 / keep), 0.0)
