"""Other libraries, and nncompile itself, on the same work in the same way.

Each peer is used as its own users get the most of it, and what that is stands in its
class. All begin with the same weights and draw the order of the rows from the same
permutations; with ``shuffle`` off the losses of all must agree. A peer runs in a process of its own, which is
:mod:`.child`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .formats import onnx_model, tflite_model

if TYPE_CHECKING:
    from .workloads import Array, Weights, Workload

BETA_1, BETA_2, EPSILON, MOMENTUM = 0.9, 0.999, 1e-7, 0.9
"""Of Adam and of SGD with momentum, in every peer."""
CHUNK = 250
"""Rows that stay in the caches: peers that do not cut long inputs themselves are given as many at a time."""


class Peer:
    """One way to run a workload.

    Attributes:
        name: short, for tables.
        title: how it is used, for people.
        module: what is imported.
        distribution: what is installed.
        trains, predicts: what it can do.
        precisions: ``float32``, ``bfloat16``.
        exact: whether it begins with the given weights and draws its batches as the others do.
        on_request: whether it is measured only if it is asked for by name.
        shuffle: whether the rows get a new order every epoch; set before :meth:`prepare`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    module: ClassVar[str]
    distribution: ClassVar[str]
    trains: ClassVar[bool] = True
    predicts: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    exact: ClassVar[bool] = True
    on_request: ClassVar[bool] = False

    shuffle = True
    x: Array
    y: Array

    @classmethod
    def available(cls) -> bool:
        """Whether it is installed; nothing is imported."""
        return importlib.util.find_spec(cls.module) is not None

    @classmethod
    def version(cls) -> str:
        """The version that is installed."""
        return importlib.metadata.version(cls.distribution)

    @classmethod
    def able(cls, precision: str) -> bool:
        """Whether it has a precision, in the version that is installed."""
        return precision in cls.precisions

    @classmethod
    def refusal(cls, workload: Workload) -> str | None:
        """Why it cannot run a workload; None if it can."""
        return None

    def prepare(
        self,
        workload: Workload,
        threads: int,
        precision: str,
        data: tuple[Array, Array] | None = None,
        weights: Weights | None = None,
    ) -> None:
        """Makes the network, and compiles it as far as that is possible before the first data.

        Args:
            workload: what to run.
            threads: how many to use.
            precision: one of :attr:`precisions`.
            data: inputs and targets; those of the workload if None.
            weights: to begin with; those of the workload if None.
        """
        import numpy as np

        self.workload, self.threads, self.precision = workload, threads, precision
        self.x, self.y = workload.data() if data is None else data
        self._random = np.random.default_rng(3)
        self._make(workload.initial_weights() if weights is None else weights)

    def _make(self, weights: Weights) -> None:
        raise NotImplementedError

    def epoch(self) -> float:
        """Trains on all rows once; returns the mean of their losses."""
        raise NotImplementedError

    def run(self, epochs: int) -> list[float]:
        """Trains for a number of epochs; returns the loss of each."""
        return [self.epoch() for _ in range(epochs)]

    def predict(self, rows: Array) -> Array:
        """Returns the outputs for rows, as a Python user gets them: NumPy in, NumPy out."""
        raise NotImplementedError

    def source_bytes(self) -> int:
        """Size of the code that it printed for the network; 0 if it prints none."""
        return 0

    def order(self) -> Any:
        """The order of the rows in the next epoch."""
        import numpy as np

        rows = self.workload.rows
        return self._random.permutation(rows) if self.shuffle else np.arange(rows)


# ------------------------------------------------------------------ nncompile


