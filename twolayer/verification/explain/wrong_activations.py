"""Wrong derivatives of the activations: dZ from dO. For ReLU, the sigmoid and none in their own words, else in general.

In a formula f(A) is the layer's activation of A and slope(A) its derivative there; see problem.Row for the other names.
In a sentence {f} is the activation ("ReLU"), {a} the same with its article ("a ReLU"), {slope} its derivative.
"""

from twolayer.verification.problem import Row

RELU = (
    Row("mask_missing", "dO", "the ReLU's mask 1[{Z} > 0] is missing"),
    Row("mask_inverted", "dO * (Z <= 0)",
        "the mask is inverted: yours lets the gradient through where {Z} <= 0, not where {Z} > 0"),
    Row("mask_of_other_layer", "dO * (Z_other > 0)", "the mask is that of layer {other}; {dZ} needs 1[{Z} > 0]"),
    Row("mask_of_gradient", "dO * (dO > 0)",
        "the mask asks for the sign of the gradient {dO}; it should ask for the sign of {Z}"),
    Row("mask_of_gradient", "dO * (Z > 0) * (dO > 0)",
        "a second mask asks for the sign of the gradient {dO}; only the sign of {Z} counts"),
    Row("absolute_value", "dO * sign(Z)",
        "sign({Z}) is the derivative of an absolute value; that of ReLU is 1[{Z} > 0]"),
    Row("output_for_mask", "dO * O",
        "{dO} is multiplied with {O}; the derivative of ReLU is the mask 1[{Z} > 0]"),
    Row("output_for_mask", "dO * Z",
        "{dO} is multiplied with {Z}; the derivative of ReLU is the mask 1[{Z} > 0]"),
    Row("sigmoid_derivative", "dO * O * (1 - O)",
        "O (1 - O) is the derivative of a sigmoid; here the activation is ReLU, with 1[{Z} > 0]"),
    Row("tanh_derivative", "dO * (1 - O**2)",
        "1 - O^2 is the derivative of tanh; here the activation is ReLU, with 1[{Z} > 0]"),
    Row("mask_without_gradient", "Z > 0", "the mask stands alone: {dO} is not multiplied to it"),
    Row("zero", "0 * dO", "{dZ} is zero"),
    Row("mask_of_input", "dO * (x > 0)", "the mask asks for the sign of the input x; it should ask for that of {Z}"),
    Row("mask_of_weights", "dO * (b > 0)", "the mask asks for the sign of the bias {b}; it should ask for that of {Z}"),
    Row("threshold", "dO * (Z > t)", "the mask asks for {Z} > {t}; the kink of ReLU is at 0", True),
    Row("threshold", "dO * (round(Z * t) > 0)", "the mask is that of a rounded {Z}", True),
    Row("leaky_relu", "dO * where(Z > 0, 1, t)",
        "where {Z} <= 0 the gradient is multiplied with {t}: that is a leaky ReLU", True, True),
    Row("saturated", "dO * (Z > 0) * (Z < t)",
        "the gradient is stopped where {Z} >= {t}, as of a ReLU with a ceiling", True),
)  # fmt: skip

SIGMOID_IS = "the derivative of a sigmoid is {O} (1 - {O})"
SIGMOID = (
    Row("output_for_derivative", "dO * O", "{dO} is multiplied with {O}; " + SIGMOID_IS),
    Row("output_for_derivative", "dO * (1 - O)", "{dO} is multiplied with 1 - {O}; " + SIGMOID_IS),
    Row("output_for_derivative", "dO * (1 - O)**2", "{dO} is multiplied with (1 - {O})^2; " + SIGMOID_IS),
    Row("output_for_derivative", "dO * O**2", "{dO} is multiplied with {O}^2; " + SIGMOID_IS),
    Row("sigmoid_of_complement", "dO * sigmoid(1 - O)",
        "the sigmoid of 1 - {O} is taken; " + SIGMOID_IS),
    Row("sigmoid_of_complement", "dO * O * sigmoid(1 - O)",
        "the sigmoid of 1 - {O} stands where 1 - {O} itself belongs; " + SIGMOID_IS),
    Row("sigmoid_of_complement", "dO * O * sigmoid(1 - Z)",
        "the sigmoid of 1 - {Z} stands where 1 - {O} belongs; " + SIGMOID_IS),
    Row("derivative_of_other_layer", "dO * O_other * (1 - O_other)",
        "the derivative is that of layer {other}; " + SIGMOID_IS),
    Row("derivative_unfinished", "dO * exp(-Z) / (1 + exp(-Z))",
        "the square is missing: the derivative is exp(-{Z}) / (1 + exp(-{Z}))^2"),
    Row("derivative_unfinished", "dO * 1 / (1 + exp(-Z))**2",
        "the factor exp(-{Z}) is missing: the derivative is exp(-{Z}) / (1 + exp(-{Z}))^2"),
    Row("derivative_precedence", "dO * O * 1 - O", "a bracket is missing: {dO} * {O} * (1 - {O})"),
    Row("derivative_precedence", "dO * O - O", "a bracket is missing: {dO} * {O} * (1 - {O})"),
)  # fmt: skip

