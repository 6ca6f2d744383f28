"""Surrogate gradients: the value of one function, the derivatives of another.

The one idea: a function of two arguments that returns the first and differentiates as the second. The usual
`soft + stop_gradient(hard - soft)` rounds, so that its value is not quite `hard`; here nothing is ever added to it.
Under `jit` the soft function vanishes from a program that takes no derivative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
from jax import lax

Function = TypeVar("Function", bound=Callable)


def surrogate(hard: Function, soft: Callable) -> Function:
    r"""A function with the value of `hard` and the derivatives of `soft`, of every order and in all arguments.

    .. math:: f(x) = \operatorname{hard}(x), \qquad f'(x) = \operatorname{soft}'(x), \qquad
              f''(x) = \operatorname{soft}''(x), \quad \ldots

    Args:
      hard: function of arrays or trees of arrays, positional or named; it need not be differentiable.
      soft: differentiable function of the same arguments that returns a tree of the same structure, shapes and dtypes.
        What it captures keeps its gradient too.

    Returns:
      Function with the signature, the name and the documentation of `hard`.

    Raises:
      TypeError: an argument is not callable, or, when the result is called, trees or dtypes differ.
      ValueError: when the result is called, shapes differ.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> step = jaxact.surrogate(jnp.sign, jnp.tanh)
    >>> print(step(0.5), f"{jax.grad(step)(0.5):.4f}")
    1.0 0.7864

    See also: `straight_through`, and `surrogate_round` and its relatives, which are made with this.
    """
    _callable("surrogate", "hard", hard)
    _callable("surrogate", "soft", soft)

    @functools.wraps(hard)
    def function(*args: Any, **kwargs: Any) -> Any:
        fixed_args, fixed_kwargs = jax.tree.map(_stopped, (args, kwargs))
        return _pinned("surrogate", hard(*fixed_args, **fixed_kwargs), soft(*args, **kwargs))

    return cast("Function", function)


def straight_through(fun: Function) -> Function:
    r"""A function with the value of `fun` and the derivative of the identity in its first argument.

    .. math:: f(x) = \operatorname{fun}(x), \qquad f'(x) = 1

    Args:
      fun: function whose result has the tree structure, shapes and dtypes of its first argument; it need not be
        differentiable. In its other arguments the derivative is 0.

    Returns:
      Function with the signature, the name and the documentation of `fun`.

    Raises:
      TypeError: `fun` is not callable, or, when the result is called, trees or dtypes differ or nothing positional is
        given.
      ValueError: when the result is called, shapes differ.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> tenths = jaxact.straight_through(lambda x: jnp.round(10 * x) / 10)
    >>> print(tenths(0.26), jax.grad(tenths)(0.26))
    0.3 1.0

    Source: Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.
    """
    _callable("straight_through", "fun", fun)

    @functools.wraps(fun)
    def function(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise TypeError("jaxact.straight_through: the first argument must be positional, got none")
        fixed_args, fixed_kwargs = jax.tree.map(_stopped, (args, kwargs))
        return _pinned("straight_through", fun(*fixed_args, **fixed_kwargs), args[0])

    return cast("Function", function)


def _callable(function, argument, value):
    if not callable(value):
        raise TypeError(f"jaxact.{function}: {argument} must be a function, got {type(value).__name__}")


def _stopped(leaf):
    return lax.stop_gradient(leaf) if isinstance(leaf, jax.Array) else leaf


def _pinned(function, values, carriers):
    leaves, tree = jax.tree.flatten(values)
    carrier_leaves, carrier_tree = jax.tree.flatten(carriers)
    if tree != carrier_tree:
        raise TypeError(f"jaxact.{function}: trees must be the same, got value {tree}, derivative {carrier_tree}")
    return jax.tree.unflatten(
        tree, [_pinned_leaf(function, *pair) for pair in zip(leaves, carrier_leaves, strict=True)]
    )


def _pinned_leaf(function, value, carrier):
    value_type, carrier_type = jax.typeof(value), jax.typeof(carrier)
    if value_type.dtype != carrier_type.dtype:
        message = f"value {value_type.dtype}, derivative {carrier_type.dtype}"
        raise TypeError(f"jaxact.{function}: dtypes must be the same, got {message}")
    if value_type.shape != carrier_type.shape:
        message = f"value {value_type.shape}, derivative {carrier_type.shape}"
        raise ValueError(f"jaxact.{function}: shapes must be the same, got {message}")
    return pin(value, carrier)


@jax.custom_jvp
def pin(value: jax.Array, _carrier: jax.Array) -> jax.Array:
    """`value`, with the derivatives of the carrier."""
    return value


@pin.defjvp
def _pin_jvp(primals, tangents):
    return pin(*primals), tangents[1]
