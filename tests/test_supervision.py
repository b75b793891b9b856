"""Losses and metrics of several outputs, and weights of samples: names, order and values are those of Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import losses, ops
from nncompile.errors import ModelError, UnsupportedError
from nncompile.training.supervision import Objectives, Supervisor

# Keras on NumPy 2 warns of itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.quick_c,
]

ROWS = 8
RNG = np.random.default_rng(0)
X = RNG.random((ROWS, 3)).astype("float32")
ONE, TWO = RNG.random((ROWS, 1)).astype("float32"), RNG.random((ROWS, 2)).astype("float32")
WEIGHT = RNG.random(ROWS).astype("float32")
NAMES = ("b", "a")
"""Names of two outputs, in an order that is not that of the alphabet."""


# ------------------------------------------------------------------ names, order and values, with NumPy


def measured(supervisor: Supervisor, ys: Any, predictions: Any, weights: Any) -> dict[str, float]:
    """What C adds up for one batch, by the same formulas on arrays."""
    totals: dict[str, float] = {"loss": 0.0}
    for number, (goal, y, p, w) in enumerate(zip(supervisor.goals, ys, predictions, weights, strict=True)):
        rows = 1.0 if w is None else w
        if goal.loss is not None:
            loss = losses.resolve(goal.loss, p.shape, y.shape)
            total = float(np.sum(loss.call(y, p) * rows))  # type: ignore[union-attr]
            totals[f"{supervisor.c_names[number]}_loss"] = total
            totals["loss"] += goal.factor * total
        for name, part, weighted in supervisor.of_output(number):
            counts = rows if weighted else 1.0
            totals[name] = float(np.sum(part.call(y, p) * counts))
            if weighted and w is not None:
                totals[f"{name}_weights"] = float(np.sum(w))
    return totals


def ours(names: Any, ys: Any, predictions: Any, weights: Any, **arguments: Any) -> tuple[dict[str, float], list[str]]:
    arguments = {"loss": None, "loss_weights": None, "metrics": None, "weighted_metrics": None, **arguments}
    goals = Objectives(**arguments, where="model").sort(names, list(range(len(names))))
    supervisor = Supervisor(goals, [p.shape for p in predictions], [y.shape for y in ys])
    totals = measured(supervisor, ys, predictions, weights)
    logs = supervisor.logs(totals, ROWS, [w is not None for w in weights])
    assert supervisor.values(logs) == ([logs[name] for name in supervisor.names] if len(logs) > 1 else logs["loss"])
    return dict(sorted(logs.items())), supervisor.names


def theirs(names: Any, ys: Any, predictions: Any, weights: Any, **arguments: Any) -> tuple[dict[str, float], list[str]]:
    """Of Keras' own classes, without a model and without tracing."""
    from oracle import keras

    compile_utils = keras.src.trainers.compile_utils
    loss = compile_utils.CompileLoss(arguments["loss"], arguments.get("loss_weights"), output_names=list(names))
    given = arguments.get("metrics"), arguments.get("weighted_metrics")
    metrics = compile_utils.CompileMetrics(*given, output_names=list(names))
    several = len(ys) > 1
    y, p, w = (list(part) if several else part[0] for part in (ys, predictions, weights))
    w = None if weights[0] is None else w
    total = loss(y, p, w)
    metrics.update_state(y, p, w)
    tracker = keras.metrics.Mean(name="loss")
    logs = {"loss": float(total), **{m.name: float(m.result()) for m in loss.metrics}}
    logs.update({k: float(v) for k, v in metrics.result().items()})

    class Model:
        pass

    Model.metrics = [tracker, *([metrics] if given != (None, None) else []), *loss.metrics]  # type: ignore[attr-defined]
    order = keras.src.trainers.trainer.Trainer._flatten_metrics_in_order(Model, {name: name for name in logs})
    return dict(sorted(logs.items())), [order] if isinstance(order, str) else order


