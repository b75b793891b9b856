"""Names that Keras 1 and 2 had elsewhere, or called otherwise: what they are here, and why some are not.

:mod:`nncompile.absent` asks for them when a module has not what it is asked for. Modules that are not there any more
are imported by a finder that knows their names alone. Whoever uses one is told its new name by a DeprecationWarning.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, cast

_SHORT = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "kld": "kl_divergence", "MSE": "mean_squared_error",
    "MAE": "mean_absolute_error", "MAPE": "mean_absolute_percentage_error", "MSLE": "mean_squared_logarithmic_error",
    "KLD": "kl_divergence", "kullback_leibler_divergence": "kl_divergence", "cosine_proximity": "cosine_similarity",
    "logcosh": "log_cosh",
}  # fmt: skip
_OPS = (
    "abs all any arange binary_crossentropy cast categorical_crossentropy clip cos cumprod cumsum dot dtype elu equal "
    "erf exp eye flip greater greater_equal hard_sigmoid less less_equal log logsumexp max maximum mean min minimum "
    "ndim not_equal one_hot ones ones_like prod relu reshape round shape sigmoid sign sin softmax softplus softsign "
    "sparse_categorical_crossentropy sqrt square squeeze stack std stop_gradient sum switch tanh tile transpose var "
    "zeros zeros_like"
)
_OWN = (
    "argmax argmin batch_flatten cast_to_floatx concatenate constant eval expand_dims flatten gather get_value "
    "int_shape l2_normalize random_normal random_uniform set_value variable"
)

NAMES: dict[str, dict[str, str]] = {
    "backend": {
        **{name: f"ops.{name}" for name in _OPS.split()},
        **{name: f"old_functions.{name}" for name in _OWN.split()},
        "permute_dimensions": "ops.transpose", "pow": "ops.power", "repeat_elements": "ops.repeat",
        "reverse": "ops.flip",
    },
    "constraints": {
        "maxnorm": "constraints.MaxNorm", "nonneg": "constraints.NonNeg", "unitnorm": "constraints.UnitNorm",
    },
    "initializers": {
        "normal": "initializers.RandomNormal", "one": "initializers.Ones", "uniform": "initializers.RandomUniform",
        "zero": "initializers.Zeros",
    },
    "layers": {"ThresholdedReLU": "old_functions.thresholded_relu", "merge": "old_functions.merge"},
    "losses": {old: f"losses.{new}" for old, new in _SHORT.items()},
    "metrics": {
        **{old: f"losses.{new}" for old, new in _SHORT.items()},
        "fbeta_score": "metrics.FBetaScore", "fmeasure": "metrics.F1Score", "precision": "metrics.Precision",
        "recall": "metrics.Recall",
    },
    "optimizers": {
        "adadelta": "optimizers.Adadelta", "adagrad": "optimizers.Adagrad", "adam": "optimizers.Adam",
        "adamax": "optimizers.Adamax", "nadam": "optimizers.Nadam", "rmsprop": "optimizers.RMSprop",
        "sgd": "optimizers.SGD",
    },
    "regularizers": {
        "ActivityRegularizer": "regularizers.L1L2", "WeightRegularizer": "regularizers.L1L2",
        "activity_l1": "regularizers.L1", "activity_l1l2": "regularizers.l1_l2", "activity_l2": "regularizers.L2",
        "l1l2": "regularizers.l1_l2",
    },
    "utils": {"plot": "utils.plot_model", "print_summary": "old_functions.print_summary"},
}  # fmt: skip
"""By the path of a module below the package: old names, and where what they stand for is."""

_DROPPED = "Keras 2 has dropped it"
_PHASE = "call() of a layer gets training=True or False"
_GRAPHS = "there are no sessions and no graphs to run: models and arrays are called"
REFUSED: dict[str, dict[str, str]] = {
    "backend": {
        "batch_dot": "ops.einsum('bi,bi->b', x, y) and ops.matmul do that",
        "function": _GRAPHS, "get_session": _GRAPHS, "gradients": "the compiler differentiates when a model is trained",
        "in_train_phase": _PHASE, "learning_phase": _PHASE, "placeholder": f"{_GRAPHS}; Input makes a symbol",
        "set_learning_phase": _PHASE, "set_session": _GRAPHS,
    },
    "layers": {
        "Highway": _DROPPED, "MaxoutDense": _DROPPED, "TimeDistributedDense": "Dense works on the last of any axes",
        "Merge": f"{_DROPPED}: give the outputs of the branches to Concatenate, Add, Multiply, Average, Maximum or Dot",
    },
    "metrics": {"matthews_correlation": f"{_DROPPED}: it was a mean over batches; F1Score is exact"},
    "models": {"model_from_yaml": "Keras reads no YAML any more; model_from_json is there"},
    "utils": {"multi_gpu_model": "there is one device, the CPU"},
    "wrappers.scikit_learn": dict.fromkeys(
        ("KerasClassifier", "KerasRegressor"),
        "wrappers.SKLearnClassifier and SKLearnRegressor take a model, or a function that makes one, and fit_kwargs",
    ),
}  # fmt: skip
"""Names of Keras 1 and 2 that are not here, with the reason."""

_ENGINE = ("nncompile.models", "nncompile.layers", "nncompile")
MODULES: dict[str, tuple[str, ...]] = {
    "engine": _ENGINE,
    **{f"engine.{name}": _ENGINE for name in "base_layer input_layer network sequential topology training".split()},
    "initializations": ("nncompile.initializers",),
    **{
        f"layers.{name}": ("nncompile.layers",)
        for name in "advanced_activations convolutional embeddings local merge noise recurrent".split()
    },
    "preprocessing": (),
    "preprocessing.sequence": ("nncompile.utils",),
    **{
        f"utils.{name}": ("nncompile.utils",)
        for name in "data_utils generic_utils io_utils layer_utils vis_utils visualize_util".split()
    },
    "wrappers.scikit_learn": (),
}
"""Modules of Keras 1 and 2, and where their names are now."""

_CURRENT = ("preprocessing", "preprocessing.sequence")
"""Those that Keras 3 still has."""


def has(path: str, name: str) -> bool:
    """Whether a module has something under an old name.

    Args:
        path: of the module, below the package.
        name: the old name.
    """
    return name in NAMES.get(path, {})


def find(path: str, name: str, stacklevel: int = 3) -> Any:
    """Returns what an old name stands for, and warns.

    Args:
        path: of the module, below the package.
        name: one that :func:`has` knows there.
        stacklevel: of the warning.
    """
    where, _, new = NAMES[path][name].rpartition(".")
    found = getattr(importlib.import_module(f"nncompile.{where}"), new)
    if where == "old_functions":
        advice = f"{(found.__doc__ or '').partition('use ')[2].partition('.')[0]}"
    else:
        advice = f"nncompile.{where}.{new}"
    old = f"nncompile.{path}.{name}"
    warnings.warn(f"{old} is the spelling of Keras 1 or 2; use {advice}.", DeprecationWarning, stacklevel=stacklevel)
    return found


def mirror(module: str, *originals: str) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of a module of Keras 1 or 2, whose names are elsewhere now.

    Args:
        module: its whole name.
        originals: the whole names of the modules where they are looked up.
    """
    from . import absent

    def get(name: str) -> Any:
        if not name.startswith("_"):
            for original in originals:
                there = importlib.import_module(original)
                if name in getattr(there, "__all__", ()) or hasattr(there, name):
                    return getattr(there, name)
        raise absent.refusal(module, name, sys._getframe(1), originals)

    return get


class _Finder:
    """Imports the modules of :data:`MODULES`: finder and loader, without base classes, which take long to import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "nncompile" or name not in MODULES:
            return None
        inner = any(other.startswith(f"{name}.") for other in MODULES)
        return importlib.machinery.ModuleSpec(fullname, cast(Any, self), is_package=inner)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leaves that to Python."""

    def exec_module(self, module: ModuleType) -> None:
        from . import absent

        name = module.__name__.partition(".")[2]
        originals = MODULES[name]
        module.__doc__ = f"What Keras had under ``keras.{name}``: see {', '.join(originals) or 'its modules'}."
        module.__dict__["__getattr__"] = (mirror if originals else absent.finder)(module.__name__, *originals)
        if originals and name not in _CURRENT:
            absent.warn_of_module(module.__name__, originals[0])


def install() -> None:
    """Makes the modules of Keras 1 and 2 importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
    for name in ("core", "normalization", "pooling"):  # there are such modules, with fewer names
        module = sys.modules[f"nncompile.layers.{name}"]
        module.__dict__["__getattr__"] = mirror(module.__name__, "nncompile.layers")
