"""A checkpoint comes back as it was saved or not at all; of a damaged one the one before is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_identical

from experiments import checkpoints
from experiments.cli import BadInput
from twolayer.network import Params

RNG = np.random.default_rng(0)


def state(number):
    params = Params(*(RNG.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4,), (2, 4), (2,))))
    return params, (jnp.int32(number), None), {"moments": np.arange(6.0).reshape(2, 3) * number}


def test_what_was_saved_comes_back_bit_for_bit(tmp_path):
    saved = state(1)
    checkpoints.save(tmp_path, "0001", saved)
    assert_identical(checkpoints.restore(tmp_path, state(2)), jax.tree.map(np.asarray, saved))
    assert checkpoints.restore(tmp_path / "empty", state(2)) is None


def test_the_last_few_are_kept_and_the_newest_is_used(tmp_path):
    for number in range(5):
        checkpoints.save(tmp_path, f"{number:04d}", state(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0003.npz", "0004.npz"]
    assert checkpoints.restore(tmp_path, state(0))[1][0] == 4
    checkpoints.clear(tmp_path)
    assert checkpoints.restore(tmp_path, state(0)) is None


def test_only_names_with_the_prefix_count(tmp_path):
    checkpoints.save(tmp_path, "00001-0005", state(5))
    checkpoints.save(tmp_path, "00002-0001", state(1))
    assert checkpoints.restore(tmp_path, state(0), prefix="00001-")[1][0] == 5
    assert checkpoints.restore(tmp_path, state(0), prefix="00003-") is None


def damages():
    """Flipped bits and truncations all over the file."""
    size = len(example())
    places = np.linspace(0, size - 1, 120).astype(int)
    flips = [("flip", int(at), int(bit)) for at, bit in zip(places, RNG.integers(8, size=120), strict=True)]
    return flips + [("cut", int(at), 0) for at in np.linspace(0, size - 1, 80).astype(int)]


def example():
    import io

    file = io.BytesIO()
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state(2))]
    np.savez(file, sha256=checkpoints._digest(leaves), **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})
    return file.getvalue()


def test_of_two_hundred_damages_none_is_used_in_silence(tmp_path, capsys):
    """Each is detected, and the checkpoint before it used, or it left the content as it was."""
    before, last = state(1), state(2)
    checkpoints.save(tmp_path, "0001", before)
    checkpoints.save(tmp_path, "0002", last)
    whole = (tmp_path / "0002.npz").read_bytes()
    expected = {1: before, 2: last}
    detected = 0
    for kind, at, bit in damages():
        at = min(at, len(whole) - 1)
        broken = bytearray(whole[:at] if kind == "cut" else whole)
        if kind == "flip":
            broken[at] ^= 1 << bit
        (tmp_path / "0002.npz").write_bytes(broken)
        found = checkpoints.restore(tmp_path, state(0))
        number = int(found[1][0])
        assert_identical(found, jax.tree.map(np.asarray, expected[number]))
        warned = "0002.npz is damaged; going on from the one before it" in capsys.readouterr().err
        assert warned == (number == 1)
        detected += warned
    assert detected > 150


def test_a_state_of_other_shapes_is_refused(tmp_path):
    checkpoints.save(tmp_path, "0001", state(1))
    other = state(1)[0]._replace(W1=np.zeros((5, 3), np.float32)), *state(1)[1:]
    with pytest.raises(BadInput, match="another version"):
        checkpoints.restore(tmp_path, other)