CASES: list[dict[str, Any]] = [
    {"loss": "mse"},
    {"loss": "mse", "loss_weights": 2.0, "metrics": {"a": ["mse", "mae"], "b": "mae"}},
    {"loss": ["mse", "mae"], "loss_weights": [0.5, 2], "metrics": ["mae", "mse"]},
    {"loss": {"a": "mae", "b": "mse"}, "loss_weights": {"a": 0.5, "b": 2.0}, "metrics": {"a": ["mse"]}},
    {"loss": {"a": "mae", "b": "mse"}, "loss_weights": [0.5, 2.0], "metrics": [["mse", "mse"], None]},
    {"loss": ["mse", None], "metrics": ["mse", "mae"], "weighted_metrics": [None, ["mse"]]},
    {"loss": "mae", "metrics": ["mae", "mse"], "weighted_metrics": [["mae", "mae"], ["mae", "mse", "mse"]]},
    {"loss": ["binary_crossentropy", "crossentropy"], "metrics": [["accuracy", "acc"], "accuracy"]},
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_logs_of_several_outputs(arguments: dict[str, Any], weighted: bool) -> None:
    predictions = [RNG.random((ROWS, 1)).astype("float32"), RNG.random((ROWS, 2)).astype("float32")]
    predictions[1] /= predictions[1].sum(-1, keepdims=True)
    ys = [(ONE > 0.5).astype("float32"), np.eye(2, dtype="float32")[(TWO[:, 0] > 0.5).astype(int)]]
    weights = [WEIGHT, WEIGHT] if weighted else [None, None]
    mine, order = ours(NAMES, ys, predictions, weights, **arguments)
    expected, expected_order = theirs(NAMES, ys, predictions, weights, **arguments)
    assert list(mine) == list(expected)
    assert mine == pytest.approx(expected, rel=1e-5)
    assert order == expected_order


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("arguments", [
    {"loss": "mse"}, {"loss": ["mse"], "loss_weights": [0.5], "metrics": [["mae"]]},
    {"loss": "mse", "loss_weights": 0.5, "metrics": ["mae", "mae"], "weighted_metrics": ["mae", "mse"]},
    {"loss": {"b": "mse"}, "metrics": {"b": ["mae"]}, "weighted_metrics": ["accuracy"]},
], ids=str)  # fmt: skip
def test_logs_of_one_output(arguments: dict[str, Any], weighted: bool) -> None:
    weights = [WEIGHT if weighted else None]
    p = [RNG.random((ROWS, 1)).astype("float32")]
    mine, order = ours(["b"], [ONE], p, weights, **arguments)
    expected, expected_order = theirs(["b"], [ONE], p, weights, **arguments)
    assert list(mine) == list(expected)
    assert mine == pytest.approx(expected, rel=1e-5)
    assert order == expected_order


def test_outputs_without_names() -> None:
    """As of a class of the user's own that returns a list: Keras calls the losses by their own names."""
    mine, _ = ours(
        [None, None], [ONE, TWO], [ONE * 2, TWO * 2], [None, None], loss=["mse", "mae"], metrics=["mae", "mse"]
    )
    assert list(mine) == ["loss", "mae", "mae_loss", "mse", "mse_loss"]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"loss": {"a": "mse"}}, "loss: expected one for each of the outputs 'b', 'a', received 'a': 'b' is missing. Give None"),
    ({"loss": {"a": "mse", "b": "mse", "c": "mse"}}, "loss: expected names of the outputs, 'b', 'a', received 'c'"),
    ({"loss": ["mse"]}, r"expected one loss for each of the outputs 'b', 'a', received 1: \['mse'\]"),
    ({"loss": "mse", "loss_weights": [1.0, 2.0]}, "loss_weights: expected as many as there are losses, 1, received 2"),
    ({"loss": ["mse", "mse"], "loss_weights": [1.0]}, "loss_weights: expected as many as there are losses, 2, received 1"),
    ({"loss": ["mse", "mse"], "loss_weights": {"a": 1.0}}, "loss_weights: .*: 'b' is missing. Give 1.0"),
    ({"loss": "mse", "loss_weights": {"zz": 1.0, "b": 1.0, "a": 1.0}}, "loss_weights: .* received 'zz'"),
    ({"loss": "mse", "metrics": ["mae"]}, r"metrics: expected one entry, .*, received 1: \['mae'\]. Or give a dict"),
    ({"loss": "mse", "metrics": {"zz": "mae"}}, "metrics: expected names of the outputs, 'b', 'a', received 'zz'"),
    ({"loss": "mse", "weighted_metrics": ["mae"] * 3}, "weighted_metrics: expected one entry, .*, received 3"),
])  # fmt: skip
def test_what_is_for_other_outputs(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ours(NAMES, [ONE, TWO], [ONE, TWO], [None, None], **arguments)


# ------------------------------------------------------------------ training, against Keras


def two_outputs(library: Any, by_name: bool = False) -> Any:
    """Two inputs and two outputs, in lists or by names that are not those of the layers."""
    i, j = library.Input((3,), name="i"), library.Input((2,), name="j")
    hidden = library.layers.Dense(4, activation="tanh", name="hidden")(i)
    one = library.layers.Dense(1, name="b")(hidden)
    two = library.layers.Dense(2, name="a")(library.layers.Concatenate(name="both")([hidden, j]))
    model = library.Model({"i": i, "j": j} if by_name else [i, j], {"q": one, "p": two} if by_name else [one, two])
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape) / 2 for w in model.get_weights()])
    return model


