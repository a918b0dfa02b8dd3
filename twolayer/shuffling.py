"""The order of the data: a pure function of (key, epoch), computed on the device without a sort.

`permutation` is the swap-or-not shuffle of Hoang, Morris & Rogaway (CRYPTO 2012), a keyed bijection of {0, ..., n-1}
for any n. Round r pairs each x with its mirror image K_r - x (mod n); one pseudo-random bit, a function of the pair,
says whether the two change places. Each position is computed on its own, so a job can find the examples of any step
without drawing the rest, and an epoch of 50,000 costs about 1 ms where sorting random keys costs 10 to 20.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

# The paper's advice for a cipher is 6 lg n rounds, 96 for MNIST's 50,000. Each round is a few integer operations.
ROUNDS = 96


def permutation(key: Key[Array, ""], n: int) -> Int[Array, " n"]:
    """A pseudo-random permutation of 0..n-1, the same for the same key on every device."""
    keys = jax.random.bits(key, (ROUNDS, 2), jnp.uint32)

    def swap_or_not(r: Int[Array, ""], x: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
        mirror_key = keys[r, 0] % n
        mirror = jnp.where(x <= mirror_key, mirror_key - x, mirror_key + n - x)
        swap = _hash(jnp.maximum(x, mirror) ^ keys[r, 1]) & 1
        return jnp.where(swap == 1, mirror, x)

    return jax.lax.fori_loop(0, ROUNDS, swap_or_not, jnp.arange(n, dtype=jnp.uint32)).astype(jnp.int32)


def batches(
    key: Key[Array, ""], epoch: Int[Array, ""] | int, n: int, batch_size: int
) -> tuple[Int[Array, "T B"], Float[Array, "T B"]]:
    """One epoch's batches: which examples, T = ceil(n / B) batches of B, and each one's weight.

    Every example stands in exactly one batch. The last batch is padded to B with repetitions of weight 0: with the
    weighted mean its step is that of the ragged batch alone.

    Args:
      key: the run's key for data order; the epoch is folded in.
    """
    steps = -(-n // batch_size)
    padding = steps * batch_size - n
    order = permutation(jax.random.fold_in(key, epoch), n)
    indices = jnp.pad(order, (0, padding), mode="edge").reshape(steps, batch_size)
    weights = jnp.pad(jnp.ones(n, jnp.float32), (0, padding)).reshape(steps, batch_size)
    return indices, weights


def _hash(x: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
    """Wellons' lowbias32: a 32-bit mixing function (two multiplications, three shifts) of low measured bias."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
