"""Discrete samples that can be trained through: one-hot and binary values with the derivatives of smooth ones.

The one idea: sample by adding noise and comparing, which works for logits of any size, and attach the derivative of a
softmax or a sigmoid to the result without adding anything to it. So a sample is exactly 0 and 1 in every dtype.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact import _logistic_core as logistic
from jaxact import _softmax_core as softmax
from jaxact._jit import jitted
from jaxact._numerics import rounded_once, zero_unless_nan
from jaxact._random import gumbel, uniform_and_complement
from jaxact._row_sums import row_sum
from jaxact._surrogate import pin

# Logits so far below the largest have probability 0 in every dtype.
FAR_BELOW = -1e3


@jitted("hard", "axis")
def gumbel_softmax(
    key: ArrayLike,
    logits: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    hard: bool = False,
    axis: int = -1,
) -> jax.Array:
    r"""A sample from a categorical distribution, relaxed so that it has a derivative in the logits.

    .. math:: y = \operatorname{softmax}\left(\frac{x + g}{\tau}\right), \qquad
              g_i \text{ independent, standard Gumbel}

    The largest :math:`x_i + g_i` is that of class :math:`i` with probability :math:`\operatorname{softmax}(x)_i`. With
    `hard` the value is the one-hot vector of that class, and the derivatives remain those of :math:`y`.

    Args:
      key: a key of `jax.random`, of the new form or the old.
      logits: floating array with at least one axis, :math:`x`.
      temperature: :math:`\tau > 0`, a number or an array of the shape of `logits` with `axis` of size 1, or one that
        broadcasts to it; traced and differentiable.
      hard: whether the value is one-hot (static).
      axis: the axis of the classes (static).

    Returns:
      Array of the shape and dtype of `logits`.

    Raises:
      TypeError: `key` is no key, `logits` is not floating, `temperature` is neither floating nor integer, or `hard` is
        not True or False.
      ValueError: `key` is an array of keys, `axis` is not an axis of `logits`, or `temperature` does not broadcast.

    Special values: a logit of -inf is never sampled, and its gradient is 0. Infinite maxima share. A row of -inf gives
    0, as softmax does. NaN makes its row NaN. NaN unless `temperature` is positive.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([[2.0, 0.0, -jnp.inf], [50.0, 0.0, 0.0]])
    >>> sample = jaxact.gumbel_softmax(jax.random.key(0), logits, temperature=0.5, hard=True)
    >>> print(sample.sum(axis=-1), sample[1])
    [1. 1.] [1. 0. 0.]

    Source: Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017; Maddison, Mnih and Teh, "The
    Concrete Distribution", 2017.

    See also: `reinmax`, whose gradient is less biased, and `argmax_ste`, without noise.
    """
    name = "gumbel_softmax"
    key = checks.key(name, "key", key)
    logits, temperature, axes = _arguments(name, logits, temperature, axis)
    checks.flag(name, "hard", hard)

    def core(x, temperature):
        scores = _perturbed(x, gumbel(key, x.shape, x.dtype), axes)
        soft = softmax.softmax(_tempered(scores, temperature, axes), axes, ())
        return pin(_one_hot(scores, temperature, axes), soft) if hard else soft

    return rounded_once(core, logits, temperature, broadcast=False)


@jitted("axis")
def argmax_ste(logits: ArrayLike, /, *, temperature: ArrayLike = 1.0, axis: int = -1) -> jax.Array:
    r"""The largest logit as a one-hot vector, with the derivatives of softmax.

    .. math:: f(x)_i = \mathbb{1}[i = \operatorname{argmax}_j x_j], \qquad
              f'(x) = \frac{\partial}{\partial x} \operatorname{softmax}\left(\frac{x}{\tau}\right)

    Args:
      logits: floating array with at least one axis, :math:`x`.
      temperature: :math:`\tau > 0`, a number or an array of the shape of `logits` with `axis` of size 1, or one that
        broadcasts to it; traced and differentiable.
      axis: the axis of the classes (static).

    Returns:
      Array of the shape and dtype of `logits`.

    Raises:
      TypeError: `logits` is not floating, or `temperature` is neither floating nor integer.
      ValueError: `axis` is not an axis of `logits`, or `temperature` does not broadcast.

    Special values: of equal maxima the first is taken. A row of -inf gives 0, as softmax does. NaN makes its row NaN.
    NaN unless `temperature` is positive.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([-jnp.inf, 2.0, 2.0])
    >>> print(jaxact.argmax_ste(logits), jax.grad(lambda x: jaxact.argmax_ste(x)[1])(logits))
    [0. 1. 0.] [ 0.    0.25 -0.25]

    See also: `gumbel_softmax`, which samples.
    """
    logits, temperature, axes = _arguments("argmax_ste", logits, temperature, axis)

    def core(x, temperature):
        return pin(_one_hot(x, temperature, axes), softmax.softmax(_tempered(x, temperature, axes), axes, ()))

    return rounded_once(core, logits, temperature, broadcast=False)


@jitted()
def bernoulli_ste(key: ArrayLike, logits: ArrayLike, /) -> jax.Array:
    r"""Samples that are 1 with the probability that the sigmoid gives, and differentiate as that probability.

    .. math:: f(x) = \mathbb{1}[u < \sigma(x)], \qquad f'(x) = \sigma'(x), \qquad u \text{ uniform on } (0, 1)

    The probability is right to :math:`2^{-32}`, at either end. For one key the sample is monotone in the logit.

    Args:
      key: a key of `jax.random`, of the new form or the old.
      logits: floating array of any shape, the log-odds :math:`x` of a 1.

    Returns:
      Array of 0 and 1, of the shape and dtype of `logits`.

    Raises:
      TypeError: `key` is no key, or `logits` is not floating.
      ValueError: `key` is an array of keys.

    Special values: -inf gives 0 and inf gives 1, always. NaN gives NaN, also in the derivative.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([-jnp.inf, -50.0, 50.0, jnp.inf])
    >>> print(jaxact.bernoulli_ste(jax.random.key(0), logits))
    [0. 0. 1. 1.]

    Source: Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.

    See also: `gumbel_softmax`, for more than two classes.
    """
    key = checks.key("bernoulli_ste", "key", key)
    return rounded_once(functools.partial(_bernoulli, key), checks.floating("bernoulli_ste", "logits", logits))


@jitted("axis")
def reinmax(key: ArrayLike, logits: ArrayLike, /, *, temperature: ArrayLike = 1.0, axis: int = -1) -> jax.Array:
    r"""A one-hot sample from a categorical distribution, whose gradient is right to second order.

    .. math:: f(x) = d \sim \operatorname{softmax}(x), \qquad f'(x) = 2 J_q - \tfrac{1}{2} J_p, \qquad
              J_v = \operatorname{diag}(v) - v v^\top

    with :math:`p = \operatorname{softmax}(x)` and :math:`q = (\operatorname{softmax}(x / \tau) + d) / 2`.

    Args:
      key: a key of `jax.random`, of the new form or the old.
      logits: floating array with at least one axis, :math:`x`.
      temperature: :math:`\tau > 0` of the gradient, a number or an array of the shape of `logits` with `axis` of size
        1, or one that broadcasts to it; traced. The derivative in it is 0, as the distribution of samples does not
        depend on it.
      axis: the axis of the classes (static).

    Returns:
      Array of the shape and dtype of `logits`.

    Raises:
      TypeError: `key` is no key, `logits` is not floating, or `temperature` is neither floating nor integer.
      ValueError: `key` is an array of keys, `axis` is not an axis of `logits`, or `temperature` does not broadcast.

    Special values: a logit of -inf is never sampled, and its gradient is 0. Infinite maxima share. A row of -inf gives
    0, as softmax does. NaN makes its row NaN. NaN unless `temperature` is positive.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([[2.0, 0.0, -jnp.inf], [50.0, 0.0, 0.0]])
    >>> sample = jaxact.reinmax(jax.random.key(0), logits)
    >>> print(sample.sum(axis=-1), sample[1])
    [1. 1.] [1. 0. 0.]

    Source: Liu et al., "Bridging Discrete and Backpropagation: Straight-Through and Beyond", 2023.

    See also: `gumbel_softmax`.
    """
    key = checks.key("reinmax", "key", key)
    logits, temperature, axes = _arguments("reinmax", logits, temperature, axis)

    def core(x, temperature):
        return _reinmax(x, gumbel(key, x.shape, x.dtype), temperature, axes)

    return rounded_once(core, logits, temperature, broadcast=False)


def _arguments(function, logits, temperature, axis):
    logits = checks.floating(function, "logits", logits)
    axis = checks.axis(function, axis, logits)
    temperature = checks.real(function, "temperature", temperature)
    row = jax.ShapeDtypeStruct(tuple(1 if i == axis else size for i, size in enumerate(logits.shape)), logits.dtype)
    checks.broadcastable(function, "temperature", temperature, row)
    if temperature.ndim:
        temperature = jnp.broadcast_to(temperature, row.shape)
    return logits, temperature, (axis,)


def _perturbed(x, noise, axes):
    """Logits with noise, to be compared within a row, with the derivative of the logits.

    Taken from the maximum first, they keep all the digits of the noise, and infinite ones share.
    """
    fixed = lax.stop_gradient(x)
    return pin(softmax.difference(fixed, softmax.maximum(fixed, axes, ())) + noise, x)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _tempered(x, temperature, axes):
    """The logits less the largest, over the temperature; the derivative leaves the largest out, as softmax does."""
    return softmax.difference(x, softmax.maximum(x, axes, ())) / _positive(temperature)


@_tempered.defjvp
def _tempered_jvp(axes, primals, tangents):
    x, temperature = primals
    x_dot, temperature_dot = tangents
    value = _tempered(x, temperature, axes)
    # What has probability 0 may be infinite, and must not meet that 0.
    relevant = jnp.maximum(value, FAR_BELOW)
    return value, x_dot / _positive(temperature) - relevant * (temperature_dot / temperature)


def _softmax_and_from_mean(x, t, axes):
    """The softmax of `x`, and `t` less its mean under it."""
    return softmax.softmax(x, axes, ()), softmax.minus_mean(t, x, axes, ())


def _from_chosen(t, chosen, axes):
    """`t` less that of the chosen one, if there is one in the row; exactly 0 there, also in the transpose."""
    return jnp.where(chosen, 0, t - row_sum(jnp.where(chosen, t, 0), axes, ()))


def _one_hot(x, temperature, axes):
    """1 at the first of the largest, else 0; 0 in a row of -inf, NaN in a row with NaN or at a bad temperature."""
    x = lax.stop_gradient(x)
    (axis,) = axes
    peak = softmax.maximum(x, axes, ())
    position = lax.broadcasted_iota(jnp.int32, x.shape, axis)
    count = x.shape[axis]
    first = jnp.min(jnp.where(x == peak, position, count), axis, keepdims=True, initial=count)
    hit = (position == first) & (peak > -jnp.inf)
    return jnp.where(hit, 1, 0) + zero_unless_nan(peak + 0 * _positive(temperature))


def _positive(temperature):
    return jnp.where(temperature > 0, temperature, jnp.nan)


def _bernoulli(key, x):
    rare = logistic.sigmoid(-jnp.abs(x))
    u, complement = uniform_and_complement(key, x.shape, x.dtype)
    one = jnp.where(x < 0, u < rare, complement >= rare)
    return pin(jnp.where(one, 1, 0) + zero_unless_nan(lax.stop_gradient(x)), logistic.sigmoid(x))


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _reinmax(x, noise, temperature, axes):
    return _one_hot(_perturbed(x, noise, axes), temperature, axes)


@_reinmax.defjvp
def _reinmax_jvp(axes, primals, tangents):
    x, noise, temperature = primals
    t, _, _ = tangents
    value = _reinmax(x, noise, temperature, axes)
    sample = lax.stop_gradient(value)
    p, from_mean = _softmax_and_from_mean(x, t, axes)
    tempered, from_tempered_mean = _softmax_and_from_mean(_tempered(x, temperature, axes), t, axes)
    # With q between the tempered softmax and the sample, t less its mean under q is half the sum of both distances.
    doubled = (tempered + sample) / 2 * (from_tempered_mean + _from_chosen(t, sample > 0, axes))
    return value, doubled - p * from_mean / 2
