"""Operations of formulas, with the names of ``keras.ops``.

Given arrays an operation computes with NumPy; given an :class:`Expression` it builds
one. A formula written with these names is therefore its own NumPy reference and the
source of its C and of its gradient.

A formula works on one row at a time: an expression is a number, a value per row
(*row*), or a value per row and column (*element*). Reductions are over the last axis.
As in NumPy, a reduction drops that axis unless ``keepdims=True``, and only with it can
the result meet elements again.

Python numbers and hyper-parameters are typed weakly, as in NumPy 2 and JAX: among
themselves they are computed in double precision, and they take the element type when
they meet a tensor or the step.
"""

from __future__ import annotations

from . import algebra, loops, making, mathematics, neural, orders, reductions, shapes, symbolic, weights, whole
from .arrays import (
    batch_mean,
    broadcast_to,
    concatenate,
    flip,
    moveaxis,
    pad,
    repeat,
    roll,
    split,
    stack,
    swapaxes,
    take,
    tile,
    transpose,
)
from .core import (
    PRIMITIVES,
    Primitive,
    abs,
    absolute,
    add,
    arctan,
    argmax,
    bfloat16,
    cast,
    clip,
    copysign,
    cos,
    custom_gradient,
    divide,
    equal,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    expm1,
    floor,
    fmod,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    log2,
    logical_and,
    logical_not,
    logical_or,
    max,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    prod,
    reciprocal,
    rsqrt,
    set_owner,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
    subtract,
    sum,
    tanh,
    where,
)
from .expressions import (
    ELEMENT,
    NUMBER,
    ROW,
    UNIFORM,
    Array,
    Binary,
    Expression,
    Gradients,
    Noise,
    Symbol,
    Unary,
    column,
    constant,
    node,
    noise,
    symbol,
)
from .reshaping import (
    convert_to_tensor,
    expand_dims,
    matmul,
    one_hot,
    ones_like,
    products_in,
    reshape,
    shape,
    squeeze,
    zeros_like,
)
from .symbolic import KerasTensor

__all__ = [
    "ELEMENT",
    "NUMBER",
    "PRIMITIVES",
    "ROW",
    "UNIFORM",
    "Array",
    "Binary",
    "Expression",
    "Gradients",
    "KerasTensor",
    "Noise",
    "Primitive",
    "Symbol",
    "Unary",
    "abs",
    "absolute",
    "add",
    "arctan",
    "argmax",
    "batch_mean",
    "bfloat16",
    "broadcast_to",
    "cast",
    "clip",
    "column",
    "concatenate",
    "constant",
    "convert_to_tensor",
    "copysign",
    "cos",
    "custom_gradient",
    "divide",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "flip",
    "floor",
    "fmod",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "node",
    "noise",
    "not_equal",
    "one_hot",
    "ones_like",
    "pad",
    "power",
    "prod",
    "products_in",
    "reciprocal",
    "repeat",
    "reshape",
    "roll",
    "rsqrt",
    "set_owner",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "symbol",
    "take",
    "tanh",
    "tile",
    "transpose",
    "weights",
    "where",
    "zeros_like",
]

from .algebra import *  # noqa: F403
from .loops import *  # noqa: F403
from .making import *  # noqa: F403
from .mathematics import *  # noqa: F403
from .neural import *  # noqa: F403
from .orders import *  # noqa: F403
from .reductions import *  # noqa: F403
from .shapes import *  # noqa: F403
from .shapes import slice_ as slice
from .whole import *  # noqa: F403

__all__ += mathematics.__all__
__all__ += neural.__all__
__all__ += reductions.__all__
__all__ += shapes.__all__
__all__ += algebra.__all__
__all__ += loops.__all__
__all__ += making.__all__
__all__ += orders.__all__
__all__ += whole.__all__
__all__ += ["slice"]

symbolic.overload(globals(), __all__)
