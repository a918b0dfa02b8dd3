"""Signals and images in NumPy: transforms, filters, windows, complex numbers, differences."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view


def circular(x, h):
    return np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(h)))


def circular_backward(x, h, g):
    G = np.fft.fft(g)
    dx = np.fft.ifft(G * np.conj(np.fft.fft(h))).real
    dh = np.fft.ifft(G * np.conj(np.fft.fft(x))).real
    return dx, dh


def low_pass(x, a):
    X = np.fft.rfft(x)
    f = np.fft.rfftfreq(len(x))
    return np.fft.irfft(X / (1 + a * f**2), n=len(x))


def low_pass_backward(x, a, g):
    f = np.fft.rfftfreq(len(x))
    H = 1 / (1 + a * f**2)
    dx = np.fft.irfft(np.fft.rfft(g) * H, n=len(x))
    da = -np.sum(g * np.fft.irfft(np.fft.rfft(x) * H**2 * f**2, n=len(x)))
    return dx, da


def circuit(R, L, C):
    """The squared size of the impedance of a series circuit at the frequency 2, and its angle."""
    Z = R + 2j * L + 1 / (2j * C)
    return np.abs(Z) ** 2 + np.angle(Z)


def circuit_gradients(R, L, C):
    X = 2 * L - 1 / (2 * C)
    m = R * R + X * X
    dX = 2 * X + R / m
    dR = 2 * R - X / m
    return dR, 2 * dX, dX / (2 * C * C)


def strided_conv(x, w, b):
    n, c, h, width = x.shape
    kh, kw = w.shape[2:]
    s = x.strides
    shape = (n, c, kh, kw, h - kh + 1, width - kw + 1)
    columns = as_strided(x, shape=shape, strides=(s[0], s[1], s[2], s[3], s[2], s[3]))
    return np.tensordot(columns, w, axes=([1, 2, 3], [1, 2, 3])).transpose(0, 3, 1, 2) + b[None, :, None, None]


def strided_conv_backward(x, w, b, dout):
    kh, kw = w.shape[2:]
    windows = sliding_window_view(x, (kh, kw), axis=(2, 3))
    dw = np.einsum("nfij,ncijkl->fckl", dout, windows)
    padded = np.pad(dout, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)), mode="constant")
    turned = w[:, :, ::-1, ::-1]
    dx = np.einsum("nfijkl,fckl->ncij", sliding_window_view(padded, (kh, kw), axis=(2, 3)), turned)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def variation(image, eps=1e-3):
    right = np.diff(image, axis=1)[:-1, :]
    down = np.diff(image, axis=0)[:, :-1]
    return np.sqrt(right**2 + down**2 + eps).sum()


def variation_gradient(image, eps=1e-3):
    right = np.diff(image, axis=1)[:-1, :]
    down = np.diff(image, axis=0)[:, :-1]
    size = np.sqrt(right**2 + down**2 + eps)
    g = np.zeros_like(image)
    g[:-1, 1:] += right / size
    g[1:, :-1] += down / size
    g[:-1, :-1] -= (right + down) / size
    return g


def ring(u, a):
    """Springs of stiffness a between neighbours on a ring."""
    stretch = np.roll(u, -1) - u
    return 0.5 * np.sum(a * stretch * stretch)


def ring_gradients(u, a):
    stretch = np.roll(u, -1) - u
    force = a * stretch
    return {"u": np.roll(force, 1) - force, "a": 0.5 * stretch**2}


def looked_up(t, values):
    """Linear interpolation in a table over [0, 1]."""
    return np.interp(t, np.linspace(0, 1, len(values)), values).sum()


def looked_up_gradients(t, values):
    n = len(values)
    nodes = np.linspace(0, 1, n)
    j = np.clip(np.searchsorted(nodes, t) - 1, 0, n - 2)
    width = nodes[j + 1] - nodes[j]
    a = (t - nodes[j]) / width
    dvalues = np.zeros_like(values)
    np.add.at(dvalues, j, 1 - a)
    np.add.at(dvalues, j + 1, a)
    return (values[j + 1] - values[j]) / width, dvalues
