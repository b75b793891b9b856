"""The functions of the vector vocabulary (``templates/vector.h.j2``) and what each of them calls.

A unit prints only the functions that it uses, since an unused static function is a warning in strict builds.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InternalError

DEPENDENCIES: dict[str, tuple[str, ...]] = {
    "nn_load": (),
    "nn_store": (),
    "nn_set": (),
    "nn_fma": (),
    "nn_lt": (),
    "nn_le": (),
    "nn_gt": (),
    "nn_ge": (),
    "nn_eq": (),
    "nn_ne": (),
    "nn_and": (),
    "nn_or": (),
    "nn_not": (),
    "nn_iota": (),
    "nn_bits": (),
    "nn_from_bits": (),
    "nn_select": (),
    "nn_from_mask": ("nn_select", "nn_set"),
    "nn_max": ("nn_select",),
    "nn_min": ("nn_select",),
    "nn_infinity": (),
    "nn_abs": ("nn_bits", "nn_from_bits"),
    "nn_bfloat16": ("nn_bits", "nn_from_bits", "nn_select"),
    "nn_with_sign": ("nn_bits", "nn_from_bits"),
    "nn_copysign": ("nn_abs", "nn_with_sign"),
    "nn_sign": ("nn_select", "nn_set", "nn_with_sign"),
    "nn_sqrt": (),
    "nn_rsqrt": ("nn_sqrt",),
    "nn_round": ("nn_abs", "nn_select", "nn_with_sign"),
    "nn_floor": ("nn_round", "nn_select"),
    "nn_swap": (),
    "nn_sum_lanes": ("nn_swap",),
    "nn_prod_lanes": ("nn_swap",),
    "nn_max_lanes": ("nn_max", "nn_swap"),
    "nn_min_lanes": ("nn_min", "nn_swap"),
    "nn_any": ("nn_from_mask", "nn_sum_lanes"),
    "nn_fmod": ("nn_abs", "nn_any", "nn_infinity", "nn_select", "nn_set", "nn_with_sign"),
    "nn_mix": (),
    "nn_uniform": ("nn_mix",),
    "nn_mix64": (),
    "nn_key": ("nn_mix64",),
    "nn_exp_tail": (),
    "nn_exp": ("nn_bits", "nn_exp_tail", "nn_from_bits", "nn_infinity", "nn_select", "nn_set"),
    "nn_exp2": ("nn_bits", "nn_exp_tail", "nn_from_bits", "nn_infinity", "nn_select", "nn_set"),
    "nn_half_exp": ("nn_bits", "nn_exp_tail", "nn_from_bits"),
    "nn_expm1": ("nn_abs", "nn_half_exp", "nn_infinity", "nn_select", "nn_set"),
    "nn_tanh": ("nn_abs", "nn_half_exp", "nn_select", "nn_set", "nn_with_sign"),
    "nn_sigmoid": ("nn_abs", "nn_from_mask", "nn_half_exp", "nn_select", "nn_set"),
    "nn_log_of": ("nn_infinity", "nn_select", "nn_set"),
    "nn_log": ("nn_bits", "nn_from_bits", "nn_log_of", "nn_select", "nn_set"),
    "nn_log2": ("nn_bits", "nn_from_bits", "nn_log_of", "nn_select", "nn_set"),
    "nn_log1p": ("nn_bits", "nn_from_bits", "nn_log_of", "nn_with_sign"),
    "nn_pow": ("nn_abs", "nn_exp", "nn_floor", "nn_infinity", "nn_log", "nn_select", "nn_set", "nn_with_sign"),
    "nn_far": ("nn_infinity",),
    "nn_sine": ("nn_abs", "nn_any", "nn_bits", "nn_far", "nn_from_bits", "nn_select", "nn_with_sign"),
    "nn_sin": ("nn_sine",),
    "nn_cos": ("nn_sine",),
    "nn_atan": ("nn_abs", "nn_select", "nn_set", "nn_with_sign"),
    "nn_erf": ("nn_abs", "nn_half_exp", "nn_select", "nn_set", "nn_with_sign"),
    "nn_erfc": ("nn_abs", "nn_bits", "nn_exp", "nn_exp_tail", "nn_from_bits", "nn_select", "nn_set"),
    "nn_erfinv": ("nn_abs", "nn_infinity", "nn_log", "nn_select", "nn_set", "nn_sqrt", "nn_with_sign"),
}
"""Each function's direct calls, in printing order: a function comes after those that it calls."""


_OF_ONE_LANE = frozenset({"nn_sum_lanes", "nn_prod_lanes", "nn_max_lanes", "nn_min_lanes", "nn_any"})
"""What calls nothing in the c99 form, where a vector is one number."""


def closure(names: Iterable[str], form: str = "gnu") -> tuple[str, ...]:
    """The functions that a unit which calls ``names`` has to print, in printing order.

    Args:
        names: vocabulary functions, in any order, repeated or not.
        form: ``"gnu"`` or ``"c99"``.

    Returns:
        ``names`` and all that they call: ``closure(["nn_floor"])`` is ``("nn_bits", "nn_from_bits", "nn_select",
        "nn_abs", "nn_with_sign", "nn_round", "nn_floor")``.

    Raises:
        InternalError: a name is not in the vocabulary.
    """
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in DEPENDENCIES:
            raise InternalError(f"The vector vocabulary has no {name!r}; add it to templates/vector.h.j2.")
        if name not in needed:
            needed.add(name)
            if not (form == "c99" and name in _OF_ONE_LANE):
                waiting.extend(DEPENDENCIES[name])
    return tuple(name for name in DEPENDENCIES if name in needed)
