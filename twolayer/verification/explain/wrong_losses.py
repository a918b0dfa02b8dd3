"""Wrong derivatives of the loss: dO2. For each loss in its own words, then for every loss.

A formula is what stands before the factor w of the examples, unless it holds `right`, the whole right formula of dO2.
`residual` is the loss's own residual, `value` the loss of each example as a column. In a sentence {loss} is the loss's
name and {residual} its residual.
"""

from twolayer.verification.problem import Row

AT_MAX = "(O2 == O2.max(axis=1, keepdims=True))"
SHARE_OF_MAX = f"{AT_MAX} / {AT_MAX}.sum(axis=1, keepdims=True)"  # equal entries share it
EXPS = "exp(O2 - O2.max(axis=1, keepdims=True))"

CROSS_ENTROPY = (
    Row("target_missing", "softmax(O2)", "the target y is not subtracted from the softmax"),
    Row("softmax_jacobian_missing", "-y / softmax(O2)",
        "-y/P is the derivative by the probabilities P; the softmax's Jacobian, from P to O2, is missing"),
    Row("softmax_jacobian_diagonal", "-y * (1 - softmax(O2))",
        "only the diagonal of the softmax's Jacobian is used; each P_j depends on every O2_k"),
    Row("softmax_jacobian_twice", "jacobian(softmax(O2), softmax(O2) - y)",
        "P - y contains the softmax's Jacobian already, and it is applied once more"),
    Row("softmax_jacobian_twice", "(softmax(O2) - y) * softmax(O2) * (1 - softmax(O2))",
        "P - y contains the softmax's Jacobian already; P (1 - P) is multiplied to it once more"),
    Row("softmax_axis", "softmax(O2, axis=0) - y",
        "the softmax is normalised over the examples (axis 0) where it should be over the classes (axis 1)"),
    Row("softmax_not_normalised", "exp(O2) - y", "exp(O2) is not divided by its sum over the classes"),
    Row("softmax_not_normalised", f"{EXPS} - y", "exp(O2 - max) is not divided by its sum over the classes"),
    Row("softmax_axis", "softmax(O2, axis=None) - y",
        "the softmax is normalised over classes and examples together; each example has its own sum"),
    Row("softmax_axis", "exp(O2) / exp(O2).sum(axis=0)[:, None] - y",
        "exp(O2) is divided by the sums over the examples, put in the place of those over the classes"),
    Row("softmax_without_exp", "O2 / O2.sum(axis=1, keepdims=True) - y",
        "O2 is divided by its sum without the exponential: that is no softmax"),
    Row("sigmoid_for_softmax", "sigmoid(O2) - y", "the sigmoid stands where the softmax belongs"),
    Row("softmax_twice", "softmax(softmax(O2)) - y", "the softmax is taken twice"),
    Row("softmax_of_log", "log(softmax(O2)) - y", "the logarithm of the softmax stands where the softmax belongs"),
    Row("onehot_shifted", "softmax(O2) - roll(y, 1, axis=1)", "the one-hot target is shifted by one class"),
    Row("onehot_shifted", "softmax(O2) - roll(y, -1, axis=1)", "the one-hot target is shifted by one class"),
    Row("onehot_shifted", "softmax(O2) - concatenate([y[:, 1:], 0 * y[:, :1]], axis=1)",
        "the one-hot target is shifted by one class; class 0 has none"),
    Row("onehot_shifted", "softmax(O2) - concatenate([0 * y[:, :1], y[:, :-1]], axis=1)",
        "the one-hot target is shifted by one class; the last class has none"),
    Row("label_for_onehot", "softmax(O2) - (y * arange(C)).sum(axis=1, keepdims=True)",
        "the number of the class is subtracted from each probability; its one-hot row must be"),
    Row("onehot_of_all", "softmax(O2) - (y.sum(axis=0) > 0)",
        "1 is subtracted in the columns of all labels (P[:, y] -= 1); each example has its own: P[arange(m), y] -= 1"),
    Row("onehot_of_first", "softmax(O2) - y[:1]", "the label of the first example is subtracted from all"),
    Row("label_only", "y * softmax(O2)", "only the labelled class is kept, and without its target"),
    Row("label_probability", "(y * softmax(O2)).sum(axis=1, keepdims=True) - y",
        "the probability of the labelled class stands for those of all classes"),
    Row("hard_prediction", f"({SHARE_OF_MAX}) - y",
        "the predicted class stands where the probabilities belong: that is the perceptron's rule"),
    Row("log_not_differentiated", "-y * log(softmax(O2))", "this is the loss itself, not its derivative"),
    Row("label_smoothing", "softmax(O2) - (1 - t) * y - t / C",
        "the targets are smoothed by {t}; the declared loss has plain one-hot targets", True, True),
    Row("log_epsilon", "jacobian(softmax(O2), -y / (softmax(O2) + t))",
        "{t} is added inside the logarithm; the declared loss has none", True),
    Row("softmax_temperature", "softmax(O2 / t) - y",
        "the softmax has a temperature of {t}; the declared loss has none", True),
    Row("softmax_temperature", "softmax(t * O2) - y",
        "the outputs are multiplied with {t} in the softmax; the declared loss has no such factor", True),
    Row("max_shift", f"softmax(O2) - y - {SHARE_OF_MAX}",
        "the maximum that the softmax is shifted by is differentiated where it is subtracted, not where it comes back"),
    Row("max_shift", f"softmax(O2) - y + {SHARE_OF_MAX}",
        "the maximum that the softmax is shifted by is differentiated where it comes back, not where it is subtracted"),
    Row("softmax_epsilon", "exp(O2) / (exp(O2).sum(axis=1, keepdims=True) + t) - y",
        "{t} is added to the denominator of the softmax; its rows do not sum to 1", True),
    Row("softmax_epsilon", f"{EXPS} / ({EXPS}.sum(axis=1, keepdims=True) + t) - y",
        "{t} is added to the denominator of the softmax; its rows do not sum to 1", True),
    Row("threshold", "minimum(softmax(O2), t) - y", "the probabilities are clipped at {t}", True),
    Row("threshold", "maximum(softmax(O2), t) - y", "the probabilities are clipped at {t}", True),
    Row("threshold", "clip(softmax(O2), t, 1 - t) - y", "the probabilities are clipped at {t}", True),
)  # fmt: skip