class Nncompile(Peer):
    """``fit(epochs=…, verbose=0)`` on one model; ``predict_on_batch`` for outputs."""

    name, title, module, distribution = "nncompile", "fit", "nncompile", "nncompile"
    precisions = ("float32", "bfloat16", "bfloat16_3x", "bfloat16_6x")

    @classmethod
    def able(cls, precision: str) -> bool:
        from nncompile import config

        setting = {"float32": "floatx", "bfloat16": "set_dtype_policy"}.get(precision, "set_matmul_precision")
        return super().able(precision) and hasattr(config, setting)

    def _make(self, weights: Weights) -> None:
        from nncompile import Input, Sequential, config, layers, optimizers

        config.set_num_threads(self.threads)
        if self.precision == "bfloat16":
            config.set_dtype_policy("mixed_bfloat16")  # type: ignore[attr-defined, no-untyped-call, unused-ignore]
        elif self.precision != "float32":
            config.set_matmul_precision(self.precision)  # type: ignore[attr-defined, no-untyped-call, unused-ignore]
        w = self.workload
        dense = [layers.Dense(units, activation=activation) for units, activation in w.layers]
        self._model = Sequential([Input((w.inputs,)), *dense])
        made: dict[str, Callable[[], Any]] = {
            "adam": lambda: optimizers.Adam(w.rate),
            "sgd": lambda: optimizers.SGD(w.rate),
            "momentum": lambda: optimizers.SGD(w.rate, momentum=MOMENTUM),
        }
        self._model.compile(loss=w.loss, optimizer=made[w.optimizer](), metrics=["accuracy"])
        self._model.set_weights([array for pair in weights for array in pair])

    def epoch(self) -> float:
        return self.run(1)[0]

    def run(self, epochs: int) -> list[float]:
        history = self._model.fit(
            self.x, self.y, batch_size=self.workload.batch_size, epochs=epochs, verbose=0, shuffle=self.shuffle
        )
        return [float(loss) for loss in history.history["loss"]]

    def predict(self, rows: Array) -> Array:
        y: Array = self._model.predict_on_batch(rows)
        return y

    def source_bytes(self) -> int:
        return len(self._model.source())


class NncompilePredict(Nncompile):
    """``predict(verbose=0)``, what Keras users call."""

    name, title = "nncompile predict", "predict"
    trains = False
    on_request = True

    def predict(self, rows: Array) -> Array:
        y: Array = self._model.predict(rows, verbose=0)
        return y


# ------------------------------------------------------------------ NumPy


