"""Names of Keras that are not here, each with its reason.

A name that Keras has is either here, under the same path, or refused by a sentence that
says why and what to do instead. :data:`ABSENT` has the sentences; the tests hold it
against a list of all public names of Keras, and the README prints it.

Modules get their ``__getattr__`` from :func:`watch`, which ``nncompile/__init__.py`` calls for
all that it imports; a module that is imported late says ``__getattr__ = absent.finder(__name__)``.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from opcode import opmap
from typing import Any

from . import old_names, registry
from .errors import UnsupportedError

_IMPORT_FROM = opmap["IMPORT_FROM"]


class AbsentError(UnsupportedError, AttributeError):
    """A name that only Keras has; an AttributeError, so that ``hasattr`` is False."""


class AbsentImportError(UnsupportedError, ImportError):
    """The same in ``from nncompile.layers import …``, where Python would drop the text of an AttributeError."""


_IMAGES = "there are no convolutions and no operations on images here: give images as rows, with Flatten"
_SEQUENCES = "there are no recurrent layers and no attention here: put the steps of a window into one row, with Flatten"
_TABLES = "text and categories are made into numbers before training: scikit-learn's preprocessing has the like"
_OTHERS = "it runs code of JAX, PyTorch or TensorFlow, none of which is needed here"
_QUANTIZED = "weights are float32 or float64; for products of 16 bits take the policy 'mixed_bfloat16'"
_DEVICES = "there is one device, the CPU; config.set_num_threads says how many of its cores are used"
_DATA = "read the files yourself, for example with numpy.load, and give the arrays to fit"
_EAGER = "there is one backend, which is compiled C; nothing is traced or switched by hand"
_NETWORKS = "there are no networks that come with weights; load_model reads a .keras file of dense layers"

ABSENT: dict[str, dict[str, str]] = {
    "": {
        _EAGER: "Function Operation StatelessScope SymbolicScope name_scope",
        _QUANTIZED: "Quantizer quantizers",
        "what is kept for the backward pass is chosen by the compiler": "RematScope remat",
        _DEVICES: "device distribution",
        _NETWORKS: "applications",
        "train the student on the teacher's predictions, as targets": "distillation",
        "it held what Keras has moved: to utils, saving and optimizers": "legacy",
        "it draws images": "visualization",
    },
    "backend": {
        _EAGER: "backend result_type",
    },
    "callbacks": {"it needs JAX; use BackupAndRestore or ModelCheckpoint": "OrbaxCheckpoint"},
    "config": {
        _EAGER: "backend set_backend is_nnx_enabled",
        _SEQUENCES: "disable_flash_attention enable_flash_attention is_flash_attention_enabled",
        "tracebacks are short as they are": (
            "disable_traceback_filtering enable_traceback_filtering is_traceback_filtering_enabled"
        ),
        "code in a file is never run": "enable_unsafe_deserialization",
        "give epochs and steps_per_epoch to fit": (
            "max_epochs max_steps_per_epoch set_max_epochs set_max_steps_per_epoch"
        ),
    },
    "datasets": {
        _DATA: "boston_housing california_housing cifar10 cifar100 fashion_mnist imdb reuters",
    },
    "dtype_policies": {
        _QUANTIZED: ("AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy"),
        "give dtype to each layer": "DTypePolicyMap",
    },
    "export": {"call model.export('model.c')": "ExportArchive"},
    "initializers": {"it makes kernels of convolutions": "STFT STFTInitializer stft"},
    "layers": {
        _IMAGES: (
            "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
            "AdaptiveMaxPooling2D AdaptiveMaxPooling3D AugMix AutoContrast AveragePooling2D AveragePooling3D "
            "AvgPool2D AvgPool3D CenterCrop ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose "
            "Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D "
            "Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose "
            "Cropping2D Cropping3D CutMix DepthwiseConv1D DepthwiseConv2D Equalization GlobalAveragePooling2D "
            "GlobalAveragePooling3D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool2D GlobalMaxPool3D "
            "GlobalMaxPooling2D GlobalMaxPooling3D MaxNumBoundingBoxes MaxPool2D MaxPool3D MaxPooling2D MaxPooling3D "
            "MelSpectrogram MixUp Pipeline RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter "
            "RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur "
            "RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation "
            "RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom Resizing STFTSpectrogram "
            "SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D Solarization "
            "SpatialDropout2D SpatialDropout3D UpSampling2D UpSampling3D ZeroPadding2D ZeroPadding3D"
        ),
        _SEQUENCES: (
            "AdditiveAttention Attention Bidirectional GRU GRUCell GroupQueryAttention LSTM LSTMCell "
            "MultiHeadAttention RNN SimpleRNN SimpleRNNCell StackedRNNCells"
        ),
        _TABLES: "HashedCrossing Hashing IntegerLookup StringLookup TextVectorization",
        _OTHERS: "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
        "Dense works on the last axis of inputs of any rank; Permute puts another one there": "EinsumDense",
        "use Embedding, and a Dense for the way back": "ReversibleEmbedding",
        "constraints bound the norms of weights: kernel_constraint='max_norm'": "SpectralNormalization",
    },
    "losses": {
        "losses of sequences without alignment are not supported": "CTC ctc",
        "it compares the samples of a batch with each other, which are computed apart": "Circle circle",
    },
    "mixed_precision": {"no loss is scaled: bfloat16 has the exponents of float32": "LossScaleOptimizer"},
    "ops": {
        _IMAGES: (
            "adaptive_average_pool adaptive_max_pool average_pool conv conv_transpose depth_to_space depthwise_conv "
            "fold image max_pool separable_conv space_to_depth unfold"
        ),
        _SEQUENCES: "ctc_decode ctc_loss dot_product_attention extract_sequences istft stft",
        "numbers are real": "angle fft fft2 ifft2 imag irfft polar rfft view_as_complex view_as_real",
        "it gives the bits of a number another meaning; ops.cast changes the type": "view",
        "the compiler differentiates by itself when a model is trained": "jvp",
        "its results are complex, and numbers are real": "eig",
        "it gives the places of pivots, which nothing else here takes; solve and inv do the whole": "lu_factor",
        "the size of its result depends on values, which are not known before it runs": "unique",
    },
    "optimizers": {
        "no loss is scaled: bfloat16 has the exponents of float32": "LossScaleOptimizer",
        "one optimizer trains all weights": "MultiOptimizer OptimizerMap",
        "the names without legacy understand lr=": "legacy",
    },
    "preprocessing": {
        _IMAGES: "image image_dataset_from_directory",
        _DATA: "text_dataset_from_directory timeseries_dataset_from_array",
    },
    "saving": {"h5py opens the file": "KerasFileEditor"},
    "tree": {
        "flatten_with_path and map_structure do the like": "MAP_TO_NONE assert_same_paths map_structure_up_to traverse"
    },
    "utils": {
        _IMAGES: "array_to_img bounding_boxes img_to_array load_img save_img",
        _DATA: (
            "audio_dataset_from_directory get_file image_dataset_from_directory text_dataset_from_directory "
            "timeseries_dataset_from_array"
        ),
        _TABLES: "FeatureSpace",
        "give validation_split to fit, or slices of the arrays": "split_dataset",
        "it is for settings of a script; a dataclass does that": "Config",
        "it held what Keras has moved: to saving": "legacy",
    },
}
"""Why a name is not here: path of the module below ``keras``, reason, names."""

_STEPS = (
    "what is done with a batch is compiled: a loss, a metric, an optimizer or a layer of your own, add_loss and "
    "compute_loss change it, and train_on_batch does one step"
)
_STATES = (
    "it is for loops of one's own in JAX: fit and train_on_batch train, get_weights and set_weights have the state"
)
METHODS = {
    name: reason
    for reason, names in {
        _STEPS: (
            "compute_loss_and_updates compute_metrics jax_state_sync make_predict_function make_test_function "
            "make_train_function predict_function predict_step test_function test_step train_function train_step"
        ),
        _STATES: (
            "get_state_tree set_state_tree stateless_apply stateless_call stateless_compute_loss stateless_reset_state "
            "stateless_result stateless_update_state"
        ),
        _QUANTIZED: (
            "get_quantization_layer_structure lora_alpha lora_enabled lora_rank quantization_config quantization_mode "
            "quantized_build quantized_call"
        ),
        "what is kept for the backward pass is chosen by the compiler": "rematerialized_call",
        "call it on what Input returns": "symbolic_call",
    }.items()
    for name in names.split()
}
"""Why a method or an attribute that Keras' layers, models, metrics and optimizers have is not here."""


