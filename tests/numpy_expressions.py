"""What people call, a line each: A, B (3, 4), P positive, Q (4, 4) positive definite, u, v (4,), s, labels n."""

EXPRESSIONS = """
np.cov(A)
np.corrcoef(A)
np.interp(0.3, [0, 1], [0.5, 1.5])
np.gradient(v)
np.polyfit(u, v, 1)
np.linalg.svd(A)
np.linalg.eigh(Q)
np.linalg.qr(A)
np.linalg.lstsq(A, A[:, 0], rcond=None)
np.linalg.cond(Q)
np.linalg.matrix_rank(Q)
np.lib.stride_tricks.sliding_window_view(v, 2)
np.i0(v)
np.unwrap(v)
np.modf(A)
np.digitize(v, [0, 1])
np.nanstd(A)
np.cumulative_sum(v) if hasattr(np, 'cumulative_sum') else v
np.angle(A)
np.apply_over_axes(np.sum, A, [0])
np.linalg.norm(A, 2)
np.linalg.norm(A, 'nuc')
np.linalg.pinv(A)
np.linalg.eigvalsh(Q)
abs(np.linalg.eigvals(A[:, :3])).sum()
np.linalg.svd(A, full_matrices=False)
np.linalg.qr(A.T, mode='complete')
np.abs(np.fft.fft(v))
np.fft.rfft(v).real
np.fft.irfft(np.fft.rfft(v), n=5)
np.fft.ifft2(np.fft.fft2(A) * np.conj(np.fft.fft2(B))).real
np.fft.fftshift(np.fft.fftfreq(5))
np.abs(np.exp(1j * A) * (1 + 2j)) + np.angle(A + 1j * B)
np.real(np.vdot(u + 1j * v, v)) + np.sqrt(s + 1j).imag
np.log(A + 0.5j).imag + ((A + 1j * B) / (B - 2j)).real + (np.abs(A) ** 1j).real
np.percentile(A, [25, 50, 75], axis=0)
np.quantile(v, 0.3)
np.nanmedian(A, axis=1)
np.average(A, axis=1, weights=P, returned=True)
np.histogram(v, bins=[-2, -1, 0, 2])[0]
np.pad(A, ((1, 2), (0, 1)), mode='reflect')
np.linspace(s, 2, 5, retstep=True)
np.geomspace(1, 16, 5)
np.lib.stride_tricks.as_strided(v, (3, 2), (v.strides[0], v.strides[0]))
A + B
A - v
A * s
2.5 * A / 3
A / B
A @ B.T
A ** 2
A ** 3
abs(A) ** 0.5
P ** -1
2 ** A
s ** 2
-A
+A
A // 0.5
A % 0.7
divmod(A, 0.7)
(A > 0) * 1
(A > 0).astype(float)
(A > 0) * B
(A >= B) & (B > 0)
~(A > 0)
A == A
A != B
1.0 * (A > 0)
1 / 3 + s
(1 / 3) * A
A.T
A.sum()
A.sum(0)
A.sum(axis=1, keepdims=True)
A.sum(axis=(0, 1))
A.mean()
A.mean(axis=0)
A.mean(1, keepdims=True)
A.std()
A.std(axis=0)
A.var(axis=1, ddof=1)
A.max()
A.max(axis=1, keepdims=True)
A.min(0)
A.argmax()
A.argmax(axis=1)
A.argmin(0)
A.prod()
A.cumsum(axis=1)
A.cumsum()
A.cumprod(0)
A.clip(-0.5, 0.5)
A.clip(min=0)
A.dot(v)
A.dot(B.T)
A.reshape(4, 3)
A.reshape(-1)
A.ravel()
A.flatten()
A.transpose()
A.transpose(1, 0)
A.swapaxes(0, 1)
A.squeeze()
A.copy()
A.astype(np.float32)
A.astype('float64')
(A * 10).astype(int)
A.astype(bool)
A.round(2)
round(s, 3)
A.trace()
A.diagonal()
A.repeat(2, axis=0)
A.tolist()
A.item(2)
A.any()
A.all(axis=0)
A.ptp() if hasattr(A, 'ptp') else np.ptp(A)
A.argsort(axis=1)
np.sort(A)
np.sort(A, axis=0)
np.sort(v)[::-1]
A.shape[0]
A.size
A.ndim
len(A)
A[0]
A[:, 1]
A[1:, ::2]
A[A > 0]
A[[0, 2], [1, 3]]
A[np.arange(3), n]
A[..., None]
A[None]
A[:, np.newaxis, :]
A.nonzero()
np.exp(A)
np.exp(1)
np.exp(-0.5)
np.exp2(A)
np.expm1(A)
np.log(P)
np.log(2)
np.log2(P)
np.log10(P)
np.log1p(P)
np.sqrt(P)
np.sqrt(2)
np.sqrt(16)
np.sqrt([1, 2, 3])
np.cbrt(A)
np.square(A)
np.square(3)
np.power(A, 2)
np.power(P, 0.5)
np.power(2, 3)
np.power(P, B)
np.float_power(P, 2)
np.sin(A)
np.cos(A)
np.tan(A)
np.arcsin(A / 5)
np.arccos(A / 5)
np.arctan(A)
np.arctan2(A, B)
np.sinh(A)
np.cosh(A)
np.tanh(A)
np.arcsinh(A)
np.arccosh(P + 1)
np.arctanh(A / 5)
np.hypot(A, B)
np.abs(A)
np.absolute(A)
np.fabs(A)
np.sign(A)
np.negative(A)
np.positive(A)
np.reciprocal(P)
np.reciprocal(2.0)
np.floor(A)
np.ceil(A)
np.trunc(A)
np.rint(A)
np.round(A, 1)
np.around(A)
np.fix(A)
np.maximum(A, 0)
np.maximum(0, A)
np.maximum(A, B)
np.maximum(0.01 * A, A)
np.maximum(2, 3)
np.minimum(A, 0.5)
np.fmax(A, B)
np.fmin(A, B)
np.add(A, B)
np.subtract(A, 1)
np.multiply(A, B)
np.multiply(A, A > 0)
np.divide(A, B)
np.divide(1, 3)
np.true_divide(A, 3)
np.floor_divide(A, 0.3)
np.mod(A, 0.3)
np.remainder(A, 0.3)
np.fmod(A, 0.3)
np.matmul(A, B.T)
np.dot(A, B.T)
np.dot(A, v)
np.dot(u, v)
np.dot(s, A)
np.dot([0.5, 1.5], [2.5, 3.5])
np.inner(A, B)
np.outer(u, v)
np.vdot(A, B)
np.kron(A, B)
np.tensordot(A, B, axes=([1], [1]))
np.tensordot(A, B.T, 1)
np.einsum('ij,kj->ik', A, B)
np.einsum('ij,ij->i', A, B)
np.einsum('ij->j', A)
np.einsum('ij,kj,k->i', A, B, A[:, 0], optimize=True)
np.cross(A[:, :3], B[:, :3])
np.trace(Q)
np.greater(A, 0)
np.less_equal(A, B)
np.equal(A, B)
np.logical_and(A > 0, B > 0)
np.logical_or(A, 0)
np.logical_not(A > 0)
np.logical_xor(A > 0, B > 0)
np.logaddexp(A, B)
np.logaddexp(0, A)
np.logaddexp2(A, B)
np.heaviside(A, 0.5)
np.heaviside(A, 0)
np.copysign(A, B)
np.deg2rad(A)
np.rad2deg(A)
np.radians(90)
np.isnan(A)
np.isinf(A)
np.isfinite(A)
np.isfinite(s)
np.signbit(A)
np.sinc(A)
np.nan_to_num(A)
np.isclose(A, A + 1e-9)
np.allclose(A, B)
np.array_equal(A, A)
np.sum(A)
np.sum(A, axis=0)
np.sum(A, 1, keepdims=True)
np.sum([1.5, 2.5, s])
np.sum(A > 0)
np.sum(A > 0, axis=0) / 3
np.mean(A)
np.mean(A, axis=0, keepdims=True)
np.mean([1, 2, 4])
np.mean(A > 0)
np.mean(A > 0, axis=1)
np.mean((A - B) ** 2)
np.average(A)
np.average(A, axis=1, weights=v ** 2)
np.average(u, weights=v ** 2)
np.std(A, axis=0)
np.var(A)
np.var([1, 2, 3, 5])
np.median(A)
np.median(A, axis=1)
np.median([3, 1, 2])
np.prod(A, axis=1)
np.prod([2, 3, 4])
np.cumsum(A)
np.cumsum(A, axis=0)
np.cumprod(A, axis=1)
np.max(A)
np.max(A, axis=1, keepdims=True)
np.amax(A, 0)
np.amin(A)
np.min([s, 2, 3])
np.max([1, 2])
np.max(A, initial=0)
np.ptp(A, axis=0)
np.any(A > 0)
np.all(A > 0, axis=1)
np.nansum(A)
np.nanmax(A)
np.nanmean(A)
np.argmax(A)
np.argmax(A, axis=1)
np.argmin(A, axis=0)
np.argsort(A, axis=1)
np.argsort(-v)
np.argwhere(A > 0)
np.argpartition(v, 2)[2]
np.count_nonzero(A > 0)
np.nonzero(A > 0)
np.flatnonzero(A > 0)
np.searchsorted(np.sort(v), 0.1)
np.unique(n)
np.unique([0.5, 1.5, 0.5])
np.bincount(n, minlength=5)
np.bincount(n, weights=A[:, 0])
np.where(A > 0, A, 0)
np.where(A > 0, 1, 0.01)
np.where(A > 0, 1, 0)
np.where(A > 0)
np.where(A > 0, 1.0, 0.0) * B
np.where(s > 0, 1, -1)
np.select([A < -0.5, A > 0.5], [A, A ** 2], default=0)
np.piecewise(A, [A < 0, A >= 0], [lambda t: 0.01 * t, lambda t: t])
np.choose(n, [A[0], A[1], A[2]]) if False else np.choose([0, 1, 2, 0], [A[0], A[1], A[2]])
np.clip(A, -0.5, 0.5)
np.clip(A, 0, None)
np.clip(A, 1e-7, 1 - 1e-7)
np.clip(A, a_min=0, a_max=1)
np.clip(5, 0, 3)
np.clip(s, 0, 1)
np.zeros((2, 3))
np.zeros(3) + s
np.zeros((3,), dtype=int)
np.zeros(shape=(2, 2), dtype=np.float32)
np.zeros(A.shape)
np.zeros_like(A)
np.zeros_like(n)
np.zeros_like(A, dtype=float)
np.zeros_like(A > 0)
np.ones((2, 2))
np.ones(A.shape[1])
np.ones_like(A)
np.ones_like(A, dtype=bool)
np.full((2, 2), 0.5)
np.full((2, 2), 3)
np.full(2, s)
np.full_like(A, 0.3)
np.full_like(n, 2)
np.empty_like(A).shape
np.empty((2, 3)).shape
np.eye(3)
np.eye(3)[n]
np.eye(3, dtype=int)[n]
np.eye(2, 3, k=1)
np.identity(3)
np.diag(v)
np.diag(Q)
np.diagflat(v)
np.tri(3)
np.tril(Q)
np.triu(Q, 1)
np.arange(5)
np.arange(0, 1, 0.1)
np.arange(1, 7, 2.5)
np.arange(3) / 3
np.linspace(0, 1, 11)
np.linspace(-1, 1, 5, endpoint=False)
np.array([1, 2, 3])
np.array([1.5, 2, s])
np.array([[0.1, 0.2], [0.3, 0.4]])
np.array([A, B])
np.array([u, v], dtype=float)
np.array(A)
np.array(A, copy=False) if False else np.asarray(A)
np.array([True, False])
np.array(3.5)
np.array([1, 2], dtype=np.float64) / 3
np.array([1.7, 2.2], dtype=int)
np.array([[x] for x in u])
np.array([list(r) for r in A])
np.array([0, 1, 1]).reshape(-1, 1) / 7
np.array(range(3))
np.asarray([s, 1])
np.asanyarray(A)
np.ascontiguousarray(A.T)
np.copy(A)
np.atleast_2d(u)
np.atleast_1d(s)
np.fromfunction(lambda i, j: i + 2 * j, (2, 3))
np.fromiter((float(i) for i in range(3)), dtype=float)
np.hstack([A, B])
np.hstack((np.ones((3, 1)), A))
np.vstack([A, v])
np.dstack([A, B])
np.stack([A, B], axis=1)
np.column_stack([u, v])
np.concatenate([A, B])
np.concatenate((A, np.ones((3, 1))), axis=1)
np.concatenate([u, [0.5, 1]])
np.append(u, 0.5)
np.append(A, [[1, 2, 3, 4]], axis=0)
np.insert(u, 0, 1)
np.insert(A, 0, 1, axis=1)
np.delete(A, 0, axis=1)
np.c_[np.ones(3), A]
np.c_[u, v]
np.r_[u, 0.5, v]
np.mgrid[0:2, 0:3]
np.meshgrid(u, v)
np.tile(v, (3, 1))
np.repeat(v, 2)
np.split(A, 2, axis=1)
np.array_split(v, 3)
np.hsplit(A, 2)
np.squeeze(A[:1])
np.expand_dims(v, 1)
np.reshape(A, (2, 6))
np.ravel(A)
np.transpose(A)
np.transpose(A, (1, 0))
np.moveaxis(A[None], 0, -1)
np.swapaxes(A, 0, 1)
np.roll(v, 1)
np.flip(A, 0)
np.fliplr(A)
np.flipud(A)
np.rot90(A)
np.rot90(A, 2)
np.pad(A, 1)
np.pad(A, ((1, 0), (0, 2)), mode='constant', constant_values=0.5)
np.broadcast_to(v, (3, 4))
np.take(A, [0, 2], axis=1)
np.take_along_axis(A, np.argsort(A, axis=1), axis=1)
np.compress([True, False, True], A, axis=0)
np.extract(A > 0, A)
np.diff(v)
np.diff(A, axis=0)
np.ediff1d(v)
np.convolve(u, v)
np.convolve(u, [0.5, 0.5], 'valid')
np.correlate(u, v, 'full')
np.polyval([1, 0.5, 2], s)
np.vander(u)
np.linalg.norm(u)
np.linalg.norm(A)
np.linalg.norm(A, axis=1)
np.linalg.norm(A, axis=1, keepdims=True)
np.linalg.norm(A, 'fro')
np.linalg.norm(u, 1)
np.linalg.norm(u, ord=np.inf)
np.linalg.norm(u, 3)
np.linalg.norm(A, 1)
np.linalg.norm(A, np.inf)
np.linalg.norm(A, ord=2, axis=0)
np.linalg.norm(A - B) / (np.linalg.norm(A) + np.linalg.norm(B))
np.linalg.inv(Q)
np.linalg.solve(Q, v)
np.linalg.solve(Q, A.T)
np.linalg.det(Q)
np.linalg.slogdet(Q)
np.linalg.cholesky(Q)
np.linalg.matrix_power(Q, 3)
np.linalg.pinv(A)
np.linalg.multi_dot([A, Q, B.T])
np.linalg.inv(np.stack([Q, 2 * Q]))
np.add.reduce(A)
np.add.reduce(A, axis=1)
np.add.accumulate(v)
np.maximum.accumulate(v)
np.maximum.reduce(A, axis=1)
np.multiply.outer(u, v)
np.subtract.outer(u, v)
np.logaddexp.reduce(A, axis=1)
np.add.reduceat(v, [0, 2])
np.vectorize(lambda t: t * t if t > 0 else 0.1 * t)(A)
np.vectorize(lambda t, c: t + c)(A, 2)
np.vectorize(lambda t: max(0, t), otypes=[float])(A)
np.vectorize(lambda t: max(0, t))(A)
np.apply_along_axis(lambda r: r / r.sum(), 1, P)
np.apply_along_axis(np.sum, 0, A)
np.apply_along_axis(np.argmax, 1, A)
np.pi * s
np.e
np.inf > s
np.sin(np.pi / 2)
2 * np.pi
np.float64(s) + 1
np.float32(0.5) * A
np.float64(3) / 7
np.int64(3) / 7
np.int32(3) * A
np.finfo(float).eps + s
np.finfo(A.dtype).eps * A
np.issubdtype(A.dtype, np.floating)
A.dtype == np.float64
A.dtype == float
np.isscalar(s)
np.shape(A)
np.ndim([[1, 2]])
np.size(A)
isinstance(A, np.ndarray)
isinstance(s, float)
isinstance(s, (int, float))
isinstance(s, np.floating)
isinstance(3, float)
isinstance(3, int)
float(s)
float(3)
float('0.25')
int(s * 10)
int(7.9)
int(-s * 10)
round(s)
bool(s > 0)
abs(s)
max(s, 0)
min(0.5, s)
max(u)
sum(u)
sum([x ** 2 for x in u])
sorted(u)
[max(0, x) for x in u]
[x if x > 0 else 0.01 * x for x in u]
(s > 0) * s
s if s > 0 else 0
math.exp(s)
math.exp(1)
math.log(2)
math.log(8, 2)
math.sqrt(2)
math.sqrt(9)
math.pow(abs(s), 0.5)
math.tanh(s)
math.pi
math.e
math.sin(math.pi / 6)
math.floor(s)
math.ceil(s)
math.fabs(s)
math.isnan(s)
math.isinf(s)
math.erf(s)
math.fsum([0.1, 0.2, s])
math.hypot(3, 4)
math.isclose(s, s)
math.atan2(s, 2)
math.log1p(abs(s))
math.expm1(s)
math.prod([1, 2, s])
math.factorial(4)
math.inf > s
expit(A)
softmax(A, axis=1)
softmax(A)
log_softmax(A, axis=1)
logsumexp(A)
logsumexp(A, axis=1, keepdims=True)
logsumexp(A, axis=1, b=P)
erf(A)
xlogy(A > 0, P)
xlogy(P, P)
logit(P / (1 + P))
entr(P)
"%.3f" % s + f"{s:.2f}" and s
functools.reduce(lambda a, b: a + b, u)
functools.reduce(np.dot, [A, Q, B.T])
np.argmax(A, axis=1) == n
(np.argmax(A, 1) == n).mean()
np.random.seed(3) or np.random.randn(2, 2)
np.random.seed(3) or np.random.rand(3)
np.random.RandomState(1).normal(0.0, 0.1, (2, 2))
np.random.default_rng(0).standard_normal((2, 3))
np.random.default_rng(0).uniform(-0.5, 0.5, size=4)
np.random.RandomState(0).permutation(5)
np.random.RandomState(0).randint(0, 5, 3)
np.random.RandomState(0).choice(5, 3, replace=False)
np.exp(A - np.max(A, 1, keepdims=True)) / np.sum(np.exp(A - np.max(A, 1, keepdims=True)), 1, keepdims=True)
-np.sum(np.eye(4)[n] * np.log(P)) / 3
np.errstate(all='ignore') and A
np.array2string(n) and s
np.log(np.maximum(A, 1e-12))
np.log(P)[range(3), n]
np.zeros((3, 4)) + (np.arange(4) == n[:, None])
copy.deepcopy(A)
copy.deepcopy({'a': A})['a']
A.max(1)[:, None] - A
np.mean(A, axis=(0, 1))
np.dot(A.T, A) / A.shape[0]
np.array(A > 0, dtype=float)
np.int_(A > 0) if False else (A > 0).astype(np.int64)
(A > 0).sum()
(A > 0).mean()
A.sum().item()
A.sum().astype(float)
A.mean().round(3)
A.sum().reshape(1, 1)
A.sum()[None]
np.atleast_2d(A.sum())
A.sum().tolist()
np.nan_to_num(np.log(P))
np.ones(3) @ A
np.array([[1, 2], [3, 4]]) @ np.array([0.5, 0.25])
np.array([1, 2]) ** 2
np.array([1.0, 2.0]) ** -1
np.array([1, 2, 3]).mean()
np.array([1, 2, 3]).std()
np.array([3, 1, 2]).max()
np.true_divide(n, 2)
n / 2
n * 0.1
n + A[:, 0]
1 / (1 + np.exp(-A))
A.flat[3]
[t for t in A.flat]
list(zip(u, v))
dict(zip('ab', u))
{'k': A, 'n': [u, (v, s)]}
np.trapezoid(v) if hasattr(np, 'trapezoid') else np.trapz(v)
np.percentile(v, 50)
np.quantile(v, 0.3)
np.isin(n, [0, 1])
np.lexsort((u, v))
np.partition(v, 2)[2]
np.ndarray.sum(A)
np.block([[A], [B]])
np.array_equiv(A, A)
np.resize(v, (2, 2))
np.union1d(n, [7])
np.setdiff1d(n, [0])
np.vecdot(A, B) if hasattr(np, 'vecdot') else v
np.matvec(Q, v) if hasattr(np, 'matvec') else v
np.real(A)
np.conj(A)
np.imag(A)
np.ogrid[0:3, 0:2]
np.indices((2, 2))
np.argmax(u == v)
np.packbits(A > 0)
np.bitwise_and(n, 1)
np.invert(A > 0)
np.left_shift(n, 1)
n % 2
n // 2
-n
np.gcd(n, 2)
""".strip().split("\n")

