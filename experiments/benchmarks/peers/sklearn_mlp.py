"""scikit-learn's MLPClassifier with plain SGD.

It has no activation on its output, so it trains the network with identity outputs: the same matrix products, one
ReLU on m x C numbers less. It keeps the ragged last batch, neither dropped nor merged.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier

from experiments.benchmarks.peers.problem import Problem


class Classifier:
    """Float32 features, put in order once an epoch; `partial_fit` is then one pass over them."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.y, self.orders = problem.features(), problem.y, problem.orders
        # Its own shuffling would draw another order. Gathering the epoch at once is cheaper than its batch by batch.
        self.model = MLPClassifier(
            problem.b1.shape, solver="sgd", alpha=0, batch_size=problem.batch_size, shuffle=False,  # type: ignore
            learning_rate_init=problem.learning_rate, momentum=0, nesterovs_momentum=False,
        )  # fmt: skip
        # One step on one batch makes it allocate its parameters; then they are set to where everybody starts.
        rows = slice(0, problem.batch_size)
        self.model.partial_fit(self.x[rows], self.y[rows], classes=np.arange(len(problem.b2)))
        starts = (problem.W1.T, problem.W2.T, problem.b1, problem.b2)
        for parameter, start in zip(self.model.coefs_ + self.model.intercepts_, starts, strict=True):
            parameter[...] = start

    def epoch(self, index: int) -> None:
        order = self.orders[index]
        self.model.partial_fit(self.x[order], self.y[order])

    def parameters(self) -> tuple[np.ndarray, ...]:
        (W1, W2), (b1, b2) = self.model.coefs_, self.model.intercepts_
        return W1.T, b1, W2.T, b2