TANH = (
    Row("derivative_unfinished", "dO * (1 - O)", "the square is missing: the derivative of tanh is 1 - {O}^2"),
    Row("output_for_derivative", "dO * O**2", "{dO} is multiplied with {O}^2; the derivative of tanh is 1 - {O}^2"),
    Row("derivative_unfinished", "dO * (1 - 2 * O)", "2 {O} stands where the square {O}^2 belongs"),
    Row("derivative_of_square", "dO * (1 - tanh(Z**2))",
        "the square is taken inside the tanh: 1 - tanh({Z})^2 is meant"),
)  # fmt: skip

# What people write where there is no activation: the rows of ReLU with these causes, and the mask itself.
WITHOUT = (
    "mask_of_gradient", "mask_of_other_layer", "absolute_value", "output_for_mask", "sigmoid_derivative",
    "tanh_derivative", "zero", "mask_without_gradient",
)  # fmt: skip
IDENTITY_IS = "the declared {where} has no activation, so {dZ} = {dO}"
IDENTITY = (
    Row("mask_added", "dO * (Z > 0)", "a mask is applied, but the declared {where} has no ReLU"),
    *(row._replace(text=IDENTITY_IS) for row in RELU if row.id in WITHOUT),
)

# Of every activation. Rows that say what a row above says already, or what is right, are left out of a setting.
GENERAL = (
    Row("derivative_missing", "dO", "the derivative of {f}, {slope}, is missing"),
    Row("zero", "0 * dO", "{dZ} is zero"),
    Row("derivative_of_output", "dO * slope(O)", "the derivative is taken at {O}, which is {f} of {Z} already"),
    Row("derivative_of_preactivation", "dO * slope(O:=Z)", "{Z} stands where {O} belongs in the derivative {slope}"),
    Row("derivative_of_other_layer", "dO * slope(Z_other)",
        "the derivative is taken at Z{other}, of the other layer; {dZ} needs it at {Z}"),
    Row("derivative_of_other_layer", "dO * other_slope(Z)",
        "the derivative is that of layer {other}'s activation; {dZ} needs that of {f}, {slope}"),
    Row("output_for_derivative", "dO * O", "{dO} is multiplied with {O}; the derivative of {f} is {slope}"),
    Row("output_for_derivative", "dO * Z", "{dO} is multiplied with {Z}; the derivative of {f} is {slope}"),
    Row("output_for_derivative", "dO * (1 - O)", "{dO} is multiplied with 1 - {O}; the derivative of {f} is {slope}"),
    Row("derivative_inverted", "dO * (1 - slope(Z))",
        "1 minus the derivative of {f} stands where the derivative belongs"),
    Row("derivative_inverted", "dO / slope(Z)",
        "{dO} is divided by the derivative of {f}; it must be multiplied with it"),
    Row("derivative_twice", "dO * slope(Z)**2", "the derivative of {f} is applied twice"),
    Row("derivative_without_gradient", "slope(Z)", "the derivative stands alone: {dO} is not multiplied to it"),
    Row("derivative_of_error", "slope(dO / w)",
        "the derivative is taken of the error {dO} and stands alone; right is {dO} times the derivative at {Z}"),
    Row("derivative_of_error", "slope(O:=dO / w)",
        "the error {dO} stands in the derivative where {O} belongs; right is {dO} times {slope}"),
    Row("derivative_of_error", "slope(O:=dO)",
        "the error {dO} stands in the derivative where {O} belongs; right is {dO} times {slope}"),
    Row("derivative_of_error", "dO * slope(dO / w)", "the derivative is taken at the error {dO}; {dZ} needs it at {Z}"),
    Row("derivative_of_error", "dO * slope(dO)", "the derivative is taken at the error {dO}; {dZ} needs it at {Z}"),
    Row("derivative_of_error", "dO * slope(O:=dO / w)",
        "the error {dO} stands in the derivative where {O} belongs; right is {dO} times {slope}"),
    Row("derivative_of_error", "dO * slope(O:=dO)",
        "the error {dO} stands in the derivative where {O} belongs; right is {dO} times {slope}"),
    Row("derivative_of_target", "dO * slope(O:=y)",
        "the target y stands in the derivative where {O} belongs; right is {dO} times {slope}"),
    Row("derivative_of_input", "dO * slope(x)", "the derivative is taken at the input x; {dZ} needs it at {Z}"),
    Row("activation_for_derivative", "dO * f(O)", "{f} is applied to {O} once more where its derivative belongs"),
    Row("mask_of_gradient", "dO * slope(Z) * (dO > 0)",
        "a mask asks for the sign of the gradient {dO}; only {Z} counts, by the derivative {slope}"),
    Row("product_for_hadamard", "(dO * slope(Z)).sum(axis=1, keepdims=True)",
        "{dO} and the derivative are multiplied as vectors, into one number for each example; each entry has its own"),
    Row("product_for_hadamard", "(dO * slope(Z)).sum(axis=0)",
        "{dO} and the derivative are summed over the examples here already; each entry has its own"),
    Row("product_for_hadamard", "dO @ slope(Z)",
        "a matrix product stands where {dO} and the derivative are multiplied entry by entry"),
    Row("product_for_hadamard", "dO @ slope(Z).T",
        "a matrix product stands where {dO} and the derivative are multiplied entry by entry"),
    Row("product_for_hadamard", "dO.T @ slope(Z)",
        "a matrix product stands where {dO} and the derivative are multiplied entry by entry"),
    Row("sum_for_product", "dO + slope(Z)", "{dO} and the derivative are added; they must be multiplied"),
    Row("derivative_averaged", "dO * slope(Z).mean(axis=0)",
        "the derivative is averaged over the examples; each example has its own"),
    Row("derivative_averaged", "dO * slope(Z).mean(axis=1, keepdims=True)",
        "the derivative is averaged over the units; each unit has its own"),
    Row("threshold", "clip(dO * slope(Z), -t, t)", "{dZ} is clipped at {t}", True),
    Row("derivative_epsilon", "dO * (slope(Z) + t)", "{t} is added to the derivative of {f}", True, True),
)  # fmt: skip

