"""Softmax, its logarithm, and the logarithm of a sum of exponentials, over one axis or several, masked or not.

They differ from `jax.nn` where one logit stands out: its log-probability is not rounded to 0, and neither is the
gradient, so that a confident prediction goes on teaching. Rows that are masked, empty, or of infinities have values.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact import _softmax_core as core
from jaxact._jit import jitted
from jaxact._numerics import rounded_once

AxisName = Hashable | Sequence[Hashable]


@jitted("axis", "axis_name")
def softmax(
    x: ArrayLike, /, *, axis: int | tuple[int, ...] = -1, where: ArrayLike | None = None, axis_name: AxisName = ()
) -> jax.Array:
    r"""Softmax: exponentials, scaled so that they sum to 1.

    .. math:: p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}, \qquad
              \frac{\partial p_i}{\partial x_k} = p_i \, (\mathbb{1}[i = k] - p_k)

    Args:
      x: floating array with at least one axis.
      axis: the axis or the tuple of axes that is summed over (static).
      where: boolean array that broadcasts to the shape of `x`; the elements that count. Others may hold anything.
      axis_name: inside `jax.shard_map`, the names of the mesh axes that `axis` is divided over (static).

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, `where` not boolean, or `axis` not an integer or a tuple of them.
      ValueError: `axis` is not an axis of `x`, or `where` does not broadcast to the shape of `x`.
      NameError: `axis_name` names an axis that no `jax.shard_map` around the call has.

    Special values: 0 where masked, and in a row that is all -inf or all masked, with gradient 0. Infinite maxima share:
    `[inf, 0]` gives `[1, 0]`. NaN makes its row NaN.

    >>> import jax.numpy as jnp, jaxact
    >>> print(jaxact.softmax(jnp.array([3.0, 3.0, -jnp.inf])))
    [0.5 0.5 0. ]

    See also: `jax.nn.softmax`, whose probabilities below 1e-7 are off by up to 64 ulp. `log_softmax`.
    """
    x, axes, names, where = _arguments("softmax", x, axis, where, axis_name)
    return rounded_once(lambda x: core.softmax(_masked(x, where), axes, names), x)


@jitted("axis", "axis_name")
def log_softmax(
    x: ArrayLike, /, *, axis: int | tuple[int, ...] = -1, where: ArrayLike | None = None, axis_name: AxisName = ()
) -> jax.Array:
    r"""Logarithm of softmax, not rounded to 0 where one logit stands out.

    .. math:: \ell_i = x_i - \log \sum_j e^{x_j}, \qquad
              \frac{\partial \ell_i}{\partial x_k} = \mathbb{1}[i = k] - p_k

    Computed with the maximum :math:`m = x_a` left out of the sum: :math:`\ell_i = (x_i - m) - \operatorname{log1p} s`
    with :math:`s = \sum_{j \ne a} e^{x_j - m}`; likewise :math:`1 - p_a = s / (1 + s)`.

    Args:
      x: floating array with at least one axis.
      axis: the axis or the tuple of axes that is summed over (static).
      where: boolean array that broadcasts to the shape of `x`; the elements that count. Others may hold anything.
      axis_name: inside `jax.shard_map`, the names of the mesh axes that `axis` is divided over (static).

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, `where` not boolean, or `axis` not an integer or a tuple of them.
      ValueError: `axis` is not an axis of `x`, or `where` does not broadcast to the shape of `x`.
      NameError: `axis_name` names an axis that no `jax.shard_map` around the call has.

    Special values: -inf where masked, and in a row that is all -inf or all masked, with gradient 0. Infinite maxima
    share: `[inf, 0]` gives `[0, -inf]`. NaN makes its row NaN.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([20.0, 0.0, -3.0])
    >>> print(f"{jaxact.log_softmax(logits)[0]:.5e}", jax.nn.log_softmax(logits)[0])
    -2.16377e-09 0.0

    See also: `jax.nn.log_softmax`. Blanchard, Higham and Higham (2021), "Accurately computing the log-sum-exp and
    softmax functions", doi 10.1093/imanum/draa038.
    """
    x, axes, names, where = _arguments("log_softmax", x, axis, where, axis_name)

    def masked_log_softmax(x):
        out = core.log_softmax(_masked(x, where), axes, names)
        return out if where is None else jnp.where(where, out, -jnp.inf)

    return rounded_once(masked_log_softmax, x)


@jitted("axis", "keepdims", "axis_name")
def logsumexp(
    x: ArrayLike,
    /,
    *,
    axis: int | tuple[int, ...] = -1,
    where: ArrayLike | None = None,
    keepdims: bool = False,
    axis_name: AxisName = (),
) -> jax.Array:
    r"""Logarithm of the sum of exponentials.

    .. math:: \operatorname{lse}(x) = \log \sum_j e^{x_j}, \qquad \frac{\partial \operatorname{lse}}{\partial x_k} = p_k

    Args:
      x: floating array with at least one axis.
      axis: the axis or the tuple of axes that is summed over (static).
      where: boolean array that broadcasts to the shape of `x`; the elements that count. Others may hold anything.
      keepdims: whether the axes that are summed over stay, with size 1 (static).
      axis_name: inside `jax.shard_map`, the names of the mesh axes that `axis` is divided over (static).

    Returns:
      Array of the dtype of `x` and of its shape without `axis`.

    Raises:
      TypeError: `x` is not floating, `where` not boolean, `axis` not an integer or a tuple of them, or `keepdims` not
        True or False.
      ValueError: `axis` is not an axis of `x`, or `where` does not broadcast to the shape of `x`.
      NameError: `axis_name` names an axis that no `jax.shard_map` around the call has.

    Special values: -inf of a row that is all -inf or all masked, with gradient 0; inf where a maximum is. NaN makes its
    row NaN. The value is right to the last bits of the larger of its terms, the maximum and the rest.

    >>> import jax.numpy as jnp, jaxact
    >>> print(jaxact.logsumexp(jnp.array([[1e5, 0.0], [-jnp.inf, -3.0], [-jnp.inf, -jnp.inf]])))
    [ 1.e+05 -3.e+00    -inf]

    See also: `jax.scipy.special.logsumexp`.
    """
    x, axes, names, where = _arguments("logsumexp", x, axis, where, axis_name)
    checks.flag("logsumexp", "keepdims", keepdims)
    out = rounded_once(lambda x: core.logsumexp(_masked(x, where), axes, names), x)
    return out if keepdims else jnp.squeeze(out, axes)


def _arguments(function, x, axis, where, axis_name):
    x = checks.floating(function, "x", x)
    axes = checks.axes(function, axis, x)
    where = checks.mask(function, where, x)
    return x, axes, checks.names(function, axis_name), where


def _masked(x, where):
    return x if where is None else jnp.where(where, x, -jnp.inf)
