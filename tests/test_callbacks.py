"""Callbacks: the same logs into ours and into real Keras', the same things done."""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompile import Input, Sequential, callbacks, metrics, registry
from nncompile.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    RemoteMonitor,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
)
from nncompile.errors import ModelError, UnsupportedError
from nncompile.layers import Dense
from nncompile.variables import Variable

HOOKS = [name for name in dir(Callback) if name.startswith("on_")]


class Optimizer:
    """Has a learning rate in single precision."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = Variable(rate, dtype="float32")

    @property
    def learning_rate(self) -> Any:
        return self.rate.value

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.rate.assign(value)


class Model:
    """What callbacks see of a model; keeps a record of what they do with it."""

    def __init__(self, metrics: Any = ()) -> None:
        self.metrics = metrics
        self.optimizer = Optimizer()
        self.stop_training = False
        self.history: Any = None
        self.weights = 0
        self.saved: list[tuple[Any, ...]] = []

    def get_weights(self) -> list[int]:
        return [self.weights]

    def set_weights(self, weights: list[int]) -> None:
        (self.weights,) = weights

    def save(self, path: str, overwrite: bool) -> None:
        self.saved.append(("model", path, self.weights))
        Path(path).write_text(str(self.weights))

    def save_weights(self, path: str, overwrite: bool) -> None:
        self.saved.append(("weights", path, self.weights))
        Path(path).write_text(str(self.weights))


def listed(keras: Any, *args: Any, **kwargs: Any) -> Any:
    """A CallbackList; Keras' would call hooks of batches from threads, in no fixed order."""
    every = keras.CallbackList(*args, **kwargs)
    for kind in ("train", "test", "predict"):
        setattr(every, f"_async_{kind}", False)
    return every


def drive(keras: Any, made: Any, epochs: list[dict[str, Any]], batches: int = 0) -> tuple[Model, str]:
    """Runs a fit's hooks; in each epoch the weights get the next number."""
    model = Model()
    out = io.StringIO()
    with contextlib.redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        params = {"epochs": len(epochs), "steps": batches, "verbose": 0}
        every = listed(keras, made, add_history=True, model=model, **params)
        every.on_train_begin()
        for epoch, logs in enumerate(epochs):
            every.on_epoch_begin(epoch)
            for batch in range(batches):
                model.weights += 1
                every.on_train_batch_begin(batch)
                every.on_train_batch_end(batch, logs)
                if model.stop_training:
                    break
            model.weights += 1
            every.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        every.on_train_end(epochs[-1])
    return model, out.getvalue()


def both(make: Any, epochs: list[dict[str, Any]], batches: int = 0) -> tuple[Model, Any]:
    """Drives ours and Keras' callback, checks that both did the same, returns ours."""
    from oracle import keras

    ours, theirs = make(callbacks), make(keras.callbacks)
    model, text = drive(callbacks, ours, epochs, batches)
    other, other_text = drive(keras.callbacks, theirs, epochs, batches)
    assert text == other_text
    assert model.weights == other.weights
    assert model.stop_training == other.stop_training
    assert model.saved == other.saved
    assert model.history.history == other.history.history
    assert model.history.epoch == other.history.epoch
    assert model.optimizer.learning_rate == other.optimizer.learning_rate
    for name in ("best", "best_epoch", "wait", "stopped_epoch", "cooldown_counter"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    return model, ours


# Multiples of 1/64 are exact in single precision, in which Keras compares them on JAX.
value = st.integers(-64, 64).map(lambda i: i / 64)
values = st.lists(value, min_size=1, max_size=12)


# --- the base and the list ------------------------------------------------------------


def test_hooks_are_those_of_keras() -> None:
    from oracle import keras

    theirs = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]
    assert theirs == HOOKS
    for name in ("set_params", "set_model", "model"):
        assert hasattr(Callback, name)
    assert set(HOOKS) | {"set_params", "set_model"} == set(callbacks.base.METHODS)


@pytest.mark.parametrize("name", [n for n in callbacks.__all__ if n not in ("Callback", "CallbackList")])
def test_signatures_are_those_of_keras(name: str) -> None:
    import inspect

    from oracle import keras

    def parameters(module: Any) -> list[tuple[str, Any]]:
        signature = inspect.signature(getattr(module, name))
        return [(p.name, p.default) for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]

    assert parameters(callbacks) == parameters(keras.callbacks)


def test_model_and_params() -> None:
    callback, model = Callback(), Model()
    assert callback.model is None
    assert callback.params is None
    every = CallbackList([callback], model=model, epochs=3, verbose=0)
    assert callback.model is model
    assert every.model is model
    assert callback.params == every.params == {"epochs": 3, "verbose": 0}


