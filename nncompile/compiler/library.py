"""Library: a compiled network with its state, as Python sees it.

The state is one structure in memory that Python owns; C only ever gets its address. The
weights' Variables are bound to their places in it.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import random, targets
from ..variables import Array
from .program import Panels, Program

_ALIGNMENT = 64
TYPE_CODES = {
    "bool": 0, "uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "uint64": 6, "int64": 7,
    "float32": 8, "float64": 9,
}  # fmt: skip
"""Numbers of the element types that the C can take samples of."""


def _aligned(count: int, dtype: str) -> NDArray[Any]:
    """Zeros that begin on a cache line."""
    size = np.dtype(dtype).itemsize
    raw = np.zeros(count * size + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    numbers: NDArray[Any] = raw[start : start + count * size].view(dtype)
    return numbers


class _Place:
    """Storage of a Variable inside the state.

    Args:
        view: its numbers as they lie.
        lock: of the library.
        rows: inputs of a kernel.
        columns: numbers of a vector, or outputs of a kernel; 0 for a single number.
        panels: how the columns of a kernel are cut.
    """

    def __init__(
        self, view: NDArray[Any], lock: threading.RLock, rows: int = 1, columns: int = 0, panels: Panels | None = None
    ) -> None:
        self._view, self._lock = view, lock
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
                whole[:, : self._columns] = value
                for panels, first, last in self._cut:
                    panels[...] = whole[:, first:last].reshape(panels.shape)
            elif self._columns:
                self._view[: self._columns] = value
            else:
                self._view[0] = value


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
        lock: held while C works on the state.
    """

    def __init__(self, module: ModuleType, program: Program, source: str) -> None:
        self.program, self.source = program, source
        self.dtype = "float64" if program.real == "double" else "float32"
        self.lock = threading.RLock()
        self._ffi, self._lib = module.ffi, module.lib
        size = self._ffi.sizeof("network_state")
        self._memory = _aligned(size, "uint8")
        self.state = self._ffi.cast("network_state *", self._memory.ctypes.data)
        self._workspaces: dict[tuple[int, int], NDArray[Any]] = {}
        self._places: dict[str, _Place] = {}
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
            place = None
            for m in self.program.matrices:
                if m.name == weight:
                    place = _Place(self._view(name), self.lock, m.inputs, m.outputs, m.panels)
            for v in self.program.vectors:
                if v.name == weight:
                    place = _Place(self._view(name), self.lock, columns=v.length)
            self._places[name] = place or _Place(self._view(name), self.lock)
        return self._places[name]

    def bind(self, optimizer: Any = None) -> None:
        """Moves the weights, and the optimizer's variables, into the state."""
        for weight in self.program.weights:
            weight.variable.bind(self.place(weight.name))
        if optimizer is None or self.program.rule is None:
            return
        for weight in self.trainable():
            slots = zip(self.program.rule.slots, optimizer.slot_variables(weight.variable), strict=True)
            for (slot, _), variable in slots:
                variable.bind(self.place(weight.name, slot))
        for name, _ in self.program.rule.scalars:
            optimizer.scalar_variables[name].bind(self.place(name))

    def release(self) -> None:
        """Moves the weights out of the state again; others of this library stay where they are."""
        places = set(map(id, self._places.values()))
        for weight in self.program.weights:
            if id(weight.variable.storage) in places:
                weight.variable.bind(None)

    def trainable(self) -> list[Any]:
        """The weights that the optimizer changes."""
        return [w for w in self.program.weights if w.trainable]

    # ---------------------------------------------------------------- running

    def _workspace(self, samples: int) -> Any:
        key = (samples, targets.threads())
        held = self._workspaces.get(key)
        if held is None:
            self._workspaces.clear()
            held = _aligned(self._lib.network_workspace(*key), self.dtype)
            self._workspaces[key] = held
        return self._ffi.cast("float *" if self.dtype == "float32" else "double *", held.ctypes.data)

    def _data(self, x: Array, y: Array | None, order: Array | None) -> Any:
        data = self._ffi.new("network_data *")
        data.threads = targets.threads()
        data.x, data.x_type = self._ffi.cast("void *", x.ctypes.data), TYPE_CODES[x.dtype.name]
        if y is not None:
            data.y, data.y_type = self._ffi.cast("void *", y.ctypes.data), TYPE_CODES[y.dtype.name]
        if order is not None:
            data.order = self._ffi.cast("int64_t *", order.ctypes.data)
        return data

    def predict(self, x: Array, first: int, count: int, batch: int, out: Array) -> None:
        """Writes the outputs of some samples to ``out``, which holds those alone."""
        with self.lock:
            data = self._data(x, None, None)
            y = self._ffi.cast("float *" if self.dtype == "float32" else "double *", out.ctypes.data)
            self._lib.network_predict(self.state, self._workspace(batch), data, first, count, batch, y)

    def evaluate(self, x: Array, y: Array, first: int, count: int, batch: int) -> None:
        """Adds the losses and metrics of some samples to the totals."""
        with self.lock:
            data = self._data(x, y, None)
            self._lib.network_evaluate(self.state, self._workspace(batch), data, first, count, batch)

    def train(self, x: Array, y: Array, order: Array | None, first: int, count: int, batch: int) -> None:
        """Trains on some samples in batches, adding to the totals.

        The samples are numbers ``first`` to ``first + count - 1`` of ``order``.
        """
        with self.lock:
            data = self._data(x, y, order)
            self._lib.network_train(self.state, self._workspace(batch), data, first, count, batch)

    def begin(self, optimizer: Any) -> None:
        """Takes over the optimizer's numbers as they are now."""
        assert self.program.rule is not None
        for name in self.program.rule.hyper:
            setattr(self.state, name, float(getattr(optimizer, name)))
        self.state.learning_rate = float(optimizer.learning_rate)
        self.state.step = int(optimizer.iterations)

    def end(self, optimizer: Any) -> None:
        """Gives back how many updates were done."""
        optimizer.iterations.assign(self.state.step)

    def totals(self) -> dict[str, float]:
        """The sums of the loss and the metrics since :meth:`reset_totals`."""
        return {name: float(getattr(self.state, f"{name}_total")) for name in self.program.totals}

    def reset_totals(self) -> None:
        for name in self.program.totals:
            setattr(self.state, f"{name}_total", 0.0)

    def laps(self) -> dict[str, float]:
        """Seconds that each step of the program took so far, in order; empty without a profile."""
        return {name: float(getattr(self.state, f"{name}_seconds")) for name in self.program.laps}
