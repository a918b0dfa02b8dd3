"""Powers and inverses of integers by a modulus: FLINT's where it is installed, which take a tenth of the time of pow.

A verdict on sigmoids takes some hundred thousand of them.
"""

from twolayer.verification.numbers.opaque import BY_ZERO, absorbing

try:
    import flint
except ImportError:  # an optional extra: the numbers are the same without it
    flint = None

# Of object arrays, entry by entry: base^n for n >= 0, and 1 / a.
if flint:
    power = absorbing(lambda base, n, modulus: int(flint.nmod(base, modulus) ** n), 3)
    inverse = absorbing(lambda a, modulus: int(flint.nmod(a, modulus) ** -1) if a else BY_ZERO, 2)
else:
    power = absorbing(pow, 3)
    inverse = absorbing(lambda a, modulus: pow(a, -1, modulus) if a else BY_ZERO, 2)
