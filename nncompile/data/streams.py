"""Streams: what gives one batch after another, in place of arrays.

A batch is ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``; batches may have
different numbers of rows. What Keras knows is known: Python generators,
:class:`PyDataset` (Keras' own as well) and torch's DataLoader. So is anything else that
Python can iterate over and that is no array; no other library is imported to find out.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as PythonSequence
from typing import Any

import numpy as np

from ..errors import ModelError

Batch = tuple[Any, Any, Any]
"""x, y and sample_weight, the latter two None if they are not there."""


_END = object()
"""In place of a batch: there are no more."""


class PyDataset:
    """Base of datasets that make a batch when asked for its number.

    Define ``__getitem__(index)``, which returns a whole batch, ``(x, y)`` or another form
    of one, and ``__len__`` or the property ``num_batches``, the number of batches, None
    for a dataset without end. Override the two hooks to change the dataset between epochs.

    Args:
        workers: how many batches are made at the same time, in threads, while the model
            is at work; 0 or 1 for one at a time when it is needed.
        use_multiprocessing: accepted for Keras: workers are threads in every case, as the
            model computes without holding Python's lock.
        max_queue_size: how many batches are made in advance with several workers.

    Source: ``keras.utils.PyDataset``.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Returns batch number ``index``."""
        raise NotImplementedError(f"{type(self).__name__}: define __getitem__(self, index), which returns a batch.")

    def __iter__(self) -> Iterator[Any]:
        number = self.num_batches
        for index in itertools.count() if number is None else range(number):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None for a dataset without end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__}: define __len__(self), or the property num_batches, the number of batches."
        )

    def on_epoch_begin(self) -> None:
        """Is called before each epoch."""

    def on_epoch_end(self) -> None:
        """Is called after each epoch."""


def unpack_x_y_sample_weight(data: Any) -> Batch:
    """Returns x, y and sample_weight of a batch; None for what it does not have.

    Args:
        data: ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``, as tuple or list.

    Raises:
        ModelError: a tuple of another length.

    Source: ``keras.utils.unpack_x_y_sample_weight``.
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ModelError(f"expected x, (x,), (x, y) or (x, y, sample_weight), received {len(data)} things.")
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Returns a batch of its parts: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``; lists of inputs as ``(x,)``.

    Args:
        x: inputs.
        y: targets, if there are any.
        sample_weight: factors of the samples' losses, if there are any.

    Source: ``keras.utils.pack_x_y_sample_weight``.
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def is_stream(given: Any) -> bool:
    """Whether something gives batches, and is not an array or what becomes one."""
    if type(given) is np.ndarray:  # what nearly all give
        return False
    if given is None or isinstance(given, (PythonSequence, Mapping, set, frozenset)):
        return False
    if hasattr(given, "__array__") or hasattr(given, "columns"):
        return False
    if isinstance(given, (PyDataset, Iterator)):
        return True
    if hasattr(given, "dtype") and hasattr(given, "shape"):  # sparse matrices and other things like arrays
        return False
    if inspect.isclass(given) or not (isinstance(given, Iterable) or _is_indexed(given)):
        return False
    try:
        memoryview(given)  # of Python's own arrays
    except TypeError:
        return True
    return False


def _is_indexed(given: Any) -> bool:
    """Whether batches are asked for by number."""
    return hasattr(given, "__getitem__") and (hasattr(given, "__len__") or hasattr(given, "num_batches"))


def _parents(given: Any) -> set[tuple[str, str]]:
    return {(parent.__name__, parent.__module__.partition(".")[0]) for parent in type(given).__mro__}