def test_model_without_super_init() -> None:
    class Careless(Callback):
        def __init__(self) -> None:
            pass

    assert Careless().model is None


class Recorder:
    """Writes down how it is called; has all hooks, and not always a base class."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def set_params(self, params: Any) -> None: ...

    def set_model(self, model: Any) -> None: ...


for _hook in HOOKS:

    def _method(self: Any, *args: Any, _hook: str = _hook, **kwargs: Any) -> None:
        self.calls.append((_hook, args, kwargs))

    setattr(Recorder, _hook, _method)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("derived", [True, False])
def test_list_calls_like_keras(hook: str, derived: bool) -> None:
    from oracle import keras

    logs = {
        "loss": np.float32(0.5),
        "inner": {"b": np.array([2.0]), "a": np.array(1)},
        "accuracy": 1,
        "list": [1, 2],
        "many": "words",
    }

    def calls(module: Any) -> list[Any]:
        one = type("Own", (Recorder, module.Callback) if derived else (Recorder,), {})()
        every = listed(module, [one], model=Model())
        # One that is open, so that each end has its beginning.
        every.on_test_begin()
        number = () if hook.endswith(("n_begin", "n_end", "t_begin", "t_end")) else (3,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(every, hook)(*number, logs)
        return list(one.calls)

    theirs = calls(keras.callbacks)
    ours = calls(callbacks)
    assert ours == theirs
    given_logs = ours[-1][2].get("logs") or ours[-1][1][-1]
    assert list(given_logs) == ["accuracy", "a", "b", "list", "loss", "many"]
    assert type(given_logs["loss"]) is float


def test_older_hooks_are_called_by_the_newer() -> None:
    class Older(Callback):
        calls: list[Any] = []  # noqa: RUF012

        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.calls.append(("begin", batch))

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.calls.append(("end", batch, logs))

    every = CallbackList(Older())
    every.on_train_batch_begin(1)
    every.on_train_batch_end(1, {"loss": 2})
    assert Older.calls == [("begin", 1), ("end", 1, {"loss": 2.0})]


def test_defaults_are_added_once_and_last() -> None:
    def kinds(every: CallbackList) -> list[str]:
        return [type(callback).__name__ for callback in every.callbacks]

    own = [History(), ProgbarLogger(), TerminateOnNaN()]
    assert kinds(CallbackList(own, add_history=True, add_progbar=True)) == [
        "History",
        "ProgbarLogger",
        "TerminateOnNaN",
    ]
    assert kinds(CallbackList(TerminateOnNaN(), add_history=True, add_progbar=True)) == [
        "TerminateOnNaN",
        "History",
        "ProgbarLogger",
    ]
    assert kinds(CallbackList([[TerminateOnNaN()], (Callback(),)])) == ["TerminateOnNaN", "Callback"]
    assert kinds(CallbackList()) == []


def test_history_is_given_to_the_model() -> None:
    model = Model()
    every = CallbackList(add_history=True, model=model)
    assert model.history is every.callbacks[0]


@pytest.mark.parametrize("wrong", [EarlyStopping, [EarlyStopping], "loss", [3], [object()]])
def test_what_is_no_callback_is_refused(wrong: Any) -> None:
    with pytest.raises(ModelError, match="callbacks: expected Callback objects, received"):
        CallbackList(wrong)


def test_class_instead_of_object_says_what_to_do() -> None:
    with pytest.raises(ModelError, match=re.escape("Use EarlyStopping().")):
        CallbackList([EarlyStopping])


@pytest.mark.parametrize("hook", ["on_train_end", "on_test_end", "on_predict_end"])
def test_end_without_beginning(hook: str) -> None:
    with pytest.raises(ValueError, match=hook):
        getattr(CallbackList(), hook)()


# --- which batches are needed ---------------------------------------------------------


def needs(*made: Any) -> tuple[bool, bool, bool]:
    every = CallbackList(list(made), add_history=True, add_progbar=True)
    return every.needs_train_batches, every.needs_test_batches, every.needs_predict_batches


def test_needs_nothing_by_default() -> None:
    assert needs() == (False, False, False)
    assert needs(
        Callback(),
        EarlyStopping(),
        CSVLogger("x.csv"),
        LambdaCallback(on_epoch_end=print, on_train_end=print),
        ReduceLROnPlateau(),
        LearningRateScheduler(lambda epoch: 0.1),
        ModelCheckpoint("x.keras"),
        BackupAndRestore("x"),
        TensorBoard("x"),
        SwapEMAWeights(swap_on_epoch=True),
        RemoteMonitor(),
    ) == (False, False, False)


@pytest.mark.parametrize("hook", [h for h in HOOKS if "batch" in h])
def test_needs_what_is_overridden(hook: str) -> None:
    kind = next((k for k in ("test", "predict") if k in hook), "train")
    expected = (kind == "train", kind == "test", kind == "predict")
    derived = type("Own", (Callback,), {hook: lambda self, batch, logs=None: None})
    assert needs(derived()) == expected
    assert needs(LambdaCallback(**{hook: lambda batch, logs: None})) == expected
    assert needs(derived(), EarlyStopping()) == expected
    bar = type("OwnBar", (ProgbarLogger,), {hook: lambda self, batch, logs=None: None})
    assert needs(bar()) == expected


def test_needs_of_those_that_look_at_batches() -> None:
    assert needs(TerminateOnNaN()) == (True, False, False)
    assert needs(ModelCheckpoint("x.keras", save_freq=10)) == (True, False, False)
    assert needs(BackupAndRestore("x", save_freq=10)) == (True, False, False)
    assert needs(TensorBoard("x", update_freq="batch")) == (True, False, False)


def test_needs_of_a_class_derived_from_one_that_need_not_look() -> None:
    class Own(ModelCheckpoint):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

    assert needs(Own("x.keras")) == (True, False, False)


def test_needs_of_keras_own_callbacks() -> None:
    from oracle import keras

    assert needs(keras.callbacks.EarlyStopping()) == (False, False, False)
    assert needs(keras.callbacks.TerminateOnNaN()) == (True, False, False)


# --- History --------------------------------------------------------------------------


@given(st.lists(st.dictionaries(st.sampled_from(["loss", "val_loss", "z", "a"]), value), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_history(epochs: list[dict[str, float]]) -> None:
    model, _ = both(lambda keras: keras.History(), epochs)
    assert model.history.epoch == list(range(len(epochs)))


def test_history_goes_on_in_the_next_fit() -> None:
    history = History()
    for _ in range(2):
        history.on_train_begin()
        history.on_epoch_end(0, {"loss": 1.0})
    assert history.history == {"loss": [1.0, 1.0]}
    assert history.epoch == [0]


def test_history_keys_are_sorted() -> None:
    model, _ = both(lambda keras: [], [{"val_loss": 1, "loss": 2, "accuracy": 3}])
    assert list(model.history.history) == ["accuracy", "loss", "val_loss"]


# --- EarlyStopping --------------------------------------------------------------------


@given(
    losses=values,
    patience=st.integers(0, 4),
    delta=st.sampled_from([0, 0.25, -0.25]),
    mode=st.sampled_from(["auto", "min", "max"]),
    baseline=st.none() | value,
    restore=st.booleans(),
    start=st.integers(0, 4),
    verbose=st.integers(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_early_stopping(
    losses: list[float],
    patience: int,
    delta: float,
    mode: str,
    baseline: float | None,
    restore: bool,
    start: int,
    verbose: int,
) -> None:
    def make(keras: Any) -> Any:
        return keras.EarlyStopping("loss", delta, patience, verbose, mode, baseline, restore, start)

    both(make, [{"loss": loss} for loss in losses])


def test_early_stopping_restores_without_having_stopped() -> None:
    def make(keras: Any) -> Any:
        return keras.EarlyStopping(monitor="loss", patience=9, restore_best_weights=True)

    model, callback = both(make, [{"loss": 2.0}, {"loss": 1.0}, {"loss": 3.0}])
    assert not model.stop_training
    assert model.weights == 2
    assert callback.stopped_epoch == 0


def test_early_stopping_messages() -> None:
    callback = EarlyStopping("loss", patience=1, verbose=1, restore_best_weights=True)
    _, text = drive(callbacks, callback, [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}])
    assert text == "Epoch 2: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"


def test_early_stopping_with_nan() -> None:
    model, _ = both(
        lambda keras: keras.EarlyStopping("loss", patience=2),
        [{"loss": 1.0}, {"loss": float("inf")}, {"loss": float("-inf")}, {"loss": 1.0}, {"loss": 1.0}],
    )
    assert model.stop_training
    callback = EarlyStopping("loss", patience=2)
    model, _ = drive(callbacks, callback, [{"loss": 1.0}] + [{"loss": float("nan")}] * 5)
    assert callback.stopped_epoch == 2


def test_early_stopping_begins_anew() -> None:
    callback = EarlyStopping("loss")
    drive(callbacks, callback, [{"loss": 1.0}, {"loss": 2.0}])
    assert callback.stopped_epoch == 1
    callback.on_train_begin()
    assert (callback.stopped_epoch, callback.best, callback.wait) == (0, None, 0)


def test_early_stopping_without_its_metric() -> None:
    callback = EarlyStopping()
    callback.set_model(Model())
    callback.on_train_begin()
    with pytest.warns(UserWarning, match=r"no 'val_loss' to watch. The logs have: loss, mae"):
        callback.on_epoch_end(0, {"loss": 1, "mae": 2})
    assert callback.best is None


# --- which way is better --------------------------------------------------------------


class Metric:
    def __init__(self, name: str, direction: str | None) -> None:
        self.name = name
        if direction:
            self._direction = direction


class Metrics:
    name = "compile_metrics"

    def __init__(self, *metrics: Metric) -> None:
        self.metrics = list(metrics)


@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize(
    ("compiled", "name", "up"),
    [
        ([], "loss", False),
        (["accuracy"], "accuracy", True),
        ([["acc"]], "acc", True),
        ({"out": ["ce"]}, "ce", False),
        ("crossentropy", "crossentropy", False),
        ([metrics.SparseCategoricalAccuracy(name="right")], "right", True),
        ([metrics.MeanSquaredError()], "mean_squared_error", False),
        (["mse"], "mse", False),
        (["sparse_categorical_accuracy"], "sparse_categorical_accuracy", True),
        ([Metric("auc", "up"), Metric("mae", "down")], "auc", True),
        ([Metric("auc", "up"), Metric("mae", "down")], "mae", False),
        ([Metric("loss", None), Metrics(Metric("auc", "up"))], "auc", True),
    ],
)
def test_direction(prefix: str, compiled: Any, name: str, up: bool) -> None:
    callback = EarlyStopping(prefix + name, patience=9)
    callback.set_model(Model(compiled))
    callback.on_train_begin()
    for epoch, number in enumerate([2.0, 3.0, 1.0]):
        callback.on_epoch_end(epoch, {prefix + name: number})
    assert callback.best == (3.0 if up else 1.0)


def test_direction_of_a_registered_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    class ByClass:
        _direction = "up"

    class ByObject:
        def __init__(self) -> None:
            self._direction = "down"

    class Demanding:
        def __init__(self, needed: int) -> None: ...

    found = {"a": ByClass, "b": ByObject, "c": Demanding}

    def find(kind: str, name: str) -> Any:
        assert kind == "metrics"
        if name not in found:
            raise ModelError(name)
        return found[name]

    monkeypatch.setattr(registry, "find", find)
    model = Model(list("abcd"))
    assert [callbacks.monitors._direction(model, name) for name in "abcd"] == ["up", "down", None, None]


@pytest.mark.parametrize("metrics", [[], ["accuracy"], [Metric("mine", None)], None])
@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
def test_unknown_direction(metrics: Any, cls: Any) -> None:
    callback = cls("mine")
    callback.set_model(Model(metrics))
    with pytest.raises(ModelError, match=r"'mine' is better. Give mode='min' or mode='max'"):
        callback.on_epoch_end(0, {"mine": 1.0})


def test_unknown_mode_is_auto() -> None:
    with pytest.warns(UserWarning, match="'smallest' is none of"):
        callback = EarlyStopping(mode="smallest")
    assert callback.mode == "auto"


# --- ModelCheckpoint ------------------------------------------------------------------


@given(
    losses=values,
    best_only=st.booleans(),
    weights_only=st.booleans(),
    mode=st.sampled_from(["auto", "min", "max"]),
    threshold=st.none() | value,
    name=st.sampled_from(["x", "{epoch:02d}", "new/folder/{epoch}-{val_loss:.2f}"]),
    verbose=st.integers(0, 1),
)
@settings(max_examples=100, deadline=None)
def test_checkpoint_after_epochs(
    tmp_path_factory: pytest.TempPathFactory,
    losses: list[float],
    best_only: bool,
    weights_only: bool,
    mode: str,
    threshold: float | None,
    name: str,
    verbose: int,
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    path = folder / (name + (".weights.h5" if weights_only else ".keras"))

    def make(keras: Any) -> Any:
        return keras.ModelCheckpoint(
            path,
            verbose=verbose,
            save_best_only=best_only,
            save_weights_only=weights_only,
            mode=mode,
            initial_value_threshold=threshold,
        )

    model, _ = both(make, [{"val_loss": loss} for loss in losses], batches=1)
    assert all(os.path.isfile(path) for _, path, _ in model.saved)


@pytest.mark.parametrize("freq", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize("best_only", [False, True])
def test_checkpoint_after_batches(tmp_path: Path, freq: int, best_only: bool) -> None:
    def make(keras: Any) -> Any:
        return keras.ModelCheckpoint(
            str(tmp_path / "{epoch}-{batch}.keras"),
            "loss",
            verbose=1,
            save_freq=freq,
            save_best_only=best_only,
            # Keras fails if it needs the direction before the first epoch has ended.
            initial_value_threshold=None,
        )

    epochs = [{"loss": 1.0}] * 3
    if best_only and freq < 4:  # see above
        model, _ = drive(callbacks, make(callbacks), epochs, batches=4)
        assert len(model.saved) == 1
    else:
        both(make, epochs, batches=4)


def test_checkpoint_text(tmp_path: Path) -> None:
    path = str(tmp_path / "m.keras")
    callback = ModelCheckpoint(path, verbose=1, save_best_only=True)
    _, text = drive(callbacks, callback, [{"val_loss": 0.5}, {"val_loss": 0.75}])
    assert text == (
        f"\nEpoch 1: val_loss improved from None to 0.50000, saving model to {path}\n"
        f"\nEpoch 1: finished saving model to {path}\n"
        "\nEpoch 2: val_loss did not improve from 0.50000\n"
    )


def test_checkpoint_keeps_the_best_of_the_fit_before(tmp_path: Path) -> None:
    callback = ModelCheckpoint(tmp_path / "m.keras", "loss", save_best_only=True)
    drive(callbacks, callback, [{"loss": 1.0}])
    model, _ = drive(callbacks, callback, [{"loss": 2.0}])
    assert model.saved == []


@pytest.mark.parametrize(
    ("path", "weights"), [("m", False), ("m.hdf5", False), ("m.h5", True), ("m.weights.keras", True)]
)
def test_checkpoint_endings(path: str, weights: bool) -> None:
    with pytest.raises(ModelError, match="expected a filepath that ends in"):
        ModelCheckpoint(path, save_weights_only=weights)


@pytest.mark.parametrize("freq", ["epochs", 0, -1, 1.5, True, None])
def test_checkpoint_frequencies(freq: Any) -> None:
    with pytest.raises(ModelError, match="save_freq to be 'epoch' or a whole number from 1"):
        ModelCheckpoint("m.keras", save_freq=freq)


def test_checkpoint_without_its_metric(tmp_path: Path) -> None:
    callback = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    callback.set_model(Model())
    with pytest.warns(UserWarning, match="no 'val_loss' to choose the best model by"):
        callback.on_epoch_end(0, {"loss": 1.0})
    with pytest.warns(UserWarning, match="expected 'val_loss' to be a number"):
        callback.on_epoch_end(1, {"val_loss": np.ones(3)})
    assert len(callback.model.saved) == 2


def test_checkpoint_without_a_key_of_its_path(tmp_path: Path) -> None:
    callback = ModelCheckpoint(tmp_path / "{epoch}-{val_los:.2f}.keras")
    callback.set_model(Model())
    with pytest.raises(KeyError, match=r"val_los.*They have: epoch, loss, val_loss"):
        callback.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})


def test_checkpoint_onto_a_folder(tmp_path: Path) -> None:
    (tmp_path / "m.keras").mkdir()
    callback = ModelCheckpoint(tmp_path / "m.keras")
    callback.set_model(Model())
    with pytest.raises(OSError, match="received the folder"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_checkpoint_period_of_keras_2(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="'period' is the spelling of Keras 1 or 2; use 'save_freq'"):
        callback = ModelCheckpoint(tmp_path / "{epoch}.keras", period=2)
    model, _ = drive(callbacks, callback, [{"loss": 1.0}] * 5)
    assert [os.path.basename(path) for _, path, _ in model.saved] == ["2.keras", "4.keras"]
    with pytest.raises(ModelError, match="period"):
        ModelCheckpoint("m.keras", period=0)


# --- LambdaCallback -------------------------------------------------------------------


def test_lambda_callback_calls() -> None:
    def make(keras: Any) -> Any:
        calls: list[Any] = []
        callback = keras.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: calls.append(("epoch begin", epoch, logs)),
            on_epoch_end=lambda epoch, logs: calls.append(("epoch end", epoch, logs)),
            on_train_begin=lambda logs: calls.append(("train begin", logs)),
            on_train_end=lambda logs: calls.append(("train end", logs)),
            on_train_batch_begin=lambda batch, logs: calls.append(("batch begin", batch, logs)),
            on_train_batch_end=lambda batch, logs: calls.append(("batch end", batch, logs)),
            on_test_begin=lambda logs: calls.append(("test begin", logs)),
            extra=3,
        )
        assert callback.extra == 3
        callback.best = calls  # is compared by both()
        return callback

    _, callback = both(make, [{"loss": 1.0}, {"loss": 0.5}], batches=2)
    assert len(callback.best) == 2 + 2 * (2 + 2 * 2)


def test_lambda_callback_without_functions() -> None:
    drive(callbacks, LambdaCallback(), [{"loss": 1.0}], batches=2)
    assert LambdaCallback(on_test_begin=None).on_test_begin() is None
    assert LambdaCallback(note=None).note is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("on_epoch_ended", "on_epoch_end"),
        ("on_train_batch_ends", "on_train_batch_end"),
        ("epoch_begin", "on_epoch_begin"),
    ],
)
def test_lambda_callback_misspelled(wrong: str, right: str) -> None:
    with pytest.raises(TypeError, match=rf"unexpected keyword argument '{wrong}'. Did you mean .*'{right}'"):
        LambdaCallback(**{wrong: print})


def test_lambda_callback_unknown_hook() -> None:
    with pytest.raises(TypeError, match="on_thunder"):
        LambdaCallback(on_thunder=3)


# --- CSVLogger ------------------------------------------------------------------------


@given(
    runs=st.lists(
        st.lists(
            st.dictionaries(st.sampled_from(["loss", "mae", "val_loss", "val_mae"]), value),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=2,
    ),
    separator=st.sampled_from([",", ";"]),
    append=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_csv(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[dict[str, float]]], separator: str, append: bool
) -> None:
    from oracle import keras

    folder = tmp_path_factory.mktemp("csv")
    text = {}
    for name, module in (("ours", callbacks), ("theirs", keras.callbacks)):
        file = folder / name
        for epochs in runs:
            drive(module, module.CSVLogger(file, separator, append=append), epochs)
        text[name] = file.read_bytes()
    assert text["ours"] == text["theirs"]


def test_csv_values(tmp_path: Path) -> None:
    from oracle import keras

    logs = {
        "list": [1, 2.5],
        "array": np.array([0.5, 1.5]),
        "text": "a,b",
        "scalar": np.array(2.0),
        "n": 1e-9,
    }
    text = []
    for module in (callbacks, keras.callbacks):
        file = tmp_path / module.__name__
        drive(module, module.CSVLogger(str(file)), [logs, {"n": 1}])
        text.append(file.read_bytes().decode())
    assert text[0] == text[1]
    lines = text[0].split("\r\n")
    assert lines[0] == "epoch,array,list,n,scalar,text,val_array,val_list,val_n,val_scalar,val_text"
    assert lines[2] == "1,NA,NA,1.0,NA,NA,NA,NA,NA,NA,NA"


def test_csv_is_written_at_once_and_closed(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    logger = CSVLogger(file)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 0.5})
    assert file.read_text().splitlines() == ["epoch,loss,val_loss", "0,0.5,NA"]
    logger.on_train_begin()  # a run that was broken off leaves nothing open
    logger.on_train_end()
    assert logger.csv_file is None
    assert file.read_text() == ""
    with pytest.raises(ModelError, match="without on_train_begin"):
        logger.on_epoch_end(0, {"loss": 0.5})


# --- TerminateOnNaN -------------------------------------------------------------------


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf"), 1e30, 0.0, None])
def test_terminate_on_nan(loss: float | None) -> None:
    logs = {} if loss is None else {"loss": loss}

    def run(module: Any, raises: bool) -> tuple[Any, str]:
        every = listed(module, module.TerminateOnNaN(raise_error=raises), model=Model())
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            every.on_train_batch_end(2, logs)
        return every.model.stop_training, out.getvalue()

    from oracle import keras

    assert run(callbacks, False) == run(keras.callbacks, False)
    finite = loss is None or np.isfinite(loss)
    with contextlib.nullcontext() if finite else pytest.raises(RuntimeError, match="after batch 2"):
        run(callbacks, True)


# --- the learning rate ----------------------------------------------------------------


@given(
    losses=values,
    factor=st.sampled_from([0.5, 0.1]),
    patience=st.integers(0, 3),
    mode=st.sampled_from(["auto", "min", "max"]),
    delta=st.sampled_from([0, 0.25, 1e-4]),
    cooldown=st.integers(0, 3),
    lowest=st.sampled_from([0.0, 0.01, 0.04, 0.1]),
    verbose=st.integers(0, 1),
)
@settings(max_examples=120, deadline=None)
def test_reduce_on_plateau(
    losses: list[float],
    factor: float,
    patience: int,
    mode: str,
    delta: float,
    cooldown: int,
    lowest: float,
    verbose: int,
) -> None:
    def make(keras: Any) -> Any:
        return keras.ReduceLROnPlateau("loss", factor, patience, verbose, mode, delta, cooldown, lowest)

    model, _ = both(make, [{"loss": loss} for loss in losses])
    assert len(model.history.history["learning_rate"]) == len(losses)


def test_reduce_on_plateau_arguments() -> None:
    with pytest.raises(ModelError, match=r"factor below 1, received 1\.0"):
        ReduceLROnPlateau(factor=1.0)
    with pytest.warns(DeprecationWarning, match="use 'min_delta'"):
        assert ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5
    with pytest.raises(TypeError, match="both 'epsilon' and 'min_delta'"):
        ReduceLROnPlateau(epsilon=0.5, min_delta=0.25)


def test_reduce_on_plateau_without_its_metric() -> None:
    callback = ReduceLROnPlateau()
    callback.set_model(Model())
    with pytest.warns(UserWarning, match=r"no 'val_loss' to watch"):
        callback.on_epoch_end(0, None)


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, rate: rate * 0.5,
        lambda epoch: 0.5**epoch,
        lambda epoch, rate=1.0: np.float32(rate * 0.5),
        lambda *anything: np.float64(0.25),
    ],
)
def test_scheduler(schedule: Any, verbose: int) -> None:
    model, _ = both(lambda keras: keras.LearningRateScheduler(schedule, verbose), [{"loss": 1.0}] * 4)
    assert len(model.history.history["learning_rate"]) == 4


def test_scheduler_written_in_c() -> None:
    callback = LearningRateScheduler(max)
    callback.set_model(Model())
    with pytest.raises(ModelError, match="return a float, received 7"):
        callback.on_epoch_begin(7)


def test_scheduler_errors() -> None:
    def broken(epoch: int, rate: float) -> float:
        raise TypeError("mine")

    for schedule, error, match in (
        (broken, TypeError, "mine"),
        (lambda epoch: 1, ModelError, "return a float, received 1"),
        (lambda epoch: None, ModelError, "return a float, received None"),
    ):
        callback = LearningRateScheduler(schedule)
        callback.set_model(Model())
        with pytest.raises(error, match=match):
            callback.on_epoch_begin(0)


def test_scheduler_end_without_logs() -> None:
    callback = LearningRateScheduler(lambda epoch: 0.1)
    callback.set_model(Model())
    callback.on_epoch_end(0)


# --- names and keywords ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "arguments", "wrong", "right"),
    [
        (EarlyStopping, (), "patence", "patience"),
        (EarlyStopping, (), "restore_best_weight", "restore_best_weights"),
        (ModelCheckpoint, ("m.keras",), "save_best", "save_best_only"),
        (CSVLogger, ("log.csv",), "seperator", "separator"),
        (TerminateOnNaN, (), "raise_errors", "raise_error"),
        (ReduceLROnPlateau, (), "min_rl", "min_lr"),
        (LearningRateScheduler, (print,), "verbos", "verbose"),
        (BackupAndRestore, ("backup",), "save_frequency", "save_freq"),
        (SwapEMAWeights, (), "swap_on_epochs", "swap_on_epoch"),
        (RemoteMonitor, (), "roots", "root"),
        (TensorBoard, (), "logdir", "log_dir"),
    ],
)
def test_misspelled_keyword(cls: Any, arguments: Any, wrong: str, right: str) -> None:
    with pytest.raises(TypeError, match=rf"{cls.__name__} got .*'{wrong}'. Did you mean .*'{right}'"):
        cls(*arguments, **{wrong: 1})


def test_unknown_keyword_of_the_bar() -> None:
    with pytest.raises(TypeError, match="ProgbarLogger got an unexpected keyword argument 'count_mode'"):
        ProgbarLogger(count_mode="steps")


def test_names_are_those_of_keras() -> None:
    from oracle import keras

    theirs = {name for name in dir(keras.callbacks) if name[0].isupper()}
    assert theirs - set(callbacks.__all__) == {"OrbaxCheckpoint"}
    assert not hasattr(callbacks, "OrbaxCheckpoint")
    with pytest.raises(UnsupportedError, match="OrbaxCheckpoint is not supported: it needs JAX"):
        _ = callbacks.OrbaxCheckpoint
    assert set(callbacks.__all__) - theirs == set()


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'EarlyStopping'"):
        _ = callbacks.EarlyStoping
    with pytest.raises(AttributeError) as error:
        _ = callbacks.nothing
    assert not isinstance(error.value, UnsupportedError)


# --- ProgbarLogger --------------------------------------------------------------------

ESCAPE = re.compile(r"\x1b\[[0-9]*m")
TIME = re.compile(r"(\d+:)*\d+(s|ms|us)(/\w+)?")


def lines(text: str) -> list[str]:
    """What each line ends up as, without colours and times."""
    result = []
    for line in ESCAPE.sub("", text).split("\n"):
        last = line.replace("\b", "").split("\r")[-1]
        result.append(TIME.sub("T", last).rstrip())
    return result


def fit(module: Any, verbose: Any, epochs: int, in_chunks: bool) -> list[str]:
    out = io.StringIO()
    steps, logs = 80, {"loss": np.float32(0.25), "accuracy": 0.5}
    with contextlib.redirect_stdout(out):
        every = listed(
            module,
            add_history=True,
            add_progbar=verbose != 0,
            model=Model(),
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )
        every.on_train_begin()
        for epoch in range(epochs):
            every.on_epoch_begin(epoch)
            if in_chunks:
                for seen in (33, 66, 80):
                    every.progress(seen, logs)
            else:
                for batch in range(steps):
                    every.on_train_batch_begin(batch)
                    every.on_train_batch_end(batch, logs)
            every.on_test_begin()
            if in_chunks:
                every.progress(5, {"loss": 9.0})
            for batch in range(3):
                every.on_test_batch_begin(batch)
                every.on_test_batch_end(batch, {"loss": 7.0})
            every.on_test_end({"loss": 7.0})
            every.on_epoch_end(epoch, {**logs, "val_loss": 7.0, "val_accuracy": 1e-4})
        every.on_train_end()
    return lines(out.getvalue())


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_text_of_fit_is_that_of_keras(verbose: Any, epochs: int, in_chunks: bool) -> None:
    from oracle import keras

    assert fit(callbacks, verbose, epochs, in_chunks) == fit(keras.callbacks, verbose, epochs, False)


def test_text_of_fit() -> None:
    assert fit(callbacks, 1, 2, True) == [
        f"Epoch {epoch}/2"
        if part == 0
        else "80/80 " + "━" * 20 + " T T"
        " - accuracy: 0.5000 - loss: 0.2500 - val_accuracy: 1.0000e-04 - val_loss: 7.0000"
        for epoch in (1, 2)
        for part in (0, 1)
    ] + [""]


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("kind", ["test", "predict"])
def test_text_of_evaluate_and_predict_is_that_of_keras(kind: str, verbose: Any) -> None:
    from oracle import keras

    def text(module: Any) -> list[str]:
        out = io.StringIO()
        logs = {"loss": 0.25, "accuracy": 0.5} if kind == "test" else None
        with contextlib.redirect_stdout(out):
            every = listed(module, add_progbar=verbose != 0, model=Model(), verbose=verbose, epochs=1, steps=4)
            getattr(every, f"on_{kind}_begin")()
            for batch in range(4):
                getattr(every, f"on_{kind}_batch_begin")(batch)
                getattr(every, f"on_{kind}_batch_end")(batch, logs)
            getattr(every, f"on_{kind}_end")(logs)
        return lines(out.getvalue())

    assert text(callbacks) == text(keras.callbacks)


def test_unknown_number_of_steps() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        every = CallbackList(add_progbar=True, model=Model(), verbose=1, epochs=1, steps=None)
        every.on_test_begin()
        every.progress(7, {"loss": 1.0})
        every.on_test_end({"loss": 2.0})
    assert lines(out.getvalue()) == ["7/7 " + "━" * 20 + " T T - loss: 2.0000", ""]


def test_bar_is_used_for_evaluate_after_fit() -> None:
    out = io.StringIO()
    bar = ProgbarLogger()
    with contextlib.redirect_stdout(out):
        every = CallbackList([bar], model=Model(), verbose=2, epochs=1, steps=1)
        every.on_train_begin()
        every.on_train_end()
        every.on_test_begin()
        every.progress(1, {"loss": 1.0})
        every.on_test_end({"loss": 1.0})
    assert lines(out.getvalue()) == ["1/1 - T - T - loss: 1.0000", ""]


def test_bar_without_a_beginning() -> None:
    out = io.StringIO()
    bar = ProgbarLogger()
    with contextlib.redirect_stdout(out):
        bar.on_train_batch_end(0, {"loss": 1.0})
        CallbackList(bar).progress(2)
    assert bar.seen == 2


def test_progress_without_a_bar() -> None:
    CallbackList().progress(3, {"loss": 1.0})


def test_a_best_model_of_nobody_knows_what_is_refused_as_by_keras(tmp_path: Path) -> None:
    callback = ModelCheckpoint(tmp_path / "m.keras", monitor="nothing", save_best_only=True)
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 3), "float32")
    with pytest.raises(ValueError, match=r"ModelCheckpoint: it is not known whether less or more of 'nothing' is"):
        model.fit(x, x[:, :1], callbacks=[callback], verbose=0)
