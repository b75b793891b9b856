"""Batches from generators, datasets and other streams: each trained on once, in order, as Keras does."""

from __future__ import annotations

import array
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import compiler
from nncompile.data import Stream, is_stream
from nncompile.errors import ModelError

pytestmark = pytest.mark.quick_c

ROWS, INPUTS, CLASSES = 50, 4, 3
X = np.random.default_rng(0).normal(size=(ROWS, INPUTS)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, CLASSES, ROWS)
SIZES = (8, 8, 1, 20, 8, 5)
"""Rows of the batches, which together are all rows."""


def cut(sizes: Any = SIZES) -> list[tuple[Any, Any]]:
    ends = list(itertools.accumulate(sizes))
    return [(X[end - size : end], LABELS[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def generator(sizes: Any = SIZES, times: int = 1) -> Iterator[Any]:
    for _ in range(times):
        yield from cut(sizes)


class Batches(nn.utils.PyDataset):
    """The batches by number, and what was asked of the dataset."""

    def __init__(self, sizes: Any = SIZES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batches, self.asked = cut(sizes), list[Any]()

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(int(index))
        return self.batches[index]

    def on_epoch_begin(self) -> None:
        self.asked.append("begin")

    def on_epoch_end(self) -> None:
        self.asked.append("end")


class Again:
    """Something to iterate over, any number of times."""

    def __init__(self, sizes: Any = SIZES) -> None:
        self.batches = cut(sizes)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class Loader(Again):
    """What a torch DataLoader looks like from outside."""

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter([list(batch) for batch in self.batches])


Loader.__module__, Loader.__name__ = "torch.utils.data.dataloader", "DataLoader"


def small(seed: int = 2) -> Any:
    model = nn.Sequential(
        [
            nn.Input((INPUTS,), name="input"),
            nn.layers.Dense(5, activation="tanh", name="hidden"),
            nn.layers.Dense(CLASSES, activation="softmax", name="output"),
        ],
        name="small",
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) / 2 for w in model.weights])
    model.compile(nn.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def bits(model: Any) -> bytes:
    return b"".join(w.tobytes() for w in model.get_weights())


def by_hand(epochs: int, sizes: Any = SIZES) -> tuple[Any, dict[str, list[float]]]:
    """A model trained batch by batch, and its logs: means weighted by the rows of the batches."""
    model, history = small(), {"accuracy": [], "loss": []}
    for _ in range(epochs):
        sums = np.zeros(2)
        for x, y in cut(sizes):
            sums += np.array(model.train_on_batch(x, y)) * len(x)
        history["loss"].append(float(sums[0] / sum(sizes)))
        history["accuracy"].append(float(sums[1] / sum(sizes)))
    return model, history


# ------------------------------------------------------------------ what is a stream


@pytest.mark.parametrize("given", [
    generator(), iter([1]), map(abs, [1]), Batches(), Again(), Loader(), type("Indexed", (), {
        "__len__": lambda self: 2, "__getitem__": lambda self, i: None})(),
    type("Endless", (nn.utils.PyDataset,), {"num_batches": None})(),
], ids=lambda g: type(g).__name__)  # fmt: skip
def test_streams(given: Any) -> None:
    assert is_stream(given)


@pytest.mark.parametrize("given", [
    None, X, X.tolist(), (X, X), {"a": X}, range(3), "text", b"text", {1, 2}, np.float32(1), 3, array.array("f", [1.0]),
    memoryview(b"12"), generator, Batches, type("Tensor", (), {"__array__": lambda self: X})(),
    type("Table", (), {"columns": ["a"], "__iter__": lambda self: iter("a")})(),
    type("Sparse", (), {"shape": (1, 2), "dtype": "f4", "__iter__": lambda self: iter([])})(),
], ids=lambda g: type(g).__name__)  # fmt: skip
def test_no_streams(given: Any) -> None:
    assert not is_stream(given)


def test_batches_are_taken_apart() -> None:
    unpack, pack = nn.utils.unpack_x_y_sample_weight, nn.utils.pack_x_y_sample_weight
    assert unpack(1) == unpack((1,)) == unpack([1]) == (1, None, None)
    assert unpack((1, 2)) == unpack([1, 2]) == (1, 2, None)
    assert unpack((1, 2, 3)) == (1, 2, 3)
    assert (pack(1), pack([1]), pack(1, 2), pack(1, 2, 3)) == (1, ([1],), (1, 2), (1, 2, 3))
    with pytest.raises(ModelError, match=r"expected x, \(x,\), .*, received 4 things"):
        unpack((1, 2, 3, 4))


# ------------------------------------------------------------------ training


@pytest.mark.parametrize("make", [
    lambda: generator(times=2), Batches, Again, Loader, lambda: Batches(workers=3, max_queue_size=2),
], ids=["generator", "PyDataset", "iterable", "loader", "workers"])  # fmt: skip
@pytest.mark.parametrize("steps", [None, len(SIZES)])
def test_training_on_a_stream_is_training_batch_by_batch(make: Any, steps: int | None) -> None:
    given = make()
    if steps is None and isinstance(given, Iterator):
        given = generator()
    epochs = 1 if steps is None and isinstance(given, Iterator) else 2
    other, expected = by_hand(epochs)
    model = small()
    history = model.fit(given, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert bits(model) == bits(other)
    assert list(history.history) == ["accuracy", "loss"]
    for key, values in expected.items():
        assert history.history[key] == pytest.approx(values, rel=1e-6)
    assert int(model.optimizer.iterations) == epochs * len(SIZES)
    assert len(model._libraries) == 1


def test_a_dataset_is_shuffled_batch_by_batch_and_told_of_epochs() -> None:
    model, dataset = small(), Batches()
    nn.utils.set_random_seed(1)
    model.fit(dataset, epochs=3, verbose=0)
    assert dataset.asked.pop(0) == 0  # for the shapes
    epochs = [dataset.asked[n : n + len(SIZES) + 2] for n in range(0, len(dataset.asked), len(SIZES) + 2)]
    assert len(epochs) == 3
    for begin, *numbers, end in epochs:
        assert (begin, end) == ("begin", "end")
        assert sorted(numbers) == list(range(len(SIZES)))
    assert len({tuple(epoch) for epoch in epochs}) > 1
    dataset.asked.clear()
    model.fit(dataset, shuffle=False, verbose=0)
    assert dataset.asked == [0, "begin", *range(len(SIZES)), "end"]


def test_workers_make_batches_in_threads_and_end() -> None:
    seen = set()

    class Watched(Batches):
        def __getitem__(self, index: int) -> Any:
            seen.add(threading.current_thread().name)
            return super().__getitem__(index)

    small().fit(Watched(workers=2), epochs=2, verbose=0)
    assert {name.rpartition("_")[0] for name in seen} == {"MainThread".rpartition("_")[0], "nncompile-batches"}
    with pytest.raises(RuntimeError, match="of its own"):
        small().fit(Failing(workers=2), verbose=0)
    assert not [t for t in threading.enumerate() if t.name.startswith("nncompile-batches")]


class Failing(Batches):
    def __getitem__(self, index: int) -> Any:
        if index == 4:
            raise RuntimeError("of its own")
        return super().__getitem__(index)


def test_an_error_of_the_stream_is_its_own() -> None:
    def broken() -> Iterator[Any]:
        yield cut()[0]
        raise RuntimeError("of its own")

    for stream in (broken(), Failing()):
        with pytest.raises(RuntimeError, match="of its own"):
            small().fit(stream, verbose=0)


def test_epochs_of_a_generator_go_on_where_they_ended() -> None:
    model, other = small(), small()
    batches = cut()
    history = model.fit(itertools.cycle(batches), steps_per_epoch=4, epochs=3, verbose=0)
    for number in range(12):
        other.train_on_batch(*batches[number % len(batches)])
    assert bits(model) == bits(other)
    assert len(history.history["loss"]) == 3
    again, third = Again(), small()
    third.fit(again, steps_per_epoch=3, epochs=4, verbose=0)  # two passes
    assert bits(third) == bits(other)


def test_only_what_is_needed_is_taken_from_a_generator() -> None:
    stream = itertools.cycle(cut())
    taken = []
    watched = (taken.append(1) or batch for batch in stream)  # type: ignore[func-returns-value]
    small().fit(watched, steps_per_epoch=4, epochs=1, verbose=0)
    assert len(taken) == 4


def test_a_generator_that_ends_too_soon() -> None:
    with pytest.warns(UserWarning, match="expected 8 batches, received 6: a generator has ended. Make it give") as seen:
        history = small().fit(generator(), steps_per_epoch=8, epochs=3, verbose=0)
    assert len(seen) == 1
    assert len(history.history["loss"]) == 1
    with pytest.warns(UserWarning, match="expected batches for another epoch, received none: a generator has ended"):
        history = small().fit(generator(), epochs=3, verbose=0)
    assert history.epoch == [0]
    with pytest.warns(UserWarning, match="expected 4 batches, received 2: Again has ended") as seen:
        model = small()
        model.fit(Again(), steps_per_epoch=4, epochs=3, verbose=0)
    assert len(seen) == 1
    assert int(model.optimizer.iterations) == 4 + 2 + 4  # the third epoch begins anew


@pytest.mark.parametrize("make", [Batches, Again, Loader])
def test_evaluation_and_prediction(make: Any) -> None:
    model = small()
    assert model.evaluate(make(), verbose=0, return_dict=True) == pytest.approx(
        model.evaluate(X, LABELS, verbose=0, return_dict=True), rel=1e-6
    )
    outputs = model.predict(X, verbose=0)
    assert np.array_equal(model.predict(make(), verbose=0), outputs)  # y is not looked at
    assert np.array_equal(model.predict(make(), steps=3, verbose=0), outputs[:17])
    assert np.array_equal(model.predict(((x,) for x, _ in cut()), verbose=0), outputs)
    some = model.evaluate(X[:17], LABELS[:17], verbose=0)
    assert model.evaluate(make(), steps=3, verbose=0) == pytest.approx(some, rel=1e-6)
    with pytest.warns(UserWarning, match="expected 9 batches, received 6"):
        model.predict(make(), steps=9, verbose=0)


def test_validation_on_streams() -> None:
    model = small()
    history = model.fit(X, LABELS, validation_data=Batches(), epochs=2, verbose=0)
    assert model.evaluate(X, LABELS, verbose=0)[0] == pytest.approx(history.history["val_loss"][-1], rel=1e-6)
    history = model.fit(Batches(), validation_data=(X, LABELS), validation_batch_size=7, verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X, LABELS, verbose=0)[0], rel=1e-6)
    ended = generator(times=2)
    with pytest.warns(UserWarning, match="fit: validation_data: x: expected batches for another epoch"):
        history = model.fit(X, LABELS, validation_data=ended, validation_steps=6, epochs=4, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert len(history.history["loss"]) == 4
    again = model.fit(X, LABELS, validation_data=Batches(), validation_steps=2, epochs=3, verbose=0)
    assert again.history["val_loss"][-1] == pytest.approx(model.evaluate(X[:16], LABELS[:16], verbose=0)[0], rel=1e-6)


def test_steps_of_arrays() -> None:
    """An epoch goes on where the one before it ended; a new pass begins with the next epoch, as in Keras."""
    model, other = small(), small()
    with pytest.warns(UserWarning, match="expected 3 batches, received 1: the data has ended. Give more rows"):
        model.fit(X[:28], LABELS[:28], batch_size=7, steps_per_epoch=3, epochs=3, shuffle=False, verbose=0)
    for number in (0, 1, 2, 3, 0, 1, 2):
        rows = slice(7 * number, 7 * number + 7)
        other.train_on_batch(X[rows], LABELS[rows])
    assert bits(model) == bits(other)
    one, two = small(), small()  # no batch_size: as large as makes the steps
    one.fit(X, LABELS, steps_per_epoch=4, shuffle=False, verbose=0)
    two.fit(X, LABELS, batch_size=13, shuffle=False, verbose=0)
    assert bits(one) == bits(two)
    assert one.evaluate(X, LABELS, batch_size=10, steps=2, verbose=0) == pytest.approx(
        one.evaluate(X[:20], LABELS[:20], verbose=0), rel=1e-6
    )
    for verbose in (0, 2):
        assert np.array_equal(one.predict(X, batch_size=10, steps=2, verbose=verbose), one.predict(X[:20], verbose=0))


def test_a_model_is_built_from_the_first_batch() -> None:
    for use in ("fit", "predict"):
        model = nn.Sequential([nn.layers.Dense(CLASSES, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        getattr(model, use)(generator() if use == "fit" else Batches(), verbose=0)
        assert model.input_shape == (len((next(generator()) if use == "fit" else Batches()[0])[0]), INPUTS)


# ------------------------------------------------------------------ hooks


class Hooks(nn.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("end", batch))
        self.logs = logs

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("test", batch))

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(("predicted", batch, len(logs["outputs"])))


@pytest.mark.parametrize("stream", [True, False])
def test_hooks_are_called_every_so_many_batches(stream: bool) -> None:
    sizes = (10, 10, 10, 10, 10)
    model, hooks = small(), Hooks()
    model.compile(nn.optimizers.SGD(0.5), "sparse_categorical_crossentropy", steps_per_execution=2)
    arguments: Any = (Batches(sizes),) if stream else (X, LABELS)
    size = None if stream else 10
    model.fit(*arguments, batch_size=size, shuffle=False, verbose=0, callbacks=[hooks])
    assert hooks.calls == [("begin", 0), ("end", 1), ("begin", 2), ("end", 3), ("begin", 4), ("end", 5)]
    other = small()
    history = other.fit(X, LABELS, batch_size=10, shuffle=False, verbose=0)
    assert bits(model) == bits(other)
    assert hooks.logs["loss"] == pytest.approx(history.history["loss"][0])
    hooks.calls.clear()
    model.evaluate(*arguments, batch_size=size, verbose=0, callbacks=[hooks])
    assert hooks.calls == [("test", 0), ("test", 2), ("test", 4)]
    hooks.calls.clear()
    model.predict(arguments[0], batch_size=size, verbose=0, callbacks=[hooks])
    assert [call[:2] for call in hooks.calls] == [("predicted", 1), ("predicted", 3), ("predicted", 5)]
    hooks.calls.clear()

    class Stop(Hooks):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch)
            self.model.stop_training = batch == 3

    stop = Stop()
    model.fit(*arguments, batch_size=size, epochs=2, verbose=0, callbacks=[stop])
    assert stop.calls[-1] == ("end", 3)
    assert len(stop.calls) == 4


def test_the_bar_counts_batches(capfd: pytest.CaptureFixture[str]) -> None:
    model = small()
    model.fit(Batches(), epochs=1, verbose=1)
    model.fit(generator(), verbose=2)
    model.evaluate(Again(), verbose=1)
    model.predict(Batches(), verbose=1)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all("6/6" in line for line in lines)


# ------------------------------------------------------------------ what is refused


class TorchDataset:
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[index], LABELS[index]


TorchDataset.__module__, TorchDataset.__name__ = "torch.utils.data.dataset", "Dataset"


@pytest.mark.parametrize(("given", "arguments", "message"), [
    (Batches, {"y": LABELS}, r"fit: y: expected None beside a PyDataset as x, received some\. Its batches have it"),
    (Batches, {"sample_weight": LABELS}, "sample_weight: expected None beside a PyDataset as x"),
    (generator, {"validation_split": 0.5}, "validation_split: expected None beside a generator .* Give validation_data"),
    (generator, {"class_weight": {0: 1.0}}, "class_weight: expected None beside a generator .* Give sample_weight"),
    (Loader, {"class_weight": {0: 1.0}}, "class_weight: expected None beside a torch DataLoader"),
    (lambda: iter(()), {}, "expected at least one batch, received a generator without any"),
    (lambda: Batches(()), {}, "expected at least one batch, received a PyDataset of none"),
    (lambda: (x for x, _ in cut()), {}, "expected a tuple for each batch, .*, received ndarray from a generator"),
    (lambda: iter([(X, LABELS, LABELS, LABELS)]), {}, r"a batch of a generator: expected x, .* received 4 things"),
    (lambda: iter([(X,)]), {}, "y: expected an array, received None"),
    (lambda: iter([(X[:, :3], LABELS)]), {}, r"hidden \(Dense\): expected \(batch, 4\), received \(batch, 3\)"),
    (lambda: iter([(X, LABELS[1:])]), {}, "expected as many rows in y as in x, which has 50, received 49"),
    (TorchDataset, {}, r"expected batches, received a torch Dataset, .*DataLoader\(dataset"),
    (lambda: generator, {}, r"x: expected an array, received the function 'generator'. Call it"),
    (Batches, {"steps_per_epoch": 0}, "steps_per_epoch: expected a whole number from 1, received 0"),
])  # fmt: skip
def test_bad_streams(given: Any, arguments: dict[str, Any], message: str) -> None:
    model = small()
    before = bits(model)
    with pytest.raises(ModelError, match=message):
        model.fit(given(), verbose=0, **arguments)
    assert bits(model) == before


def test_a_later_batch_is_checked_as_well() -> None:
    for bad, message in (
        ((X[:, :3], LABELS), r"expected \(batch, 4\), received \(batch, 3\)"),
        ((X, LABELS + 7), "expected labels from 0 to 2"),
        ((X, LABELS, LABELS), "batch 1: expected no sample_weight, as the first batch has none, received some"),
    ):
        with pytest.raises(ModelError, match=message):
            small().fit(iter([(X, LABELS), bad]), verbose=0)


def test_a_dataset_must_say_how_long_it_is() -> None:
    class Short(nn.utils.PyDataset):
        def __getitem__(self, index: int) -> Any:
            return X, LABELS

    with pytest.raises(NotImplementedError, match="Short: define __len__"):
        small().fit(Short(), verbose=0)
    with pytest.raises(NotImplementedError, match="PyDataset: define __getitem__"):
        nn.utils.PyDataset()[0]
    assert len(list(itertools.islice(type("Endless", (Short,), {"num_batches": None})(), 3))) == 3


# ------------------------------------------------------------------ the spellings of Keras 1 and 2


def test_generators_in_the_old_spelling() -> None:
    expected, _ = by_hand(2)
    calls = {
        "fit_generator": lambda m: m.fit_generator(generator(times=2), 6, 2, verbose=0),
        "steps_per_epoch": lambda m: m.fit_generator(generator(times=2), steps_per_epoch=6, epochs=2, verbose=0),
        "samples_per_epoch": lambda m: m.fit_generator(
            generator(times=2),
            samples_per_epoch=48,
            nb_epoch=2,
            nb_worker=1,
            max_q_size=3,
            pickle_safe=False,
            verbose=0,
        ),
    }
    for call in calls.values():
        model = small()
        with pytest.warns(DeprecationWarning, match=r"fit_generator\(\) is of Keras 1 or 2; use fit") as seen:
            call(model)
        assert len(seen) == 1
        assert seen[0].filename == __file__
        assert bits(model) == bits(expected)
    dataset = Batches()
    with pytest.warns(DeprecationWarning):
        model.fit_generator(dataset, workers=2, max_queue_size=3, verbose=0)
    assert (dataset.workers, dataset.max_queue_size) == (2, 3)
    with pytest.warns(DeprecationWarning, match=r"evaluate_generator\(\)"):
        measured = model.evaluate_generator(generator(), val_samples=48)
    assert measured == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-6)
    outputs = model.predict(X, verbose=0)
    with pytest.warns(DeprecationWarning, match=r"predict_generator\(\)"):
        assert np.array_equal(model.predict_generator(generator(), steps=6), outputs)
    with pytest.warns(DeprecationWarning, match=r"predict_classes\(\)"):
        assert np.array_equal(model.predict_classes(X), outputs.argmax(-1))
    with pytest.warns(DeprecationWarning, match=r"predict_proba\(\)"):
        assert np.array_equal(model.predict_proba(X), outputs)
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="got both 'samples_per_epoch'"):
        model.fit_generator(generator(), 3, samples_per_epoch=48)
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="got both 'nb_worker' and 'workers'"):
        model.fit_generator(generator(), 3, nb_worker=1, workers=1)


def test_one_output_is_a_class_as_well() -> None:
    model = nn.Sequential([nn.Input((INPUTS,)), nn.layers.Dense(1, activation="sigmoid")])
    with pytest.warns(DeprecationWarning):
        classes = model.predict_classes(X)
    assert classes.dtype == np.int32
    assert np.array_equal(classes, model.predict(X, verbose=0) > 0.5)


# ------------------------------------------------------------------ other libraries


def test_keras_own_dataset() -> None:
    from oracle import keras

    class Theirs(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(SIZES)

        def __getitem__(self, index: int) -> Any:
            return cut()[index]

    model = small()
    model.fit(Theirs(), shuffle=False, verbose=0)
    assert bits(model) == bits(by_hand(1)[0])


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(LABELS))
    loader = torch.utils.data.DataLoader(pairs, batch_size=20)
    model, other = small(), small()
    model.fit(loader, verbose=0)
    other.fit(X, LABELS, batch_size=20, shuffle=False, verbose=0)
    assert bits(model) == bits(other)
    with pytest.raises(ModelError, match="received a torch Dataset"):
        model.fit(pairs, verbose=0)
    assert np.array_equal(model.predict(torch.tensor(X, requires_grad=True), verbose=0), model.predict(X, verbose=0))


def test_nothing_is_kept_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is one call of C, of all its rows."""
    calls: list[Any] = []
    train = compiler.Library.train
    monkeypatch.setattr(compiler.Library, "train", lambda self, *a: (calls.append(a[1:3]), train(self, *a)))
    small().fit(generator(), verbose=0)
    assert calls == [(0, size) for size in SIZES]


def test_a_stream_may_begin_again_only_if_it_can() -> None:
    stream = Stream(Again(), where="fit")
    assert stream.batches is None
    assert stream.peek()[0] is stream._given.batches[0][0]
    for _ in range(2):
        assert [len(x) for x, _, _ in stream.epoch()] == list(SIZES)
        assert stream.more()