class NumPy(Peer):
    """By hand: products into arrays made once, everything else in place; predictions of 250 rows at a time."""

    name, title, module, distribution = "NumPy", "by hand", "numpy", "numpy"

    def _make(self, weights: Weights) -> None:
        import numpy as np

        self._weights = [(w.copy(), b.copy()) for w, b in weights]
        self._slots = [[(np.zeros_like(a), np.zeros_like(a)) for a in pair] for pair in self._weights]
        self._scratch = [[(np.empty_like(a), np.empty_like(a)) for a in pair] for pair in self._weights]
        self._steps = 0
        rows = self.workload.batch_size
        self._values = [np.empty((rows, units), dtype=np.float32) for units, _ in self.workload.layers]
        self._deltas = [np.empty_like(value) for value in self._values]

    def _forward(self, x: Array, out: Sequence[Any]) -> None:
        import numpy as np

        for (kernel, bias), (_, activation), value in zip(self._weights, self.workload.layers, out, strict=True):
            np.dot(x, kernel, out=value)
            value += bias
            _activate(value, activation)
            x = value

    def _step(self, x: Array, y: Array) -> tuple[float, int]:
        import numpy as np

        values, deltas = ([a[: len(x)] for a in arrays] for arrays in (self._values, self._deltas))
        self._forward(x, values)
        output, delta = values[-1], deltas[-1]
        loss, right = _loss(self.workload.loss, output, y)
        if self.workload.loss == "mean_squared_error":
            np.subtract(output, y, out=delta)
            delta *= np.float32(2 / (y.shape[1] * len(x)))
            _times_slope(delta, output, self.workload.layers[-1][1])
        else:  # softmax or sigmoid with its cross-entropy
            np.subtract(output, y, out=delta)
            delta *= np.float32(1 / len(x) if self.workload.loss[0] == "c" else 1 / (y.shape[1] * len(x)))
        self._steps += 1
        for number in reversed(range(len(values))):
            kernel, _ = self._weights[number]
            delta, below = deltas[number], values[number - 1] if number else x
            (gradient, _), (bias, _) = self._scratch[number]
            np.dot(below.T, delta, out=gradient)
            delta.sum(axis=0, out=bias)
            if number:
                np.dot(delta, kernel.T, out=deltas[number - 1])
                _times_slope(deltas[number - 1], below, self.workload.layers[number - 1][1])
            self._update(number)
        return loss, right

    def _update(self, number: int) -> None:
        import numpy as np

        rate, t = np.float32(self.workload.rate), np.float32(self._steps)
        b1, b2, one = np.float32(BETA_1), np.float32(BETA_2), np.float32(1)
        corrected = rate * np.sqrt(one - b2**t) / (one - b1**t)  # in float32, as the others
        for weight, (first, second), (gradient, scratch) in zip(
            self._weights[number], self._slots[number], self._scratch[number], strict=True
        ):
            if self.workload.optimizer == "adam":
                np.subtract(gradient, first, out=scratch)
                scratch *= np.float32(1 - BETA_1)
                first += scratch
                gradient *= gradient
                gradient -= second
                gradient *= np.float32(1 - BETA_2)
                second += gradient
                np.sqrt(second, out=gradient)
                gradient += np.float32(EPSILON)
                np.divide(first, gradient, out=gradient)
                gradient *= corrected
                weight -= gradient
            elif self.workload.optimizer == "momentum":
                first *= np.float32(MOMENTUM)
                gradient *= rate
                first -= gradient
                weight += first
            else:
                gradient *= rate
                weight -= gradient

    def epoch(self) -> float:
        order, total, right = self.order(), 0.0, 0
        for first in range(0, self.workload.rows, self.workload.batch_size):
            batch = order[first : first + self.workload.batch_size]
            loss, correct = self._step(self.x[batch], self.y[batch])
            total += loss
            right += correct
        return total / self.workload.rows

    def predict(self, rows: Array) -> Array:
        import numpy as np

        size = min(len(rows), CHUNK)
        outputs = np.empty((len(rows), self.workload.outputs), dtype=np.float32)
        hidden = [np.empty((size, units), dtype=np.float32) for units, _ in self.workload.layers[:-1]]
        for first in range(0, len(rows), size):
            chunk = rows[first : first + size]
            self._forward(chunk, [*(value[: len(chunk)] for value in hidden), outputs[first : first + size]])
        return outputs


def _activate(value: Array, activation: str) -> None:
    import numpy as np

    if activation == "relu":
        np.maximum(value, 0, out=value)
    elif activation == "tanh":
        np.tanh(value, out=value)
    elif activation == "sigmoid":
        np.negative(value, out=value)
        np.exp(value, out=value)
        value += 1
        np.reciprocal(value, out=value)
    elif activation == "softmax":
        value -= value.max(axis=1, keepdims=True)
        np.exp(value, out=value)
        value /= value.sum(axis=1, keepdims=True)


def _times_slope(delta: Array, value: Array, activation: str) -> None:
    """Multiplies by the derivative of an activation, given its value."""
    if activation == "relu":
        delta *= value > 0
    elif activation == "tanh":
        delta *= 1 - value * value
    elif activation == "sigmoid":
        delta *= value * (1 - value)
    elif activation == "softmax":  # not before its cross-entropy
        delta -= (delta * value).sum(axis=1, keepdims=True)
        delta *= value


def _loss(loss: str, output: Array, y: Array) -> tuple[float, int]:
    """The sum of the losses of rows, and how many rows are right."""
    import numpy as np

    if loss == "mean_squared_error":
        return float(((output - y) ** 2).mean(axis=1).sum()), 0
    clipped = np.clip(output, EPSILON, 1 - EPSILON)
    if loss == "binary_crossentropy":
        entropy = -(y * np.log(clipped) + (1 - y) * np.log(1 - clipped))
        return float(entropy.mean(axis=1).sum()), int(((output > 0.5) == (y > 0.5)).sum())
    right = output.argmax(axis=1) == y.argmax(axis=1)
    return float(-(y * np.log(clipped)).sum()), int(right.sum())


