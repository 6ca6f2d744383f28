"""`jax.jit` that keeps the type of a function: editors show its signature, and type checkers hold callers to it."""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

import jax

Function = TypeVar("Function", bound=Callable)


def jitted(*static_argnames: str) -> Callable[[Function], Function]:
    """Decorator that compiles a function, with the arguments of these names static.

    One of those that cannot be hashed, as a list or an array, gets an error that names function and argument.
    """

    def decorate(function: Function) -> Function:
        compiled = jax.jit(function, static_argnames=static_argnames)
        if not static_argnames:
            return cast("Function", compiled)

        @functools.wraps(compiled)
        def call(*args, **kwargs):
            try:
                return compiled(*args, **kwargs)
            except (TypeError, ValueError):
                _assert_hashable(function.__name__, {name: kwargs[name] for name in static_argnames if name in kwargs})
                raise

        for method in ("lower", "trace", "eval_shape", "clear_cache"):
            setattr(call, method, getattr(compiled, method))
        return cast("Function", call)

    return decorate


def _assert_hashable(function, options):
    for name, value in options.items():
        try:
            hash(value)
        except TypeError:
            got = f"{type(value).__name__} {value}"
            raise TypeError(f"jaxact.{function}: {name} must be hashable, as it is static, got {got}") from None