def same(model: Any, other: Any, history: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(history) == list(expected)
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=2e-5), key
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(mine, its, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    from oracle import keras

    return nn, keras


def test_training_of_several_outputs_by_order(pair: Any) -> None:
    models, logs = [], []
    x, y = [X, TWO], [ONE, TWO]
    held = ([X[:3], TWO[:3]], [ONE[:3], TWO[:3]], [WEIGHT[:3], WEIGHT[3:6]])
    for library in pair:
        model = two_outputs(library)
        model.compile(
            library.optimizers.SGD(0.1, momentum=0.5), ["mse", "mae"], loss_weights=[2.0, 0.5],
            metrics=[["mae"], ["mse"]], weighted_metrics=[["mse", "mae"], ["mse"]],
        )  # fmt: skip
        history = model.fit(
            x, y, sample_weight=[WEIGHT, WEIGHT[::-1].copy()], batch_size=3, epochs=2, shuffle=False,
            validation_data=held, verbose=0,
        )  # fmt: skip
        single = model.train_on_batch(x, y, sample_weight=[WEIGHT, WEIGHT])
        values = model.evaluate(x, y, verbose=0)
        measures = model.evaluate(x, y, verbose=0, return_dict=True)
        models.append(model)
        logs.append((history.history, {"single": single, "values": values}, list(measures)))
        outputs = model.predict(x, verbose=0)
        assert [o.shape for o in outputs] == [(ROWS, 1), (ROWS, 2)]
    same(*models, *(log[0] for log in logs))
    for key in ("single", "values"):
        assert logs[0][1][key] == pytest.approx(logs[1][1][key], rel=2e-5)
    assert logs[0][2] == logs[1][2]
    assert len(models[0]._libraries) == 2  # with and without weights
    assert models[0].metrics_names[:3] == ["loss", "b_loss", "a_loss"]


def test_training_of_several_outputs_by_name(pair: Any) -> None:
    models, logs = [], []
    x, y = {"i": X, "j": TWO}, {"q": ONE, "p": TWO}
    for library in pair:
        model = two_outputs(library, by_name=True)
        model.compile(library.optimizers.SGD(0.1), {"q": "mse", "p": "mae"}, metrics={"p": ["mae", "mse"]})
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        values = model.evaluate(x, y, verbose=0)
        models.append(model)
        logs.append((history.history, values))
        outputs = model.predict(x, verbose=0)
        assert {key: o.shape for key, o in outputs.items()} == {"q": (ROWS, 1), "p": (ROWS, 2)}
    same(*models, *(log[0] for log in logs))
    assert logs[0][1] == pytest.approx(logs[1][1], rel=2e-5)
    model = models[0]
    outputs = model.predict(x, verbose=0)
    before = model.test_on_batch(x, y, return_dict=True)
    stream = ((({"i": X[n], "j": TWO[n]}), {"q": ONE[n], "p": TWO[n]}) for n in (slice(0, 5), slice(5, ROWS)))
    assert model.evaluate(stream, verbose=0, return_dict=True) == pytest.approx(before, rel=1e-5)
    for data in ({"i": X, "j": TWO, "k": X}, [X, TWO]):  # others are not looked at; in the order of the names
        assert np.array_equal(model.predict(data, verbose=0)["p"], outputs["p"])
    assert np.array_equal(model.predict(x, batch_size=3, verbose=2, steps=2)["q"], outputs["q"][:6])
    assert np.array_equal(model.predict_on_batch(x)["q"], outputs["q"])
    assert len(model._libraries) == 1


def test_a_dict_of_outputs_need_not_have_a_loss_for_each() -> None:
    goals = Objectives({"q": "mse"}, {"q": 2.0}, {"p": "mae"}, None, where="model").sort(["p", "q"], {"p": 0, "q": 1})
    assert [(goal.loss, goal.factor, goal.metrics) for goal in goals] == [(None, 1.0, ("mae",)), ("mse", 2.0, ())]
    with pytest.raises(ModelError, match="loss_weights: .*: 'q' is missing"):
        Objectives({"q": "mse"}, {"p": 2.0}, None, None, where="model").sort(["p", "q"], {"p": 0, "q": 1})
    with pytest.raises(ModelError, match="received nothing"):
        Objectives({}, None, None, None, where="model").sort(["p", "q"], {"p": 0, "q": 1})


def test_an_output_that_is_not_trained() -> None:
    model = two_outputs(nn)
    model.compile(nn.optimizers.SGD(0.1), ["mse", None], metrics=[None, ["mae"]])
    start = model.get_weights()
    assert sorted(model.fit([X, TWO], [ONE, TWO], verbose=0).history) == ["a_mae", "loss"]
    changed = [bool((a != b).any()) for a, b in zip(start, model.get_weights(), strict=True)]
    assert changed == [True, True, True, True, False, False]
    model.compile(nn.optimizers.SGD(0.1), ["mse", None])
    expected = model.evaluate([X, TWO], [ONE, TWO], verbose=0)
    for y in ([ONE], [ONE, None], {"b": ONE}):  # its targets may be missing
        assert model.evaluate([X, TWO], y, verbose=0) == expected
    assert len(model._libraries) == 1


@pytest.mark.parametrize(("data", "message"), [
    (([X], [ONE, TWO]), r"x: expected the inputs 'i', 'j', received a list of 1. Give one array for each input"),
    ((X, [ONE, TWO]), "x: expected the inputs 'i', 'j', received one ndarray. Give a list of 2 arrays, or a dict"),
    (({"i": X, "jj": TWO}, [ONE, TWO]), "'j' is missing. Did you mean 'jj'"),
    (([X, TWO[1:]], [ONE, TWO]), r"expected as many rows in x\['j'\] as in x\['i'\], which has 8, received 7"),
    (([X, X], [ONE, TWO]), r"input 'j': expected \(batch, 2\), received \(batch, 3\)"),
    (([X, TWO], ONE), "y: expected the outputs 'b', 'a', received one ndarray"),
    (([X, TWO], [ONE]), "y: expected the outputs 'b', 'a', received a list of 1"),
    (([X, TWO], {"a": TWO}), "y: .*: 'b' is missing"),
    (([X, TWO], {"a": TWO, "b": ONE, "c": ONE}), "y: .*: there is no output 'c'"),
    (([X, TWO], [ONE, TWO[1:]]), r"expected as many rows in y\['a'\] as in x, which has 8, received 7"),
    (([X, TWO], [TWO, ONE]), r"y\['b'\]: mean_squared_error expected \(batch, 1\)"),
    (([X, TWO], None), r"y\['b'\]: expected an array, received None"),
    (([X, TWO], [ONE, TWO], {"a": WEIGHT, "b": WEIGHT}), "sample_weight: expected the structure of y, a list of 2, received"),
    (([X, TWO], [ONE, TWO], [WEIGHT]), "sample_weight: expected the outputs 'b', 'a', received a list of 1"),
    (([X, TWO], [ONE, TWO], TWO), r"sample_weight: expected one number for each sample, as it is for all outputs, .*\(8, 2\)"),
    (([X, TWO], [ONE, TWO], [WEIGHT, TWO]), r"sample_weight\['a'\]: expected one number for each row .*\(8,\), received"),
])  # fmt: skip
def test_bad_data_of_several_inputs_and_outputs(data: Any, message: str) -> None:
    model = two_outputs(nn)
    model.compile("sgd", "mean_squared_error")
    with pytest.raises(ModelError, match=message):
        model.fit(*data[:2], sample_weight=data[2] if len(data) > 2 else None, verbose=0)
    if len(data) == 2:
        stream = iter([data])
        with pytest.raises(ModelError, match=message):
            model.fit(stream, verbose=0)
    assert not model._libraries


def test_class_weights_of_several_outputs() -> None:
    model = two_outputs(nn)
    model.compile("sgd", "mse")
    with pytest.raises(ModelError, match="class_weight is for models of one output, received 2 outputs"):
        model.fit([X, TWO], [ONE, TWO], class_weight={0: 1.0}, verbose=0)


def test_metrics_are_those_of_the_first_targets_that_fit() -> None:
    model = classifier(nn, "categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ModelError, match="For labels use sparse_categorical_crossentropy"):
        model.fit(X, LABELS, verbose=0)
    one_hot = np.eye(3)[LABELS]
    expected = float((model.predict(X, verbose=0).argmax(-1) == LABELS).mean())
    assert model.evaluate(X, one_hot, verbose=0)[1] == pytest.approx(expected)


# ------------------------------------------------------------------ weights of samples

LABELS = RNG.integers(0, 3, ROWS)


def classifier(library: Any, loss: Any = "sparse_categorical_crossentropy", **arguments: Any) -> Any:
    model = library.Sequential(
        [library.Input((3,), name="input"), library.layers.Dense(3, activation="softmax", name="output")]
    )
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    model.compile(library.optimizers.SGD(0.5), loss, **arguments)
    return model


CLASS_WEIGHT = {0: 2.0, 2: 0.25}


def test_weights_of_classes(pair: Any) -> None:
    models, logs = [], []
    for library in pair:
        model = classifier(library, metrics=["accuracy"], weighted_metrics=["accuracy"])
        history = model.fit(X, LABELS, batch_size=3, shuffle=False, class_weight=CLASS_WEIGHT, verbose=0,
                            validation_data=(X, LABELS))  # fmt: skip
        single = model.train_on_batch(X, LABELS, class_weight=CLASS_WEIGHT, return_dict=True)
        models.append(model)
        logs.append({**history.history, **single})
    same(*models, *logs)
    assert len(models[0]._libraries) == 1  # what is validated has no weights, and counts as 1
    as_samples = np.array([CLASS_WEIGHT.get(int(label), 1.0) for label in LABELS])
    one, two, three = (classifier(nn, weighted_metrics=["accuracy"]) for _ in range(3))
    one.fit(X, LABELS, batch_size=3, shuffle=False, class_weight=CLASS_WEIGHT, verbose=0)
    two.fit(X, LABELS, batch_size=3, shuffle=False, sample_weight=as_samples, verbose=0)
    batches = [(X[n : n + 3], LABELS[n : n + 3], as_samples[n : n + 3].tolist()) for n in range(0, ROWS, 3)]
    three.fit(iter(batches), verbose=0)
    for mine, its, others in zip(one.get_weights(), two.get_weights(), three.get_weights(), strict=True):
        assert np.array_equal(mine, its)
        assert np.array_equal(mine, others)


@pytest.mark.parametrize("y", [LABELS, LABELS[:, None], LABELS + 0.2, np.eye(3)[LABELS], LABELS.astype("uint8")])
def test_weights_of_the_classes_of_any_targets(y: Any) -> None:
    from nncompile.data import class_weights

    expected = [CLASS_WEIGHT.get(int(label), 1.0) for label in LABELS]
    assert class_weights(y, CLASS_WEIGHT, where="fit").tolist() == expected
    assert class_weights(y, {}, where="fit").tolist() == [1.0] * ROWS
    assert class_weights(y, {-1: 5.0, 7: 3.0}, where="fit").tolist() == [1.0] * ROWS
    with pytest.raises(ModelError, match="one class for each row"):
        class_weights(np.zeros((2, 3, 3)), CLASS_WEIGHT, where="fit")


def test_weights_of_nothing_and_of_everything() -> None:
    """A sample of weight 0 is as if it were not there, but counts among those that the sum is divided by."""
    model, other = classifier(nn), classifier(nn)
    weight = np.zeros(ROWS)
    weight[:4] = 2.0
    model.train_on_batch(X, LABELS, sample_weight=weight)
    other.train_on_batch(X[:4], LABELS[:4])
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(mine, its, atol=1e-6)
    ones = model.evaluate(X, LABELS, sample_weight=np.ones(ROWS), verbose=0)
    assert ones == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-6)
    assert model.test_on_batch(X, LABELS, sample_weight=np.zeros(ROWS)) == 0.0
    for weights in (WEIGHT[:, None], WEIGHT.tolist(), [WEIGHT], WEIGHT.astype("float64"), np.ones(ROWS, bool)):
        model.evaluate(X, LABELS, sample_weight=weights, verbose=0)
    assert len(model._libraries) == 2


def test_validation_split_takes_the_weights_along() -> None:
    model, other = (classifier(nn, weighted_metrics=["accuracy"]) for _ in range(2))
    y = LABELS
    one = model.fit(X, y, sample_weight=WEIGHT, validation_split=0.25, shuffle=False, verbose=0)
    held = (X[6:], y[6:], WEIGHT[6:])
    two = other.fit(X[:6], y[:6], sample_weight=WEIGHT[:6], validation_data=held, shuffle=False, verbose=0)
    assert one.history == two.history
    assert sorted(one.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]


# ------------------------------------------------------------------ metrics that Python computes


class Largest(nn.metrics.Metric):
    """The largest product of target, prediction and weight; and how many batches there were."""

    def __init__(self, name: str = "largest", **keywords: Any) -> None:
        super().__init__(name=name, **keywords)
        self.largest, self.batches = self.add_weight(name="largest"), []  # type: ignore[var-annotated]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
        self.batches.append(len(y_true))
        best = float((y_pred.max(-1) * (y_true + 1) * weight).max())
        self.largest.assign(max(best, float(self.largest.value)))

    def result(self) -> Any:
        return self.largest.value

    def reset_state(self) -> None:
        super().reset_state()
        self.batches = []


@pytest.mark.parametrize("shuffle", [False, True])
def test_metrics_of_numpy_state(shuffle: bool) -> None:
    plain, weighted = Largest(), Largest("weighted")
    model = classifier(nn, metrics=[plain], weighted_metrics=[weighted, "accuracy"])
    expected = model.predict(X, verbose=0).max(-1) * (LABELS + 1)
    values = model.evaluate(X, LABELS, sample_weight=WEIGHT, batch_size=3, verbose=0, return_dict=True)
    assert values["largest"] == pytest.approx(expected.max(), rel=1e-6)
    assert values["weighted"] == pytest.approx((expected * WEIGHT).max(), rel=1e-6)
    assert plain.batches == weighted.batches == [3, 3, 2]
    assert [type(value) for value in values.values()] == [float] * 4
    history = model.fit(X, LABELS, sample_weight=WEIGHT, batch_size=ROWS, epochs=2, shuffle=shuffle, verbose=0)
    assert history.history["largest"][0] == pytest.approx(expected.max(), rel=1e-6)  # before the update
    assert history.history["weighted"][0] == pytest.approx((expected * WEIGHT).max(), rel=1e-6)
    assert history.history["largest"][1] != history.history["largest"][0]
    now = model.predict(X, verbose=0).max(-1) * (LABELS + 1)
    single = model.train_on_batch(X, LABELS, sample_weight=WEIGHT, return_dict=True)
    assert single["largest"] == pytest.approx(now.max(), rel=1e-6)
    assert [m.name for m in model.metrics] == ["loss", "largest", "weighted", "accuracy"]
    model.reset_metrics()
    assert float(plain.result()) == 0.0
    model.fit(iter([(X, LABELS, WEIGHT), (X[:5], LABELS[:5], WEIGHT[:5])]), verbose=0)
    assert plain.batches == [8, 5]


def test_large_data_is_given_to_metrics_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from nncompile.training import feeds

    monkeypatch.setattr(feeds, "_CAPTURED", 12)
    calls: list[int] = []
    monkeypatch.setattr(
        nn.compiler.Library, "evaluate",
        lambda self, *a, real=nn.compiler.Library.evaluate: (calls.append(a[2]), real(self, *a))[1],
    )  # fmt: skip
    model = classifier(nn, metrics=[Largest()])
    model.evaluate(X, LABELS, batch_size=2, verbose=0)
    assert calls == [4, 4]


# ------------------------------------------------------------------ what a user may look at, and files


def test_the_metrics_of_a_model() -> None:
    model = two_outputs(nn)
    model.compile("sgd", ["mse", "mae"], metrics=[["mae"], None])
    assert model.metrics_names == ["loss", "b_loss", "a_loss", "b_mae"]
    assert [m.name for m in model.metrics] == ["loss", "mae", "b_loss", "a_loss"]
    assert all(isinstance(m, nn.metrics.Metric) for m in model.metrics)
    values = model.evaluate([X, TWO], [ONE, TWO], verbose=0)
    assert [m.name for m in model.metrics] == ["loss", "mae", "b_loss", "a_loss"]
    assert [float(m.result()) for m in model.metrics] == pytest.approx([values[n] for n in (0, 3, 1, 2)])
    assert model.metrics_names == ["loss", "b_loss", "a_loss", "b_mae"]


@pytest.mark.parametrize(
    ("loss", "units", "expected"),
    [
        ("sparse_categorical_crossentropy", 3, "SparseCategoricalAccuracy"),
        ("categorical_crossentropy", 3, "CategoricalAccuracy"),
        ("binary_crossentropy", 1, "BinaryAccuracy"),
    ],
)
def test_the_metrics_before_the_first_data(loss: str, units: int, expected: str) -> None:
    own = nn.metrics.AUC(name="area")
    model = nn.Sequential([nn.layers.Dense(units)])
    assert (model.metrics, model.metrics_names) == ([], [])
    model.compile("sgd", loss, metrics=["accuracy", own])
    assert model.metrics_names == ["loss", "accuracy", "area"]
    assert model.metrics[2] is own
    assert model.metrics[0] is model.metrics[0]
    model.build((None, 4))
    assert [type(m).__name__ for m in model.metrics] == ["Mean", expected, "AUC"]
    assert [m.name for m in model.metrics] == model.metrics_names == ["loss", "accuracy", "area"]


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@pytest.mark.parametrize("arguments", [
    {"loss": {"b": "mse", "a": nn.losses.MeanAbsoluteError(reduction="sum")}, "loss_weights": {"a": 0.5, "b": 2.0},
     "metrics": {"a": ["mae", nn.metrics.MeanSquaredError(name="mine")]}, "weighted_metrics": {"b": "mae"}},
    {"loss": ["mse", None], "loss_weights": [1.0, 2.0], "metrics": [["mae"], None], "steps_per_execution": 4,
     "run_eagerly": True},
    {"loss": "mse", "loss_weights": 0.5},
], ids=str)  # fmt: skip
def test_what_compile_was_given_can_be_kept(arguments: dict[str, Any]) -> None:
    import json

    model = two_outputs(nn)
    model.compile(nn.optimizers.SGD(0.25), **arguments)
    config = json.loads(json.dumps(model.get_compile_config()))
    other = two_outputs(nn)
    other.compile_from_config(config)
    assert json.loads(json.dumps(other.get_compile_config())) == config
    assert config["run_eagerly"] == arguments.get("run_eagerly", False)
    assert config["jit_compile"] == (not config["run_eagerly"])
    assert other.steps_per_execution == config["steps_per_execution"] == arguments.get("steps_per_execution", 1)
    x, y = [X, TWO], [ONE, TWO]
    assert other.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(x, y, verbose=0, return_dict=True)


def test_keras_reads_it(pair: Any) -> None:
    _, keras = pair
    model, other = two_outputs(nn), two_outputs(keras)
    arguments = {"loss": {"b": "mse", "a": "mae"}, "loss_weights": {"a": 0.5, "b": 2.0}, "metrics": {"a": ["mae"]}}
    model.compile(nn.optimizers.SGD(0.25), **arguments)
    other.compile(keras.optimizers.SGD(0.25), **arguments)
    mine, its = model.get_compile_config(), other.get_compile_config()
    assert {k: v for k, v in mine.items() if k != "optimizer"} == {k: v for k, v in its.items() if k != "optimizer"}
    model.compile_from_config(its)
    other.compile_from_config(mine)


@pytest.mark.parametrize("name", ["train_step", "test_step", "compute_metrics"])
def test_steps_of_the_users_own_are_refused_by_name(name: str) -> None:
    own = type("Mine", (nn.Sequential,), {name: lambda self, *a: None})
    with pytest.raises(nn.errors.UnsupportedError, match=rf"Mine\): defines {name}\(\), which is not supported"):
        own([nn.Input((3,)), nn.layers.Dense(1)]).compile("sgd", "mse")
    own = type("Mine", (nn.Sequential,), {"predict_step": lambda self, *a: None})
    with pytest.raises(nn.errors.UnsupportedError, match=r"defines predict_step\(\)"):
        own([nn.Input((3,)), nn.layers.Dense(1)]).predict(X)


# ------------------------------------------------------------------ what layers add


def test_training_for_what_layers_add_alone() -> None:
    model = nn.Sequential(
        [nn.Input((3,)), nn.layers.Dense(2), nn.layers.ActivityRegularization(l2=0.5), nn.layers.Dense(1)]
    )
    model.compile(nn.optimizers.SGD(0.1))
    start = model.get_weights()
    inner = X @ start[0] + start[1]
    penalty = 0.5 * np.square(inner).sum() / ROWS
    assert model.train_on_batch(X) == pytest.approx(penalty, rel=1e-5)  # without targets
    expected = start[0] - 0.1 * X.T @ inner / ROWS
    assert np.allclose(model.get_weights()[0], expected, atol=1e-6)
    assert np.array_equal(model.get_weights()[2], start[2])
    assert model.evaluate(X, verbose=0) < penalty
    assert list(model.fit(iter([(X,), (X,)]), verbose=0).history) == ["loss"]


# ------------------------------------------------------------------ several rows for a sample


def test_weights_of_the_rows_of_a_sample() -> None:
    x, y = RNG.random((ROWS, 4, 3)).astype("float32"), RNG.random((ROWS, 4, 2)).astype("float32")
    model = nn.Sequential([nn.Input((4, 3), name="input"), nn.layers.Dense(2, name="output")])
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    p = np.asarray(model.call(x))
    each, inner = np.square(p - y).mean(-1), np.abs(p - y).mean(-1)
    for weight in (WEIGHT, WEIGHT[:, None], RNG.random((ROWS, 4)), RNG.random((ROWS, 4, 1))):
        rows = np.broadcast_to(weight.reshape(ROWS, -1), (ROWS, 4))
        expected = [float((each * rows).mean()), float((inner * rows).sum() / rows.sum())]
        assert model.test_on_batch(x, y, sample_weight=weight) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ModelError, match=r"of shape \(8,\) or \(8, 4\), received shape \(8, 3\)"):
        model.test_on_batch(x, y, sample_weight=np.ones((ROWS, 3)))


