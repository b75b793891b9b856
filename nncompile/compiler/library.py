"""Library: a compiled network with its state, as Python sees it.

The state is one structure in memory that Python owns; C only ever gets its address. The
weights' Variables are bound to their places in it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import random, targets
from ..data import TYPE_CODES
from ..ops.parameters import Turned
from ..variables import Array
from .memory import Matrix, Panels
from .program import Program

_ALIGNMENT = 64
_ARRAY = np.ndarray
_BINDING = threading.RLock()
"""Held while variables are moved: two threads may want to move them to different places."""
_CODES = {np.dtype(name): code for name, code in TYPE_CODES.items()}
_REALS = {np.dtype("float32"): "float", np.dtype("float64"): "double"}
_SMALL = 1 << 16
"""Bytes of an input up to which it costs less to copy it than to tell C where it is."""
_ALONE = 5e5
"""Multiply-adds of a network up to which no step of it is shared out: the threads need not even be asked."""
_NOTHING = contextlib.nullcontext()
_SHAPES = 8
"""How many shapes of inputs a prediction is kept prepared for."""


def _aligned(count: int, dtype: str) -> NDArray[Any]:
    """Zeros that begin on a cache line."""
    size = np.dtype(dtype).itemsize
    raw = np.zeros(count * size + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    numbers: NDArray[Any] = raw[start : start + count * size].view(dtype)
    return numbers


class Hold:
    """Whether a state has the numbers: all weights of a model and, if it is trained, what its optimizer keeps.

    A Variable that is bound elsewhere ends it, whoever did that: another library of the model, another model
    with the same layer, or the model that drops what it has compiled. So nothing that was prepared for a
    state can be used once the state is out of date.
    """

    __slots__ = ("optimizer", "whole")

    def __init__(self) -> None:
        self.whole = False
        self.optimizer: Any = None


class _Place:
    """Storage of a Variable inside the state.

    Args:
        view: its numbers as they lie.
        lock: of the library.
        hold: of the library.
        rows: inputs of a kernel.
        columns: numbers of a vector, or outputs of a kernel; 0 for a single number.
        panels: how the columns of a kernel are cut.
        written: called, with the lock held, after numbers were written.
    """

    def __init__(
        self,
        view: NDArray[Any],
        lock: threading.RLock,
        hold: Hold,
        rows: int = 1,
        columns: int = 0,
        panels: Panels | None = None,
        written: Callable[[], object] | None = None,
    ) -> None:
        self._view, self._lock, self._hold, self._written = view, lock, hold, written
        self._columns = columns
        self._cut: list[tuple[NDArray[Any], int, int]] = []  # panels as [panel, row, column], their first and last
        if panels is not None:
            whole = panels.full * panels.width
            for count, width, first in ((panels.full, panels.width, 0), (1, panels.rest, whole)):
                if count * width:
                    part = view[first * rows : (first + count * width) * rows].reshape(count, rows, width)
                    self._cut.append((part.transpose(1, 0, 2), first, first + count * width))
            self._whole = (rows, panels.padded)

    def read(self) -> Array:
        with self._lock:
            if not self._cut:
                return np.array(self._view[: self._columns] if self._columns else self._view[0])
            whole: Array = np.empty(self._whole, self._view.dtype)
            for panels, first, last in self._cut:
                whole[:, first:last] = panels.reshape(self._whole[0], -1)
            return np.array(whole[:, : self._columns], order="C")

    def write(self, value: Array) -> None:
        with self._lock:
            if self._cut:
                whole = np.zeros(self._whole, self._view.dtype)
                whole[:, : self._columns] = np.reshape(value, (-1, self._columns))  # it may have more axes elsewhere
                for panels, first, last in self._cut:
                    panels[...] = whole[:, first:last].reshape(panels.shape)
            elif self._columns:
                self._view[: self._columns] = np.ravel(value)  # a weight of several axes may be on one here
            else:
                self._view[0] = value
            if self._written is not None:
                self._written()

    def leave(self) -> None:
        self._hold.whole = False


class Samples:
    """Arrays as C takes samples out of them; they are kept as long as this is.

    Attributes:
        rows: how many there are.
        data: a ``network_data``.
        order: where C may write an order; null for samples in the order of the arrays.
    """

    __slots__ = ("_kept", "data", "order", "rows")

    def __init__(
        self,
        ffi: Any,
        xs: Sequence[Array],
        ys: Sequence[Array | None],
        order: Array | None,
        weights: Sequence[Array | None] = (),
    ) -> None:
        self.rows = len(xs[0])
        self.data = data = ffi.new("network_data *")
        data.threads = targets.threads()
        self._kept: list[Any] = []  # each keeps its array
        for number, x in enumerate(xs):
            data.x[number], data.x_type[number] = self._place(ffi, x), _CODES[x.dtype]
        for number, y in enumerate(ys):
            if y is not None:
                data.y[number], data.y_type[number] = self._place(ffi, y), _CODES[y.dtype]
        for number, weight in enumerate(weights):
            if weight is not None:
                data.weight[number] = ffi.cast(f"{_REALS[weight.dtype]} *", self._place(ffi, weight))
        self.order = ffi.NULL if order is None else ffi.cast("int64_t *", self._place(ffi, order))
        if order is not None:
            data.order = self.order

    def _place(self, ffi: Any, array: Array) -> Any:
        self._kept.append(ffi.from_buffer(array))
        return self._kept[-1]


class Direct:
    """The prediction for small inputs of one shape and type, with all done before that can be.

    The numbers are copied to and from memory that C knows. A lock keeps several threads apart.

    Attributes:
        changes: of what models are compiled for, when it was prepared.
        outputs: function of inputs that returns the outputs; None if they are anything else, or if this is out of date.
        workspace: what C works in.
    """

    __slots__ = ("changes", "outputs", "workspace")

    def __init__(
        self, library: Library, shape: tuple[int, ...], dtype: np.dtype[Any], output_shape: tuple[int, ...]
    ) -> None:
        given: Array = np.zeros(shape, dtype)
        made: Array = np.zeros((shape[0], *output_shape), library.dtype)
        samples = library.samples(given)
        if shape[0] * sum(matrix.numbers for matrix in library.program.matrices) < _ALONE:
            samples.data.threads = 1
        self.workspace = workspace = library.workspace(shape[0], samples.data.threads)
        places = library.places([made])
        # C has only the addresses of what the function below has to keep
        kept = (samples, library._memory, places)
        predict = functools.partial(
            library._lib.network_predict, library.state, workspace, samples.data, 0, shape[0], shape[0], places[0]
        )
        self.changes = changes = targets.changes
        hold, acquire, release = library.hold, library.lock.acquire, library.lock.release
        copy: Callable[[], Array] = made.copy

        # a function within one: names of its own are read sooner than attributes
        def outputs(x: Any, kept: Any = kept) -> Array | None:
            if (
                type(x) is not _ARRAY
                or x.shape != shape
                or x.dtype is not dtype
                or not hold.whole
                or changes != targets.changes
            ):
                return None
            acquire()  # takes half the time of with
            try:
                given[...] = x
                predict()
                return copy()
            finally:
                release()

        self.outputs: Callable[[Any], Array | None] = outputs


def _seed(source: Any) -> int:
    """The seed of a source of random numbers: a SeedGenerator, a number, or anything for a new one."""
    if isinstance(source, (int, np.integer)):
        return int(source) & 0xFFFF_FFFF_FFFF_FFFF
    state = getattr(source, "state", None)
    return int(np.asarray(state).flat[0]) if state is not None else random.default_seed()


class Library:
    """A compiled network.

    Attributes:
        program: what was compiled.
        source: its C.
        dtype: NumPy's name of the element type.
        state: the ``network_state``.
        lock: held while C works on the state.
        hold: whether the state has the numbers of the model.
    """

    def __init__(self, module: ModuleType, program: Program, source: str) -> None:
        self.program, self.source = program, source
        self.dtype = "float64" if program.real == "double" else "float32"
        self.lock, self.hold = threading.RLock(), Hold()
        self._ffi, self._lib = module.ffi, module.lib
        size = self._ffi.sizeof("network_state")
        self._memory = _aligned(size, "uint8")
        self.state = self._ffi.cast("network_state *", self._memory.ctypes.data)
        self._reals = self._ffi.typeof(f"{program.real}[]")
        self._outputs = self._ffi.typeof(f"{program.real} *[]")
        self._shared: Any = ()
        self._directs: dict[tuple[tuple[int, ...], np.dtype[Any]], Direct] = {}
        self._places: dict[str, _Place] = {}
        self._totals = [(name, f"{name}_total") for name in program.totals]
        for number, seed in enumerate(program.noises):
            setattr(self.state, f"noise_{number}_seed", _seed(seed))

    # ---------------------------------------------------------------- weights

    def _view(self, name: str) -> NDArray[Any]:
        """The numbers of a member of the state, in place."""
        offset = self._ffi.offsetof("network_state", name)
        kind = self._ffi.typeof("network_state").fields
        size = self._ffi.sizeof(dict(kind)[name].type)
        return self._memory[offset : offset + size].view(self.dtype)

    def place(self, weight: str, slot: str = "") -> _Place:
        """Where a weight, or what the optimizer keeps for it, is stored."""
        name = f"{weight}_{slot}" if slot else weight
        if name not in self._places:
            place = self._vector_beside(weight, slot) if slot else None
            for m in self.program.matrices if place is None else ():
                if m.name == weight:
                    written = None if slot else self._written(m)
                    place = _Place(self._view(name), self.lock, self.hold, m.inputs, m.outputs, m.panels, written)
            for v in self.program.vectors if place is None else ():
                if v.name == weight:
                    shape = next(w.shape for w in self.program.weights if w.name == weight)
                    place = _Place(self._view(name), self.lock, self.hold, columns=v.length if shape else 0)
            self._places[name] = place or _Place(self._view(name), self.lock, self.hold)
        return self._places[name]

    def _vector_beside(self, weight: str, slot: str) -> _Place | None:
        """Where a slot is stored that has another shape than its weight; None if it has the same."""
        shape = next(w.shape for w in self.program.weights if w.name == weight) or (1,)
        optimizer = self.program.optimizer
        of = dict(optimizer.slots(weight)).get(slot, shape) if optimizer is not None else shape
        if of == shape:
            return None
        return _Place(self._view(f"{weight}_{slot}"), self.lock, self.hold, columns=max(of))

    def _written(self, matrix: Matrix) -> Callable[[], object] | None:
        """What is made anew when a kernel was written to: its copies in bfloat16, and its transpose."""
        variable = next(w.variable for w in self.program.weights if w.name == matrix.name)
        turned = [w for w in self.program.weights if isinstance(w.variable, Turned) and w.variable.source is variable]
        if not turned and not matrix.copied:
            return None

        def make() -> None:
            if matrix.copied:
                self._lib.network_pack(self.state)
            for w in turned:
                self.place(w.name).write(self.place(matrix.name).read().T)

        return make

    def bind(self, optimizer: Any = None) -> None:
        """Moves the weights, and the optimizer's variables, into the state."""
        rule = self.program.optimizer
        wanted = optimizer if rule is not None else None
        if self.hold.whole and wanted in (None, self.hold.optimizer):
            return
        with _BINDING:
            for weight in self.program.weights:
                weight.variable.bind(self.place(weight.name))
            if rule is not None and wanted is not None:
                for weight in self.trainable():
                    for name, variable in wanted.kept(weight.variable).items():
                        variable.bind(self.place(weight.name, name))
                for name, _ in rule.scalars:
                    wanted.scalar_variables[name].bind(self.place(name))
            self.hold.optimizer, self.hold.whole = wanted, True

    def copy_in(self, optimizer: Any) -> None:
        """Copies the weights, and the optimizer's variables, into the state; they stay where they are."""
        assert self.program.optimizer is not None
        for weight in self.program.weights:
            self.place(weight.name).write(weight.variable.value)
        for weight in self.trainable():
            for name, variable in optimizer.kept(weight.variable).items():
                self.place(weight.name, name).write(variable.value)
        for name, _ in self.program.optimizer.scalars:
            self.place(name).write(optimizer.scalar_variables[name].value)

    def release(self) -> None:
        """Moves the weights out of the state again; others of this library stay where they are."""
        places = set(map(id, self._places.values()))
        with _BINDING:
            self.hold.whole = False
            for weight in self.program.weights:
                if id(weight.variable.storage) in places:
                    weight.variable.bind(None)

    def trainable(self) -> list[Any]:
        """The weights that the optimizer changes."""
        return [w for w in self.program.weights if w.trainable]

    # ---------------------------------------------------------------- running

    def samples(
        self,
        x: Array | Sequence[Array],
        y: Array | Sequence[Array | None] | None = None,
        order: Array | None = None,
        weights: Sequence[Array | None] = (),
    ) -> Samples:
        """The samples of some arrays, contiguous and of types that C reads.

        Args:
            x: an array for each input; it may stand alone.
            y: what each output should be, likewise.
            order: memory for an order of the samples.
            weights: for each output None or an array of the library's type, a number per row.
        """
        ys = [y] if isinstance(y, _ARRAY) or y is None else y
        return Samples(self._ffi, [x] if isinstance(x, _ARRAY) else x, ys, order, weights)

    def numbers(self, array: Array) -> Any:
        """Where the numbers of an array of the library's type are, for C; it keeps the array."""
        return self._ffi.from_buffer(self._reals, array)

    def places(self, arrays: Sequence[Array]) -> tuple[Any, list[Any]]:
        """Where the numbers of several arrays are, and what keeps them."""
        kept = [self.numbers(array) for array in arrays]
        return self._ffi.new(self._outputs, kept), kept

    def workspace(self, count: int, threads: int) -> Any:
        """New memory to work in with so many samples at a time."""
        return self.numbers(_aligned(self._lib.network_workspace(count, threads), self.dtype))

    def _workspace(self, count: int, samples: Samples, apart: bool = False) -> Any:
        """The workspace of all calls under the lock: the largest that was needed, which serves for less as well.

        Args:
            count: of samples at a time.
            samples: they say for how many threads.
            apart: whether each thread has a workspace of its own.
        """
        threads = samples.data.threads
        size = threads * self._lib.network_workspace(count, 1) if apart else self._lib.network_workspace(count, threads)
        if size > len(self._shared):
            self._shared = self.numbers(_aligned(size, self.dtype))
        return self._shared

    def direct(self, shape: tuple[int, ...], dtype: np.dtype[Any], output_shape: tuple[int, ...]) -> Direct | None:
        """The prepared prediction for inputs of a shape and type; None if they are too large to be worth it."""
        if math.prod(shape) * dtype.itemsize > _SMALL:
            return None
        found = self._directs.get((shape, dtype))
        if found is None or found.changes != targets.changes:
            if len(self._directs) >= _SHAPES:
                self._directs.clear()
            found = self._directs[shape, dtype] = Direct(self, shape, dtype, output_shape)
        return found

    def predict(self, samples: Samples, first: int, count: int, batch: int, out: Array | Sequence[Array]) -> None:
        """Writes the outputs of some samples to ``out``, an array for each output, which hold those alone."""
        places, _kept = self.places([out] if isinstance(out, _ARRAY) else out)
        with self.lock:
            workspace = self._workspace(batch, samples, apart=count > batch)
            self._lib.network_predict(self.state, workspace, samples.data, first, count, batch, places)

    def evaluate(
        self, samples: Samples, first: int, count: int, batch: int, outputs: Sequence[Array | None] = ()
    ) -> None:
        """Adds the losses and metrics of some samples to the totals.

        Args:
            samples: the samples.
            first: number of the first.
            count: how many.
            batch: how many at a time.
            outputs: for each output None or an array that receives it, if the program captures them.
        """
        with self.lock, self._captured(samples, outputs) if outputs else _NOTHING:
            self._take_numbers()
            self._lib.network_evaluate(self.state, self._workspace(batch, samples), samples.data, first, count, batch)

    @contextlib.contextmanager
    def _captured(self, samples: Samples, outputs: Sequence[Array | None]) -> Iterator[None]:
        """Tells C where outputs go meanwhile."""
        for number, out in enumerate(outputs):
            samples.data.outputs[number] = self._ffi.NULL if out is None else self.numbers(out)
        try:
            yield
        finally:
            for number in range(len(outputs)):
                samples.data.outputs[number] = self._ffi.NULL

    def shuffle(self, samples: Samples, seed: int) -> None:
        """Writes the random order of a seed, of 64 bits, over the order of the samples."""
        self._lib.network_shuffle(samples.order, samples.rows, seed)

    def train(self, samples: Samples, first: int, count: int, batch: int, outputs: Sequence[Array | None] = ()) -> None:
        """Trains on some samples in batches, adding to the totals.

        The samples are numbers ``first`` to ``first + count - 1`` of their order. The outputs that ``outputs``
        receives, as in :meth:`evaluate`, are those before the update of their batch.
        """
        with self.lock, self._captured(samples, outputs) if outputs else _NOTHING:
            self._lib.network_train(self.state, self._workspace(batch, samples), samples.data, first, count, batch)

    def train_epochs(self, samples: Samples, batch: int, seeds: Array | None, epochs: int) -> dict[str, Array]:
        """Trains on all samples some times over, each time in the order of another seed if there are any.

        Returns:
            The totals by name, an array with one of each time.
        """
        totals = np.empty((epochs, len(self._totals)))
        words = self._ffi.NULL if seeds is None else self._ffi.from_buffer("uint64_t[]", seeds)
        with self.lock:
            self._lib.network_train_epochs(
                self.state,
                self._workspace(batch, samples),
                samples.data,
                samples.order,
                samples.rows,
                batch,
                words,
                epochs,
                self._ffi.from_buffer("double[]", totals),
            )
        return dict(zip(self.program.totals, totals.T, strict=True))

    def begin(self, optimizer: Any) -> None:
        """Takes over the optimizer's numbers as they are now."""
        self._take_numbers(optimizer)
        if optimizer.schedule is None:
            self.state.learning_rate = float(optimizer.learning_rate)
        self.state.step = int(optimizer._iterations)

    def _take_numbers(self, optimizer: Any = None) -> None:
        """Takes over the numbers of regularizers and constraints, and those of the optimizer if there is one."""
        for name, whose, attribute in self.program.optimizer.numbers if self.program.optimizer else ():
            owner = self._owner(whose, optimizer)
            if owner is not None:
                setattr(self.state, name, float(getattr(owner, attribute)))

    def _owner(self, whose: str, optimizer: Any) -> Any:
        """Whose attribute a number in the state is: of the optimizer, its schedule, or what a weight has."""
        if whose in ("optimizer", "schedule"):
            return optimizer if whose == "optimizer" or optimizer is None else optimizer.schedule
        weight, _, what = whose.partition(" ")
        return getattr(next(w.variable for w in self.program.weights if w.name == weight), what)

    def end(self, optimizer: Any) -> None:
        """Gives back how many steps were done."""
        optimizer._iterations.assign(self.state.step)

    def totals(self) -> dict[str, float]:
        """The sums of the loss and the metrics since :meth:`reset_totals`."""
        return {name: getattr(self.state, member) for name, member in self._totals}

    def reset_totals(self) -> None:
        for _, member in self._totals:
            setattr(self.state, member, 0.0)

    def laps(self) -> dict[str, float]:
        """Seconds that each step of the program took so far, in order; empty without a profile."""
        return {name: float(getattr(self.state, f"{name}_seconds")) for name in self.program.laps}
