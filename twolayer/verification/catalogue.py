"""The wrong lines: mistakes that people make in this derivation, each with one sentence for whoever made it.

Sources: the author's own slips, the mistakes of published exercises and forum threads, and what is left when a factor
is dropped, doubled, transposed or taken from the neighbouring layer. A wrong constant factor needs no line here: it is
read off (scales.py). Lines that differ from the right one by a number take that number from the derivation.
"""

from twolayer.verification.wrong_activations import IDENTITY_OUTPUT, wrong_activations
from twolayer.verification.wrong_losses import OUTPUT_COTANGENT
from twolayer.verification.wrong_products import HIDDEN_COTANGENT, wrong_biases, wrong_weights
from twolayer.verification.wrong_sigmoids import WITH_SIGMOID, wrong_sigmoids

WRONG_LINES = (
    *OUTPUT_COTANGENT,
    *WITH_SIGMOID,
    *wrong_activations(2),
    *wrong_sigmoids(2),
    *IDENTITY_OUTPUT,
    *wrong_weights(2),
    *wrong_biases(2),
    *HIDDEN_COTANGENT,
    *wrong_activations(1),
    *wrong_sigmoids(1),
    *wrong_weights(1),
    *wrong_biases(1),
)
