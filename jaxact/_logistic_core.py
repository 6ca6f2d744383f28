"""The cores of the logistic family: elementwise, in float32 or float64, each with its rule directly below it.

The family is closed under differentiation. Every rule is written with members that are accurate themselves, as sums
and products of terms of one sign, so that no order of derivative loses digits:

    sigmoid' = softplus'' = bump      bump' = -bump * tanh(x / 2)      tanh' = sech**2
    softplus_inverse' = g             log1mexp' = h                    g' = h' = -g * h
    log_softplus' = r                 r' = -q                          q' = r * bump - q * (r + q / r)

with `g(y) = 1 / (1 - exp(-y))`, `h(y) = 1 / (exp(y) - 1)` and `q(x) = r(x) * (r(x) - sigmoid(-x))`.

Two habits keep this fast. All members use the same `exp(-abs(x))` or `exp(-x)`, which the compiler then computes once
for value and gradient together. And an exponential is never multiplied by itself: `u + u * (u * p)`, not
`u + u**2 * p`, as XLA rewrites `exp(a) * exp(a)` into a second exponential, `exp(a + a)`.
"""

import jax
import jax.numpy as jnp

from jaxact import _coefficients as coefficients
from jaxact._numerics import finite, matched_exponent, polynomial, split_exponent

# Where one formula hands over to the next. Both are accurate there; the polynomials are fitted to reach these points.
NEAR_0 = 0.69
NEAR_LN2 = 1.86
NEAR_LOG_E_MINUS_1 = 1.6


# Building blocks, which the rules never trace through.


def _log1p(u):
    """`log1p(u)` for `u` in [0, 1]."""
    return u + u * (u * polynomial(coefficients.LOG1P, u))


def mean_log1p(u):
    """`log1p(u) / u` for `u` in [0, 1], 1 at 0."""
    return 1 + u * polynomial(coefficients.LOG1P, u)


def one_minus_exp(y):
    """`1 - exp(-y)` for `y >= 0`."""
    return jnp.where(y < NEAR_0, _one_minus_exp_near_0(y), 1 - jnp.exp(-y))


def _one_minus_exp_near_0(y):
    near = jnp.where(y < NEAR_0, y, NEAR_0)
    return near + near * (near * polynomial(coefficients.ONE_MINUS_EXP, near))


def log(x):
    """`log(x)` for positive normal `x`, infinite at infinity."""
    f, k = split_exponent(x, 0.75)
    u = f - 1
    high, low = coefficients.LN2_SHORT[x.dtype.name]
    value = k * high + (u + (u * u * polynomial(coefficients.LOG1P_AROUND_0, u) + k * low))
    return jnp.where(x < jnp.inf, value, x)


def log1p(u):
    """`log1p(u)` for any `u >= 0`."""
    return jnp.where(u < 1, _log1p(jnp.minimum(u, 1)), log(1 + jnp.maximum(u, 1)))


# sigmoid and tanh


@jax.custom_jvp
def sigmoid(x):
    return 1 / (1 + jnp.exp(-x))


@sigmoid.defjvp
def _sigmoid_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return sigmoid(x), bump(x) * t


@jax.custom_jvp
def bump(x):
    """`sigmoid(x) * sigmoid(-x)`."""
    e = jnp.exp(-x)
    r = 1 / (1 + e)
    return (finite(e) * r) * r


@bump.defjvp
def _bump_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    value = bump(x)
    return value, -value * tanh(x / 2) * t


@jax.custom_jvp
def tanh(x):
    if x.dtype == jnp.float32:
        return jnp.tanh(x)
    # The float64 tanh of XLA on CPU is 6 ulp off near 1.
    d = one_minus_exp(2 * jnp.abs(x))
    return jnp.copysign(d / (2 - d), x)


@tanh.defjvp
def _tanh_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return tanh(x), sech_squared(x) * t


@jax.custom_jvp
def sech_squared(x):
    """`sech(x)**2`, with one exponential."""
    e = jnp.exp(2 * jnp.abs(x))
    r = 4 / (1 + e)
    return (finite(e) / 4 * r) * r


@sech_squared.defjvp
def _sech_squared_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return sech_squared(x), -(2 * tanh(x) * sech(x)) * sech(x) * t


@jax.custom_jvp
def sech(x):
    e = jnp.exp(jnp.abs(x))
    return 2 / (e + 1 / e)


@sech.defjvp
def _sech_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    value = sech(x)
    return value, -tanh(x) * value * t


# logit


@jax.custom_jvp
def logit(p):
    edge = jnp.where(p == 0, -jnp.inf, jnp.where(p == 1, jnp.inf, jnp.nan))
    return jnp.where((p > 0) & (p < 1), log_odds(p, 1 - p, 2 * p - 1), edge)


