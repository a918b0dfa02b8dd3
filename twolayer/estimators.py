"""The network as a scikit-learn estimator: TwoLayerClassifier and TwoLayerRegressor, over `fit`.

They train on all examples they are given: none are kept for validation, unless early_stopping asks for it.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import validation
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from twolayer import fitting, settings
from twolayer.datasets.arrays import Options
from twolayer.settings import DEFAULT

HELD_OUT = 0.1  # of the examples, for early stopping
PREDICTS_IN = "float64"  # so that an example has the same prediction to 1e-9 in whatever batch it comes

validate_data: Any = validation.validate_data  # typed by its default, a string


class _Estimator(BaseEstimator):
    """What both share. Parameters are those of `Settings`; `random_state` is their seed."""

    def __init__(
        self,
        hidden_size=DEFAULT.hidden_size,
        *,
        loss=DEFAULT.loss,
        output=DEFAULT.output,
        hidden_activation=DEFAULT.hidden_activation,
        init=DEFAULT.init,
        optimizer=DEFAULT.optimizer,
        learning_rate=DEFAULT.learning_rate,
        weight_decay=DEFAULT.weight_decay,
        schedule=DEFAULT.schedule,
        batch_size=DEFAULT.batch_size,
        epochs=DEFAULT.epochs,
        early_stopping=DEFAULT.early_stopping,
        precision=DEFAULT.precision,
        standardize=False,
        random_state=DEFAULT.seed,
    ):
        self.hidden_size = hidden_size
        self.loss = loss
        self.output = output
        self.hidden_activation = hidden_activation
        self.init = init
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.precision = precision
        self.standardize = standardize
        self.random_state = random_state

    def _train(self, x: np.ndarray, y: np.ndarray, task: str) -> "_Estimator":
        wanted = self.get_params()
        standardize, state = wanted.pop("standardize"), wanted.pop("random_state")
        if state is None or isinstance(state, np.random.RandomState):
            state = int((np.random.mtrand._rand if state is None else state).randint(2**31))
        settings.number("seed", state, "random_state")
        share = HELD_OUT if self.early_stopping else 0.0
        options = Options(task=task, standardize=standardize, valid_share=share, test_share=0.0, split_seed=state)
        self.result_ = fitting.fit(x, y, options=options, seed=state, **wanted)
        self.loss_curve_ = self.result_.metrics["train_loss"]
        self.n_iter_ = len(self.loss_curve_)
        return self

    def _checked(self, x: Any) -> np.ndarray:  # x: whatever scikit-learn makes an array of
        check_is_fitted(self)
        return validate_data(self, x, reset=False)


class TwoLayerClassifier(ClassifierMixin, _Estimator):
    """A classifier; `predict_proba` is the softmax of the outputs."""

    def fit(self, X, y):
        """Train on examples X (n, d) and their classes y (n,), numbers or names."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        return self._train(X, labels, "classes")

    def predict(self, X):
        """The class of each example."""
        X = self._checked(X)
        return self.classes_[self.result_.predict(X, PREDICTS_IN)]

    def predict_proba(self, X):
        """(n, C): the softmax of the outputs."""
        X = self._checked(X)
        return self.result_.probabilities(X, PREDICTS_IN)


class TwoLayerRegressor(RegressorMixin, _Estimator):
    """A regressor for one target or several, by the quadratic loss on identity outputs."""

    def __init__(
        self,
        hidden_size=DEFAULT.hidden_size,
        *,
        loss="quadratic",
        output="identity",
        hidden_activation=DEFAULT.hidden_activation,
        init=DEFAULT.init,
        optimizer=DEFAULT.optimizer,
        learning_rate=DEFAULT.learning_rate,
        weight_decay=DEFAULT.weight_decay,
        schedule=DEFAULT.schedule,
        batch_size=DEFAULT.batch_size,
        epochs=DEFAULT.epochs,
        early_stopping=DEFAULT.early_stopping,
        precision=DEFAULT.precision,
        standardize=False,
        random_state=DEFAULT.seed,
    ):
        super().__init__(
            hidden_size,
            loss=loss,
            output=output,
            hidden_activation=hidden_activation,
            init=init,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            schedule=schedule,
            batch_size=batch_size,
            epochs=epochs,
            early_stopping=early_stopping,
            precision=precision,
            standardize=standardize,
            random_state=random_state,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y):
        """Train on examples X (n, d) and real targets y (n,) or (n, C)."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        return self._train(X, y.astype(np.float64), "regression")

    def predict(self, X):
        """The targets of each example, in the shape that `fit` was given."""
        X = self._checked(X)
        found = self.result_.predict(X, PREDICTS_IN)
        return found if self._flat or found.ndim == 2 else found[:, None]