# ------------------------------------------------------------------ JAX


class Jax(Peer):
    """All the epochs of a run in one jitted call: a scan over epochs of a scan over batches, the state donated."""

    name, title, module, distribution = "JAX", "whole epochs in one scan", "jax", "jax"
    precisions = ("float32", "bfloat16")

    def _make(self, weights: Weights) -> None:
        import jax
        import jax.numpy as jnp

        w = self.workload
        low = jnp.bfloat16 if self.precision == "bfloat16" else jnp.float32
        hidden = {
            "linear": lambda v: v,
            "relu": jax.nn.relu,
            "tanh": jnp.tanh,
            "sigmoid": jax.nn.sigmoid,
            "softmax": jax.nn.softmax,
        }

        def logits(params: Any, x: Any) -> Any:
            for (kernel, bias), (_, activation) in zip(params[:-1], w.layers[:-1], strict=True):
                x = hidden[activation](_product(jnp, x, kernel, low) + bias)
            kernel, bias = params[-1]
            return _product(jnp, x, kernel, low) + bias

        def loss(params: Any, x: Any, y: Any) -> Any:
            z = logits(params, x)
            if w.loss == "categorical_crossentropy":
                sums = -(y * jax.nn.log_softmax(z)).sum(axis=1)
                right = z.argmax(axis=1) == y.argmax(axis=1)
            elif w.loss == "binary_crossentropy":
                sums = (jax.nn.softplus(z) - y * z).mean(axis=1)
                right = (z > 0) == (y > 0.5)
            else:
                sums = ((hidden[w.layers[-1][1]](z) - y) ** 2).mean(axis=1)
                right = jnp.zeros(len(x), bool)
            return sums.mean(), (sums.sum(), right.sum())

        def update(params: Any, slots: Any, t: Any, gradients: Any) -> Any:
            tree = jax.tree.map
            if w.optimizer == "sgd":
                return tree(lambda p, g: p - w.rate * g, params, gradients), slots
            if w.optimizer == "momentum":
                moved = tree(lambda v, g: MOMENTUM * v - w.rate * g, slots, gradients)
                return tree(jnp.add, params, moved), moved
            first = tree(lambda m, g: m + (g - m) * (1 - BETA_1), slots[0], gradients)
            second = tree(lambda v, g: v + (g * g - v) * (1 - BETA_2), slots[1], gradients)
            rate = w.rate * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            new = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), params, first, second)
            return new, (first, second)

        def step(x: Any, y: Any, state: Any, batch: Any) -> Any:
            params, slots, t = state
            (_, measured), gradients = jax.value_and_grad(loss, has_aux=True)(params, x[batch], y[batch])
            params, slots = update(params, slots, t + 1, gradients)
            return (params, slots, t + 1), measured

        whole = w.rows // w.batch_size * w.batch_size

        def epoch(x: Any, y: Any, state: Any, order: Any) -> Any:
            state, (losses, right) = jax.lax.scan(
                lambda s, b: step(x, y, s, b), state, order[:whole].reshape(-1, w.batch_size)
            )
            total, correct = losses.sum(), right.sum()
            if whole < w.rows:
                state, (last, last_right) = step(x, y, state, order[whole:])
                total, correct = total + last, correct + last_right
            return state, (total, correct)

        def run(state: Any, x: Any, y: Any, orders: Any) -> Any:
            if len(orders) == 1:
                state, measured = epoch(x, y, state, orders[0])
                return state, tuple(value[None] for value in measured)
            return jax.lax.scan(lambda s, order: epoch(x, y, s, order), state, orders)

        def outputs(params: Any, x: Any) -> Any:
            return hidden[w.layers[-1][1]](logits(params, x)).astype(jnp.float32)

        self._run = jax.jit(run, donate_argnums=0)
        self._outputs = jax.jit(outputs)
        params = [(jnp.asarray(kernel), jnp.asarray(bias)) for kernel, bias in weights]
        zeros = jax.tree.map(jnp.zeros_like, params)
        slots = {"adam": (zeros, jax.tree.map(jnp.zeros_like, params)), "momentum": zeros, "sgd": ()}[w.optimizer]
        self._state = (params, slots, jnp.float32(0))
        self._data = (jnp.asarray(self.x), jnp.asarray(self.y))
        if self.precision == "bfloat16":
            self._served: Any = [(kernel.astype(low), bias) for kernel, bias in params]
        else:
            self._served = jax.tree.map(jnp.array, params)  # copies: the state is donated

    def epoch(self) -> float:
        return self.run(1)[0]

    def run(self, epochs: int) -> list[float]:
        import numpy as np

        orders = np.stack([self.order() for _ in range(epochs)]).astype(np.int32)
        self._state, (losses, right) = self._run(self._state, *self._data, orders)
        np.asarray(right)  # the metric is for the user too
        return [float(loss) / self.workload.rows for loss in np.asarray(losses)]

    def predict(self, rows: Array) -> Array:
        import numpy as np

        return np.asarray(self._outputs(self._served, rows))