# What is refused by name. Each must raise, so that no number of it is ever believed.
NOT_JUDGED = """
np.spacing(A)
np.nextafter(A, 1)
np.frexp(A)
np.ldexp(A, 2)
""".strip().split("\n")

# What people do to arrays, a line each; after it A, B, P, Q, u, v and s are what they are in NumPy.
STATEMENTS = """
np.add.at(A, (np.array([0, 0, 1]), n), 1.5)
np.add.at(A, n, B)
np.subtract.at(u, [0, 0, 2], s)
np.multiply.at(A, ([0, 1], [1, 1]), 2)
np.maximum.at(u, [1, 1], 5)
c = np.zeros(4, int); np.add.at(c, n, 1); A[:] += c
A[A <= 0] = 0
A[A > 0.5] *= 2
A[0] = 0.5
A[:, 1] = [1, 2, 0.25]
A[1, 2] += s
A[range(3), n] -= 1
A[np.arange(3), n] = B[np.arange(3), n]
A[A > 0] = B[A > 0]
A += 1
A -= v
A *= (A > 0)
A /= 3
A **= 2
A //= 0.5
A %= 0.7
A @= Q
A.fill(0.3)
A.sort(axis=1)
u.sort()
A[...] = 0.1
A.flat[2] = 0.7
A.flat[:] = 0.25
A.T[0] = 9
A.reshape(-1)[0] = 3
A.ravel()[1] = 4
np.copyto(A, B)
np.put(A, [0, 1], [0.5, s])
np.fill_diagonal(Q, 0.1)
np.clip(A, 0, 1, out=A)
np.exp(A, out=A)
np.maximum(A, 0, out=A)
np.maximum(A, 0, A)
np.multiply(A, B, A)
np.add(A, 1, out=A, where=A > 0)
np.dot(A, Q, out=B)
np.sum(A, axis=0, out=u)
np.mean(A, axis=0, out=u)
np.divide(A, B, out=np.zeros_like(A), where=B != 0)
np.log(P, out=A, where=P > 1)
np.place(A, A > 0, [0.5])
np.putmask(A, A < 0, 0)
np.random.RandomState(0).shuffle(u)
A.put([0], [1.5])
A.resize(A.shape) if False else None
A[0], A[1] = A[1].copy(), A[0].copy()
A[[0, 1]] = A[[1, 0]]
A[:] = np.array([1, 2, 3, 4])
A[0] = np.array([True, False, True, False])
b = A > 0; b[0] = False; A *= b
c = np.array([1, 2, 3, 4]); c[0] = 2.7; A += c
c = np.array([1, 2, 3, 4]); c[1:] = u[1:] * 10; A += c
c = np.zeros(4, dtype=int); c[2] += 1; A += c
c = np.arange(4) / 2; c[1] = s; A += c
c = np.array([1, 2, 3]); c = c / 2; c += 0.25; A.T[:] = c
c = [0] * 4; c[1] = A[0, 1]; A[2] = c
c = np.array([]); c = np.append(c, A[0, 0]); c = np.append(c, [1, 2, s]); A[0] = c
c = np.empty((0, 4)); c = np.vstack([c, A[0]]); A[1] = c[0]
c = np.zeros((3, 4)); c[0, :] = u; c[:, 0] = 1; A = c
c = A.copy(); c[0] = 0; B = c
c = A; c[0] = 0
c = A[0]; c[:] = 0
c = np.asarray(A); c[0] = 0
c = np.array(A); c[0] = 0
c = A.view(); c[0] = 0
c = A.astype(float); c[0] = 0
c = A.astype(float, copy=False); c[0] = 0
c = A.reshape(4, 3); c[0] = 0
c = A.flatten(); c[0] = 0
c = A.T.copy(); c[0] = 0
for r in A: r *= 2
for i in range(3): A[i] = A[i] / np.sum(np.abs(A[i]))
for i, r in enumerate(A): A[i, :] = r[::-1]
for (i, j), t in np.ndenumerate(A): A[i, j] = t * 2 if t > 0 else 0
it = np.nditer(A, flags=["multi_index"], op_flags=["readwrite"])
for t in np.nditer(A, op_flags=["readwrite"]): t[...] = 2 * t
d = {"a": A}; d["a"] -= 1
d = {"a": A}; d["a"] = d["a"] - 1; B = d["a"]
l = [A, B]; l[0] -= l[1]
l = [A, B]; l = [t * 2 for t in l]; A = l[0]
A[n == 0] = 7
A[~(A > 0)] = 0
A[np.where(A < 0)] = 0
A[np.nonzero(A > 0)] = 1
A[np.ix_([0, 1], [1, 2])] = 0
A[-1] = A.sum(0)
A[:, -1:] = 0
A[np.argmax(A, axis=0), np.arange(4)] = 0
A[np.logical_and(A > 0, A < 1)] = 0
s += A[0, 0]; A *= s
t = A[0, 0]; t += 1; A[0, 0] = t
t = 0; t += A; A = t
t = 0.0; t = t + A[0] @ v; A[0] = t
t = np.float64(0); t += A[0, 1]; A[0] = t
t = np.array(0.0); t += A[0, 1]; A[0] = t
t = np.zeros(1); t[0] = A[0, 1]; t += A[1, 1]; A[0] = t
t = np.zeros(()); t[()] = A[0, 1]; A[0] = t
t = np.full(4, None) if False else np.full(4, 0); A[0] = t + s
A = np.array([np.dot(Q, r) for r in A])
A = np.stack([np.array([max(0, t) for t in r]) for r in A])
A = np.matmul(A[:, None, :], Q[None])[:, 0]
A = (A.T / A.sum(axis=1)).T
A = A - A.max(axis=1)[:, np.newaxis]
A = A[::-1, ::-1]
A = A[:, [0, 0, 1, 2]]
A = np.array(A.tolist())
A = np.array([[float(t) for t in r] for r in A])
A = np.array([[int(t) for t in r] for r in A])
A = np.array(list(map(lambda r: r * 2, A)))
A = np.array([sum(r) for r in A])
A = np.linspace(0, 1, 3)[:, None] * A
A = np.ones(3)[:, None] * A
A = np.eye(3) @ A
A = np.array([0.1] * 3)[:, None] * A
A = np.zeros(3, dtype=bool)[:, None] + A
A = A if (A > 0).any() else B
A = A * True
A = [1, 2, 3, 4] * A
A = (1, 2, 3, 4) + A
A = [[0.5] * 4] * 3 - A
A = A / [1, 2, 3, 4]
A = A > [0.1, 0.2, 0.3, 0.4]
A = A * np.float32(0.5)
A = np.float64(0.5) - A
A = np.int64(2) ** A
A = 3 / (A + 10)
A = A.__pow__(2)
A = abs(-A)
A = -A if s > 0 else A
A = np.array(s) * A
A = pow(A, 2)
A = sum(A)
A = max(A[0])
A = min(A[0], key=lambda t: abs(t))
A = sorted(A[0], reverse=True)
A = sorted(range(4), key=lambda i: A[0][i])
A = list(reversed(A[0]))
A = [t for r in A for t in r if t > 0]
A = dict(enumerate(A[0]))
A = any(t > 0 for t in A[0]), all(t > 0 for t in A[0])
A = 0 in A
A = (A == A.max()).nonzero()
A = A[0, 0] == A[0, 0], A[0, 0] != A[0, 1], A[0, 0] is None
A = [divmod(t, 1) for t in A[0]]
A = {round(float(t), 2): 1 for t in A[0]} and 1
A = "%.2f %d %s" % (s, 3, "x") and 1
A = "{} {:.3f}".format(n, s) and 1
A = A.shape + (1,)
A = np.vstack((A, B)).shape
A = [t.shape for t in np.split(A, 2, axis=1)]
A = np.r_[A, B]; A[0] = 1
a, b = A[0], A[1]; a += b
(a, b, c), w = A, v; a *= w
A[0] += A[1]; A[1] += A[0]
A = np.where(A > 0, A, s * (np.exp(A) - 1))
A = np.maximum(A, 0) + s * np.minimum(A, 0)
A = (np.abs(A) + A) / 2
A = A * (A > 0) + s * A * (A <= 0)
A = np.piecewise(A, [A > 0], [lambda t: t, 0])
A = np.frompyfunc(lambda t: t * 2, 1, 1)(A).astype(float)
A = np.vectorize(math.exp)(A)
A = np.vectorize(lambda t: 1 if t > 0 else 0)(A) * B
A = np.array(list(map(math.tanh, u)))
A = np.fromfunction(np.vectorize(lambda i, j: A[int(i), int(j)]), (3, 4))
A = np.sqrt(np.sum(np.square(A - B), axis=1))
A = np.sqrt(((A - B) ** 2).sum())
A = np.log(1 + np.exp(-np.abs(A))) + np.maximum(A, 0)
A = np.exp(A) / (1 + np.exp(A)); A = A * (1 - A)
A = np.tanh(A); A = 1 - A ** 2; A = 1. - np.power(A, 2)
A = np.square(np.subtract(A, B)).mean()
A = functools.reduce(lambda a, b: a @ b, [A, Q, Q])
A = np.outer(A[0], B[0]) + u[:, None] * v[None, :]
A = A.reshape(3, 2, 2).sum(axis=(1, 2)); A = A.squeeze()
A = A[:, :, None] - B[:, None, :]
A = np.linalg.norm(A, axis=-1, keepdims=True)
A = np.array([A, B]).mean(axis=0)
A = np.array([[1, 2], [3, 4]], dtype=float) * s
A = np.array([1, 2, 3], dtype='float32') * s
A = np.arange(12).reshape(3, 4) / 12 + A
A = np.ones_like(n) * s
A = np.zeros_like(n) + 0.5
A = np.mean(n) + np.std(n)
A = n.mean() / n.sum()
A = np.exp(n)
A = n @ A
A = n.astype(float) / 7 @ A
A = (n / n.sum()) @ A
A = np.average(A, axis=0, weights=n)
A = np.sqrt(n) @ A
A = n ** 0.5
A = np.power(n, 0.5)
A = n * 1.5 + np.log(n + 1)
A = 1 / (1 + n)
A = np.tanh(n)
A = np.dot(n, n) / 3
A = np.array([t / 3 for t in n])
A = np.random.seed(0) or (np.random.rand(*A.shape) < 0.5) * A / 0.5
A = np.random.seed(0) or np.random.binomial(1, 0.5, A.shape) * A
A = np.random.seed(0) or A[np.random.permutation(3)]
A = np.random.seed(0) or A[np.random.choice(3, 2)]
A = random.seed(1) or [random.random(), random.gauss(0, 1), random.uniform(-1, 1), random.randint(0, 9)]
A = random.seed(1) or random.sample(range(10), 3)
""".strip().split("\n")

