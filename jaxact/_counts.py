"""Negative log-likelihoods of counts: Poisson, and negative binomial for counts that vary more than their mean.

The one idea: no term is formed that a later one has to cancel. The negative binomial is written around its Poisson
limit, so that a dispersion of 0 is an ordinary argument, with an ordinary derivative.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._coefficients import GAUSS_LEGENDRE
from jaxact._jit import jitted
from jaxact._logistic_core import mean_log1p, softplus
from jaxact._numerics import finite, rounded_once

# Stirling's series of lgamma, from 1/x on, and the x from which on it is exact to the last bit.
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188)
STIRLING_START = {"float32": 3, "float64": 8}


@jitted("log_input", "full")
def poisson_nll(log_rate: ArrayLike, counts: ArrayLike, /, *, log_input: bool = True, full: bool = False) -> jax.Array:
    r"""Poisson negative log-likelihood of each count.

    .. math:: \ell(z, y) = e^z - y z, \qquad \frac{\partial\ell}{\partial z} = e^z - y

    Args:
      log_rate: floating array `[...]`, the logarithm :math:`z` of the expected count; with `log_input=False` the
        expected count itself.
      counts: floating or integer array `[...]` of the same shape, observed counts :math:`y \ge 0`.
      log_input: whether the first argument is the logarithm of the rate (static).
      full: whether to add :math:`\log y!`, which does not depend on the rate (static). It is exact, not Stirling's
        approximation, so that the result is the negative log probability.

    Returns:
      Array `[...]` of the dtype of `log_rate`, in nats; the caller reduces.

    Raises:
      TypeError: `log_rate` is not floating, `counts` is neither floating nor integer, or `log_input` or `full` is not
        True or False.
      ValueError: the shapes differ.

    Special values: a count of 0 costs exactly the rate, also at rate 0. A positive count at rate 0 costs inf. Negative
    counts and rates give NaN. The value is right to the last bits of the larger of its terms.

    >>> import jax.numpy as jnp, jaxact
    >>> rate = jaxact.log_softplus(jnp.array([-200.0, 0.5, 2.0]))
    >>> print(jaxact.poisson_nll(rate, jnp.array([0, 1, 4])).round(2))
    [ 0.    1.   -0.89]

    See also: `log_softplus`, the log rate of a softplus rate; `negative_binomial_nll`.
    """
    log_rate, counts = _pair("poisson_nll", "log_rate", log_rate, counts)
    checks.flag("poisson_nll", "log_input", log_input)
    checks.flag("poisson_nll", "full", full)

    def core(z, y):
        nll = _poisson(z, y) if log_input else _poisson_of_rate(z, y)
        return nll + lax.lgamma(y + 1) if full else nll

    return rounded_once(core, log_rate, counts)


@jitted("full")
def negative_binomial_nll(
    log_mean: ArrayLike, counts: ArrayLike, /, *, dispersion: ArrayLike, full: bool = False
) -> jax.Array:
    r"""Negative binomial negative log-likelihood of each count, for a variance above the mean.

    With mean :math:`m = e^z`, dispersion :math:`a` and so variance :math:`m + a m^2`:

    .. math:: \ell(z, y, a) = \left(y + \tfrac{1}{a}\right)\log(1 + a m) - y z - \sum_{j=0}^{y-1}\log(1 + j a),
              \qquad \frac{\partial\ell}{\partial z} = \frac{m - y}{1 + a m}

    Args:
      log_mean: floating array `[...]`, the logarithm :math:`z` of the expected count.
      counts: floating or integer array `[...]` of the same shape, observed counts :math:`y \ge 0`.
      dispersion: :math:`a \ge 0`, a number or an array that broadcasts to the shape of `log_mean`; traced and
        differentiable. At 0 the loss is that of `poisson_nll`, and the derivative in `dispersion` its limit.
      full: whether to add :math:`\log y!`, which depends on neither mean nor dispersion (static).

    Returns:
      Array `[...]` of the dtype of `log_mean`, in nats; the caller reduces.

    Raises:
      TypeError: `log_mean` is not floating, `counts` or `dispersion` is neither floating nor integer, or `full` is not
        True or False.
      ValueError: the shapes of `log_mean` and `counts` differ, or that of `dispersion` does not broadcast to them.

    Special values: a mean of 0 costs nothing for a count of 0 and inf for a positive one. Negative counts and
    dispersions give NaN. The value is right to the last bits of the largest of its terms.

    >>> import jax.numpy as jnp, jaxact
    >>> log_mean, counts = jnp.array([-0.5, 0.5, 2.0]), jnp.array([0, 1, 4])
    >>> print(jaxact.negative_binomial_nll(log_mean, counts, dispersion=0.5, full=True).round(4))
    [0.5297 1.3037 2.4415]
    >>> print(jaxact.negative_binomial_nll(log_mean, counts, dispersion=0.0) - jaxact.poisson_nll(log_mean, counts))
    [0. 0. 0.]

    See also: `poisson_nll`; `scipy.stats.nbinom`, whose `n` is `1 / dispersion` and `p` is `1 / (1 + dispersion * m)`.
    """
    log_mean, counts = _pair("negative_binomial_nll", "log_mean", log_mean, counts)
    dispersion = checks.real("negative_binomial_nll", "dispersion", dispersion)
    checks.broadcastable("negative_binomial_nll", "dispersion", dispersion, log_mean)
    checks.flag("negative_binomial_nll", "full", full)

    def core(z, y, a):
        nll = _negative_binomial(z, y, a)
        return nll + lax.lgamma(y + 1) if full else nll

    return rounded_once(core, log_mean, counts, dispersion)


def _pair(function, argument, first, counts):
    first = checks.floating(function, argument, first)
    counts = checks.real(function, "counts", counts)
    checks.same_shape(function, **{argument: first, "counts": counts})
    return first, counts


def _not_negative(x):
    return jnp.where(x >= 0, x, jnp.nan)


@jax.custom_jvp
def _poisson(z, y):
    y, rate = _not_negative(y), jnp.exp(z)
    # An infinite rate is kept by itself: fused into the difference, an overflowing exp could come out finite.
    return jnp.where(rate == jnp.inf, jnp.inf, rate - y * jnp.where(y == 0, 0, z))


@_poisson.defjvp
def _poisson_jvp(primals, tangents):
    z, y = primals
    z_dot, y_dot = tangents
    return _poisson(z, y), (jnp.exp(z) - _not_negative(y)) * z_dot - finite(z) * y_dot


@jax.custom_jvp
def _poisson_of_rate(rate, y):
    rate, y = _not_negative(rate), _not_negative(y)
    return rate - y * jnp.log(jnp.where(y == 0, 1, rate))


@_poisson_of_rate.defjvp
def _poisson_of_rate_jvp(primals, tangents):
    rate, y = primals
    rate_dot, y_dot = tangents
    slope = _relative_excess(rate, _not_negative(y))
    return _poisson_of_rate(rate, y), slope * rate_dot - finite(jnp.log(_not_negative(rate))) * y_dot


@jax.custom_jvp
def _relative_excess(rate, y):
    """`(rate - y) / rate`, 1 where `y` is 0."""
    rate = finite(_not_negative(rate))
    return jnp.where(y == 0, 1 + 0 * rate, (rate - y) / jnp.where(y == 0, 1, rate))


@_relative_excess.defjvp
def _relative_excess_jvp(primals, tangents):
    rate, y = _not_negative(primals[0]), primals[1]
    rate_dot, y_dot = tangents
    ratio = jnp.where(y == 0, 0, y / jnp.where(y == 0, 1, rate))
    return _relative_excess(*primals), ratio * (1 / rate) * rate_dot - y_dot / rate


@jax.custom_jvp
def _negative_binomial(z, y, a):
    return _negative_binomial_value(z, _not_negative(y), _not_negative(a))


@_negative_binomial.defjvp
def _negative_binomial_jvp(primals, tangents):
    z, y, a = primals
    z_dot, *others_dot = tangents
    y, a = _not_negative(y), _not_negative(a)
    value, slopes = jax.jvp(functools.partial(_negative_binomial_value, z), (y, a), tuple(others_dot))
    return value, _negative_binomial_slope(z, y, a) * z_dot + slopes


def _negative_binomial_value(z, y, a):
    # log1p(a * m) / a is m * log1p(q) / q with q = a * m, which is m where a is 0. Where q > 1, and m may overflow, it
    # is softplus(log(q)) / a.
    is_large = z > -jnp.log(a)
    m = jnp.exp(jnp.where(is_large, 0, z))
    q = jnp.where(is_large, 1, a * finite(m))
    log_a = jnp.log(jnp.where(is_large, a, 1))
    log_q = jnp.where(is_large, z, 0) + log_a
    log1p_over_a = jnp.where(is_large, softplus(log_q) / jnp.where(is_large, a, 1), m * _mean_log1p(q))
    excess = jnp.where(is_large, log_a + softplus(-log_q), q * _mean_log1p(q) - z)  # log1p(q) - z
    return log1p_over_a + y * jnp.where(y == 0, finite(excess), excess) - _sum_log1p(y, a)


def _negative_binomial_slope(z, y, a):
    """`(m - y) / (1 + a * m)`; for means above 1 both are divided by the mean, which may overflow."""
    m, inverse_m = jnp.exp(jnp.where(z > 0, 0, z)), jnp.exp(-jnp.where(z > 0, z, 0))
    return jnp.where(z > 0, 1 - y * inverse_m, m - y) / jnp.where(z > 0, inverse_m + a, 1 + a * m)


@jax.custom_jvp
def _mean_log1p(q):
    return mean_log1p(q)


@_mean_log1p.defjvp
def _mean_log1p_jvp(primals, tangents):
    (q,), (t,) = primals, tangents
    return _mean_log1p(q), -_integral(lambda s: s / (1 + q * s) ** 2) * t


def _integral(fun):
    """The integral of `fun` from 0 to 1, exact to 1e-17 for `s / (1 + q * s)` and `q` in [0, 1].

    As a sum of terms of one sign it is accurate, also when differentiated.
    """
    return sum(weight * fun(node) for node, weight in GAUSS_LEGENDRE)


def _log1p_bend(q):
    """`(1 - log1p(q) / q) / q`, 1/2 at 0."""
    small, large = jnp.where(q < 1, q, 1), jnp.where(q < 1, 1, q)
    return jnp.where(q < 1, _integral(lambda s: s / (1 + small * s)), (1 - jnp.log1p(large) / large) / large)


def _sum_log1p(y, a):
    """The sum of `log1p(j * a)` for j from 0 to `y - 1`, which is `lgamma(y + 1/a) - lgamma(1/a) + y * log(a)`.

    By Stirling's series in `b = 1 / (1/a + shift)`, whose terms all vanish with `a`; where `1/a` is too small for it,
    as many steps of the recurrence `lgamma(x) = lgamma(x + 1) - log(x)` shift it.
    """
    start = STIRLING_START[a.dtype.name]
    large = a > 1 / start
    b = a / (1 + jnp.where(large, start, 0) * a)
    t = y * b
    total = (y - 0.5) * jnp.log1p(t) - y * t * _log1p_bend(t)
    for power, coefficient in zip(range(1, 2 * len(STIRLING), 2), STIRLING, strict=True):
        total += coefficient * ((b / (1 + t)) ** power - b**power)
    a = jnp.where(large, a, 0)
    steps = sum(jnp.log1p(y * a / (1 + j * a)) for j in range(start))
    return total + (y * jnp.log1p(start * a) - steps)
