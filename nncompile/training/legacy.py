"""Methods of Keras 1 and 2 that train and predict, under their old names and with their old arguments."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from .. import data
from ..errors import ModelError
from ..variables import Array

_FIT = {
    "nb_epoch": "epochs",
    "nb_worker": "workers",
    "max_q_size": "max_queue_size",
    "pickle_safe": "use_multiprocessing",
}
_OTHER = {"nb_worker": "workers", "max_q_size": "max_queue_size", "pickle_safe": "use_multiprocessing"}
_QUEUE = ("max_queue_size", "workers", "use_multiprocessing")


class LegacyTrainer:
    """fit_generator, evaluate_generator, predict_generator, predict_classes and predict_proba.

    Each warns once with a DeprecationWarning that says what to write instead.
    """

    fit: Any
    evaluate: Any
    predict: Any

    def fit_generator(self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, **kwargs: Any) -> Any:
        """:meth:`fit` on a generator.

        Args:
            generator: of batches.
            steps_per_epoch: batches of an epoch. Keras 1 has ``samples_per_epoch`` instead, which is
                divided by the number of rows of the first batch.
            epochs: number of the last epoch.
            **kwargs: others of fit; ``nb_epoch``, ``nb_val_samples`` and the queue's of Keras 1 and 2,
                of which workers are given to a PyDataset.

        Returns:
            What :meth:`fit` does.
        """
        where = _warn("fit_generator", "fit(generator, …)")
        given = _renamed(where, kwargs, {"steps_per_epoch": steps_per_epoch, "epochs": epochs}, _FIT)
        _queue(generator, given)
        generator, given["steps_per_epoch"] = _steps(
            where, generator, given, "samples_per_epoch", given["steps_per_epoch"]
        )
        held = given.get("validation_data")
        if "nb_val_samples" in given:
            held, given["validation_steps"] = _steps(
                where, held, given, "nb_val_samples", given.get("validation_steps")
            )
            given["validation_data"] = held
        return self.fit(generator, **given)

    def evaluate_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """:meth:`evaluate` on a generator.

        Args:
            generator: of batches.
            steps: how many of them.
            **kwargs: others of evaluate, and those of Keras 1 and 2; see :meth:`fit_generator`.

        Returns:
            What :meth:`evaluate` does.
        """
        where = _warn("evaluate_generator", "evaluate(generator, steps=…)")
        given = _renamed(where, kwargs, {"steps": steps}, _OTHER)
        _queue(generator, given)
        generator, given["steps"] = _steps(where, generator, given, "val_samples", given["steps"])
        return self.evaluate(generator, **{"verbose": 0, **given})

    def predict_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """:meth:`predict` on a generator.

        Args:
            generator: of batches.
            steps: how many of them.
            **kwargs: others of predict, and those of Keras 1 and 2; see :meth:`fit_generator`.

        Returns:
            What :meth:`predict` does.
        """
        where = _warn("predict_generator", "predict(generator, steps=…)")
        given = _renamed(where, kwargs, {"steps": steps}, _OTHER)
        _queue(generator, given)
        generator, given["steps"] = _steps(where, generator, given, "val_samples", given["steps"])
        return self.predict(generator, **{"verbose": 0, **given})

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Array:
        """Returns the class with the largest output, or 1 where a single output is above 0.5.

        Args:
            x: inputs; see :meth:`fit`.
            batch_size: samples at a time.
            verbose: whether to show progress.

        Raises:
            ModelError: the model has several outputs.
        """
        _warn("predict_classes", "predict(x).argmax(axis=-1), or (predict(x) > 0.5).astype('int32') for one output")
        made = self.predict(x, batch_size=batch_size, verbose=verbose)
        if not isinstance(made, np.ndarray):
            raise ModelError("predict_classes: expected a model of one output. Use predict.")
        return made.argmax(axis=-1) if made.shape[-1] > 1 else (made > 0.5).astype("int32")

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Array:
        """:meth:`predict` under an old name.

        Args:
            x: inputs; see :meth:`fit`.
            batch_size: samples at a time.
            verbose: whether to show progress.

        Returns:
            What :meth:`predict` does.
        """
        _warn("predict_proba", "predict(x)")
        made: Array = self.predict(x, batch_size=batch_size, verbose=verbose)
        return made


def _warn(name: str, instead: str) -> str:
    warnings.warn(f"{name}() is of Keras 1 or 2; use {instead}.", DeprecationWarning, stacklevel=3)
    return name


def _renamed(where: str, kwargs: dict[str, Any], named: dict[str, Any], old: dict[str, str]) -> dict[str, Any]:
    """The arguments under their new names; the method itself has warned."""
    given = {**named, **kwargs}
    for name, new in old.items():
        if name in given:
            if new in kwargs:
                raise TypeError(f"{where} got both {name!r} and {new!r}; {name!r} is the old name.")
            given[new] = given.pop(name)
    return given


def _queue(generator: Any, given: dict[str, Any]) -> None:
    """Gives a dataset what Keras 2 took as arguments of fit_generator; a generator has no use for it."""
    for name in _QUEUE:
        if name in given:
            value = given.pop(name)
            if isinstance(generator, data.PyDataset):
                setattr(generator, name, value)


def _steps(where: str, generator: Any, given: dict[str, Any], name: str, steps: Any) -> tuple[Any, Any]:
    """Turns a number of samples into batches of the size of the first; returns the generator, whole again."""
    samples = given.pop(name, None)
    if samples is None:
        return generator, steps
    if steps is not None:
        raise TypeError(f"{where} got both {name!r} and the number of steps.")
    if not data.is_stream(generator):  # arrays, whose samples are all used
        return generator, None
    if isinstance(generator, data.PyDataset):
        first = generator[0]
    else:
        iterator = iter(generator)
        first = next(iterator)
        generator = itertools.chain([first], iterator)
    x = data.unpack_x_y_sample_weight(first)[0]
    while isinstance(x, (list, tuple, dict)):
        x = next(iter(x.values() if isinstance(x, dict) else x))
    rows = np.shape(x)[0]
    return generator, -(-int(samples) // rows)