# The same for JAX; what is not judged must raise.
JAX_NOT_JUDGED = """
A.at[1].apply(jnp.exp)
jax.grad(lambda t: (t ** 2).sum())(A)
jax.lax.top_k(A, 2)
jax.nn.hard_sigmoid(A)
""".strip().split("\n")
JAX_EXPRESSIONS = """
jnp.maximum(A, 0)
jnp.exp(A)
jnp.sum(A, axis=0)
jnp.mean(A, 1, keepdims=True)
jnp.where(A > 0, A, 0.)
jnp.clip(A, -0.5, 0.5)
jnp.clip(A, min=-0.5, max=0.5)
jnp.dot(A, B.T)
A @ B.T
jnp.einsum('ij,kj->ik', A, B)
jnp.zeros((2, 3)).at[0].set(1.5)
A.at[0, 1].add(2.0)
A.at[:, 0].multiply(0.5)
A.at[jnp.arange(3), n].add(-1)
A.at[n].add(A)
A.at[0].divide(2)
A.at[1].max(0)
jnp.zeros_like(A).at[n, 0].min(-1.0)
jax.nn.relu(A)
jax.nn.relu6(A * 10)
jax.nn.sigmoid(A)
jax.nn.softmax(A)
jax.nn.softmax(A, axis=0)
jax.nn.log_softmax(A, axis=-1)
jax.nn.logsumexp(A, axis=1)
jax.scipy.special.logsumexp(A, axis=1)
jax.nn.one_hot(n, 4)
jax.nn.gelu(A)
jax.nn.gelu(A, approximate=False)
jax.nn.softplus(A)
jax.nn.elu(A)
jax.nn.leaky_relu(A)
jax.nn.leaky_relu(A, negative_slope=0.2)
jax.nn.silu(A)
jax.nn.swish(A)
jax.nn.tanh(A)
jax.nn.log_sigmoid(A)
jax.nn.soft_sign(A)
jax.lax.stop_gradient(A)
jax.lax.select(A > 0, A, B)
jax.lax.rsqrt(P)
jax.lax.max(A, B)
jax.lax.exp(A)
jax.lax.integer_pow(A, 3)
jax.lax.clamp(0., A, 1.)
jax.lax.scan(lambda c, t: (c + t, c * t), jnp.zeros(4), A)
jax.lax.scan(lambda c, t: (c + t, c * t), jnp.zeros(4), A, reverse=True)
jax.lax.fori_loop(0, 3, lambda i, c: c + A[i], jnp.zeros(4))
jax.lax.while_loop(lambda c: c.sum() < 10, lambda c: c + 1.0, jnp.zeros(4))
jax.lax.cond(s > 0, lambda t: t, lambda t: -t, A)
jax.vmap(lambda r: r @ v)(A)
jax.vmap(lambda r, t: jnp.outer(r, t))(A, B)
jax.vmap(lambda w, r: w @ r, in_axes=(None, 0))(Q, A)
jax.vmap(lambda c: c.sum(), in_axes=1)(A)
jax.vmap(lambda d: {'k': d['a'] * 2})({'a': A})
jax.vmap(lambda r: (r.sum(), r * 2))(A)
jax.jit(lambda t: t * 2)(A)
jax.tree.map(lambda t: t * 2, {'a': A, 'b': [u, (v,)]})
jax.tree_util.tree_map(lambda a, b: a + b, {'a': A}, {'a': B})
jax.tree.leaves({'b': u, 'a': v})
jnp.linalg.norm(A)
jnp.linalg.solve(Q, v)
jnp.linalg.inv(Q)
jnp.array([1., 2.]) * s
jnp.asarray(A)
jnp.ones(3)
jnp.arange(3) / 2
jnp.concatenate([A, B])
jnp.log1p(P)
jnp.logaddexp(A, 0.)
jnp.square(A)
jnp.var(A, axis=0)
jnp.argmax(A, axis=1)
jnp.sign(A)
jnp.tanh(A)
jnp.max(A, axis=1, keepdims=True)
jnp.take_along_axis(A, n[:, None], axis=1)
jnp.pi * s
A[jnp.arange(3), n]
A.T.sum(0)
A.mean()
jnp.expand_dims(A, 0)
A.astype(jnp.float64)
(A > 0).astype(A.dtype)
jnp.sqrt(2)
jnp.heaviside(A, 0.5)
jnp.abs(A)
jnp.prod(A, axis=0)
jnp.diag(v)
jnp.outer(u, v)
jnp.tril(Q)
jnp.cumsum(A, axis=1)
jnp.clip(A, min=0)
A.at[0].set(0.5)
A.at[0].power(2)
jax.random.normal(jax.random.key(0), (2,)) * 0
""".strip().split("\n")