QUADRATIC = (
    Row("target_missing", "O2", "the target y is not subtracted from the prediction"),
    Row("times_output", "(O2 - y) * O2",
        "the residual is multiplied with O2; the derivative of 1/2 (O2 - y)^2 is O2 - y alone"),
    Row("not_differentiated", "(O2 - y)**2",
        "the square is not differentiated: its derivative is the difference itself"),
    Row("absolute_error", "sign(O2 - y)", "sign(O2 - y) is the derivative of the absolute error, not of the square"),
    Row("squares_subtracted", "O2**2 - y**2", "the squares are subtracted; the derivative of 1/2 (O2 - y)^2 is O2 - y"),
    Row("relative_error", "(O2 - y) / y", "the residual is divided by the target: that is the relative error"),
    Row("root_error", "(O2 - y) / sqrt(((O2 - y)**2).sum(axis=1, keepdims=True))",
        "the residual is divided by its length: that is the derivative of the distance, not of half its square"),
    Row("root_error", "(O2 - y) / sqrt(((O2 - y)**2).mean())",
        "the residual is divided by the root of the mean square: that is the root's derivative"),
    Row("hard_prediction", "(O2 > 0.5) - y", "O2 is rounded to 0 or 1 before the target is subtracted"),
    Row("threshold", "clip(right, -t, t)", "dO2 is clipped at {t}", True),
    Row("threshold", "clip(O2 - y, -t, t)", "dO2 is clipped at {t}", True),
)  # fmt: skip

