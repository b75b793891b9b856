"""Which steps of a sequence count: masks that layers give to each other beside their values.

``Embedding(mask_zero=True)`` and ``Masking`` make a mask, ``(batch, steps)``; layers with ``supports_masking`` pass it
on, and one whose ``call`` takes ``mask`` is given it. It belongs to a value, as in Keras, and goes with it.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np

from .. import ops, tree

_kept: dict[int, tuple[weakref.ref[Any], Any]] = {}
"""By the identity of a value: the value, and its mask."""


def there_are() -> bool:
    """Whether any value has a mask."""
    return bool(_kept)


def of(value: Any) -> Any:
    """Returns the mask of a value, None if it has none.

    Args:
        value: an array, or a value of a formula.
    """
    found = _kept.get(id(value))
    return found[1] if found is not None and found[0]() is value else None


def keep(value: Any, mask: Any) -> None:
    """Gives a value a mask.

    Args:
        value: an array, or a value of a formula.
        mask: whether its entries count.
    """
    key = id(value)
    if isinstance(value, (np.ndarray, ops.Expression)):
        _kept[key] = weakref.ref(value, lambda _: _kept.pop(key, None)), mask


def applied(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns what ``call`` of a layer does, which gets the masks of its inputs and whose outputs get theirs.

    Args:
        layer: the layer.
        args: of the call.
        kwargs: of the call.
    """
    given = args[0]
    several = isinstance(given, (list, tuple))
    found: Any = [of(x) for x in given] if several else of(given)
    before = kwargs.get("mask")
    if before is not None and not layer._takes_masks:  # as values in a model have theirs, so has what goes in
        kwargs = {**kwargs, "mask": None}
        for value, mask in zip(given if several else [given], before if several else [before], strict=False):
            keep(value, mask)
    if before is None and any(m is not None for m in (found if several else [found])):
        before = found
        if layer._call_signature.mask and layer._takes_masks:
            kwargs = {**kwargs, "mask": before}
    outputs = layer.call(*args, **kwargs)
    if layer.supports_masking:
        made = layer.compute_mask(given, before)
        if made is not None:
            for value, mask in zip(tree.flatten(outputs), tree.flatten(made), strict=False):
                if mask is not None and of(value) is None:
                    keep(value, mask)
    elif before is not None and not hasattr(layer, "layers"):  # the layers in a model see to that themselves
        warnings.warn(
            f"{layer._where}: does not pass on the mask of its input, so that all steps count from here on.",
            UserWarning,
            stacklevel=2,
        )
    return outputs