# ------------------------------------------------------------------ tables


class Table:
    """A table that lets one have its columns, and no array of all."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns, self.columns = columns, list(columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


class Mixed(Table):
    """One that makes an array of objects of columns of several types."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([list(row) for row in zip(*self._columns.values(), strict=True)], dtype=object)


@pytest.mark.parametrize("kind", [Table, Mixed])
def test_columns(kind: Any) -> None:
    whole = {"a": X[:, 0], "b": (X[:, 1] > 0.5), "c": (X[:, 2] * 9).astype("int32")}
    model = classifier(nn)
    expected = model.predict(np.stack(list(whole.values()), axis=1), verbose=0)
    assert np.array_equal(model.predict(kind(whole), verbose=0), expected)
    with pytest.raises(ModelError, match="x: expected an array of numbers, received"):
        model.predict(kind({**whole, "b": np.array(["word"] * ROWS)}), verbose=0)


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0.5, "c": X[:, 2], "label": LABELS, "weight": WEIGHT})
    model = classifier(nn, weighted_metrics=["accuracy"])
    columns = table[["a", "b", "c"]]
    expected = model.evaluate(columns.to_numpy("float32"), LABELS, sample_weight=WEIGHT, verbose=0)
    assert model.evaluate(columns, table["label"], sample_weight=table["weight"], verbose=0) == expected


