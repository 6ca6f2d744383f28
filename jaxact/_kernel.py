"""What every kernel is: an even probability density that softens a step, gives it a slope, or makes it random.

The one idea: a step smoothed by a density is its distribution function, and the slope of that is the density. A kernel
is a pytree whose leaves are its parameters, so that they are traced, annealed by a schedule and trained.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import export
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._kernel_rules import cell, nearest
from jaxact._numerics import rounded_once


@typing.dataclass_transform(frozen_default=True, eq_default=False)
class Kernel:
    r"""Base class of all kernels; a subclass is a frozen dataclass and a pytree, whose fields are its parameters.

    A kernel of your own is three short methods. Every staircase then works with it, by differentiating `cdf`.

    .. math:: \operatorname{cdf}(u) = \int_{-\infty}^u \operatorname{pdf}(v)\,dv, \qquad
              \operatorname{pdf}(-u) = \operatorname{pdf}(u)

    Args:
      fields: numbers or arrays, one for each parameter that the subclass declares.

    Returns:
      An instance of the subclass.

    Raises:
      TypeError: a field is missing or unknown.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> class Hyperbolic(jaxact.Kernel):
    ...     scale: float = 1.0
    ...     def cdf(self, u):
    ...         return 0.5 + 0.5 * u / jnp.sqrt(self.scale**2 + u**2)
    ...     def pdf(self, u):
    ...         return 0.5 * self.scale**2 * (self.scale**2 + u**2) ** -1.5
    ...     def quantile(self, p):
    ...         return self.scale * (2 * p - 1) / jnp.sqrt(4 * p * (1 - p))
    >>> spike = lambda x: jaxact.surrogate_heaviside(x, Hyperbolic(scale=0.5))
    >>> print(spike(0.3), f"{jax.grad(spike)(0.0):.1f}")
    1.0 1.0
    """

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(frozen=True, eq=False)(cls)
        names = tuple(inspect.signature(cls).parameters)

        def flatten_with_keys(kernel):
            return tuple((jax.tree_util.GetAttrKey(name), getattr(kernel, name)) for name in names), None

        def unflatten(_, leaves):
            # Transformations put objects of their own into leaves, which a constructor would refuse.
            kernel = object.__new__(cls)
            for name, leaf in zip(names, leaves, strict=True):
                object.__setattr__(kernel, name, leaf)
            return kernel

        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
        _register_for_export(cls)

    def cdf(self, u: ArrayLike) -> jax.Array:
        """The probability of at most `u`."""
        raise self._lacks("cdf", u)

    def pdf(self, u: ArrayLike) -> jax.Array:
        """The density at `u`."""
        raise self._lacks("pdf", u)

    def quantile(self, p: ArrayLike) -> jax.Array:
        """The inverse of `cdf`, for `p` in [0, 1]."""
        raise self._lacks("quantile", p)

    def _lacks(self, method, argument):
        got = f"a call with {type(argument).__name__}"
        return NotImplementedError(f"jaxact.Kernel: {type(self).__name__} must define {method}, got {got}")

    def _heaviside(self, u):
        return self.cdf(u)

    def _sign(self, u):
        return self.cdf(u) - self.cdf(-u)

    def _ternary(self, x, threshold):
        return self.cdf(x - threshold) - self.cdf(-x - threshold)

    def _staircase(self, name, x):
        at = cell(x, name)
        return at.tread + at.direction * self._part_of_step(at)

    def _part_of_step(self, at):
        end, mass = self._end(at.u)
        return (self.cdf(at.u) - end) / mass

    def _inverse(self, name, y):
        n, s = nearest(y)
        end, mass = self._end(y)
        if name == "middle":
            return n + self.quantile(end + (s + 0.5) * mass)
        return n + jnp.where(s < 0, -0.5, 0.5) + self.quantile(end + jnp.where(s < 0, s + 1, s) * mass)

    def _end(self, like):
        end = self.cdf(jnp.full_like(like, -0.5))
        return end, 1 - 2 * end


def _register_for_export(cls):
    """Lets kernels be arguments of a function that `jax.export` serialises.

    A name stands for the class that took it first: one that is defined again, as in a notebook, is left out.
    """
    with contextlib.suppress(ValueError):
        export.register_pytree_node_serialization(
            cls,
            serialized_name=f"{cls.__module__}.{cls.__qualname__}",
            serialize_auxdata=lambda _: b"",
            deserialize_auxdata=lambda _: None,
        )


def check_kernel(function: str, kernel: Kernel) -> None:
    """Raises TypeError unless `kernel` is one."""
    if not isinstance(kernel, Kernel):
        got = "an array or a number" if checks.is_array_like(kernel) else type(kernel).__name__
        raise TypeError(f"jaxact.{function}: kernel must be a jaxact.Kernel, got {got}")


def evaluated(
    function: str,
    method: Callable[..., jax.Array],
    kernel: Kernel,
    x: ArrayLike,
    argument: str = "x",
    options: Mapping[str, ArrayLike] | None = None,
) -> jax.Array:
    """`method(kernel, x, *options)` behind the guards that all functions of a kernel share, rounded once."""
    check_kernel(function, kernel)
    array = checks.floating(function, argument, x)
    leaves, tree = jax.tree_util.tree_flatten_with_path(kernel)
    prefix = f"kernel parameter {type(kernel).__name__}"
    named = [(prefix + jax.tree_util.keystr(path), leaf) for path, leaf in leaves] + [*(options or {}).items()]
    parameters = [checks.real(function, name, parameter) for name, parameter in named]
    for (name, _), parameter in zip(named, parameters, strict=True):
        checks.broadcastable(function, name, parameter, array)

    def core(x, *parameters):
        return method(tree.unflatten(parameters[: len(leaves)]), x, *parameters[len(leaves) :])

    return rounded_once(core, array, *parameters)
