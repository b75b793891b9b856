"""Operations as users of Keras call them within a layer: the compiled network against Keras on arrays."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import nncompile as nn
from nncompile.errors import ModelError, UnsupportedError
from nncompile.ops import symbolic

pytestmark = pytest.mark.quick_c

_RNG = np.random.default_rng(11)
W = _RNG.uniform(-1, 1, (8, 5)).astype("float32")
V = _RNG.uniform(-1, 1, 8).astype("float32")
INPUTS: dict[str, np.ndarray[Any, Any]] = {
    "rows": _RNG.uniform(0.1, 0.9, (6, 8)).astype("float32"),
    "matrices": _RNG.uniform(-1, 1, (6, 4, 4)).astype("float32"),
    "tables": _RNG.uniform(-1, 1, (6, 3, 4)).astype("float32"),
    "thin": _RNG.uniform(-1, 1, (6, 1, 4, 1)).astype("float32"),
    "numbers": _RNG.integers(0, 7, (6, 8)).astype("float32"),
    "holes": np.where(_RNG.uniform(size=(6, 9)) < 0.4, np.nan, _RNG.normal(size=(6, 9))).astype("float32"),
}
INPUTS["holes"][2] = np.nan

CALLS = {
    "rows": """
        o.concatenate([x, o.zeros_like(x)], axis=1)
        o.cross(x[:, :3], x[:, 3:6])
        o.cross(x[:, :2], x[:, 3:6])
        o.cross(x[:, :2], x[:, 3:5])
        o.cross(x[:, :3], V[:3])
        o.einsum("bi,bj->bij", x, x)
        o.einsum("bi,ij->bj", x, W)
        o.einsum("...i,ij->...j", x, W)
        o.einsum("...i,ij->...", x, W)
        o.einsum("bi,ij,kj->bk", x, W, W)
        o.einsum("ij,bi,bi->bj", W, x, x)
        o.get_item(x, (slice(None), slice(1, 4)))
        x[:, ::-1]
        x[:, ::2]
        x[:, None]
        x[:, [0, 2, 1, 2]]
        x[:, [-1, 0]]
        o.take(x, [0, 2], axis=1)
        o.matmul(x, W)
        o.dot(x, W)
        o.dot(x, V)
        o.tensordot(x, W, axes=1)
        o.tensordot(x, W.T.copy(), axes=[[1], [1]])
        o.inner(x, W.T.copy())
        o.inner(x, V)
        o.outer(x[:, 0], V)
        o.vander(x[:, 0], 4)
        o.vander(x[:, 0], 3, True)
        o.moments(x, axes=[1])[0]
        o.moments(x, axes=[1], keepdims=True)[1]
        o.pad(x, ((0, 0), (1, 2)))
        o.pad(x, ((0, 0), (1, 2)), mode="reflect")
        o.pad(x, ((0, 0), (1, 2)), constant_values=3.0)
        o.repeat(x, 2, axis=1)
        o.tile(x, (1, 2))
        o.reshape(x, (-1, 2, 4))
        o.searchsorted(V[:0], x[:, 0])
        o.digitize(x, np.array([0.2, 0.5], "float32"))
        o.select([x > 0.5, x > 0.3], [x, 2 * x], default=0.0)
        o.split(x, 2, axis=1)[1]
        o.split(x, [2, 5], axis=-1)[1]
        o.array_split(x, 3, axis=1)[0]
        o.stack([x, 2 * x], axis=1)
        o.stack([x, 2 * x], axis=-1)
        o.hstack([x, 2 * x])
        o.norm(x, axis=-1)
        o.norm(x, ord=np.inf, axis=1, keepdims=True)
        o.norm(x, ord=0, axis=1)
        o.normalize(x)
        o.floor_divide(x, 0.3)
        o.in_top_k(o.cast(x[:, 0] * 4, "int32"), x[:, 1:], 2)
        o.top_k(x, 3)[0]
        o.top_k(x, 3)[1]
        o.argsort(x)
        o.take_along_axis(x, o.argsort(x), axis=-1)
        o.percentile(x, 30, axis=1)
        o.average(x, axis=1, weights=V)
        o.diff(x, n=2)
        o.isclose(x, o.abs(V))
        o.isfinite(x)
        o.signbit(x - 0.5)
        x > 0.5
        o.logical_and(x > 0.3, x < 0.6)
        o.expand_dims(x, (1, 3))
        o.squeeze(o.exp(x))
        o.squeeze(x[:, None], 1)
        o.roll(x, 2, axis=1)
        o.fori_loop(0, 3, lambda i, v: v * 1.1 + i, x)
        o.sparse_categorical_crossentropy(o.cast(x[:, 0] * 7, "int32"), o.softmax(x))
        o.cast(x * 9 - 4, "int32")
        o.cast(o.cast(x * 9 - 4, "int32"), "float32") / 2
        o.saturate_cast(x * 500 - 200, "int8")
        o.layer_normalization(x)
    """,
    "matrices": """
        o.einsum("bij,bjk->bik", x, x)
        o.einsum("bij,bij->b", x, x)
        o.einsum("...ij,...jk->...ik", x, x)
        o.einsum("bij,bjk,bkl->bil", x, x, x)
        o.trace(x, axis1=1, axis2=2)
        o.diagonal(x, axis1=1, axis2=2)
        o.diagonal(x, 1, 1, 2)
        o.tril(x)
        o.triu(x, 1)
        o.rot90(x, 1, (1, 2))
        o.norm(x, axis=(1, 2))
        o.norm(x, ord=1, axis=(1, 2))
        o.norm(x, ord=np.inf, axis=(-1, -2), keepdims=True)
        o.norm(x, ord=-1, axis=(-2, -1))
    """,
    "tables": """
        o.concatenate([x, 2 * x], axis=-1)
        o.einsum("bij->bji", x)
        o.einsum("bij,kj->bik", x, V.reshape(2, 4))
        x[..., 1]
        x[:, 1]
        x[:, 1:, ::2]
        x[:, [2, 0]]
        x[:, :, [3, 1, 1]]
        x[:, [True, False, True]]
        o.take(x, np.array([0, 2]), axis=-1)
        o.matmul(x, o.transpose(x, (0, 2, 1)))
        o.matmul(x, V[:4])
        o.tensordot(x, W[:4], axes=[[2], [0]])
        o.tensordot(x, W[:3], axes=[[1], [0]])
        o.moments(x, axes=(1, 2))[1]
        o.moveaxis(x, 1, 2)
        o.pad(x, ((0, 0), (1, 2), (0, 1)))
        o.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=-2.5)
        o.repeat(x, 3, axis=-1)
        o.tile(x, (1, 2, 3))
        o.rearrange(x, "b h w -> b w h")
        o.reshape(x, (o.shape(x)[0], 12))
        o.norm(x, ord="fro", axis=(1, 2))
        o.normalize(x, axis=1, order=1)
        o.mod(x, 0.3)
        o.cast(x - x * (x > 0), "bool")
        o.cast(x * 5, "int32")
        o.sort(x, axis=1)
        o.softmax(x, axis=(1, 2))
        o.logsumexp(x, axis=(1, 2))
        o.logsumexp(x, axis=1, keepdims=True)
        o.max(x, axis=[1])
        o.sum(x, axis=[1])
        o.sum(x, axis=[-1, 1])
        o.mean(x, axis=[2])
        o.var(x, axis=[1, 2])
        o.std(x, axis=(1, 2), keepdims=True)
        o.prod(x, axis=1)
        o.all(x > 0, axis=1)
        o.any(x > 0, axis=-1)
        o.argmax(x, axis=1)
        o.count_nonzero(x > 0, axis=1)
        o.cumsum(x, axis=1)
        o.cumprod(x, axis=-1)
        o.trapezoid(x, axis=1)
        o.flip(x, axis=(1, 2))
        o.roll(x, (1, 2), axis=(1, 2))
        o.fliplr(x)
    """,
    "thin": """
        o.squeeze(o.exp(x), 1)
        o.squeeze(x, -1)
        o.squeeze(x, (1, 3))
    """,
    "numbers": """
        o.one_hot(o.cast(x, "int32"), 7)
        o.multi_hot(o.cast(x, "int32"), 7)
        o.bincount(o.cast(x, "int32"), minlength=7)
        o.bincount(o.cast(x, "int32"), weights=x * 0.5, minlength=7)
    """,
    "holes": """
        o.nanmedian(x, axis=1)
        o.nanmedian(x[:, None, :], axis=-1, keepdims=True)
        o.nanquantile(x, 0.3, axis=1)
        o.nanquantile(x, 0.6, axis=-1, method="nearest")
        o.nanpercentile(x, 81.0, axis=1, method="lower")
        o.nanpercentile(x, 81.0, axis=1, method="higher")
        o.nanpercentile(x, 35.0, axis=1, method="midpoint")
    """,
}
REFUSED = {  # what Keras does with the whole batch, which a formula does not see
    "flipud": lambda x: nn.ops.flipud(x),
    "rot90": lambda x: nn.ops.rot90(x, 2),
    "diagonal": lambda x: nn.ops.diagonal(x),
    "squeeze": lambda x: nn.ops.squeeze(x, 1),
    "squeeze the batch": lambda x: nn.ops.squeeze(x[:, :1], 0),
    "ravel": lambda x: nn.ops.ravel(x),
    "inner": lambda x: nn.ops.inner(x, x),
    "outer": lambda x: nn.ops.outer(x, x),
    "tensordot": lambda x: nn.ops.tensordot(x, x, 2),
    "vander": lambda x: nn.ops.vander(x[:, 0]),
    "bincount": lambda x: nn.ops.bincount(x),
    "cross": lambda x: nn.ops.cross(x, x),
    "einsum": lambda x: nn.ops.einsum("bi,ci->bc", x, x),
    "trace": lambda x: nn.ops.einsum("bii->b", x[:, None] * x[:, :, None]),
    "singular values": lambda x: nn.ops.norm(x[:, None], ord=2, axis=(1, 2)),
    "several shares": lambda x: nn.ops.nanquantile(x, [0.1, 0.2], axis=1),
    "no places": lambda x: x[:, [0.5]],
}


class Calls(nn.layers.Layer):
    """All calls on one input."""

    def __init__(self, functions: list[Callable[..., Any]]) -> None:
        super().__init__()
        self.functions = functions

    def call(self, x: Any) -> Any:
        return [function(nn.ops, x) for function in self.functions]


def _lines(kind: str) -> list[str]:
    return [line.strip() for line in CALLS[kind].strip().splitlines()]


def _function(line: str) -> Callable[..., Any]:
    return eval(f"lambda o, x: {line}", {"np": np, "V": V, "W": W})  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "part"), [(k, p) for k in CALLS for p in range((len(_lines(k)) + 24) // 25)])
def test_calls_are_those_of_keras(kind: str, part: int) -> None:
    lines = _lines(kind)[part * 25 : part * 25 + 25]
    x, given = INPUTS[kind], nn.Input(INPUTS[kind].shape[1:])
    found = nn.Model(given, Calls([_function(line) for line in lines])(given)).predict(x, verbose=0)
    for line, have in zip(lines, found if isinstance(found, list) else [found], strict=True):
        want = np.asarray(_function(line)(keras.ops, keras.ops.convert_to_tensor(x)))
        assert have.shape == want.shape, line
        np.testing.assert_allclose(have, want.astype("float64"), rtol=2e-5, atol=2e-6, err_msg=line)


NOT_IN_KERAS = ("x[:, [", "x[:, :, [", "rearrange", "bincount")
"""What real Keras has for arrays alone."""
NOT_IN_FILES = ("o.norm", "rot90", "o.shape(x)[0]", "lambda")
"""What real Keras cannot compute, or not write, once its lists have been tuples."""


@pytest.mark.filterwarnings("ignore:NotImplemented should not:DeprecationWarning")  # in Keras' tensordot
@pytest.mark.parametrize("kind", CALLS)
def test_calls_on_symbolic_tensors_are_recorded_and_go_through_files(kind: str, tmp_path: Path) -> None:
    lines = [line for line in _lines(kind) if not any(part in line for part in NOT_IN_KERAS)]
    x, models = INPUTS[kind], []
    for framework in (nn, keras):
        given = framework.Input(x.shape[1:])
        results = [_function(line)(framework.ops, given) for line in lines]
        whole = framework.Model(given, results)
        in_files = [r for r, line in zip(results, lines, strict=True) if not any(part in line for part in NOT_IN_FILES)]
        models.append((whole, framework.Model(given, in_files)))
    (ours, written), (theirs, theirs_written) = models
    for line, have, want in zip(lines, ours.outputs, theirs.outputs, strict=True):
        assert tuple(have.shape) == tuple(want.shape), line
    for line, have in zip(lines, ours.predict(x, verbose=0), strict=True):
        want = np.asarray(_function(line)(keras.ops, keras.ops.convert_to_tensor(x)), "float64")
        np.testing.assert_allclose(have, want, rtol=2e-5, atol=2e-6, err_msg=line)
    wanted = [np.asarray(y, "float64") for y in theirs_written(x)]
    written.save(tmp_path / "ours.keras")
    theirs_written.save(tmp_path / "theirs.keras")
    for found in (
        keras.saving.load_model(tmp_path / "ours.keras")(x),
        nn.saving.load_model(tmp_path / "theirs.keras").predict(x, verbose=0),
    ):
        for have, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(have, "float64"), want, rtol=2e-5, atol=2e-6)


def test_configurations_of_operations_have_what_those_of_keras_have() -> None:
    of_arrays = "arange einsum full geomspace linspace logspace scatter_update".split()
    without = "bartlett blackman empty eye hamming hanning identity kaiser ones svd tri zeros".split()
    compared = 0
    for name, function in symbolic.FUNCTIONS.items():
        form = symbolic.FunctionOperation(name).serialize() if name not in ("batch_mean", "copysign") else {}
        if not form or name in of_arrays:
            continue
        kind = getattr(importlib.import_module(form["module"]), form["class_name"], None)
        if kind is None:
            assert not hasattr(keras.ops, name) or name in without, name
            continue
        wanted = set(inspect.signature(kind.__init__).parameters) - {"self", "name", "rms_scaling", "kwargs"}
        options = {
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind is not p.VAR_POSITIONAL and not symbolic.is_operand(name, p.name)
        }
        assert options - {"kwargs"} == wanted, name
        compared += 1
    assert compared > 230


def test_an_argument_of_a_call_in_a_file_that_there_is_not_is_refused() -> None:
    given = nn.Input((3,))
    config = nn.Model(given, nn.ops.pad(given, ((0, 0), (1, 1)), constant_values=2.0)).get_config()
    config["layers"][1]["inbound_nodes"][0]["kwargs"]["filler"] = 3.0
    with pytest.raises(nn.errors.FileFormatError, match=r"pad has no \['filler'\]"):
        nn.Model.from_config(config)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_of_one_sample_is_refused(name: str) -> None:
    class Refused(nn.layers.Layer):
        def call(self, x: Any) -> Any:
            return REFUSED[name](x)

    given = nn.Input((8,))
    with pytest.raises(
        (ModelError, UnsupportedError), match=r"ops\.|rows of a batch|call\(\) failed for an input of shape"
    ):
        nn.Model(given, Refused()(given)).predict(INPUTS["rows"], verbose=0)


def test_numbers_that_occur_are_counted_for_each_row() -> None:
    x = INPUTS["numbers"].astype("int32")
    for weights in (None, INPUTS["rows"]):
        have = nn.ops.bincount(x, weights=weights, minlength=9)
        want = np.asarray(keras.ops.bincount(x, weights=weights, minlength=9))
        assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float16"])
def test_types_of_what_is_computed_of_arrays(dtype: str) -> None:
    x = np.array([[1, 0, 7], [1, 120, 3]]).astype(dtype)
    for name in ("exp", "sqrt", "logaddexp", "add", "sum", "prod", "argmax", "argmin", "mean", "logsumexp", "trace"):
        arguments = (x, x) if name in ("add", "logaddexp") else (x,)
        have = getattr(nn.ops, name)(*arguments)
        want = np.asarray(getattr(keras.ops, name)(*arguments))
        assert str(have.dtype) == str(want.dtype), name
        np.testing.assert_allclose(np.asarray(have, "float64"), want.astype("float64"), rtol=2e-3, err_msg=name)
    for have, want in zip(nn.ops.top_k(x, 2), keras.ops.top_k(x, 2), strict=True):
        np.testing.assert_array_equal(have, np.asarray(want))