def log_odds(p, q, w):
    """`log(p / q)` for `q = 1 - p` and `w = p - q`, all three right to the last bit."""
    # p / q = 2**k * (1 + s) / (1 - s), and log((1 + s) / (1 - s)) = 2 atanh(s). Around 1/2, k = 0 and s = p - q.
    k, scaled_p = matched_exponent(p, q)
    central = jnp.abs(w) < 1 / 3
    s = jnp.where(central, w, (scaled_p - q) / (scaled_p + q))
    k = jnp.where(central, 0, k)
    high, low = coefficients.LN2_SHORT[p.dtype.name]
    tail = s * (s * s) * polynomial(coefficients.ATANH, s * s)
    return k * high + (2 * s + (2 * tail + k * low))


@logit.defjvp
def _logit_jvp(primals, tangents):
    (p,), (t,) = primals, tangents
    return logit(p), logit_slope(p) * t


@jax.custom_jvp
def logit_slope(p):
    """`1 / (p * (1 - p))`, infinite at 0 and 1, NaN outside."""
    return jnp.where((p >= 0) & (p <= 1), 1 / jnp.abs(p) + 1 / jnp.abs(1 - p), jnp.nan)


@logit_slope.defjvp
def _logit_slope_jvp(primals, tangents):
    (p,), (t,) = primals, tangents
    slope = logit_slope(p)
    return slope, (2 * p - 1) * slope * slope * t


# softplus


@jax.custom_jvp
def softplus(x):
    return jnp.maximum(x, 0) + softplus_tail(x)


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus(x), softplus_slope(x) * t


@jax.custom_jvp
def softplus_tail(x):
    """`softplus(x) - max(x, 0)`, an even function."""
    return _log1p(jnp.exp(-jnp.abs(x)))


@softplus_tail.defjvp
def _softplus_tail_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus_tail(x), -jnp.sign(x) * softplus_slope(-jnp.abs(x)) * t


@jax.custom_jvp
def softplus_slope(x):
    """`sigmoid(x)` by way of `exp(-abs(x))`, which softplus has at hand."""
    u = jnp.exp(-jnp.abs(x))
    return jnp.where(x < 0, u, 1) / (1 + u)


@softplus_slope.defjvp
def _softplus_slope_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus_slope(x), bump(x) * t


@jax.custom_jvp
def softplus_deficit(x):
    """`softplus(x) - x * sigmoid(x)`, an even function: what the slope in beta consists of."""
    u = jnp.exp(-jnp.abs(x))
    return u * (mean_log1p(u) + finite(jnp.abs(x)) / (1 + u))


@softplus_deficit.defjvp
def _softplus_deficit_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return softplus_deficit(x), -finite(x) * bump(x) * t


# softplus_inverse and log1mexp


@jax.custom_jvp
def softplus_inverse(y):
    # About the root: log(expm1(w)) = log(w) + log(expm1(w) / w), each expanded about ln 2, where the constant terms
    # cancel and the slopes add to 2. Everything that could spoil the leading term 2 * (w - ln 2) is added after it.
    w = jnp.where(y < NEAR_LN2, y, NEAR_LN2)
    f, k = split_exponent(w, 0.47)
    ln2, ln2_low = coefficients.LN2[y.dtype.name]
    high, low = coefficients.LN2_SHORT[y.dtype.name]
    u, d = f - ln2, w - ln2
    log_tail = u * u * polynomial(coefficients.LOG_AROUND_LN2, u)
    ratio_tail = d * d * polynomial(coefficients.LOG_EXPM1_RATIO, w)
    near = 2 * d + (k * high + ((u - d) * (1 / ln2) + (log_tail + (ratio_tail + (k * low - 2 * ln2_low)))))
    e = jnp.exp(-y)
    far = y - (e + e * (e * polynomial(coefficients.LOG1M_SMALL, e)))
    return _on_positive(y, jnp.where(y < NEAR_LN2, near, far))


def _on_positive(y, value):
    """`value`, -inf where `y` is 0, NaN where it is negative."""
    return jnp.where(y > 0, value, jnp.where(y == 0, -jnp.inf, jnp.nan))


@softplus_inverse.defjvp
def _softplus_inverse_jvp(primals, tangents):
    (y,), (t,) = primals, tangents
    return softplus_inverse(y), g(y) * t


@jax.custom_jvp
def g(y):
    """`1 / (1 - exp(-y))`, infinite at 0, NaN below."""
    return jnp.where(y >= 0, 1 / jnp.abs(one_minus_exp(y)), jnp.nan)


@g.defjvp
def _g_jvp(primals, tangents):
    (y,), (t,) = primals, tangents
    value = g(y)
    return value, -value * h(y) * t