def _product(jnp: Any, x: Any, kernel: Any, low: Any) -> Any:
    """The product in the given element type, with a float32 result."""
    if low == jnp.float32:
        return x @ kernel
    return jnp.matmul(x.astype(low), kernel.astype(low), preferred_element_type=jnp.float32)


# ------------------------------------------------------------------ Keras


class Keras(Peer):
    """Keras on JAX: ``fit`` and ``predict`` with verbose=0."""

    name, title, module, distribution = "Keras on JAX", "fit, predict", "keras", "keras"
    precisions = ("float32", "bfloat16")

    @classmethod
    def available(cls) -> bool:
        return super().available() and Jax.available()

    def _make(self, weights: Weights) -> None:
        os.environ["KERAS_BACKEND"] = "jax"
        import keras

        w = self.workload
        if self.precision == "bfloat16":
            keras.config.set_dtype_policy("mixed_bfloat16")
        dense = [keras.layers.Dense(units, activation=activation) for units, activation in w.layers]
        self._model = keras.Sequential([keras.Input((w.inputs,)), *dense])
        made: dict[str, Callable[[], Any]] = {
            "adam": lambda: keras.optimizers.Adam(w.rate),
            "sgd": lambda: keras.optimizers.SGD(w.rate),
            "momentum": lambda: keras.optimizers.SGD(w.rate, momentum=MOMENTUM),
        }
        self._model.compile(loss=w.loss, optimizer=made[w.optimizer](), metrics=["accuracy"])
        self._model.set_weights([array for pair in weights for array in pair])

    def epoch(self) -> float:
        return self.run(1)[0]

    def run(self, epochs: int) -> list[float]:
        history = self._model.fit(
            self.x, self.y, batch_size=self.workload.batch_size, epochs=epochs, verbose=0, shuffle=self.shuffle
        )
        return [float(loss) for loss in history.history["loss"]]

    def predict(self, rows: Array) -> Array:
        outputs: Array = self._model.predict(rows, batch_size=min(len(rows), 1000), verbose=0)
        return outputs


# ------------------------------------------------------------------ PyTorch


