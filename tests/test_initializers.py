"""Initializers and random numbers: distributions, seeds, configurations, bad arguments."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from oracle import keras

from nncompile import config, initializers, ops, random, registry, utils
from nncompile.errors import FileFormatError, ModelError, UnsupportedError

RANDOM = [
    "RandomNormal",
    "TruncatedNormal",
    "RandomUniform",
    "VarianceScaling",
    "GlorotUniform",
    "GlorotNormal",
    "HeUniform",
    "HeNormal",
    "LecunUniform",
    "LecunNormal",
    "Orthogonal",
]
FIXED = ["Zeros", "Ones", "Constant", "Identity"]


def test_everything_of_keras_is_there():
    theirs = {n for n in dir(keras.initializers) if isinstance(getattr(keras.initializers, n), type)}
    missing = {n for n in theirs if not hasattr(initializers, n)}
    assert missing == {"STFT", "STFTInitializer", "stft"}
    assert set(registry.registered("initializers")) == {*RANDOM, *FIXED}


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", RANDOM + FIXED)
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_shape_and_type(name, dtype):
    value = initializers.get(name)((5, 7), dtype=dtype)
    assert isinstance(value, np.ndarray)
    assert value.shape == (5, 7)
    assert value.dtype == (dtype or "float32")


@pytest.mark.parametrize("name", RANDOM)
def test_floatx_is_the_type_that_is_not_given(name):
    config.set_floatx("float64")
    try:
        assert initializers.get(name)((3, 2)).dtype == "float64"
    finally:
        config.set_floatx("float32")


@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (4, 5, 30, 40), (500,), (64, 1)])
@pytest.mark.parametrize("name", [n for n in RANDOM if n != "Orthogonal"])
def test_distribution_is_that_of_keras(name, shape):
    ours = getattr(initializers, name)(seed=3)(shape).astype("float64")
    theirs = np.asarray(getattr(keras.initializers, name)(seed=3)(shape)).astype("float64")
    n = ours.size
    spread = theirs.std()
    assert abs(ours.mean() - theirs.mean()) < 8 * spread / math.sqrt(n)
    assert abs(ours.std() / spread - 1) < 8 / math.sqrt(n)
    assert abs(np.abs(ours).max() / np.abs(theirs).max() - 1) < (0.4 if n < 1000 else 0.25)


def test_variance_scaling_has_the_variance_it_promises():
    for mode, n in (("fan_in", 100), ("fan_out", 400), ("fan_avg", 250)):
        for distribution in ("uniform", "truncated_normal", "untruncated_normal", "normal"):
            init = initializers.VarianceScaling(3.0, mode, distribution, seed=1)
            assert init((100, 400), dtype="float64").var() == pytest.approx(3.0 / n, rel=0.05)


def test_variance_scaling_takes_axes():
    init = initializers.VarianceScaling(1.0, "fan_in", "uniform", seed=1, input_axes=[1, 2], output_axes=[0])
    limit = math.sqrt(3 / (20 * 30))
    value = init((50, 20, 30))
    assert np.abs(value).max() <= limit
    assert np.abs(value).max() > 0.99 * limit


@pytest.mark.parametrize(("shape", "fans"), [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((2, 3, 4, 5), (24, 30))])
def test_compute_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_truncated_normal_is_cut_off():
    value = initializers.TruncatedNormal(1.0, 0.5, seed=1)((300, 300))
    assert value.min() >= 0.0
    assert value.max() <= 2.0
    assert value.min() < 0.02
    assert value.mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 3, 4), (3, 2, 12), (1, 1), (5, 1)])
def test_orthogonal(shape):
    value = initializers.Orthogonal(gain=2.0, seed=5)(shape, dtype="float64").reshape(-1, shape[-1])
    product = value @ value.T if value.shape[0] < value.shape[1] else value.T @ value
    np.testing.assert_allclose(product, 4.0 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_has_both_signs():
    values = [float(initializers.Orthogonal(seed=s)((1, 1))[0, 0]) for s in range(30)]
    assert {round(v) for v in values} == {1} or {round(v) for v in values} == {-1, 1}


def test_fixed_numbers():
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.Ones()((2,), dtype="int32"), [1, 1])
    np.testing.assert_array_equal(initializers.Constant(2.5)((2, 1)), [[2.5], [2.5]])
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(initializers.get(array)((2, 3)), array)
    assert initializers.get(array)((2, 3)).dtype == "float32"


def test_an_array_is_copied():
    array = np.zeros(3)
    init = initializers.get(array)
    array[:] = 5
    np.testing.assert_array_equal(init((3,)), [0, 0, 0])


# ------------------------------------------------------------------ seeds


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    cls = getattr(initializers, name)
    one, same, other = cls(seed=1), cls(seed=1), cls(seed=2)
    np.testing.assert_array_equal(one((4, 3)), same((4, 3)))
    np.testing.assert_array_equal(one((4, 3)), one((4, 3)))  # as in Keras
    assert not np.array_equal(one((4, 3)), other((4, 3)))
    unseeded = cls()
    np.testing.assert_array_equal(unseeded((4, 3)), unseeded((4, 3)))
    assert not np.array_equal(unseeded((4, 3)), cls()((4, 3)))
    assert unseeded.get_config()["seed"] is None
    moving = cls(seed=random.SeedGenerator(1))
    assert not np.array_equal(moving((4, 3)), moving((4, 3)))


@pytest.mark.parametrize("name", RANDOM)
def test_set_random_seed_reproduces(name):
    utils.set_random_seed(7)
    first = [initializers.get(name)((3, 3)) for _ in range(2)]
    utils.set_random_seed(7)
    again = [initializers.get(name)((3, 3)) for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(*first)


def test_set_random_seed_seeds_python_and_numpy():
    import random as python_random

    seen = []
    for _ in range(2):
        utils.set_random_seed(3)
        seen.append((python_random.random(), np.random.rand(), random.uniform((1,))[0]))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("seed", ["1", 1.0, None, -1, 2**32, True])
def test_set_random_seed_refuses(seed):
    with pytest.raises(ModelError, match="set_random_seed: expected an integer"):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("seed", ["1", 1.5, True, [1]])
def test_bad_seeds(seed):
    with pytest.raises(ModelError, match="expected seed to be an integer or a SeedGenerator"):
        initializers.RandomNormal(seed=seed)
    with pytest.raises(ModelError, match="seed: expected an integer"):
        random.SeedGenerator(seed)
    with pytest.raises(ModelError, match="seed: expected an integer or a SeedGenerator"):
        random.uniform((2,), seed=seed)


def test_seed_generator():
    one, same = random.SeedGenerator(5), random.SeedGenerator(5)
    seeds = [tuple(map(int, one.next())) for _ in range(3)]
    assert seeds == [(5, 0), (5, 1), (5, 2)]
    assert list(same.state.value) == [5, 0]
    assert same.state.path == f"{same.name}/seed_generator_state"
    assert random.SeedGenerator.from_config(same.get_config()).get_config() == same.get_config()
    theirs = keras.random.SeedGenerator(5, name="s")
    ours = random.SeedGenerator(5, name="s")
    assert ours.get_config() == theirs.get_config()
    for _ in range(3):
        np.testing.assert_array_equal(ours.next(ordered=False), np.asarray(theirs.next(ordered=False)))
    assert list(random.SeedGenerator(-1).state.value) == [2**32 - 1, 0]
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'sead'. Did you mean 'seed'"):
        random.SeedGenerator(sead=1)


# ------------------------------------------------------------------ random numbers


def test_uniform_stays_below_its_bound():
    for dtype in ("float32", "float64"):
        value = random.uniform((100_000,), 1.0, 1.0 + 4e-7, dtype=dtype, seed=1)
        assert value.dtype == dtype
        assert value.min() >= 1.0
        assert value.max() < np.dtype(dtype).type(1.0 + 4e-7)
    assert random.uniform((3,), 2.0, 2.0).tolist() == [2.0, 2.0, 2.0]


def test_uniform_of_symbols_is_noise():
    seed = random.SeedGenerator(1)
    noise = random.uniform((None, 5), seed=seed)
    assert isinstance(noise, ops.Expression)
    assert noise.op == "noise"
    assert noise.value.seed is seed
    assert noise.shape == (None, 5)
    scaled = random.uniform((None, 5), -1.0, 3.0, seed=seed)
    assert scaled.op == "add"
    assert scaled.args[0].op == "multiply"
    (drawn,) = (x for x in scaled.args[0].args if x.op == "noise")
    assert drawn.value.seed is seed
    assert drawn is not noise  # each draw is a source of its own
    assert random.uniform((None, 5)) is not random.uniform((None, 5))


def test_what_goes_into_formulas():
    assert random.normal((None, 5)) is not random.normal((None, 5))
    with pytest.raises(UnsupportedError, match=r"random.gamma: .* can be used: random.uniform, random.normal"):
        random.gamma((None, 5), 2.0)


def test_other_distributions():
    assert random.normal((20_000,), 2.0, 3.0, seed=1).std() == pytest.approx(3.0, rel=0.03)
    whole = random.randint((1000,), -2, 3, seed=1)
    assert whole.dtype == "int32"
    assert set(whole.tolist()) == {-2, -1, 0, 1, 2}
    drawn = random.categorical([[0.0, math.log(3.0)], [100.0, 0.0]], 4000, seed=1)
    assert drawn.shape == (2, 4000)
    assert drawn[0].mean() == pytest.approx(0.75, abs=0.03)
    assert drawn[1].max() == 0
    assert random.gamma((20_000,), 2.0, seed=1).mean() == pytest.approx(2.0, rel=0.03)
    assert random.beta((20_000,), 1.0, 3.0, seed=1).mean() == pytest.approx(0.25, rel=0.03)
    assert random.binomial((20_000,), 10, 0.3, seed=1).mean() == pytest.approx(3.0, rel=0.03)
    rows = np.arange(20).reshape(10, 2)
    mixed = random.shuffle(rows, seed=1)
    assert sorted(map(tuple, mixed)) == sorted(map(tuple, rows))
    assert not np.array_equal(mixed, rows)


def test_dropout_function():
    x = np.ones((200, 200), dtype="float32")
    y = random.dropout(x, 0.25, seed=1)
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert y.dtype == "float32"
    assert random.dropout(x, 0.0) is x
    assert not random.dropout(x, 1).any()
    rows = random.dropout(x, 0.5, noise_shape=(200, 1), seed=1)
    assert np.array_equal(rows, np.broadcast_to(rows[:, :1], rows.shape))
    assert 0.3 < (rows[:, 0] == 0).mean() < 0.7
    for rate in (-0.1, 1.1, math.nan, True):
        with pytest.raises(ModelError, match="rate between 0 and 1"):
            random.dropout(x, rate)


def test_random_refuses():
    with pytest.raises(UnsupportedError, match=r"random.uniform: float16"):
        random.uniform((2,), dtype="float16")
    with pytest.raises(ModelError, match=r"random.normal: expected 'float32' or 'float64'"):
        random.normal((2,), dtype="int32")
    with pytest.raises(ModelError, match="expected an integer type"):
        random.randint((2,), 0, 3, dtype="float32")
    with pytest.raises(ModelError, match=r"expected logits \(rows, classes\)"):
        random.categorical([1.0, 2.0], 3)


# ------------------------------------------------------------------ configurations

CASES = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 2.5}),
    ("Constant", {"value": 3}),
    ("Constant", {"value": np.arange(4.0).reshape(2, 2)}),
    ("Identity", {}),
    ("RandomNormal", {}),
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0, "seed": 5}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 2.0, "seed": 5}),
    ("RandomUniform", {"minval": -1.0, "maxval": 2, "seed": 5}),
    ("VarianceScaling", {}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "normal", "seed": 1}),
    ("VarianceScaling", {"input_axes": [0], "output_axes": [1], "distribution": "uniform"}),
    ("GlorotUniform", {}),
    ("GlorotNormal", {"seed": 3}),
    ("HeUniform", {"seed": 3}),
    ("HeNormal", {"seed": 3}),
    ("LecunUniform", {"seed": 3, "input_axes": [0], "output_axes": [1]}),
    ("LecunNormal", {"seed": 3}),
    ("Orthogonal", {}),
    ("Orthogonal", {"gain": 2.0, "seed": 3}),
]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configuration_is_that_of_keras(name, arguments):
    ours = getattr(initializers, name)(**arguments)
    theirs = getattr(keras.initializers, name)(**arguments)
    form = initializers.serialize(ours)
    assert form == keras.initializers.serialize(theirs)
    form = json.loads(json.dumps(form))
    back = initializers.deserialize(form)
    assert type(back) is type(ours)
    assert initializers.serialize(back) == form
    assert initializers.serialize(initializers.get(form)) == form
    assert initializers.serialize(ours.clone()) == form
    assert type(keras.initializers.get(form)).__name__ == name
    if "seed" in arguments or name in FIXED:
        np.testing.assert_array_equal(back((2, 2)), ours((2, 2)))


def test_seed_generator_in_a_configuration():
    ours = initializers.RandomNormal(seed=random.SeedGenerator(2, name="seed_generator"))
    theirs = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(2, name="seed_generator"))
    form = initializers.serialize(ours)
    assert form == keras.initializers.serialize(theirs)
    back = initializers.deserialize(form)
    np.testing.assert_array_equal(back((3,)), ours((3,)))


def test_gain_of_identity_is_not_lost():
    form = initializers.serialize(initializers.Identity(2.0))
    assert initializers.get(form).gain == 2.0
    assert keras.initializers.get(form).gain == 2.0


@pytest.mark.parametrize(
    "form",
    [
        {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
        },
        {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}},
        {"class_name": "Zeros", "config": {"dtype": "float32"}},
        {"class_name": "RandomUniform", "config": {"minval": -0.1, "maxval": 0.1, "seed": 3}},
        {"class_name": "glorot_uniform", "config": {}},
    ],
)
def test_old_configurations_are_read(form):
    assert initializers.get(form)((2, 2)).shape == (2, 2)


def numpy_form(value, dtype):
    return {"value": {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"class_name": "Zeros"}, FileFormatError),
        ({"class_name": "Zeros", "config": 3}, FileFormatError),
        ({"class_name": "Zeros", "config": {"x": 1}}, FileFormatError),
        ({"config": {}}, FileFormatError),
        ({"class_name": "Evil", "config": {}}, UnsupportedError),
        ({"class_name": "Constant", "config": {"value": "text"}}, ModelError),
        ({"class_name": "Constant", "config": {"value": {"class_name": "function", "config": "f"}}}, FileFormatError),
        ({"class_name": "Constant", "config": numpy_form(["a"], "object")}, FileFormatError),
        ({"class_name": "Constant", "config": numpy_form([1], "what")}, FileFormatError),
        ({"class_name": "Constant", "config": numpy_form([[1], [1, 2]], "int32")}, FileFormatError),
        ({"class_name": "RandomNormal", "config": {"seed": {"class_name": "Evil", "config": {}}}}, FileFormatError),
        ({"class_name": "RandomNormal", "config": {"mean": "0"}}, ModelError),
        ({"class_name": "GlorotUniform", "config": {"input_axes": ["a"]}}, ModelError),
    ],
)  # fmt: skip
def test_bad_configurations(form, error):
    with pytest.raises(error):
        initializers.deserialize(form)


# ------------------------------------------------------------------ lookup


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("glorot_uniform", "GlorotUniform"),
        ("GlorotUniform", "GlorotUniform"),
        ("he_normal", "HeNormal"),
        ("lecun_uniform", "LecunUniform"),
        ("normal", "RandomNormal"),
        ("random_normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("truncated_normal", "TruncatedNormal"),
        ("variance_scaling", "VarianceScaling"),
        ("zero", "Zeros"),
        ("zeros", "Zeros"),
        ("one", "Ones"),
        ("ones", "Ones"),
        ("constant", "Constant"),
        ("identity", "Identity"),
        ("IdentityInitializer", "Identity"),
        ("orthogonal", "Orthogonal"),
        ("OrthogonalInitializer", "Orthogonal"),
    ],
)
def test_get_by_name(name, cls):
    assert type(initializers.get(name)).__name__ == cls
    if name != "constant":  # Keras cannot: it asks for the value
        assert type(keras.initializers.get(name)).__name__ == cls
    if name not in ("normal", "uniform", "zero", "one"):
        assert getattr(initializers, name) is getattr(initializers, cls)


def test_get_other_things():
    def mine(shape, dtype=None):
        return np.full(shape, 2.0, dtype=dtype)

    init = initializers.HeNormal(seed=1)
    assert initializers.get(None) is None
    assert initializers.get(init) is init
    assert type(initializers.get(initializers.HeNormal)) is initializers.HeNormal
    assert initializers.get(mine) is mine
    assert initializers.get(np.float64(3.0))((2,)).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("identifier", [3, [1.0], object()])
def test_get_refuses(identifier):
    with pytest.raises(ModelError, match="initializers: expected a name"):
        initializers.get(identifier)


def test_get_suggests():
    with pytest.raises(ModelError, match=r"unknown name 'glorot_unifrom'. Did you mean .*'glorot_uniform'"):
        initializers.get("glorot_unifrom")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0), "expected a positive scale, received 0"),
        (lambda: initializers.VarianceScaling(scale=math.nan), "expected a positive scale"),
        (lambda: initializers.VarianceScaling(scale="2"), "expected scale to be a number"),
        (lambda: initializers.VarianceScaling(mode="fan"), "expected mode to be one of"),
        (lambda: initializers.VarianceScaling(distribution="gauss"), "expected distribution to be one of"),
        (lambda: initializers.VarianceScaling(input_axes=3), "expected input_axes to be a list"),
        (lambda: initializers.RandomUniform(minval=None), "RandomUniform: expected minval to be a number"),
        (
            lambda: initializers.TruncatedNormal(stddev=True),
            "TruncatedNormal: expected stddev to be a number",
        ),
        (lambda: initializers.Identity(gain="a"), "expected gain"),
        (lambda: initializers.Orthogonal(gain="a"), "expected gain"),
        (lambda: initializers.Orthogonal()((3,)), "expected a weight of two axes or more"),
        (lambda: initializers.Identity()((3,)), "expected a weight of two axes"),
        (lambda: initializers.Identity()((3, 3, 3)), "expected a weight of two axes"),
        (lambda: initializers.Constant("x"), "Constant: expected a number"),
        (lambda: initializers.get(np.ones(3))((4,)), r"the array given has shape \(3,\), the weight \(4,\)"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_subclass_of_the_users():
    class Twos(initializers.Initializer):
        def __init__(self, factor=1.0):
            self.factor = factor

        def __call__(self, shape, dtype=None):
            return np.full(shape, 2.0 * self.factor, dtype=dtype)

        def get_config(self):
            return {"factor": self.factor}

    form = initializers.serialize(Twos(3.0))
    assert form["registered_name"] == "Twos"
    back = initializers.deserialize(form, custom_objects={"Twos": Twos})
    assert back((1,)).tolist() == [6.0]
    assert repr(back) == "Twos(factor=3.0)"
    with pytest.raises(UnsupportedError, match="'Twos' is not known here"):
        initializers.deserialize(form)
    with pytest.raises(NotImplementedError, match="must define __call__"):
        initializers.Initializer()((2,))


# ------------------------------------------------------------------ utils


def test_to_categorical():
    for x, n in (
        ([0, 2, 1], None),
        ([[0], [2]], 4),
        ([[0, 1], [2, 1]], None),
        (3, 5),
        (np.array([1.0, 0.0]), 2),
    ):
        np.testing.assert_array_equal(utils.to_categorical(x, n), keras.utils.to_categorical(x, n))
        assert utils.to_categorical(x, n).dtype == keras.utils.to_categorical(x, n).dtype
    assert utils.to_categorical([], 3).shape == (0, 3)
    with pytest.warns(DeprecationWarning, match="'nb_classes' is the spelling of Keras 1 or 2; use 'num_classes'") as w:
        assert utils.to_categorical([1], nb_classes=3).shape == (1, 3)
    assert len(w) == 1
    assert w[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="'y'"):
        assert utils.to_categorical(y=[1]).shape == (1, 2)


@pytest.mark.parametrize(
    ("x", "n", "message"),
    [
        ([0, 3], 3, "expected classes from 0 to 2, received 0 to 3"),
        ([-1, 0], None, "expected classes from 0 to 0, received -1 to 0"),
        ([0.5], None, "fractions"),
        (["a"], None, "expected class numbers"),
        ([], None, "give num_classes"),
    ],
)
def test_to_categorical_refuses(x, n, message):
    with pytest.raises(ModelError, match=message):
        utils.to_categorical(x, n)
    with pytest.raises(TypeError, match="required"):
        utils.to_categorical()
    with pytest.raises(TypeError, match="Did you mean 'num_classes'"):
        utils.to_categorical([1], num_clases=3)


def test_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(utils.normalize(x), keras.utils.normalize(x))
    np.testing.assert_allclose(utils.normalize(x), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(utils.normalize(x, order=1), keras.utils.normalize(x, order=1))
    np.testing.assert_allclose(utils.normalize(x, axis=0), [[1, 1], [0, 0]])
    np.testing.assert_allclose(utils.normalize([1, 1]), [0.5**0.5] * 2)
    assert utils.normalize(x.astype("float32")).dtype == "float32"


def test_clear_session_resets_names():
    from nncompile import backend

    backend.clear_session()
    assert [backend.auto_name("MyLayer") for _ in range(3)] == ["my_layer", "my_layer_1", "my_layer_2"]
    utils.clear_session(free_memory=False)
    assert backend.auto_name("MyLayer") == "my_layer"
    assert backend.get_uid("x") == 1
    assert backend.get_uid("x") == 2


def test_names_of_saving_are_in_utils():
    class Mine:
        pass

    with utils.custom_object_scope({"Mine": Mine}):
        assert utils.get_custom_objects()["Mine"] is Mine
    assert "Mine" not in utils.get_custom_objects()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        utils.nothing  # noqa: B018