@jax.custom_jvp
def h(y):
    """`1 / (exp(y) - 1)`, infinite at 0, NaN below."""
    return jnp.where(y >= 0, jnp.exp(-y) / jnp.abs(one_minus_exp(y)), jnp.nan)


@h.defjvp
def _h_jvp(primals, tangents):
    (y,), (t,) = primals, tangents
    value = h(y)
    return value, -g(y) * value * t


@jax.custom_jvp
def softplus_inverse_surplus(y):
    """`y * g(y) - softplus_inverse(y)`: what the slope in beta consists of."""
    e = jnp.exp(-y)
    difference = _one_minus_exp_near_0(y)
    near = jnp.where(y > 0, y, 1) * e / jnp.where(y > 0, difference, 1) - jnp.log(difference)
    far = e * (finite(y) / jnp.maximum(1 - e, 0.25) + (1 + e * polynomial(coefficients.LOG1M, e)))
    value = jnp.where(y < NEAR_0, near, far)
    return jnp.where(y >= 0, value, jnp.nan)


@softplus_inverse_surplus.defjvp
def _softplus_inverse_surplus_jvp(primals, tangents):
    (y,), (t,) = primals, tangents
    return softplus_inverse_surplus(y), -finite(y) * h(y) * g(y) * t


@jax.custom_jvp
def log1mexp(x):
    near = jnp.log(_one_minus_exp_near_0(x))
    e = jnp.exp(-x)
    far = -(e + e * (e * polynomial(coefficients.LOG1M, e)))
    return _on_positive(x, jnp.where(x < NEAR_0, near, far))


@log1mexp.defjvp
def _log1mexp_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log1mexp(x), h(x) * t


# log_softplus


@jax.custom_jvp
def log_softplus(x):
    u = jnp.exp(-jnp.abs(x))
    below_0 = x + u * polynomial(coefficients.LOG_MEAN_LOG1P, u)
    root, root_low = coefficients.LOG_E_MINUS_1[x.dtype.name]
    d = jnp.clip(x, 0, NEAR_LOG_E_MINUS_1) - root
    slope = polynomial(coefficients.LOG_SOFTPLUS, d)
    near_root = d * slope - root_low * slope  # one product each: (d - root_low) * slope would be folded into x - root
    above = log(jnp.maximum(x, 1) + _log1p(u))
    return jnp.where(x < 0, below_0, jnp.where(x < NEAR_LOG_E_MINUS_1, near_root, above))


@log_softplus.defjvp
def _log_softplus_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log_softplus(x), log_softplus_slope(x) * t


@jax.custom_jvp
def log_softplus_slope(x):
    """`sigmoid(x) / softplus(x)`: r, from 1 to 0."""
    u = jnp.exp(-jnp.abs(x))
    mean = mean_log1p(u)
    positive = finite(jnp.maximum(x, 0))
    return 1 / jnp.where(x < 0, mean + u * mean, positive + u * (mean + (positive + u * mean)))


@log_softplus_slope.defjvp
def _log_softplus_slope_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return log_softplus_slope(x), -log_softplus_bend(x) * t


@jax.custom_jvp
def log_softplus_bend(x):
    """`r(x) * (r(x) - sigmoid(-x))`: q, from 0 to 0."""
    u = jnp.exp(-jnp.abs(x))
    tail = polynomial(coefficients.LOG1P, u)
    mean = 1 + u * tail
    below_0 = -u * tail / (mean + u * mean) ** 2
    near_root = polynomial(coefficients.LOG_SOFTPLUS_BEND, jnp.clip(x, 0, NEAR_LOG_E_MINUS_1) - 0.8)
    far = finite(jnp.maximum(x, NEAR_LOG_E_MINUS_1))
    value = far + u * mean
    above = (1 - u * value) / (far + u * (mean + value)) ** 2
    return jnp.where(x < 0, below_0, jnp.where(x < NEAR_LOG_E_MINUS_1, near_root, above))


@log_softplus_bend.defjvp
def _log_softplus_bend_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    slope, bend = log_softplus_slope(x), log_softplus_bend(x)
    c = bend / jnp.where(slope > 0, slope, 1)  # r - sigmoid(-x); both vanish at infinity
    return bend, (slope * bump(x) - bend * (slope + c)) * t


@jax.custom_jvp
def log_softplus_deficit(x):
    """`1 - x * r(x)` for `x >= 0`: what the slope in beta consists of there."""
    x = finite(jnp.where(x > 0, x, 0))
    u = jnp.exp(-x)
    mean = mean_log1p(u)
    return u * (x + (mean + u * mean)) / (x + u * (mean + (x + u * mean)))


@log_softplus_deficit.defjvp
def _log_softplus_deficit_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    value = log_softplus_deficit(x)
    x = jnp.where(x > 0, x, 0)
    return value, -(finite(x) * bump(x) / softplus(x) + value * log_softplus_slope(x)) * t
