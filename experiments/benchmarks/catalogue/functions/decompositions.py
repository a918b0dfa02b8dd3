"""Functions of matrices through their decompositions, and statistics, in NumPy and SciPy."""

import numpy as np
import scipy.linalg
from scipy.special import digamma, gammaln
from scipy.stats import norm


def spectral(A):
    """A sum over the eigenvalues of the symmetric part."""
    w, _ = np.linalg.eigh(0.5 * (A + A.T))
    return np.sum(np.log(w**2 + 1))


def spectral_gradient(A):
    w, V = np.linalg.eigh(0.5 * (A + A.T))
    slope = 2 * w / (w**2 + 1)
    return (V * slope) @ V.T


def leading(A, t):
    """How much of t lies along the first principal axis."""
    v = np.linalg.eigh(A + A.T)[1][:, -1]
    return (v @ t) ** 2


def leading_gradients(A, t):
    w, V = np.linalg.eigh(A + A.T)
    v = V[:, -1]
    c = v @ t
    dS = np.zeros_like(A)
    for i in range(len(w) - 1):
        dS += (V[:, i] @ (2 * c * t)) / (w[-1] - w[i]) * np.outer(V[:, i], v)
    return {"A": dS + dS.T, "t": 2 * c * v}


def normalised(W, x):
    """A layer with spectral normalisation."""
    sigma = np.linalg.svd(W)[1][0]
    return (((W / sigma) @ x) ** 2).sum()


def normalised_gradients(W, x):
    u, s, vh = np.linalg.svd(W)
    y = W @ x / s[0]
    dsigma = -2 * (y @ y) / s[0]
    dW = np.outer(2 * y, x) / s[0] + dsigma * np.outer(u[:, 0], vh[0])
    return dW, W.T @ (2 * y) / s[0]


def nuclear(A):
    return np.linalg.norm(A, "nuc")


def nuclear_gradient(A):
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    return U @ Vt


def fitted(A, b):
    """Least squares by QR."""
    Q, R = np.linalg.qr(A)
    return np.linalg.solve(R, Q.T @ b)


def fitted_backward(A, b, g):
    P = np.linalg.pinv(A)
    x = P @ b
    r = b - A @ x
    y = np.linalg.solve(A.T @ A, g)
    return np.outer(r, y) - np.outer(A @ y, x), P.T @ g


def flow(A, u):
    """The solution of u' = A u at time 1."""
    return scipy.linalg.expm(A) @ u


def flow_backward(A, u, g):
    n = len(u)
    B = np.zeros((2 * n, 2 * n))
    B[:n, :n] = A.T
    B[n:, n:] = A.T
    B[:n, n:] = np.outer(g, u)
    return scipy.linalg.expm(B)[:n, n:], scipy.linalg.expm(A).T @ g


def volume(X):
    """The logarithm of the determinant of the covariance of the rows."""
    return np.linalg.slogdet(np.cov(X, rowvar=False))[1]


def volume_gradient(X):
    away = X - X.mean(axis=0)
    return 2 / (len(X) - 1) * away @ np.linalg.inv(np.cov(X.T))


def correlation(x, y):
    return np.corrcoef(x, y)[0, 1]


def correlation_gradients(x, y):
    xc, yc = x - x.mean(), y - y.mean()
    sx, sy = np.sqrt(xc @ xc), np.sqrt(yc @ yc)
    r = xc @ yc / (sx * sy)
    return yc / (sx * sy) - r * xc / sx**2, xc / (sx * sy) - r * yc / sy**2


def gamma_law(a, b, x):
    """Minus the log-likelihood of a gamma distribution."""
    return np.sum(-a * np.log(b) + gammaln(a) - (a - 1) * np.log(x) + b * x)


def gamma_law_gradients(a, b, x):
    n = len(x)
    da = n * digamma(a) - n * np.log(b) - np.log(x).sum()
    return {"a": da, "b": x.sum() - n * a / b}


def smooth(x):
    """GELU by the normal law."""
    return x * norm.cdf(x)


def smooth_backward(x, g):
    return g * (norm.cdf(x) + x * norm.pdf(x))
