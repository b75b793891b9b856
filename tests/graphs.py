"""Models of several inputs, branches and shared layers, made alike of real Keras and of nncompile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def branches(k: Any) -> Any:
    """Two inputs, two outputs, a layer that is called twice."""
    a, b = k.Input((3,), name="a"), k.Input((4,), name="b")
    h, g = k.layers.Dense(5, activation="tanh")(a), k.layers.Dense(5)(b)
    shared = k.layers.Dense(5, name="shared")
    s = k.layers.Add()([shared(h), shared(g)])
    c = k.layers.Concatenate()([s, h, g])
    return k.Model([a, b], [k.layers.Dense(2, name="first")(c), k.layers.Dense(1, name="second")(s)])


def named(k: Any) -> Any:
    """Dictionaries of inputs and outputs, in an order that is not the alphabet's."""
    a, b = k.Input((3,), name="a"), k.Input((4,), name="b")
    h = k.layers.Dense(4)(a)
    return k.Model({"b": b, "a": a}, {"z": k.layers.Multiply()([h, b]), "y": k.layers.Dense(2)(b)})


def nested(k: Any) -> Any:
    """Models within models, called more than once."""
    i = k.Input((4,))
    inner = k.Model(i, k.layers.Dense(4, activation="relu")(k.layers.Dense(6)(i)), name="inner")
    stack = k.Sequential([k.Input((4,)), k.layers.Dense(4), k.layers.Activation("tanh")], name="stack")
    a = k.Input((4,))
    x = inner(a)
    y = inner(stack(x))
    return k.Model(a, k.layers.Average()([x, y, stack(y)]))


def operations(k: Any) -> Any:
    """Operators and functions on tensors in the place of layers."""
    a = k.Input((4,))
    h = k.layers.Dense(4)(a)
    t = (h * 2 + 1) - a / 3.0
    u = k.ops.sum(t, axis=-1, keepdims=True)
    v = k.ops.sigmoid(t) * k.ops.exp(-k.ops.square(t))
    w = k.ops.concatenate([v, t[:, 1:3]], axis=-1)
    return k.Model(a, [w, u, k.ops.reshape(w, (-1, 2, 3)), k.ops.maximum(h, 0.0)])


def chain(k: Any) -> Any:
    """Nothing but one layer after the other."""
    a = k.Input((4,))
    return k.Model(a, k.layers.Dense(2)(k.layers.Dropout(0.2)(k.layers.Dense(5)(a))), name="chain")


def unused(k: Any) -> Any:
    """An input that no output needs."""
    a, b = k.Input((4,), name="a"), k.Input((2,), name="b")
    return k.Model([a, b], k.layers.Dense(2)(a))


def repeated(k: Any) -> Any:
    """A layer that is called on what it returned, at several depths."""
    x = a = k.Input((4,))
    again, made = k.layers.Dense(4, name="again"), []
    for _ in range(3):
        x = again(x)
        made.append(x)
    y = k.layers.Dot(axes=1)([made[0], made[2]])
    return k.Model(a, [y, k.layers.Maximum()(made), k.layers.Minimum()(made[:2])])


def stacked(k: Any) -> Any:
    """A graph within a Sequential."""
    i = k.Input((4,))
    return k.Sequential([k.Model(i, k.layers.Dense(3)(i), name="inner"), k.layers.Dense(2)])


def midway(k: Any) -> Any:
    """What follows a tensor in the midst of another model."""
    a = k.Input((4,))
    h = k.layers.Dense(5)(a)
    o = k.layers.Subtract()([k.layers.Dense(5, name="d")(h), h])
    k.Model(a, o)
    return k.Model(h, o, name="tail")


GRAPHS = (branches, named, nested, operations, chain, unused, repeated, stacked, midway)


def random_graph(k: Any, seed: int) -> Any:
    """A graph of up to a dozen calls of what may be combined, with one to three inputs and outputs."""
    rng = np.random.default_rng(seed)

    def one_of(things: Sequence[Any]) -> Any:
        return things[int(rng.integers(len(things)))]

    widths = (1, 2, 3, 5, 8, 17)
    inputs = [k.Input((one_of(widths),), name=f"x{i}") for i in range(int(rng.integers(1, 4)))]
    tensors, shared = list(inputs), dict[int, Any]()
    for number in range(int(rng.integers(3, 10))):
        x = one_of(tensors)
        alike = [t for t in tensors if t.shape == x.shape]
        fitting = [t for t in tensors if t.shape[-1] in (1, x.shape[-1]) or x.shape[-1] == 1]
        kind = one_of(["dense", "dense", "shared", "activation", "merge", "join", "dot", "number", "inner", "gate"])
        if kind == "dense":
            made = k.layers.Dense(one_of(widths), activation=one_of(["tanh", "relu", "sigmoid", None]))(x)
        elif kind == "shared":
            width = x.shape[-1]
            layer = shared.setdefault(width, k.layers.Dense(one_of(widths), name=f"shared_{width}_{number}"))
            made = layer(x)
        elif kind == "activation":
            made = k.layers.Activation(one_of(["tanh", "softplus", "softmax"]))(x)
        elif kind == "merge":
            merge = one_of(["Add", "Multiply", "Average", "Maximum", "Minimum"])
            made = getattr(k.layers, merge)()([x, one_of(fitting), *([one_of(alike)] if merge == "Add" else [])])
        elif kind == "join":
            made = k.layers.Concatenate()([x, one_of(tensors), one_of(tensors)])
        elif kind == "dot":
            made = k.layers.Dot(axes=-1, normalize=bool(rng.random() < 0.3))([x, one_of(alike)])
        elif kind == "number":
            made = one_of([lambda x: x * 0.5 + 1.0, lambda x: 1.0 - x, lambda x: -x, k.ops.tanh, lambda x: x[:, :1]])(x)
        elif kind == "inner":
            i = k.Input((x.shape[-1],))
            hidden = k.layers.Dense(3, activation="tanh")(i)
            inner = k.Model(i, k.layers.Dense(x.shape[-1])(hidden), name=f"inner_{number}")
            made = inner(inner(x))
        else:
            gate = k.layers.Dense(1, activation="sigmoid")(one_of(tensors))
            made = k.layers.Multiply()([x, gate])
        tensors.append(made)
    outputs = list({id(t): t for t in (tensors[-1], *(one_of(tensors[len(inputs) :]) for _ in range(2)))}.values())
    if rng.random() < 0.3:
        return k.Model({t.name: t for t in inputs}, {f"y{i}": t for i, t in enumerate(outputs)})
    return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])
