"""The names of ``keras.mixed_precision``: those of :mod:`.dtype_policies` and :mod:`.config` by other words."""

from .config import dtype_policy, set_dtype_policy
from .dtype_policies import DTypePolicy

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]
