"""BackupAndRestore, SwapEMAWeights, RemoteMonitor and TensorBoard: what they write, send and set."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile.callbacks import BackupAndRestore, Callback, LambdaCallback, RemoteMonitor, SwapEMAWeights, TensorBoard
from nncompile.errors import FileFormatError, ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model() -> nn.Sequential:
    made = nn.Sequential([nn.Input((3,)), nn.layers.Dense(1, kernel_initializer="ones", name="out")])
    made.compile("adam", "mse")
    return made


def broken_off(after: int, on: str = "on_epoch_end") -> Callback:
    """Ends a fit by an error, as a power cut would."""
    seen = []

    def stop(number: int, logs: Any = None) -> None:
        seen.append(number)
        if len(seen) == after:
            raise KeyboardInterrupt

    return LambdaCallback(**{on: stop})


def fit(made: Any, *callbacks: Any, epochs: int = 4, **arguments: Any) -> Any:
    return made.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **arguments)


# --- BackupAndRestore -----------------------------------------------------------------


def test_a_fit_that_was_broken_off_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = model()
    fit(whole)
    folder = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        fit(model(), BackupAndRestore(folder), broken_off(3))
    assert json.loads((folder / "training_metadata.json").read_text()) == {"epoch": 3, "batch": 0}
    assert (folder / "latest.weights.h5").is_file()
    again = model()
    history = fit(again, BackupAndRestore(folder))
    assert history.epoch == [3]
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert not folder.exists()
    # The next fit is a new one: nothing remembers where the last one began.
    assert fit(again, epochs=1).epoch == [0]


def test_backup_of_all_epochs_leaves_none_to_do(tmp_path: Path) -> None:
    fit(model(), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest.weights.h5", "training_metadata.json"]
    assert fit(model(), BackupAndRestore(tmp_path), epochs=2).epoch == []


def test_backup_after_batches(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), BackupAndRestore(tmp_path, save_freq=2), broken_off(5, "on_train_batch_end"))
    assert json.loads((tmp_path / "training_metadata.json").read_text()) == {"epoch": 1, "batch": 0}
    again = model()
    assert fit(again, BackupAndRestore(tmp_path)).epoch == [1, 2, 3]
    assert int(again.optimizer.iterations) == 4 + 3 * 3


def test_backup_keeps_the_files_of_the_time_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), BackupAndRestore(tmp_path, double_checkpoint=True), broken_off(3))
    (tmp_path / "latest.weights.h5").write_bytes(b"cut off")
    again = model()
    with pytest.warns(UserWarning, match="the files of the time before are used: .*expected HDF5"):
        assert fit(again, BackupAndRestore(tmp_path, double_checkpoint=True)).epoch == [2, 3]
    assert not tmp_path.exists()


def test_backup_damaged_without_files_of_the_time_before(tmp_path: Path) -> None:
    (tmp_path / "latest.weights.h5").write_bytes(b"cut off")
    with pytest.raises(FileFormatError, match="expected HDF5"):
        fit(model(), BackupAndRestore(tmp_path))


def test_backup_leaves_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    fit(model(), BackupAndRestore(tmp_path, double_checkpoint=True))
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["{}", '{"epoch": -1}', '{"epoch": "1"}', '{"epoch": true}', "[1]", "no"])
def test_backup_with_damaged_metadata(tmp_path: Path, text: str) -> None:
    (tmp_path / "training_metadata.json").write_text(text)
    with pytest.raises(FileFormatError, match="training_metadata.json"):
        fit(model(), BackupAndRestore(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("",), "expected backup_dir"),
        (("x", 0), "save_freq"),
        (("x", "batch"), "save_freq"),
        (("x", True), "save_freq"),
    ],
)
def test_backup_arguments(arguments: Any, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        BackupAndRestore(*arguments)


def test_backup_of_a_model_that_is_not_built(tmp_path: Path) -> None:
    callback = BackupAndRestore(tmp_path)
    callback.set_model(nn.Sequential([nn.layers.Dense(1)]))
    with pytest.raises(ModelError, match="expected a model that is built"):
        callback.on_train_begin()


# --- SwapEMAWeights -------------------------------------------------------------------


class Averaging:
    """What SwapEMAWeights sees of an optimizer."""

    use_ema, built = True, True

    def __init__(self) -> None:
        self._trainable_variables = [nn.Variable(1.0), nn.Variable([2.0, 3.0])]
        self._model_variables_moving_average = [nn.Variable(10.0), nn.Variable([20.0, 30.0])]

    def state(self) -> list[Any]:
        both = (*self._trainable_variables, *self._model_variables_moving_average)
        return [v.value.tolist() for v in both]


PLAIN = [1.0, [2.0, 3.0], 10.0, [20.0, 30.0]]
SWAPPED = [10.0, [20.0, 30.0], 1.0, [2.0, 3.0]]


def swapping(**arguments: Any) -> tuple[SwapEMAWeights, Averaging]:
    callback, optimizer = SwapEMAWeights(**arguments), Averaging()
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    callback.set_params({"epochs": 2})
    return callback, optimizer


@pytest.mark.parametrize("kind", ["test", "predict"])
def test_averages_are_used_in_between(kind: str) -> None:
    callback, optimizer = swapping()
    getattr(callback, f"on_{kind}_begin")()
    assert optimizer.state() == SWAPPED
    getattr(callback, f"on_{kind}_end")()
    assert optimizer.state() == PLAIN
    callback.on_epoch_end(0)
    assert optimizer.state() == PLAIN


def test_averages_between_epochs() -> None:
    callback, optimizer = swapping(swap_on_epoch=True)
    callback.on_epoch_begin(0)
    callback.on_test_begin()
    callback.on_test_end()
    assert optimizer.state() == PLAIN
    callback.on_epoch_end(0)
    assert optimizer.state() == SWAPPED
    callback.on_epoch_begin(1)
    assert optimizer.state() == PLAIN
    callback.on_epoch_end(1)  # the last one: fit will take the averages for the weights
    assert optimizer.state() == [10.0, [20.0, 30.0], 10.0, [20.0, 30.0]]


def test_no_averages() -> None:
    made = model()
    with pytest.raises(ModelError, match=r"no running means of the weights. Write Adam\(use_ema=True\)"):
        made.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()])


# --- RemoteMonitor --------------------------------------------------------------------


class Requests(types.ModuleType):
    """In the place of the package, which tests must not need: what was posted."""

    class exceptions:
        class RequestException(Exception): ...

    def __init__(self, fail: bool = False) -> None:
        super().__init__("requests")
        self.posted: list[tuple[Any, ...]] = []
        self.fail = fail

    def post(self, url: str, data: Any = None, json: Any = None, headers: Any = None) -> None:
        if self.fail:
            raise self.exceptions.RequestException("nobody there")
        self.posted.append((url, data, json, headers))


def test_remote_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests()
    monkeypatch.setitem(sys.modules, "requests", requests)
    RemoteMonitor().on_epoch_end(3, {"loss": np.float32(0.5), "acc": 1.0})
    RemoteMonitor("http://host", "/in", "field", {"a": "b"}).on_epoch_end(0)
    RemoteMonitor(send_as_json=True).on_epoch_end(1, {"loss": np.array(0.25)})
    address = "http://localhost:9000/publish/epoch/end/"
    assert requests.posted == [
        (address, {"data": '{"epoch": 3, "loss": 0.5, "acc": 1.0}'}, None, None),
        ("http://host/in", {"field": '{"epoch": 0}'}, None, {"a": "b"}),
        (address, None, {"epoch": 1, "loss": 0.25}, None),
    ]


def test_remote_monitor_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", Requests(fail=True))
    with pytest.warns(UserWarning, match=r"server at http://localhost:9000 was not reached: nobody there"):
        RemoteMonitor().on_epoch_end(0, {})


def test_remote_monitor_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ImportError, match="pip install requests"):
        RemoteMonitor().on_epoch_end(0, {})


# --- TensorBoard ----------------------------------------------------------------------


def test_tensorboard_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'nncompile\[tensorboard\]'"):
        fit(model(), TensorBoard(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"write_images": True}, UnsupportedError, "write_images"),
        ({"profile_batch": 2}, UnsupportedError, "profile_batch"),
        ({"embeddings_freq": 1}, UnsupportedError, "embeddings_freq"),
        ({"histogram_freq": -1}, ModelError, "histogram_freq"),
        ({"update_freq": 0}, ModelError, "update_freq"),
        ({"update_freq": "epochs"}, ModelError, "update_freq"),
    ],
)
def test_tensorboard_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        TensorBoard(**arguments)


def events(folder: Path) -> list[tuple[str, int, Any]]:
    """Tag, step and number (or text, or count of a histogram) of what the event files in a folder have."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                content = {
                    "simple_value": value.simple_value,
                    "tensor": value.tensor.string_val[:1],
                    "histo": value.histo.num,
                }[kind]
                found.append((value.tag, event.step, content))
    return found


