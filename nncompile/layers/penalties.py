"""Penalties in a formula, of activity regularizers and ``add_loss``: a value per row, and how it becomes loss.

A regularizer gives one number for a whole array, such as ``l1 * sum(|x|)``. The rows of a
batch stay apart in a formula, so that of a sum or mean over the array the loss takes the
value of each row and adds them up itself; any other number made of such sums each row has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import ModelError
from ..ops import Expression
from ..ops.batch import crosses_rows
from ..variables import records


def terms(regularizer: Callable[[Any], Any], x: Expression, where: str) -> list[tuple[Expression, str]]:
    """Returns what a regularizer adds up, for the loss: the penalty divided by the number of rows is part of it.

    Args:
        regularizer: a formula over a whole array.
        x: what it is to penalize, ``(None, …)``.
        where: the layer, for the error.

    Returns:
        A value per row and how the sum over all rows becomes a part of the loss: ``"samples"``, divided by the
        number of rows, where the regularizer takes a sum, and ``"squared"``, divided by it twice, where it
        takes a mean. Nothing if the penalty is always 0.

    Raises:
        ModelError: it is made of no sum or mean over the array, or does not depend on it.
    """
    value = regularizer(x)
    if isinstance(value, (int, float)) and value == 0:
        return []
    if isinstance(value, Expression) and value.shape == () and crosses_rows(value, means=False):
        value = value.args[1] if value.op == "whole" else value
        return [(value / float(math.prod(n or 1 for n in x.shape[1:-1])), "squared")]  # each row has the whole of it
    if not isinstance(value, Expression) or value.op != "whole" or value.value == "rows":
        raise ModelError(
            f"{where}: expected activity_regularizer to return a number made of sums or means over its argument, "
            f"received {value!r:.80}."
        )
    row = value.args[0]
    if value.value == "sum":
        return [(row, "samples")]
    return [(row / float(math.prod(n or 1 for n in row.shape[1:])), "squared")]


def add_activity(regularizer: Callable[[Any], Any], x: Expression, where: str) -> None:
    """Adds the penalty of a regularizer on what a layer returns to the loss of the model that is traced.

    Raises:
        ModelError: no model is traced, or as of :func:`terms`.
    """
    found = terms(regularizer, x, where)
    noted = records.get()
    if found and noted is None:
        raise ModelError(f"{where}: a penalty means nothing where no model is compiled.")
    if noted is not None:
        noted.penalties.extend(found)


def add(loss: Expression, where: str) -> None:
    """Adds what ``add_loss`` was given to the loss of the model that is traced.

    Args:
        loss: a sum or mean over the whole batch, or values whose sum over rows and columns is added.
        where: the layer, for the errors.

    Raises:
        ModelError: no model is traced, or it is neither.
    """
    noted = records.get()
    if noted is None:
        raise ModelError(f"{where}: add_loss of a formula means nothing where no model is compiled.")
    if crosses_rows(loss, means=False):
        itself = loss.args[1] if loss.op == "whole" else loss
        noted.penalties.append((itself, "sum" if itself.shape else "mean"))  # each row has a number for the batch
        return
    if loss.op != "whole":
        noted.penalties.append((loss, "sum"))
        return
    rows, kind = loss.args[0], loss.value
    if kind == "rows":
        raise ModelError(f"{where}: add_loss of a mean and values per row: give it two, in a list.")
    if kind == "mean":
        kind, rows = "samples", rows / float(math.prod(n or 1 for n in rows.shape[1:]))
    noted.penalties.append((rows, kind))
