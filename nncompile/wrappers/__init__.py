"""Models as estimators of scikit-learn, with the names of ``keras.wrappers``.

scikit-learn is imported when one of the classes is asked for: ``pip install 'nncompile[sklearn]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import absent

if TYPE_CHECKING:
    from .estimators import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]

__getattr__ = absent.finder(__name__)
