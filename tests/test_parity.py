"""What Python sees of nncompile is what it sees of Keras: values, and the types of errors.

Each line is an expression that both evaluate, with ``keras`` for the one or the other.
What Keras refuses with an error of some built-in type is refused here with one of that type
as well, so that a script that catches it goes on as it did. Left out is what Keras trips over
by chance, such as a ``'NoneType' object is not callable`` that depends on its backend.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from oracle import keras

import nncompile as nn

X = np.ones((8, 4), "float32")

REFUSED = """
D()
D('a')
D(-1)
D(0)
D(2.5)
D(None)
D(3,activation='foo')
D(3,activation=5)
D(3,kernel_initializer='foo')
D(3,kernel_initializer=5)
D(3,kernel_regularizer='foo')
D(3,kernel_constraint='foo')
D(3,foo=1)
D(3,dtype='foo')
D(3,name=5)
D(3)('a')
D(3)(None)
D(3)()
D(3)(np.float32(3))
D(3).input
D(3).output
D(3).kernel
D(3).set_weights([1])
D(3).count_params()
D(3).foo
L.Dropout(1.5)
L.Dropout(-0.1)
L.Dropout(0.5,noise_shape=3)
L.Dropout(0.5,seed='a')
L.Activation('foo')
L.Activation()
L.Reshape((3,))(X)
L.Reshape((-1,-1))(X)
L.Permute((2,3))(np.ones((2,3,4)))
L.Permute((0,1))
L.RepeatVector('a')
L.RepeatVector(-1)
L.RepeatVector(2)(np.ones((2,3,4)))
L.Flatten(data_format='foo')
L.Concatenate()(X)
L.Concatenate()([X,np.ones((3,4))])
L.Concatenate(axis=5)([X,X])
L.Concatenate()([np.ones((2,3,4)),np.ones((2,4,4))])
L.Add()(X)
L.Add()([X,np.ones((8,3))])
L.Subtract()([X,X,X])
L.Dot(axes='a')
L.Dot(axes=1)([X])
L.Dot(axes=1)([X,np.ones((8,3))])
L.BatchNormalization(momentum='a')
L.GroupNormalization(groups=3)(X)
L.UnitNormalization(axis=7)(X)
L.Embedding(0,3)
L.Embedding(3,0)
L.GaussianNoise(-1)
L.GaussianDropout(2)
L.AlphaDropout(2)
L.ActivityRegularization(l1=-1)
L.LeakyReLU(negative_slope=-1)
L.LeakyReLU(None)
L.ReLU(max_value=-1)
L.ReLU(negative_slope=-1)
L.ReLU(threshold=-1)
L.Softmax(axis=9)(X)
L.Normalization(mean=1)
L.Normalization(axis=7).adapt(X)
L.CategoryEncoding(num_tokens=3,output_mode='foo')
L.CategoryEncoding()
L.Rescaling()
L.Input()
keras.Input()
keras.Input((-1,))
keras.Input('a')
keras.Input(5)
keras.Input((3,),batch_size=-1)
keras.Input((3,),dtype='foo')
keras.Input(shape=(3,),foo=1)
keras.Sequential([1])
keras.Sequential('a')
keras.Sequential([D(3,name='a'),D(3,name='a')])
keras.Sequential().add(3)
keras.Sequential().pop()
keras.Sequential([D(3)]).input
keras.Sequential([D(3)]).output_shape
keras.Sequential([keras.Input((4,)),D(3)])(np.ones((2,3)))
keras.Sequential([keras.Input((4,)),D(3)]).predict(np.ones((2,3)),verbose=0)
keras.Model(1,2)
keras.Model(keras.Input((3,)),D(3)(keras.Input((3,))))
keras.Model(inputs=keras.Input((3,)))
keras.Model([],[])
keras.Model(X,Y)
M.get_layer('foo')
M.get_layer(index=9)
M.get_layer()
M.get_layer('a',1)
M(np.ones((2,3)))
M()
M(None)
M.compile('foo')
M.compile(5)
M.compile('sgd','mse',metrics='acc')
M.compile('sgd','mse',loss_weights='a')
M.compile('sgd','mse',foo=1)
keras.models.model_from_json('a')
keras.losses.get('foo')
keras.losses.get(5)
keras.metrics.get('foo')
keras.metrics.get(5)
keras.optimizers.get('foo')
keras.optimizers.get(5)
keras.activations.get('foo')
keras.activations.get(5)
keras.initializers.get('foo')
keras.initializers.get(5)
keras.regularizers.get('foo')
keras.regularizers.get(5)
keras.constraints.get('foo')
keras.constraints.get(5)
keras.layers.deserialize({'class_name':'Foo','config':{}})
keras.layers.deserialize('a')
keras.utils.to_categorical([1,2],1)
keras.utils.to_categorical(['a'])
keras.losses.MeanSquaredError(reduction='foo')
keras.losses.MeanSquaredError()(None,X)
keras.losses.MeanSquaredError()(X,None)
keras.losses.MeanSquaredError()('a',X)
keras.losses.MeanSquaredError(foo=1)
keras.losses.CategoricalCrossentropy(axis=7)(X,X)
keras.losses.mean_squared_error(X)
keras.losses.CosineSimilarity(axis=9)(X,X)
keras.metrics.AUC(num_thresholds=1)
keras.metrics.AUC(curve='foo')
keras.metrics.AUC(summation_method='foo')
keras.metrics.Precision(thresholds=2)
keras.metrics.F1Score(average='foo')
keras.metrics.F1Score(threshold='a')
keras.metrics.F1Score(threshold=2.)
keras.metrics.FBetaScore(beta=-1.)
keras.metrics.FBetaScore(beta='a')
keras.metrics.R2Score(class_aggregation='foo')
keras.metrics.R2Score(num_regressors=-1)
keras.metrics.MeanIoU(0)
keras.metrics.MeanIoU()
keras.metrics.IoU(2,[5])
keras.metrics.SensitivityAtSpecificity(2)
keras.metrics.SensitivityAtSpecificity(0.5,num_thresholds=0)
keras.metrics.PrecisionAtRecall(-1)
keras.metrics.Mean()('a')
keras.optimizers.SGD('a')
keras.optimizers.SGD(-1)
keras.optimizers.SGD(momentum=2)
keras.optimizers.SGD(momentum=-1)
keras.optimizers.SGD(foo=1)
keras.optimizers.Adam(clipnorm=1,clipvalue=1)
keras.optimizers.Adam(clipnorm=1,global_clipnorm=1)
keras.optimizers.Adam(use_ema=True,ema_momentum=2)
keras.optimizers.Adam(use_ema=True,ema_overwrite_frequency=-1)
keras.optimizers.Adam(gradient_accumulation_steps=1)
keras.optimizers.Ftrl(initial_accumulator_value=-1)
keras.optimizers.Ftrl(learning_rate_power=1)
keras.optimizers.Ftrl(l1_regularization_strength=-1)
keras.optimizers.AdamW(weight_decay=None)
keras.optimizers.Lion(beta_1=2)
keras.optimizers.Lion(beta_1=0)
keras.optimizers.schedules.ExponentialDecay()
keras.optimizers.schedules.PiecewiseConstantDecay([1,2],[1.])
keras.optimizers.schedules.CosineDecay(0.1,0)
keras.optimizers.schedules.CosineDecayRestarts(0.1,0)
keras.optimizers.schedules.PolynomialDecay(0.1,0)
keras.initializers.VarianceScaling(scale=-1)
keras.initializers.VarianceScaling(mode='foo')
keras.initializers.VarianceScaling(distribution='foo')
keras.initializers.Orthogonal()((3,))
keras.initializers.Identity()((3,))
keras.initializers.Identity()((3,3,3))
keras.initializers.RandomNormal(seed='a')
keras.regularizers.L1(-1)
keras.regularizers.L1('a')
keras.regularizers.L2(float('nan'))
keras.regularizers.OrthogonalRegularizer(mode='foo')
keras.regularizers.OrthogonalRegularizer(factor=-1)
keras.callbacks.ModelCheckpoint()
keras.callbacks.ModelCheckpoint('a')
keras.callbacks.ReduceLROnPlateau(factor=1.)
keras.callbacks.BackupAndRestore('')
keras.callbacks.CSVLogger()
keras.ops.relu('a')
keras.ops.foo
keras.layers.foo
keras.foo
keras.utils.set_random_seed('a')
keras.utils.set_random_seed(-1)
keras.config.set_floatx('foo')
keras.config.set_dtype_policy('foo')
keras.backend.set_image_data_format('foo')
keras.saving.register_keras_serializable('a')(5)
keras.utils.PyDataset()[0]
"""
VALUES = """
repr(v())
str(v())
[v().name, v().path, v().shape, v().dtype, v().ndim, v().trainable, v().constraint, v().regularizer]
[v().overwrite_with_gradient, v().aggregation, v().synchronization]
v().value
v().numpy()
np.asarray(v())
np.array(v(), dtype="float64")
v()[0]
v()[:, 1]
v().assign(np.ones((2, 3)))
v().assign_add(np.ones((2, 3)))
v().assign_sub(np.full((2, 3), 0.5))
v() + 1.0
1.0 - v()
v() * np.float32(2)
2.0 / (v() + 1.0)
v() // 2.0
7.0 // (v() + 1.0)
v() % 2.0
7.0 % (v() + 1.0)
v() ** 2.0
2.0 ** v()
v() @ np.ones((3, 2), "float32")
v() + v()
-v()
+v()
abs(v() - 3.0)
v() < np.float32(2)
v() <= np.float32(2)
v() > np.float32(2)
v() >= np.float32(2)
v() == np.float32(2)
v() != np.float32(2)
np.add(v(), 1)
np.mean(v())
keras.ops.sum(v())
keras.ops.shape(v())
keras.ops.convert_to_numpy(v())
float(keras.Variable(3.0))
int(keras.Variable(3.0))
round(keras.Variable(3.4))
keras.Variable("ones", shape=(2,)).numpy()
keras.Variable(keras.initializers.Constant(2.0), shape=(2,)).numpy()
keras.Variable(lambda shape, dtype=None: np.full(shape, 3.0), shape=(2,)).numpy()
[keras.Variable(np.ones(2, kind)).dtype for kind in ("float64", "float32", "int64", "int32", "uint8", "bool")]
[keras.Variable(1.0, dtype="float16").dtype, keras.Variable(1).dtype, keras.Variable(True).dtype]
[keras.Variable(1.0, name="a").path, keras.Variable(1.0, trainable=False).trainable]
[w.path for w in built().weights]
built().count_params()
"""
VARIABLES_REFUSE = """
bool(v())
float(v())
len(v())
v().assign(np.ones((3, 3)))
v().assign(1.0)
v().assign("a")
v().foo
v().sum()
v().__setitem__(0, 1)
setattr(v(), "shape", (3,))
setattr(v(), "dtype", "int32")
setattr(v(), "value", np.zeros((2, 3)))
keras.Variable()
keras.Variable(lambda shape, dtype=None: np.ones(shape))
keras.Variable(1.0, dtype="foo")
keras.Variable(1.0, name="a/b")
keras.Variable(1.0, name=3)
"""


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()


def _evaluated(package: Any, source: str) -> Any:
    """The value of an expression, or the built-in type of the error that it ends with."""
    package.utils.clear_session(free_memory=False)
    model = package.Sequential([package.Input((4,)), package.layers.Dense(1)]) if "M" in source else None

    def built() -> Any:
        layer = package.layers.Dense(3, name="layer")
        layer.build((None, 2))
        return layer

    def v() -> Any:
        variable = built().kernel
        variable.assign(np.arange(6.0).reshape(2, 3))
        return variable

    names = {"keras": package, "np": np, "X": X, "L": package.layers, "D": package.layers.Dense, "M": model}
    try:
        return eval(source, {**names, "v": v, "built": built})
    except Exception as error:
        return error


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else np.asarray(value)


@pytest.mark.parametrize("source", _lines(VALUES))
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' own
def test_values(source: str) -> None:
    ours, theirs = (_evaluated(package, source) for package in (nn, keras))
    assert not isinstance(theirs, Exception), theirs
    assert not isinstance(ours, Exception), ours
    ours, theirs = _plain(ours), _plain(theirs)
    if not isinstance(theirs, np.ndarray):
        assert ours == theirs
        return
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("source", [*_lines(REFUSED), *_lines(VARIABLES_REFUSE)])
@pytest.mark.filterwarnings("ignore")
def test_types_of_errors(source: str) -> None:
    ours, theirs = (_evaluated(package, source) for package in (nn, keras))
    assert isinstance(theirs, Exception), f"Keras takes it: {theirs!r}"
    assert isinstance(ours, Exception), f"nncompile takes it: {ours!r}"
    wanted = next(kind for kind in type(theirs).__mro__ if kind.__module__ == builtins.__name__)
    assert isinstance(ours, wanted), f"{type(ours).__mro__}: {ours}"
    assert str(ours).strip()
