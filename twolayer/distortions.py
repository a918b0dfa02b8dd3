"""Affine and elastic distortions of images (Simard, Steinkraus & Platt 2003, section 2), on the device.

A distorted image has at pixel p what the original has at p + u(p), bilinear between pixels and 0 outside:

    u(p) = (A - I) (p - centre) + t + alpha v(p)

A = rotation . shear . scaling and t are drawn once an image, v is a smooth random field: independent U(-1, 1) numbers
at each pixel, one for each direction, blurred by a Gaussian of deviation sigma and scaled to norm 1.

The draw of an example is a function of its key, and its key one of (run, epoch, example): other batches, other devices
or a continued run see the same images.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int, Key, Num

from twolayer.names import NORMS, check_choice

TRUNCATE = 4.0  # deviations at which the Gaussian ends, as in scipy.ndimage.gaussian_filter
STREAM = 0x5EED  # tells the keys of distortions from those of the data order


@dataclasses.dataclass(frozen=True)
class Distortion:
    """How far images are distorted. Each number but alpha and sigma is the half-width of a uniform distribution.

    These are choices that a program is compiled for: what is zero costs nothing.

    Attributes:
      image_shape: (H, W) of a row of pixels.
      alpha: strength of the elastic field; 0 leaves it out.
      sigma: deviation of its blur in pixels.
      norm: "unit": for each direction the sum of v^2 over the image is 1, so the root mean square displacement is
        alpha / sqrt(H W) pixels. "none": v is the blurred numbers; away from the border their deviation is
        1 / (sigma sqrt(12 pi)), so that of the displacement is alpha times this. It is less where zeros from outside
        are blurred in, and differs from image to image. Simard et al. write "a norm of 1" for 29 x 29 images, which is
        34 / 29 = 1.17 pixels over the image; most code since leaves it out, 1.38 pixels in the middle at sigma = 4.
      rotation: radians.
      scaling: of each direction on its own: factors are 1 +- scaling.
      shear: the horizontal shift from one row to the next, in pixels.
      shift: pixels, in each direction.

    Raises:
      ValueError: `norm` is not known, sigma is not positive, or another number is negative or not finite.
    """

    image_shape: tuple[int, int]
    alpha: float = 0.0
    sigma: float = 4.0
    norm: str = "unit"
    rotation: float = 0.0
    scaling: float = 0.0
    shear: float = 0.0
    shift: float = 0.0

    @property
    def root_mean_square(self) -> float:
        """How far the elastic field moves a pixel in each direction, in pixels; away from the border for "none"."""
        H, W = self.image_shape
        return self.alpha / (math.sqrt(H * W) if self.norm == "unit" else self.sigma * math.sqrt(12 * math.pi))

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        if not self.sigma > 0:
            raise ValueError(f"sigma must be positive, got {self.sigma}")
        for name in ("alpha", "rotation", "scaling", "shear", "shift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number and not negative, got {getattr(self, name)}")


def example_keys(key: Key[Array, ""], epoch: Int[Array, ""] | int, rows: Int[Array, " m"]) -> Key[Array, " m"]:
    """One key for each of these examples in this epoch of the run with this key.

    Args:
      key: of the data order of the run.
      epoch: counted from 0.
      rows: the numbers of the examples in the training set.
    """
    of_epoch = jax.random.fold_in(jax.random.fold_in(key, epoch), STREAM)
    return jax.vmap(lambda row: jax.random.fold_in(of_epoch, row))(rows)


def distort(keys: Key[Array, " m"], x: Num[Array, "m p"], distortion: Distortion) -> Float[Array, "m p"]:
    """Each image distorted by a draw of its own, in the units of `x`.

    Args:
      x: images as rows of H W pixels.
    """
    images = x.reshape(len(x), *distortion.image_shape).astype(jnp.float32)
    centre = (jnp.array(distortion.image_shape, jnp.float32) - 1)[:, None, None] / 2
    offsets = jnp.stack(jnp.indices(distortion.image_shape, dtype=jnp.float32)) - centre

    def one(key: Key[Array, ""], image: Float[Array, "H W"]) -> Float[Array, "H W"]:
        affine_key, elastic_key = jax.random.split(key)
        A, t = affine(affine_key, distortion)
        moved = jnp.einsum("ij,jhw->ihw", A, offsets, precision="highest") + centre + t[:, None, None]
        if distortion.alpha:
            moved += distortion.alpha * elastic_field(elastic_key, distortion)
        return map_coordinates(image, list(moved), order=1, mode="constant")

    return jax.vmap(one)(keys, images).reshape(x.shape)


def affine(key: Key[Array, ""], distortion: Distortion) -> tuple[Float[Array, "2 2"], Float[Array, " 2"]]:
    """A and t for positions (row, column)."""
    angle, shear, *others = jax.random.uniform(key, (6,), jnp.float32, minval=-1, maxval=1)
    angle, shear = distortion.rotation * angle, distortion.shear * shear
    rotation = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    slant = jnp.array([[1.0, 0.0], [shear, 1.0]])
    factors = 1 + distortion.scaling * jnp.stack(others[:2])
    return jnp.matmul(rotation, slant, precision="highest") * factors[None, :], distortion.shift * jnp.stack(others[2:])


def elastic_field(key: Key[Array, ""], distortion: Distortion) -> Float[Array, "2 H W"]:
    """The smooth random field v, one component for each direction."""
    H, W = distortion.image_shape
    noise = _uniform_noise(key, distortion.image_shape)
    rows, columns = (jnp.asarray(gaussian_blur(size, distortion.sigma)) for size in (H, W))
    field = jnp.einsum("ij,cjk,lk->cil", rows, noise, columns, precision="highest")
    if distortion.norm == "none":
        return field
    return field / jnp.sqrt((field * field).sum(axis=(1, 2), keepdims=True))


def _uniform_noise(key: Key[Array, ""], image_shape: tuple[int, int]) -> Float[Array, "2 H W"]:
    """256 levels of U(-1, 1): only means over some 200 pixels are seen, and a word of the generator gives four."""
    H, W = image_shape
    words = jax.random.bits(key, (2, 1, -(-H // 4), W), jnp.uint32)
    # A byte each for four quarters of the rows: jax.random.bits of uint8 interleaves them, which takes thrice as long.
    quarters = words >> jnp.array([0, 8, 16, 24], jnp.uint32)[None, :, None, None]
    levels = (quarters & 255).astype(jnp.float32).reshape(2, -1, W)[:, :H]
    return (levels - 127.5) / 128


def gaussian_blur(n: int, sigma: float) -> Float[np.ndarray, "n n"]:
    """B such that B v is v (n,) convolved with a Gaussian whose weights add up to 1; outside, v is 0."""
    radius = int(TRUNCATE * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    weights = np.exp(-0.5 * (distance / sigma) ** 2) / taps.sum()
    return np.where(distance <= radius, weights, 0).astype(np.float32)