def test_outputs_of_single_numbers() -> None:
    """Of ``(None,)`` a metric of Keras makes one number for a batch: the means of batches count the same."""
    model = nn.Sequential([nn.Input((3,)), nn.layers.Dense(1), nn.layers.Reshape(())])
    model.compile("sgd", "mse", metrics=["mae", "mse"])
    y = np.arange(5.0, dtype="float32")
    loss, mae, mse = model.evaluate(X[:5], y, batch_size=3, verbose=0)
    off = model.predict(X[:5], verbose=0) - y
    assert off.shape == (5,)
    np.testing.assert_allclose(loss, np.mean(off**2), rtol=1e-5)
    np.testing.assert_allclose(mae, (np.abs(off[:3]).mean() + np.abs(off[3:]).mean()) / 2, rtol=1e-5)
    np.testing.assert_allclose(mse, (np.mean(off[:3] ** 2) + np.mean(off[3:] ** 2)) / 2, rtol=1e-5)
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    with pytest.raises(ModelError, match=r"expected an output of shape \(batch, features\), received \(None,\)"):
        model.fit(X[:5], y, sample_weight=np.ones(5), verbose=0)


class WithLossOfItsOwn(nn.Model):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        return ops.mean(ops.square(y - y_pred))


def test_what_a_loss_of_the_models_own_cannot_be() -> None:
    inputs = nn.Input((3,))
    regular = WithLossOfItsOwn(inputs, nn.layers.Dense(1, kernel_regularizer="l2")(inputs))
    regular.compile("sgd")
    with pytest.raises(UnsupportedError, match=r"layers add to the loss.*WithLossOfItsOwn\.compute_loss.*Call super"):
        regular.fit(X, ONE, verbose=0)
    two = WithLossOfItsOwn(inputs, [nn.layers.Dense(1)(inputs), nn.layers.Dense(2)(inputs)])
    with pytest.raises(UnsupportedError, match="compiled for one output, and there are 2"):
        two.compile("sgd")
    weighed = WithLossOfItsOwn(inputs, nn.layers.Dense(1)(inputs))
    weighed.compile("sgd")
    with pytest.raises(UnsupportedError, match=r"weights of samples or classes: WithLossOfItsOwn\.compute_loss"):
        weighed.fit(X, ONE, sample_weight=np.ones(len(X)), verbose=0)

    class OfInputs(nn.Model):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, **_: Any) -> Any:
            return ops.mean(ops.square(y_pred - x[:, :1]))

    with pytest.raises(UnsupportedError, match=r"formula of targets and outputs, of which x is none.*add_loss"):
        made = OfInputs(inputs, nn.layers.Dense(1)(inputs))
        made.compile("sgd", "mse")
        made.fit(X, ONE, verbose=0)
    with pytest.raises(ModelError, match="compute_loss.. needs to know how"):
        nn.Model(inputs, nn.layers.Dense(1)(inputs)).compute_loss(X, ONE, ONE)


def test_results_are_there_between_calls() -> None:
    model = nn.Sequential([nn.Input((3,)), nn.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.get_metrics_result() == {} and model.jit_compile
    x = np.ones((4, 3), "float32")
    logs = model.evaluate(x, x[:, :1], verbose=0, return_dict=True)
    assert model.get_metrics_result() == logs and len(model.metrics_variables) == 4
    model.reset_metrics()
    assert model.get_metrics_result() == {"loss": 0.0, "mae": 0.0}
