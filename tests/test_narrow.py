"""Formulas over narrow rows, which are computed with a row in each lane: as row by row, for any width and any rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from reference import every_form, forms

import nncompile as nn
from nncompile import ops, targets

TARGETS = forms()


def lanes_of(target: str) -> int:
    return max(4, targets.find(target).vector_bytes // 4)


def widths(target: str) -> list[int]:
    """Around the lanes of a target, and around a quarter more, up to which a row in each lane is worth while."""
    lanes = lanes_of(target)
    return sorted({2, 3, lanes - 1, lanes, lanes + 1, lanes * 5 // 4, lanes * 5 // 4 + 1})


def every_width() -> list[Any]:
    """Of targets and widths; of the narrowest and of one a vector wide the C is compiled as for users."""
    return [
        pytest.param(
            t,
            w,
            marks=pytest.mark.quick_c(t not in (TARGETS[0], TARGETS[-1]) or w not in (2, lanes_of(t))),
            id=f"{t}-{w}",
        )
        for t in TARGETS
        for w in widths(t)
    ]


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    targets.set_host(None)
    targets.set_threads(None)


def classifier(width: int, *more: Any) -> Any:
    nn.utils.set_random_seed(5)
    return nn.Sequential([nn.Input((6,)), nn.layers.Dense(width, bias_initializer="uniform"), *more])


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def data(count: int, width: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, 6)).astype("float32"), rng.integers(0, width, count)


@pytest.mark.parametrize(("target", "width"), every_width())
def test_softmax_its_loss_its_gradient_and_metrics(target: str, width: int) -> None:
    nn.config.set_target(target)
    for count, one_hot in ((1, True), (5, False), (16, True), (17, False), (45, True)):
        model = classifier(width, nn.layers.Activation("softmax"))
        x, labels = data(count, width)
        y = np.eye(width, dtype="float32")[labels] if one_hot else labels
        kernel, bias = (w.astype("float64") for w in model.get_weights())
        p = softmax(x @ kernel + bias)
        loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
        top = "top_k_categorical_accuracy" if one_hot else "sparse_top_k_categorical_accuracy"
        metrics = ["accuracy", top, "mean_squared_error"] if one_hot else ["accuracy", top]
        model.compile(nn.optimizers.SGD(1.0), loss, metrics=metrics)
        found = model.evaluate(x, y, batch_size=17, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(-np.log(p[np.arange(count), labels]).mean(), abs=2e-6)
        assert found["accuracy"] == pytest.approx((p.argmax(-1) == labels).mean())
        if one_hot:
            assert found["mean_squared_error"] == pytest.approx(((y - p) ** 2).mean(), abs=2e-6)
        # with the library that there is now; one that does nothing but predict is tested below
        np.testing.assert_allclose(model.predict(x, verbose=0), p, atol=1e-6)
        model.fit(x, y, batch_size=count, verbose=0)
        d = (p - np.eye(width)[labels]) / count
        np.testing.assert_allclose(model.get_weights()[0], kernel - x.T @ d, atol=3e-6)
        np.testing.assert_allclose(model.get_weights()[1], bias - d.sum(0), atol=3e-6)


@pytest.mark.parametrize("target", every_form())
@pytest.mark.parametrize("width", [1, 3, 16, 17])
def test_formulas_between_layers(target: str, width: int) -> None:
    """A formula with reductions between two products, whose padding the second product reads."""
    nn.config.set_target(target)

    def centred(x: Any) -> Any:
        return ops.exp(x - ops.max(x, axis=-1, keepdims=True)) - ops.mean(x, axis=-1, keepdims=True)

    model = classifier(width, nn.layers.Activation(centred), nn.layers.Dense(4))
    x, _ = data(37, width)
    kernel, bias, second, second_bias = (w.astype("float64") for w in model.get_weights())
    z = x @ kernel + bias
    h = np.exp(z - z.max(-1, keepdims=True)) - z.mean(-1, keepdims=True)
    for rows in (1, 13, 37):
        y = model.predict(x[:rows], batch_size=37, verbose=0)
        np.testing.assert_allclose(y, (h @ second + second_bias)[:rows], atol=3e-6)


@pytest.mark.parametrize("target", every_form())
@pytest.mark.parametrize("width", [2, 15])
def test_a_row_depends_on_itself_alone(target: str, width: int) -> None:
    """Its bits are the same in any batch and beside any other row, and NaN and infinity stay in their rows."""
    nn.config.set_target(target)
    model = classifier(width, nn.layers.Activation("softmax"))
    x, labels = data(40, width)
    y = model.predict(x, batch_size=40, verbose=0)
    for batch in (1, 7, 16, 33):
        assert model.predict(x, batch_size=batch, verbose=0).tobytes() == y.tobytes()
    bad = x.copy()
    bad[3, 0], bad[20, 1] = np.nan, np.inf
    z = model.predict(bad, batch_size=40, verbose=0)
    assert np.isnan(z[3]).all() and np.isnan(z[20]).any()
    rest = np.delete(np.arange(40), [3, 20])
    assert z[rest].tobytes() == y[rest].tobytes()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isnan(model.evaluate(bad, labels, verbose=0)) and np.isfinite(model.evaluate(x, labels, verbose=0))


@pytest.mark.parametrize("width", [3, 17])
def test_noise_in_a_narrow_formula_is_the_same_on_every_target(width: int) -> None:
    """Dropout behind a reduction draws as many numbers, and the same, however rows and lanes lie."""
    found = []
    for target in TARGETS:
        nn.config.set_target(target)
        nn.utils.set_random_seed(1)  # the layers below have their seeds before the model is made
        model = classifier(width, nn.layers.Activation("softmax"), nn.layers.Dropout(0.5, seed=7), nn.layers.Dense(2))
        model.compile(nn.optimizers.SGD(0.1), "mean_squared_error")
        x, _ = data(50, width)
        model.fit(x, x[:, :2], batch_size=19, epochs=3, shuffle=False, verbose=0)
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "adamax"])
def test_many_steps_of_what_is_raised_to_the_step(optimizer: str) -> None:
    """Bias corrections are powers of the step: exact for the first, and without drift after thousands."""
    nn.utils.set_random_seed(1)
    models = []
    for dtype in ("float32", "float64"):
        nn.config.set_floatx(dtype)
        model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(1, kernel_initializer="ones")])
        model.compile(optimizer, "mean_squared_error")
        model.fit(np.array([[1.0, 2.0]]), np.array([[1.5]]), epochs=3000, verbose=0)
        models.append(model.get_weights()[0])
    np.testing.assert_allclose(models[0], models[1], atol=2e-4)
