"""The scikit-learn estimators: its own checks, names as classes, early stopping, and pipelines."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from twolayer import TwoLayerClassifier, TwoLayerRegressor

ABSENT = {"check_array_api_input", "check_classifier_data_not_an_array", "check_regressor_data_not_an_array"}
"""What scikit-learn skips where SCIPY_ARRAY_API is not set, or pandas is not installed."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [TwoLayerClassifier, TwoLayerRegressor])
def test_scikit_learns_own_checks_pass(kind):
    found = check_estimator(kind(), on_fail=None)
    failed = {row["check_name"]: row["exception"] for row in found if row["status"] == "failed"}
    skipped = {row["check_name"] for row in found if row["status"] == "skipped"}
    assert not failed and skipped <= ABSENT and len(found) > 50


def test_wine_in_a_pipeline_with_names():
    x, y = load_wine(return_X_y=True)
    names = np.array(["barolo", "grignolino", "barbera"])[y]
    model = make_pipeline(StandardScaler(), TwoLayerClassifier(32))
    assert cross_val_score(model, x, names, cv=3).mean() > 0.93
    fitted = model.fit(x, names)[-1]
    assert fitted.classes_.tolist() == ["barbera", "barolo", "grignolino"]
    p = model.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (fitted.classes_[p.argmax(axis=1)] == model.predict(x)).all()


@pytest.mark.parametrize("wrong", [{"learning_rate": -1}, {"random_state": -1}, {"random_state": "a"}])
def test_a_wrong_parameter_is_named_when_it_is_fitted(wrong):
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=f"^{name}=.* cannot be used; give "):
        TwoLayerClassifier(**wrong).fit(np.eye(4), [0, 1, 0, 1])


def test_early_stopping_keeps_some_examples_out():
    x, y = load_wine(return_X_y=True)
    model = TwoLayerClassifier(16, epochs=100, early_stopping=3, standardize=True, learning_rate=0.05).fit(x, y)
    assert model.n_iter_ < 100 and model.result_.status == "stopped early"
    assert "160 training" in model.result_.said[0]


def test_several_targets():
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.stack([x[:, 0], x[:, 1] - x[:, 2]], axis=1)
    model = TwoLayerRegressor(32, epochs=300, standardize=True).fit(x, y)
    assert model.predict(x).shape == (60, 2) and model.score(x, y) > 0.9
