"""Distortions of images against SciPy, and as what they are: rotations, shifts, fields of a stated norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from twolayer.distortions import Distortion, _uniform_noise, affine, distort, elastic_field, example_keys, gaussian_blur

SHAPE = (11, 14)
STRONG = Distortion(SHAPE, alpha=20.0, sigma=2.0, rotation=0.3, scaling=0.2, shear=0.2, shift=1.5)


def images(m=5, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (m, *shape), dtype=np.uint8)


def distorted(keys, x, distortion):
    rows = jnp.asarray(x.reshape(len(x), -1))
    return np.asarray(distort(keys, rows, distortion)).reshape(x.shape)


def moved(key, distortion):
    """Where a distorted image looks, (2, H, W), from the draws and the formula u(p) of the module, in NumPy."""
    affine_key, elastic_key = jax.random.split(key)
    A, t = (np.asarray(a, float) for a in affine(affine_key, distortion))
    field = np.asarray(elastic_field(elastic_key, distortion), float) if distortion.alpha else 0
    p, centre = np.indices(distortion.image_shape), (np.array(distortion.image_shape)[:, None, None] - 1) / 2
    u = np.einsum("ij,jhw->ihw", A - np.eye(2), p - centre) + t[:, None, None] + distortion.alpha * field
    return p + u


@pytest.mark.parametrize("distortion", [STRONG, Distortion(SHAPE, rotation=0.3), Distortion(SHAPE, alpha=30.0)])
def test_an_image_is_what_scipy_interpolates_at_the_moved_points(key, distortion):
    x, keys = images(), jax.random.split(key, 5)
    expected = [
        scipy.ndimage.map_coordinates(image.astype(float), moved(k, distortion), order=1, mode="grid-constant")
        for k, image in zip(keys, x, strict=True)
    ]
    np.testing.assert_allclose(distorted(keys, x, distortion), expected, atol=2e-2)  # of 255; float32 positions


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_the_blur_is_scipys_gaussian_filter(sigma):
    noise = np.random.default_rng(0).uniform(-1, 1, SHAPE)
    expected = scipy.ndimage.gaussian_filter(noise, sigma, mode="constant")
    found = gaussian_blur(SHAPE[0], sigma) @ noise @ gaussian_blur(SHAPE[1], sigma).T
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_field_of_norm_one(key):
    field = np.asarray(elastic_field(key, STRONG))
    np.testing.assert_allclose((field**2).sum(axis=(1, 2)), [1, 1], rtol=1e-5)
    assert abs(np.corrcoef(field[0].ravel(), field[1].ravel())[0, 1]) < 0.9  # two fields, not one twice


def test_a_field_without_a_norm_has_the_stated_deviation(key):
    """1 / (sigma sqrt(12 pi)) in the middle of the image, over many draws."""
    distortion = Distortion((29, 29), alpha=34.0, norm="none")
    fields = jax.vmap(lambda k: elastic_field(k, distortion))(jax.random.split(key, 2000))
    centre = np.asarray(fields)[:, :, 14, 14]
    assert centre.std() == pytest.approx(1 / (4 * np.sqrt(12 * np.pi)), rel=0.05)
    assert abs(centre.mean()) < 4 * centre.std() / np.sqrt(centre.size)


def test_an_affine_map_is_a_rotation_of_a_shear_of_columns_of_a_scaling(key):
    """A = R S D is unique: R from its last column, S and D from R' A; each factor is uniform within its bound."""
    A, t = (np.asarray(a) for a in jax.vmap(lambda k: affine(k, STRONG))(jax.random.split(key, 4000)))
    angle = np.arctan2(-A[:, 0, 1], A[:, 1, 1])
    R = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), 2, 0)
    lower = np.swapaxes(R, 1, 2) @ A
    factors = lower[:, [0, 1], [0, 1]]
    shear = lower[:, 1, 0] / factors[:, 0]
    np.testing.assert_allclose(lower[:, 0, 1], 0, atol=1e-6)
    for draws, bound in ((angle, 0.3), (shear, 0.2), (factors - 1, 0.2), (t, 1.5)):
        assert bound * 0.99 < abs(draws).max() <= bound * (1 + 1e-5)
        assert draws.std() == pytest.approx(bound / np.sqrt(3), rel=0.05) and abs(draws.mean()) < 0.05 * bound