class Refusing:
    """Base of classes that say why an attribute of Keras' is not there."""

    def __getattr__(self, name: str) -> Any:
        why = METHODS.get(name)
        if why is not None:
            raise AbsentError(f"{type(self).__name__}.{name} is not supported: {why}.")
        return object.__getattribute__(self, name)  # which says that it is not there, or what a property says


_PUBLIC = (
    "", "activations", "backend", "callbacks", "config", "constraints", "dtype_policies", "initializers", "layers",
    "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "optimizers.schedules", "random",
    "regularizers", "tree", "utils",
)  # fmt: skip
"""Modules of Keras' that are imported with the package, by their paths; others call :func:`finder` themselves."""

_MIRRORS = ("ops.linalg", "ops.nn", "ops.numpy")
"""Modules that have names of another one; see :func:`mirror`."""

_SAVING = (
    "CustomObjectScope custom_object_scope deserialize_keras_object get_custom_objects get_registered_name "
    "get_registered_object serialize_keras_object"
).split()

LATE: dict[str, dict[str, str]] = {
    "": {
        name: f"nncompile.{name}"
        for name in ("compiler", "datasets", "export", "objectives", "preprocessing", "saving", "targets", "wrappers")
    },
    "ops": {name: f"nncompile.ops.{name}" for name in ("linalg", "nn", "numpy")},
    "backend": {"is_keras_tensor": "nncompile.utils"},
    "models": dict.fromkeys(("load_model", "save_model"), "nncompile.saving"),
    "preprocessing": {"sequence": "nncompile.preprocessing.sequence"},
    "utils": {
        "np_utils": "nncompile.utils.np_utils",
        "Progbar": "nncompile.progress",
        "model_to_dot": "nncompile.models.plotting",
        "plot_model": "nncompile.models.plotting",
        **dict.fromkeys(_SAVING, "nncompile.saving"),
    },
    "wrappers": dict.fromkeys(
        ("SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"), "nncompile.wrappers.estimators"
    ),
}
"""What takes long to import and is not needed by every script: module, name, and the module where it is."""