class Stream:
    """Batches from something that :func:`is_stream`, epoch by epoch.

    Args:
        given: what the user gave.
        where: what was called, for messages.
        shuffle: whether batches that are asked for by number come in another order each epoch.
        permute: makes a random order of so many batches.

    Attributes:
        kind: what it is, for messages.
        batches: number of batches of one pass; None if that is not known.
        over: whether it has ended and cannot begin again.

    Raises:
        ModelError: a dataset of single samples, or one without batches.
    """

    def __init__(
        self, given: Any, *, where: str, shuffle: bool = False, permute: Callable[[int], Any] | None = None
    ) -> None:
        self.where, self._given, self._shuffle, self._permute = where, given, shuffle, permute
        parents = _parents(given)
        if ("Dataset", "torch") in parents:
            raise ModelError(
                f"{where}: x: expected batches, received a torch Dataset, which has single samples. "
                "Put torch.utils.data.DataLoader(dataset, batch_size=…) around it."
            )
        own = isinstance(given, PyDataset) or any(name == "PyDataset" for name, _ in parents)
        self._indexed = own or (not isinstance(given, Iterable) and _is_indexed(given))
        self._once = isinstance(given, Iterator)
        self.is_loader = ("DataLoader", "torch") in parents
        self.kind = (
            "a PyDataset"
            if own
            else "a torch DataLoader"
            if self.is_loader
            else "a generator"
            if self._once
            else type(given).__name__
        )
        self.over = self._warned = False
        self._first: list[Any] = []
        self._running: Iterator[Any] | None = None
        self._seen = 0
        self.batches = self._number()

    @property
    def weighs_classes(self) -> bool:
        """Whether Keras takes class_weight beside it."""
        return not (self._once or self.is_loader)

    def _number(self) -> int | None:
        if self._once:
            return None
        number = getattr(self._given, "num_batches", None) if self._indexed else None
        if number is None and hasattr(self._given, "__len__") and not hasattr(type(self._given), "num_batches"):
            number = self._length()
        elif number is None and self._indexed:
            return None
        if number is not None and number < 1:
            raise ModelError(f"{self.where}: x: expected at least one batch, received {self.kind} of none.")
        return None if number is None else int(number)

    def _length(self) -> int | None:
        try:
            return len(self._given)
        except TypeError:  # of streams whose length depends on what they read
            return None

    def peek(self) -> Batch:
        """Returns the first batch, which the first epoch begins with all the same.

        Raises:
            ModelError: there is none.
        """
        if self._indexed:
            return self._batch(self._given[0])
        if self._running is None:
            self._running = self._pass()
        if not self._first:
            self._first.extend(itertools.islice(self._running, 1))
        if not self._first:
            raise ModelError(f"{self.where}: x: expected at least one batch, received {self.kind} without any.")
        return self._batch(self._first[0])

    def _pass(self) -> Iterator[Any]:
        """Begins at the first batch again."""
        self._seen = 0
        if not self._indexed:
            return iter(self._given)
        return self._by_number()

    def _by_number(self) -> Iterator[Any]:
        order: Iterable[Any] = itertools.count()
        if self.batches is not None:
            order = range(self.batches)
            if self._shuffle and self._permute is not None:
                order = self._permute(self.batches).tolist()
        workers = int(getattr(self._given, "workers", 1) or 0)
        if workers > 1:
            return _ahead(self._given, order, workers, int(getattr(self._given, "max_queue_size", 10)))
        return (self._given[index] for index in order)

    def more(self) -> bool:
        """Whether there are batches for another epoch; warns if not, once."""
        if not self._once or self._first:
            return True
        if not self.over and self._running is not None:
            self._first.extend(itertools.islice(self._running, 1))
        if self._first:
            return True
        self.over = True
        self._warn("batches for another epoch", 0)
        return False

    def epoch(self, steps: int | None = None) -> Iterator[Batch]:
        """Gives the batches of an epoch.

        With ``steps`` an epoch goes on where the one before it has ended, and a pass that
        has ended begins anew with the next epoch; without it each epoch is one pass.

        Args:
            steps: how many; all of a pass if None.
        """
        self._hook("on_epoch_begin")
        wanted = steps if steps is not None else self.batches
        again = steps is None and not self._once
        if self._running is None or (again and not self._first):
            self.close()
            self._running = self._pass()
        given = 0
        while wanted is None or given < wanted:
            raw = self._first.pop() if self._first else next(self._running, _END)
            if raw is _END and not given and self._seen and not self._once:  # the epoch before ended with the pass
                self.close()
                self._running = self._pass()
                raw = next(self._running, _END)
            if raw is _END:
                self.close()
                self.over = self._once
                if steps is not None:
                    self._warn(f"{steps} batches", given)
                break
            given += 1
            self._seen += 1
            yield self._batch(raw)
        if self.batches is not None and self._seen >= self.batches:
            self.close()
        self._hook("on_epoch_end")

    def _warn(self, expected: str, given: int) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self.where}: x: expected {expected}, received {given or 'none'}: {self.kind} has ended. "
                "Make it give steps_per_epoch * epochs batches, or ask for fewer steps.",
                UserWarning,
                stacklevel=2,
            )

    def restart(self) -> None:
        """Lets the next epoch begin with the first batch, if that can be had again."""
        if not self._once and not self._first:
            self.close()

    def close(self) -> None:
        """Ends a pass, and with it the threads that make its batches."""
        close = getattr(self._running, "close", None)
        if self._indexed and close is not None:
            close()
        self._running = None

    def _hook(self, name: str) -> None:
        hook = getattr(self._given, name, None)
        if self._indexed and callable(hook):
            hook()

    def _batch(self, raw: Any) -> Batch:
        if inspect.isgenerator(self._given) and not isinstance(raw, tuple):
            raise ModelError(
                f"{self.where}: x: expected a tuple for each batch, (x,), (x, y) or (x, y, sample_weight), "
                f"received {type(raw).__name__} from a generator. Write yield (x, y), or yield (x,) for inputs alone."
            )
        try:
            return unpack_x_y_sample_weight(raw)
        except ModelError as error:
            raise ModelError(f"{self.where}: x: a batch of {self.kind}: {error}") from None


def _ahead(dataset: Any, order: Iterable[int], workers: int, queued: int) -> Iterator[Any]:
    """Gives the batches of an order, which threads make in advance."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers, "nncompile-batches")
    numbers = iter(order)
    try:
        waiting = deque(pool.submit(dataset.__getitem__, index) for index in itertools.islice(numbers, max(queued, 1)))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(dataset.__getitem__, index) for index in itertools.islice(numbers, 1))
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