BINARY_CROSS_ENTROPY = (
    Row("target_missing", "sigmoid(O2)", "the target y is not subtracted from the sigmoid"),
    Row("other_loss", "O2 - y",
        "O2 - y belongs to the quadratic loss; binary cross-entropy has the sigmoid of O2 inside"),
    Row("softmax_for_sigmoid", "softmax(O2) - y", "the softmax stands where the sigmoid belongs"),
    Row("derivative_twice", "(sigmoid(O2) - y) * sigmoid(O2) * (1 - sigmoid(O2))",
        "s - y contains the sigmoid's derivative already; s (1 - s) is multiplied to it once more"),
    Row("derivative_missing", "(sigmoid(O2) - y) / (sigmoid(O2) * (1 - sigmoid(O2)))",
        "this is the derivative by the sigmoid's output; the sigmoid's own derivative s (1 - s) is missing"),
    Row("one_term", "-y * (1 - sigmoid(O2))",
        "only the term y log s of the loss is differentiated; (1 - y) log(1 - s) is missing"),
    Row("one_term", "(1 - y) * sigmoid(O2)",
        "only the term (1 - y) log(1 - s) of the loss is differentiated; y log s is missing"),
    Row("one_term", "-y / sigmoid(O2)",
        "only the term y log s of the loss is differentiated, and without the sigmoid's derivative s (1 - s)"),
    Row("term_sign", "-y * (1 - sigmoid(O2)) - (1 - y) * sigmoid(O2)",
        "the term (1 - y) log(1 - s) has the wrong sign: its derivative is + (1 - y) s"),
    Row("term_sign", "(-y / sigmoid(O2) - (1 - y) / (1 - sigmoid(O2))) * sigmoid(O2) * (1 - sigmoid(O2))",
        "the term (1 - y) / (1 - s) has the wrong sign: the chain rule of log(1 - s) gives a second minus"),
    Row("term_sign", "-y / sigmoid(O2) - (1 - y) / (1 - sigmoid(O2))",
        "the term (1 - y) / (1 - s) has the wrong sign, and the sigmoid's derivative s (1 - s) is missing"),
    Row("terms_exchanged", "sigmoid(O2) - (1 - y)", "y and 1 - y are exchanged: the target is 1 - y"),
    Row("sum_of_targets", "sigmoid(O2) * y.sum(axis=1, keepdims=True) - y",
        "the sigmoid is multiplied with the sum of the row of y; that is right only where each row sums to 1"),
    Row("sigmoid_twice", "sigmoid(sigmoid(O2)) - y", "the sigmoid is taken twice"),
    Row("sigmoid_of_complement", "(sigmoid(O2) - y) * sigmoid(1 - sigmoid(O2))",
        "the residual is multiplied with the sigmoid of 1 - s; s - y is the whole derivative"),
    Row("tanh_for_sigmoid", "tanh(O2) - y", "tanh stands where the sigmoid belongs"),
    Row("hard_prediction", "(O2 > 0) - y", "the predicted bit stands where its probability belongs"),
    Row("times_output", "(sigmoid(O2) - y) * sigmoid(O2)", "the residual is multiplied with the sigmoid"),
    Row("log_not_differentiated", "log1p(exp(O2)) - y * O2", "this is the loss itself, not its derivative"),
    Row("label_smoothing", "sigmoid(O2) - (1 - t) * y - t / 2",
        "the targets are smoothed by {t}; the declared loss has plain targets", True, True),
    Row("positive_weight", "(1 - y) * sigmoid(O2) - t * y * (1 - sigmoid(O2))",
        "the term y log s has the weight {t}; the declared loss has none", True, True),
    Row("sigmoid_temperature", "sigmoid(O2 / t) - y",
        "the sigmoid has a temperature of {t}; the declared loss has none", True),
    Row("sigmoid_temperature", "sigmoid(t * O2) - y",
        "the outputs are multiplied with {t} in the sigmoid; the declared loss has no such factor", True),
    Row("log_epsilon",
        "((1 - y) / (1 - sigmoid(O2) + t) - y / (sigmoid(O2) + t)) * sigmoid(O2) * (1 - sigmoid(O2))",
        "{t} is added inside the logarithms; the declared loss has none", True),
    Row("threshold", "clip(sigmoid(O2), t, 1 - t) - y", "the probabilities are clipped at {t}", True),
)  # fmt: skip

OF_LOSS = {"cross_entropy": CROSS_ENTROPY, "quadratic": QUADRATIC, "binary_cross_entropy": BINARY_CROSS_ENTROPY}