def test_tensorboard_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="the optional package that writes the files")
    made = model()
    callback = TensorBoard(tmp_path, histogram_freq=1, write_steps_per_second=True, update_freq=2)
    history = fit(made, callback, epochs=2, validation_data=(X, Y)).history
    train = events(tmp_path / "train")
    numbers = {(tag, step): value for tag, step, value in train}
    assert json.loads(numbers["keras", 0][0])["class_name"] == "Sequential"
    for epoch in range(2):
        assert numbers["epoch_loss", epoch] == np.float32(history["loss"][epoch])
        assert numbers["epoch_learning_rate", epoch] == np.float32(0.001)
        assert numbers["epoch_steps_per_second", epoch] > 0
        assert numbers[f"{made.layers[0].kernel.path}/histogram", epoch] == 3
        assert numbers[f"{made.layers[0].bias.path}/histogram", epoch] == 1
    assert [step for tag, step, _ in train if tag == "batch_loss"] == [2, 4, 6]
    held = {(tag, step): value for tag, step, value in events(tmp_path / "validation")}
    assert held == {
        ("epoch_loss", 0): np.float32(history["val_loss"][0]),
        ("epoch_loss", 1): np.float32(history["val_loss"][1]),
        ("evaluation_loss_vs_iterations", 3): np.float32(history["val_loss"][0]),
        ("evaluation_loss_vs_iterations", 6): np.float32(history["val_loss"][1]),
    }
    plain = TensorBoard(tmp_path / "plain", write_graph=False)
    fit(made, plain, epochs=1)
    assert {tag for tag, _, _ in events(tmp_path / "plain" / "train")} == {"epoch_loss", "epoch_learning_rate"}
    assert not (tmp_path / "plain" / "validation").exists()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("on_epoch", [False, True])
def test_averages_in_fit_are_those_of_keras(on_epoch: bool) -> None:
    from oracle import keras

    seen = []
    for library in (nn, keras):
        made = library.Sequential([library.Input((3,)), library.layers.Dense(1, kernel_initializer="ones")])
        optimizer = library.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
        made.compile(optimizer, "mse", **({"jit_compile": False} if library is keras else {}))
        at_end: list[Any] = []
        note = library.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, made=made, at_end=at_end: at_end.append(made.get_weights()[0])
        )
        swap = library.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
        history = fit(made, swap, note, epochs=3, validation_data=(X, Y)).history
        seen.append([history["loss"], history["val_loss"], np.array(at_end), made.get_weights()[0]])
    for ours, theirs in zip(*seen, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5)