_reasons = {
    path: {name: reason for reason, names in groups.items() for name in names.split()}
    for path, groups in ABSENT.items()
}


def reason(path: str, name: str) -> str | None:
    """Returns why ``keras.<path>.<name>`` is not here, None if nothing is said about it."""
    if path in _MIRRORS:
        path = "ops"
    outer, _, inner = path.rpartition(".")
    return _reasons.get(path, {}).get(name) or (reason(outer, inner) if path else None)


def refusal(module: str, name: str, frame: Any, originals: Sequence[str] = ()) -> ImportError | AttributeError:
    """Returns the error of asking ``module`` for something that it has not.

    Args:
        module: its whole name.
        name: what was asked for.
        frame: where it was asked for.
        originals: the whole names of modules that its names are in now.
    """
    paths = [whole.partition(".")[2] for whole in (module, *originals)]
    whys = [reason(path, name) or old_names.REFUSED.get(path, {}).get(name) for path in paths]
    why = None if name.startswith("__") else next(filter(None, whys), None)
    if why is None:
        # Python itself asks for __path__ on import, where no hint is worth its time
        public = [] if name.startswith("__") else [n for n in vars(sys.modules[module]) if not n.startswith("_")]
        hint = registry.nearest(name, public) if public else ""
        return AttributeError(f"module {module!r} has no attribute {name!r}.{hint}")
    text = f"{module}.{name} is not supported: {why}."
    if frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM:
        return AbsentImportError(text)
    return AbsentError(text)


def finder(module: str) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of the module of that name."""
    path = module.partition(".")[2]
    late = LATE.get(path, {})

    def find(name: str) -> Any:
        source = late.get(name)
        if source is None:
            if old_names.has(path, name):
                return old_names.find(path, name)
            raise refusal(module, name, sys._getframe(1))
        found = importlib.import_module(source)
        return found if source.rpartition(".")[2] == name else getattr(found, name)

    return find


def mirror(module: str, original: str) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of a module that has the names of Keras' of another one.

    Args:
        module: its whole name.
        original: the whole name of the one where the names are looked up.
    """

    def find(name: str) -> Any:
        if name.startswith("_") or not hasattr(sys.modules[original], name):
            raise refusal(module, name, sys._getframe(1))
        return getattr(sys.modules[original], name)

    return find


def warn_of_module(old: str, new: str) -> None:
    """Warns whoever imports a module under the name that it had in Keras 1 or 2."""
    frame, level = sys._getframe(1), 2  # of the module; 1 is this function
    while frame.f_back is not None and _is_of_the_import(frame.f_code.co_filename):
        frame = frame.f_back
        level += "importlib._bootstrap" not in frame.f_code.co_filename  # which warnings do not count
    warnings.warn(f"{old} is the spelling of Keras 1 or 2; use {new}.", DeprecationWarning, stacklevel=level)


def _is_of_the_import(filename: str) -> bool:
    return filename.startswith((os.path.dirname(__file__) + os.sep, "<frozen importlib", importlib.__file__))


def watch() -> None:
    """Gives the modules of Keras' names that were imported so far a ``__getattr__`` that knows those names."""
    for path in _PUBLIC:
        module = sys.modules.get(f"nncompile.{path}".rstrip("."))
        if module is not None:
            module.__dict__["__getattr__"] = finder(module.__name__)
    old_names.install()