# The prediction O2 is what the output activation gives; there Z2 is another array.
PREACTIVATION = {
    "cross_entropy": (Row("softmax_of_preactivation", "residual(O2:=Z2)",
                          "the softmax is taken of Z2, but the prediction is O2 = {f}(Z2)"),),
    "quadratic": (Row("preactivation_for_output", "residual(O2:=Z2)",
                      "the residual uses Z2 where the prediction is O2 = {f}(Z2)"),),
}  # fmt: skip
ANY_PREACTIVATION = (
    Row("preactivation_for_output", "residual(O2:=Z2)", "Z2 stands where the prediction O2 = {f}(Z2) belongs"),
)

# Of every loss. Rows that say what a row above says already, or what is right, are left out of a setting.
GENERAL = (
    Row("one_example", "residual * (i != 0)", "the first example is left out"),
    Row("one_example", "residual * (i != m - 1)", "the last example is left out"),
    Row("one_example", "residual * (i == 0)", "only the first example counts"),
    Row("one_example", "residual * (i == m - 1)", "only the last example counts (= where += belongs)"),
    Row("target_missing", "residual(y:=0)", "the target y is left out of the residual {residual}"),
    Row("prediction_missing", "-y", "only the target is left of the residual {residual}"),
    Row("times_output", "residual * O2", "the residual is multiplied with O2"),
    Row("times_target", "residual * y", "the residual is multiplied with the target y"),
    Row("not_differentiated", "residual**2",
        "the residual {residual} is squared; the derivative is the residual itself"),
    Row("absolute_error", "abs(residual)",
        "the absolute value of the residual is taken; its sign belongs to the derivative"),
    Row("absolute_error", "sign(residual)", "only the sign of the residual {residual} is kept"),
    Row("loss_for_residual", "value", "the loss of each example stands where its derivative {residual} belongs"),
    Row("loss_for_residual", "value.sum()", "the loss itself stands where its derivative {residual} belongs"),
    Row("residual_summed", "residual.sum(axis=0)",
        "the residuals are summed over the examples before they are carried back; each example has its own"),
    Row("residual_summed", "residual.sum(axis=1, keepdims=True)",
        "the residuals of an example are summed over its outputs; each output has its own"),
    Row("residual_summed", "residual.sum()",
        "the residuals are summed into one number; each output of each example has its own"),
    Row("residual_centred", "residual - residual.mean(axis=0)",
        "the mean over the examples is subtracted from the residual"),
    Row("residual_centred", "residual - residual.mean(axis=1, keepdims=True)",
        "the mean over the outputs is subtracted from the residual"),
    Row("one_output", "residual * (arange(C) == 0)", "only the first output counts"),
    Row("one_output", "residual * (arange(C) == C - 1)", "only the last output counts (= where += belongs)"),
    Row("targets_shuffled", "residual(y:=roll(y, 1, axis=0))", "each example has the target of the one before it"),
    Row("targets_shuffled", "residual(y:=roll(y, -1, axis=0))", "each example has the target of the one after it"),
    Row("targets_shuffled", "residual(y:=y[::-1])", "the targets stand in the reversed order of the examples"),
    Row("threshold", "clip(right, -t, t)", "dO2 is clipped at {t}", True),
    Row("threshold", "clip(residual, -t, t)", "dO2 is clipped at {t}", True),
    Row("threshold", "residual * (abs(residual) > t)", "residuals of {t} at most are taken for 0", True),
    Row("phantom_penalty", "residual + t * O2",
        "{t} O2 is added: the declared loss has no penalty on the outputs", True, True),
)  # fmt: skip

# Edits of the residual's own formula, by kind (explain/edits.py).
EDITED = {
    "sign": ("residual_sign", "a sign is wrong in the residual"),
    "factor": ("residual_factor", "a factor is missing in the residual"),
    "term": ("residual_term", "a term is missing in the residual"),
    "exponent": ("residual_exponent", "an exponent is missing in the residual"),
    "constant": ("residual_constant", "{t} stands in the residual where {old} belongs"),
}

OTHER_LOSS = ("other_loss", "{residual} belongs to {other}; the declared {loss}")