KINKED = (
    Row("leaky_relu", "dO * where(Z > 0, 1, t)", "where {Z} <= 0 the gradient is multiplied with {t}; {f} has {slope}",
        True, True),
    Row("mask_inverted", "dO * where(Z > 0, slope(-1), slope(1))",
        "both sides of the kink are exchanged: yours has the slope of {Z} > 0 where {Z} <= 0"),
    Row("mask_of_output", "dO * where(O > 0, O, slope(Z))", "{O} stands where its slope belongs, where {Z} > 0"),
    Row("threshold", "dO * where(Z > t, slope(1), slope(-1))", "the kink is put at {Z} = {t}; it is at 0", True),
)  # fmt: skip

OTHERS = "{said} is the derivative of {other}; here the activation is {f}, with {slope}"

# Edits of the derivative's own formula, by kind (explain/edits.py).
EDITED = {
    "sign": ("derivative_sign", "a sign is wrong in the derivative of {f}"),
    "factor": ("derivative_factor", "a factor is missing in the derivative of {f}"),
    "term": ("derivative_term", "a term is missing in the derivative of {f}"),
    "exponent": (
        "derivative_unfinished",
        "an exponent is missing in the derivative of {f}",
    ),
    "constant": ("derivative_constant", "{t} stands in the derivative of {f} where {old} belongs"),
}