class Torch(Peer):
    """Eager: labels instead of one-hot rows, fused optimizers, losses added up without leaving torch.

    Predictions of 250 rows at a time. bfloat16 in training is autocast with float32 weights; in prediction the
    weights are bfloat16.
    """

    name, title, module, distribution = "PyTorch", "eager, fused optimizers", "torch", "torch"
    precisions = ("float32", "bfloat16")
    compiled: ClassVar[bool] = False

    def _make(self, weights: Weights) -> None:
        import torch
        from torch.nn import functional

        torch.set_num_threads(self.threads)
        w = self.workload
        hidden: dict[str, Callable[[Any], Any]] = {
            "linear": lambda v: v,
            "relu": functional.relu,
            "tanh": torch.tanh,
            "sigmoid": torch.sigmoid,
            "softmax": lambda v: functional.softmax(v, dim=1),
        }
        self._params = [
            (
                torch.tensor(kernel.T.copy(), requires_grad=True),
                torch.tensor(bias, requires_grad=True),
            )
            for kernel, bias in weights
        ]
        flat = [tensor for pair in self._params for tensor in pair]
        made: dict[str, Callable[[], Any]] = {
            "adam": lambda: torch.optim.Adam(flat, lr=w.rate, eps=EPSILON, fused=True),
            "sgd": lambda: torch.optim.SGD(flat, lr=w.rate, fused=True),
            "momentum": lambda: torch.optim.SGD(flat, lr=w.rate, momentum=MOMENTUM, fused=True),
        }
        self._optimizer = made[w.optimizer]()
        low = self.precision == "bfloat16"
        self._low = low

        def logits(params: Any, x: Any) -> Any:
            for (kernel, bias), (_, activation) in zip(params[:-1], w.layers[:-1], strict=True):
                x = hidden[activation](functional.linear(x, kernel, bias))
            return functional.linear(x, *params[-1])

        def loss(x: Any, y: Any) -> Any:
            z = logits(self._params, x).float()
            with torch.no_grad():
                if w.loss == "categorical_crossentropy":
                    right = (z.argmax(dim=1) == y).sum()
                elif w.loss == "binary_crossentropy":
                    right = ((z > 0) == (y > 0.5)).sum()
                else:
                    right = torch.zeros((), dtype=torch.int64)
            if w.loss == "categorical_crossentropy":
                return functional.cross_entropy(z, y), right
            if w.loss == "binary_crossentropy":
                return functional.binary_cross_entropy_with_logits(z, y), right
            return functional.mse_loss(hidden[w.layers[-1][1]](z), y), right

        last = hidden[w.layers[-1][1]]
        served = [(k.detach().clone(), b.detach().clone()) for k, b in self._params]
        if low:
            served = [(k.bfloat16(), b.bfloat16()) for k, b in served]

        def outputs(x: Any) -> Any:
            return last(logits(served, x.bfloat16() if low else x)).float()

        self._loss = torch.compile(loss) if self.compiled else loss
        self._outputs = torch.compile(outputs) if self.compiled else outputs
        self._data = torch.from_numpy(self.x)
        labels = w.loss == "categorical_crossentropy"
        self._targets = torch.from_numpy(self.y.argmax(axis=1) if labels else self.y)
        self._torch = torch

    def epoch(self) -> float:
        torch, size, rows = self._torch, self.workload.batch_size, self.workload.rows
        order = torch.from_numpy(self.order())
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for first in range(0, rows, size):
            batch = order[first : first + size]
            x, y = self._data[batch], self._targets[batch]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._low):
                loss, correct = self._loss(x, y)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            total += loss.detach() * len(batch)
            right += correct
        int(right)  # the metric is for the user too
        return float(total) / rows

    def predict(self, rows: Array) -> Array:
        torch = self._torch
        with torch.inference_mode():
            x = torch.from_numpy(rows)
            if len(rows) <= CHUNK or self.compiled:
                made = self._outputs(x)
            else:
                made = torch.cat([self._outputs(chunk) for chunk in x.split(CHUNK)])
            outputs: Array = made.numpy()
            return outputs


class TorchCompile(Torch):
    """``torch.compile`` of the network with its loss; fused optimizers."""

    name, title = "PyTorch compile", "torch.compile, fused optimizers"
    compiled = True
    on_request = True


# ------------------------------------------------------------------ scikit-learn


