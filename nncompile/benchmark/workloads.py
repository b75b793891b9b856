"""What is measured: networks, their data and how they are trained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Weights = list[tuple[Array, Array]]

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")
"""What every peer has; softmax only as the last one."""
LOSSES = ("categorical_crossentropy", "binary_crossentropy", "mean_squared_error")
"""What every peer has: behind softmax, behind sigmoid, and behind any activation."""
OPTIMIZERS = {"adam": 0.001, "sgd": 0.01, "momentum": 0.01}
"""Names and default learning rates; momentum is SGD with a momentum of 0.9."""
BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Workload:
    """A network of dense layers, the size of its data, and how it is trained.

    Attributes:
        name: short, for tables.
        title: one line for people.
        layers: (units, activation) of each layer.
        inputs: columns of the data.
        rows: rows of the data; of one call if it is only for prediction.
        batch_size: rows per update.
        epochs: passes over the data that one measured time is for.
        optimizer: a name of OPTIMIZERS.
        loss: a name of LOSSES.
        learning_rate: None for the default of the optimizer.
    """

    name: str
    title: str
    layers: tuple[tuple[int, str], ...]
    inputs: int
    rows: int
    batch_size: int
    epochs: int = 1
    optimizer: str = "adam"
    loss: str = "categorical_crossentropy"
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        where = f"workload {self.name!r}"
        activations = [activation for _, activation in self.layers]
        if not self.layers:
            raise ValueError(f"{where}: expected at least one layer, received none.")
        for activation in activations:
            if activation not in ACTIVATIONS:
                raise ValueError(f"{where}: expected an activation of {ACTIVATIONS}, received {activation!r}.")
        if "softmax" in activations[:-1]:
            raise ValueError(f"{where}: expected softmax as the last activation only, received {activations}.")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"{where}: expected an optimizer of {tuple(OPTIMIZERS)}, received {self.optimizer!r}.")
        if self.loss not in LOSSES:
            raise ValueError(f"{where}: expected a loss of {LOSSES}, received {self.loss!r}.")
        needed = {"categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid"}.get(self.loss)
        if needed is not None and activations[-1] != needed:
            raise ValueError(
                f"{where}: expected {needed} as the last activation before {self.loss}, received {activations[-1]!r}."
            )
        sizes = (self.inputs, self.rows, self.batch_size, self.epochs, *(units for units, _ in self.layers))
        if min(sizes) < 1:
            raise ValueError(f"{where}: expected positive sizes, received {sizes}.")

    # ---------------------------------------------------------------- how much work

    @property
    def outputs(self) -> int:
        """Columns of the predictions."""
        return self.layers[-1][0]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of the kernels."""
        widths = [self.inputs, *(units for units, _ in self.layers)]
        return tuple(itertools.pairwise(widths))

    @property
    def multiply_adds(self) -> int:
        """Multiplications of the products for one row, forwards."""
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def flops_per_row(self) -> int:
        """Floating-point operations of the products for one row, forwards."""
        return 2 * self.multiply_adds

    @property
    def flops_per_epoch(self) -> int:
        """Floating-point operations of the products of one epoch.

        Forwards, for the weights and for the values below; the first layer has no values
        below that need a gradient.
        """
        first = self.shapes[0][0] * self.shapes[0][1]
        return self.rows * (6 * self.multiply_adds - 2 * first)

    @property
    def weights(self) -> int:
        """Numbers that are trained, biases included."""
        return sum((rows + 1) * columns for rows, columns in self.shapes)

    def weight_bytes(self, precision: str = "float32") -> int:
        """Bytes of the weights."""
        return self.weights * BYTES[precision]

    @property
    def rate(self) -> float:
        """The learning rate."""
        return OPTIMIZERS[self.optimizer] if self.learning_rate is None else self.learning_rate

    # ---------------------------------------------------------------- numbers

    def data(self, seed: int = 1) -> tuple[Array, Array]:
        """Makes inputs in [-1, 1) and targets that a linear network could learn in part."""
        import numpy as np

        random = np.random.default_rng(seed)
        x = random.random((self.rows, self.inputs), dtype=np.float32)
        x *= np.float32(2)
        x -= np.float32(1)
        teacher = random.standard_normal((self.inputs, self.outputs), dtype=np.float32)
        scores = x @ teacher
        if self.loss == "categorical_crossentropy":
            return x, np.eye(self.outputs, dtype=np.float32)[scores.argmax(axis=1)]
        if self.loss == "binary_crossentropy":
            return x, (scores > 0).astype(np.float32)
        return x, np.asarray(scores / np.float32(self.inputs**0.5), dtype=np.float32)

    def initial_weights(self, seed: int = 2) -> Weights:
        """Draws (kernel, bias) of every layer: Glorot's uniform distribution, and zeros."""
        import numpy as np

        random = np.random.default_rng(seed)
        made = []
        for rows, columns in self.shapes:
            limit = (6.0 / (rows + columns)) ** 0.5
            kernel = random.uniform(-limit, limit, (rows, columns)).astype(np.float32)
            made.append((kernel, np.zeros(columns, dtype=np.float32)))
        return made

    # ---------------------------------------------------------------- to another process

    def to_json(self) -> str:
        """Writes it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Workload:
        """Reads what :meth:`to_json` wrote.

        Raises:
            ValueError: it is not the JSON of a workload.
        """
        fields: Any = json.loads(text)
        if not isinstance(fields, Mapping) or not isinstance(fields.get("layers"), list):
            raise ValueError(f"workload: expected the JSON of a workload, received {text:.80}.")
        layers = tuple((int(units), str(activation)) for units, activation in fields["layers"])
        return cls(**{**fields, "layers": layers})


_SEED = ((500, "sigmoid"), (500, "relu"), (10, "softmax"))
_TINY = ((16, "tanh"), (16, "tanh"), (3, "softmax"))
_WIDE = ((2048, "relu"), (2048, "relu"), (10, "softmax"))

T1 = Workload("T1", "784-500-500-10, Adam, batch 100, 10,000 rows: one epoch", _SEED, 784, 10_000, 100)
T2 = Workload("T2", "4-16-16-3, Adam, batch 16, 150 rows: 200 epochs", _TINY, 4, 150, 16, epochs=200)
T3 = Workload(
    "T3", "1024-2048-2048-10, momentum, batch 256, 5,120 rows: one epoch", _WIDE, 1024, 5_120, 256, optimizer="momentum"
)
T4 = Workload("T4", "784-500-500-10, SGD, batch 1, 1,000 rows: one epoch", _SEED, 784, 1_000, 1, optimizer="sgd")
I1 = Workload("I1", "784-500-500-10: one row", _SEED, 784, 1, 1)
I2 = Workload("I2", "4-16-16-3: one row", _TINY, 4, 1, 1)
I3 = Workload("I3", "784-500-500-10: 10,000 rows in one call", _SEED, 784, 10_000, 10_000)

TRAINING = (T1, T2, T3, T4)
INFERENCE = (I1, I2, I3)
WORKLOADS = {workload.name: workload for workload in (*TRAINING, *INFERENCE)}


def from_model(model: Any, x: Any, y: Any, batch_size: int, epochs: int = 1) -> Workload:
    """Describes a compiled model of the user's, so that peers can run the same network.

    Args:
        model: a compiled nncompile Sequential of Dense and Activation layers.
        x: its inputs, (rows, columns).
        y: its targets.
        batch_size: rows per update.
        epochs: passes over the data that one measured time is for.

    Raises:
        UnsupportedError: something that not every peer has, with what it is.
        ModelError: the data do not fit the model.
    """
    from nncompile import activations
    from nncompile.errors import ModelError, UnsupportedError

    where = f"{getattr(model, 'name', model)!s:.40}: comparison with other libraries"

    def refuse(what: str, expected: str) -> UnsupportedError:
        return UnsupportedError(f"{where}: expected {expected}, received {what}. Measure it without peers.")

    sizes = tuple(int(n) for n in getattr(x, "shape", ()))
    if len(sizes) != 2:
        raise refuse(f"inputs of shape {sizes}", "rows of numbers, (rows, columns)")
    if len(y) != sizes[0]:
        raise ModelError(f"{where}: expected as many targets as the {sizes[0]} rows, received {len(y)}.")
    layers: list[tuple[int, str]] = []
    for layer in getattr(model, "layers", ()):
        kind, config = type(layer).__name__, layer.get_config()
        if kind not in ("Dense", "Activation"):
            raise refuse(f"{layer.name} ({kind})", "Dense and Activation layers")
        form = activations.serialize(layer.activation)
        name = form if isinstance(form, str) else getattr(layer.activation, "__name__", repr(form))
        if name not in ACTIVATIONS:
            raise refuse(f"the activation {name} of {layer.name}", f"activations of {', '.join(ACTIVATIONS)}")
        if kind == "Dense":
            if not config["use_bias"]:
                raise refuse(f"{layer.name} without a bias", "layers with a bias")
            layers.append((layer.units, name))
        elif layers and layers[-1][1] == "linear":
            layers[-1] = (layers[-1][0], name)
        elif name != "linear":
            raise refuse(f"the activation {layer.name} that follows no linear Dense", "one activation per Dense layer")
    if not layers:
        raise refuse("none", "at least one Dense layer")
    loss = _loss_name(model.loss)
    if loss == "sparse_categorical_crossentropy":  # the same numbers, with labels written shorter
        loss = "categorical_crossentropy"
    if loss not in LOSSES:
        raise refuse(f"the loss {loss}", f"a loss of {', '.join(LOSSES)}")
    optimizer, rate = _optimizer_name(model.optimizer)
    if optimizer not in OPTIMIZERS:
        raise refuse(f"the optimizer {optimizer}", "Adam or SGD with a momentum of 0 or 0.9, and no other settings")
    try:
        return Workload(
            name=str(model.name),
            title=f"{'-'.join(str(n) for n in (sizes[1], *(units for units, _ in layers)))}, {optimizer}, "
            f"batch {batch_size}, {sizes[0]:,} rows",
            layers=tuple(layers),
            inputs=sizes[1],
            rows=sizes[0],
            batch_size=min(batch_size, sizes[0]),
            epochs=epochs,
            optimizer=optimizer,
            loss=loss,
            learning_rate=rate,
        )
    except ValueError as error:
        raise UnsupportedError(f"{where}: {error} Measure it without peers.") from error


def _loss_name(loss: Any) -> str:
    """The name of a loss, however ``compile`` was given it; what it is set to if that is not the default."""
    from nncompile import losses

    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):  # which one depends on the targets
        return loss
    made = losses.get(loss)
    name = losses.name_of(made)
    if not hasattr(made, "get_config"):
        return name
    config, plain = made.get_config(), type(made)().get_config()
    others = sorted(key for key in plain if key != "name" and plain[key] != config.get(key))
    return f"{name} with {', '.join(others)}" if others else name


def _optimizer_name(optimizer: Any) -> tuple[str, float]:
    """The name and the learning rate; what it is if peers have it not."""
    config = dict(optimizer.get_config())
    rate = float(config.pop("learning_rate"))
    kind, momentum = type(optimizer).__name__, config.get("momentum", 0.0)
    plain = type(optimizer)().get_config()
    given = ("name", "learning_rate", "momentum")
    others = sorted(key for key in plain if key not in given and plain[key] != config.get(key))
    if others:
        return f"{kind} with {', '.join(others)}", rate
    if kind == "SGD":
        return {0.0: "sgd", 0.9: "momentum"}.get(momentum, f"SGD with a momentum of {momentum}"), rate
    return kind.lower(), rate
