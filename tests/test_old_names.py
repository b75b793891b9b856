"""Names and modules of Keras 1 and 2: scripts of that time run, and are told what to write today."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import old_names
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 8)), RNG.integers(0, 2, 60)
OLD = [(path, name) for path, names in old_names.NAMES.items() for name in names]


@pytest.mark.parametrize(("path", "name"), OLD)
def test_an_old_name_is_found_and_told(path: str, name: str) -> None:
    module = importlib.import_module(f"nncompile.{path}")
    with pytest.warns(DeprecationWarning, match=rf"nncompile\.{path}\.{name} is the spelling of .*; use \S+") as told:
        found = getattr(module, name)
    assert callable(found) and told[0].filename == __file__
    assert f"use {found.__module__.partition('.')[0]}" in str(told[0].message) or "old_functions" in found.__module__


@pytest.mark.parametrize("name", [name for name in old_names.MODULES if name not in old_names._CURRENT])
def test_an_old_module_has_the_names_of_today(name: str) -> None:
    for loaded in [m for m in sys.modules if m == f"nncompile.{name}" or m.startswith(f"nncompile.{name}.")]:
        del sys.modules[loaded]
    originals = old_names.MODULES[name]
    if not originals:
        module = importlib.import_module(f"nncompile.{name}")
    else:
        with pytest.warns(DeprecationWarning, match=rf"nncompile\.{name} is the spelling of Keras 1 or 2; use "):
            module = importlib.import_module(f"nncompile.{name}")
        known = importlib.import_module(originals[0])
        names = getattr(known, "__all__", None) or [n for n in dir(known) if not n.startswith("_")]
        assert names and all(getattr(module, n) is getattr(known, n) for n in names)
    with pytest.raises(AttributeError, match="has no attribute 'nothing_of_the_kind'"):
        _ = module.nothing_of_the_kind


@pytest.mark.parametrize("path", old_names.REFUSED)
def test_what_is_gone_says_why(path: str) -> None:
    module = importlib.import_module(f"nncompile.{path}")
    for name, why in old_names.REFUSED[path].items():
        with pytest.raises(AttributeError) as caught:
            getattr(module, name)
        assert why in str(caught.value) and isinstance(caught.value, UnsupportedError)
        with pytest.raises(ImportError, match="is not supported"):
            exec(f"from nncompile.{path} import {name}")


@pytest.mark.filterwarnings("ignore:.*spelling of Keras 1:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*Keras 1 (or|and) 2:DeprecationWarning")
def test_a_script_of_keras_1() -> None:
    namespace: dict[str, Any] = {"x": X, "y": Y}
    exec(
        """
from nncompile.models import Sequential
from nncompile.layers.core import Dense, Dropout, Activation
from nncompile.layers.normalization import BatchNormalization
from nncompile.layers.advanced_activations import LeakyReLU, ThresholdedReLU
from nncompile.regularizers import l2, l1l2, activity_l2
from nncompile.constraints import maxnorm
from nncompile.utils import np_utils
from nncompile.optimizers import SGD
from nncompile import backend as K

def distance(y_true, y_pred):
    return K.mean(K.square(K.clip(y_pred, K.epsilon(), 1.0) - y_true), axis=-1)

labels = np_utils.to_categorical(y, nb_classes=2)
model = Sequential()
model.add(Dense(12, input_dim=8, init="uniform", W_regularizer=l2(0.01), W_constraint=maxnorm(m=2), bias=True))
model.add(LeakyReLU(alpha=0.1))
model.add(BatchNormalization(mode=0, beta_init="zero", gamma_init="one"))
model.add(Dropout(p=0.2))
model.add(Dense(output_dim=6, init="normal", W_constraint="nonneg", W_regularizer=l1l2(0.01, 0.02)))
model.add(ThresholdedReLU(theta=0.0))
model.add(Dense(2, activity_regularizer=activity_l2(0.01)))
model.add(Activation("softmax"))
model.compile(loss=distance, optimizer=SGD(lr=0.1, momentum=0.9), metrics=["accuracy", "precision", "fmeasure"])
history = model.fit(x, labels, nb_epoch=2, batch_size=10, verbose=0, validation_split=0.2)
classes = model.predict_classes(x)
""",
        namespace,
    )
    assert {"loss", "val_loss", "accuracy"} <= set(namespace["history"].history)
    assert namespace["classes"].shape == (60,)
    assert namespace["model"].layers[0].kernel_constraint.max_value == 2


@pytest.mark.filterwarnings("ignore:.*spelling of Keras 1 or 2:DeprecationWarning")
def test_functions_with_the_defaults_of_keras_2() -> None:
    K, x = nn.backend, RNG.normal(size=(3, 4)).astype("float32")
    np.testing.assert_array_equal(K.argmax(x), x.argmax(-1))
    np.testing.assert_array_equal(K.argmin(x), x.argmin(-1))
    np.testing.assert_array_equal(K.concatenate([x, x]), np.concatenate([x, x], -1))
    np.testing.assert_array_equal(K.gather(x, [2, 0]), x[[2, 0]])
    np.testing.assert_allclose(K.l2_normalize(x, axis=1), x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-6)
    assert K.expand_dims(x).shape == (3, 4, 1) and K.flatten(x).shape == (12,) and K.int_shape(x) == (3, 4)
    assert K.batch_flatten(np.zeros((2, 3, 4))).shape == (2, 12) and K.permute_dimensions(x, (1, 0)).shape == (4, 3)
    variable = K.variable([1.0, 2.0], name="v")
    K.set_value(variable, [3.0, 4.0])
    assert K.get_value(variable).tolist() == K.eval(variable).tolist() == [3.0, 4.0]
    assert K.constant(2.0, shape=(2, 3)).tolist() == [[2.0] * 3] * 2 and K.cast_to_floatx([1]).dtype == "float32"
    assert K.random_normal((2, 3)).shape == K.random_uniform((2, 3)).shape == (2, 3)
    with pytest.raises(ModelError, match=r"expected a variable, .* learning rate is set by optimizer\.learning_rate"):
        K.set_value(0.1, 0.2)


@pytest.mark.filterwarnings("ignore:.*spelling of Keras 1 or 2:DeprecationWarning")
def test_tensors_are_merged() -> None:
    vars(nn.layers).pop("merge", None)  # Keras 2 had a module in the place of the function
    a, b = nn.Input((3,)), nn.Input((3,))
    for mode, of in {"sum": np.add, "mul": np.multiply, "max": np.maximum}.items():
        model = nn.Model([a, b], nn.layers.merge([a, b], mode=mode))
        one, other = RNG.normal(size=(2, 4, 3)).astype("float32")
        np.testing.assert_allclose(model.predict([one, other], verbose=0), of(one, other), rtol=1e-6)
    assert nn.layers.merge([a, b], mode="concat", concat_axis=1).shape == (None, 6)
    assert nn.layers.merge([a, b], mode="cos").shape == (None, 1)
    with pytest.raises(ModelError, match="expected mode to be one of sum, mul"):
        nn.layers.merge([a, b], mode="nothing")