def test_the_draws_are_the_same_with_64_bit_types(key):
    drawn = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            drawn.append(jax.tree.map(np.asarray, (*affine(key, STRONG), elastic_field(key, STRONG))))
    for a, b in zip(*drawn, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_distortion_gives_the_image_back(key):
    x = images()
    np.testing.assert_array_equal(distorted(jax.random.split(key, 5), x, Distortion(SHAPE)), x)


def test_a_shift_of_whole_pixels_moves_the_image_and_brings_in_zeros(key, monkeypatch):
    at = jnp.eye(2), jnp.array([1.0, -2.0])
    monkeypatch.setattr("twolayer.distortions.affine", lambda key, distortion: at)
    x = images(1)
    expected = np.zeros_like(x)
    expected[:, :-1, 2:] = x[:, 1:, :-2]
    np.testing.assert_array_equal(distorted(jax.random.split(key, 1), x, STRONG.__class__(SHAPE, shift=2.0)), expected)


def test_affine_draws_stay_within_their_bounds_and_reach_them(key):
    draws = jax.vmap(lambda k: affine(k, Distortion(SHAPE, rotation=0.3, shift=1.5)))(jax.random.split(key, 500))
    A, t = (np.asarray(a) for a in draws)
    angles = np.arctan2(A[:, 1, 0], A[:, 0, 0])
    assert 0.28 < angles.max() <= 0.3 and -0.3 <= angles.min() < -0.28
    np.testing.assert_allclose(np.linalg.det(A), 1, atol=1e-5)
    assert 1.4 < t.max() <= 1.5 and -1.5 <= t.min() < -1.4


def test_scaling_stretches_each_direction_on_its_own(key):
    A, _ = jax.vmap(lambda k: affine(k, Distortion(SHAPE, scaling=0.2)))(jax.random.split(key, 500))
    factors = np.asarray(A)[:, [0, 1], [0, 1]]
    assert np.asarray(A)[:, 0, 1].any() == np.asarray(A)[:, 1, 0].any() == 0
    assert factors.min() >= 0.8 and factors.max() <= 1.2 and abs(np.corrcoef(factors.T)[0, 1]) < 0.2


def test_a_draw_is_a_function_of_run_epoch_and_example(key):
    """Not of the batch: an example gets the same image beside others, another one in the next epoch."""
    rows = jnp.arange(5)
    keys = example_keys(key, 3, rows)
    assert keys[2] == example_keys(key, jnp.int32(3), rows[2:])[0]
    x = np.repeat(images(1), 5, axis=0)
    draws = [distorted(example_keys(k, epoch, rows), x, STRONG) for k in (key, jax.random.key(1)) for epoch in (3, 4)]
    different = {image.tobytes() for some in draws for image in some}
    assert len(different) == 20


def test_distorting_compiles_once_and_keeps_the_scale_of_pixels(key):
    f = jax.jit(lambda keys, x: distort(keys, x, STRONG))
    x = jnp.asarray(images().reshape(5, -1))
    y = f(jax.random.split(key, 5), x)
    f(jax.random.split(jax.random.key(9), 5), x)
    assert f._cache_size() == 1 and y.shape == x.shape and 0 <= y.min() and 100 < y.max() <= 255


IMPOSSIBLE = [("norm", "one"), ("sigma", 0.0), ("alpha", -1.0), ("shift", np.inf)]


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_impossible_distortions_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Distortion(SHAPE, **{name: value})


def test_the_noise_is_uniform_and_no_two_pixels_share_it(key):
    noise = np.asarray(jax.vmap(lambda k: _uniform_noise(k, SHAPE))(jax.random.split(key, 3000)))
    assert noise.shape == (3000, 2, *SHAPE) and -1 < noise.min() < -0.98 and 0.98 < noise.max() < 1
    assert noise.std() == pytest.approx(1 / np.sqrt(3), rel=0.01) and abs(noise.mean()) < 0.01
    correlations = np.corrcoef(noise.reshape(3000, -1).T) - np.eye(2 * SHAPE[0] * SHAPE[1])
    assert abs(correlations).max() < 0.12  # six deviations