class ScikitLearn(Peer):
    """``MLPClassifier.partial_fit``, with weights and an order of its own, and no accuracy."""

    name, title, module, distribution = "scikit-learn", "MLPClassifier", "sklearn", "scikit-learn"
    exact = False

    @classmethod
    def refusal(cls, workload: Workload) -> str | None:
        if len({activation for _, activation in workload.layers[:-1]}) > 1:
            return "all its hidden layers have one activation"
        if workload.loss != "categorical_crossentropy":
            return "it is compared on classes only"
        return None

    def _make(self, weights: Weights) -> None:
        from sklearn.neural_network import MLPClassifier

        w = self.workload
        names = {"sigmoid": "logistic", "linear": "identity"}
        hidden = {names.get(activation, activation) for _, activation in w.layers[:-1]} or {"identity"}
        self._model = MLPClassifier(
            hidden_layer_sizes=tuple(units for units, _ in w.layers[:-1]),
            activation=hidden.pop(),
            solver="adam" if w.optimizer == "adam" else "sgd",
            alpha=0.0,
            batch_size=w.batch_size,
            learning_rate_init=w.rate,
            momentum=MOMENTUM if w.optimizer == "momentum" else 0.0,
            nesterovs_momentum=False,
            shuffle=self.shuffle,
            random_state=1,
        )
        self._labels = self.y.argmax(axis=1)
        self._classes = list(range(w.outputs))
        self._fitted = False

    def epoch(self) -> float:
        self._model.partial_fit(self.x, self._labels, classes=self._classes)
        self._fitted = True
        return float(self._model.loss_)

    def predict(self, rows: Array) -> Array:
        if not self._fitted:
            self.epoch()
        outputs: Array = self._model.predict_proba(rows)
        return outputs


# ------------------------------------------------------------------ inference only


class OnnxRuntime(Peer):
    """``InferenceSession.run`` of Gemm and activation nodes."""

    name, title, module, distribution = "ONNX Runtime", "InferenceSession.run", "onnxruntime", "onnxruntime"
    trains = False

    @classmethod
    def available(cls) -> bool:
        return super().available() and importlib.util.find_spec("onnx") is not None

    def _make(self, weights: Weights) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            onnx_model(self.workload, weights), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, rows: Array) -> Array:
        outputs: Array = self._session.run(None, {"x": rows})[0]
        return outputs


class OpenVino(Peer):
    """An infer request that shares its arrays with the caller."""

    name, title, module, distribution = "OpenVINO", "infer request, shared arrays", "openvino", "openvino"
    trains = False
    precisions = ("float32", "bfloat16")

    @classmethod
    def available(cls) -> bool:
        return super().available() and importlib.util.find_spec("onnx") is not None

    def _make(self, weights: Weights) -> None:
        import openvino

        core = openvino.Core()
        network = core.read_model(onnx_model(self.workload, weights))
        network.reshape([self.workload.rows, self.workload.inputs])
        compiled = core.compile_model(
            network,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": self.threads,
                "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
            },
        )
        self._request = compiled.create_infer_request()

    def predict(self, rows: Array) -> Array:
        results = self._request.infer([rows], share_inputs=True, share_outputs=True)
        outputs: Array = results[0]
        return outputs


class LiteRt(Peer):
    """The interpreter with XNNPACK; input and output are copied by ``set_tensor`` and ``get_tensor``."""

    name, title, module, distribution = "LiteRT", "interpreter, XNNPACK", "ai_edge_litert", "ai-edge-litert"
    trains = False

    def _make(self, weights: Weights) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=tflite_model(self.workload, weights), num_threads=self.threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def predict(self, rows: Array) -> Array:
        self._interpreter.set_tensor(self._input, rows)
        self._interpreter.invoke()
        outputs: Array = self._interpreter.get_tensor(self._output)
        return outputs


PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Nncompile, NncompilePredict, Jax, Keras, Torch, TorchCompile, NumPy, ScikitLearn, OnnxRuntime, LiteRt, OpenVino,
    )
}  # fmt: skip
"""By name, in the order of tables."""
