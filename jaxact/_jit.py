"""`jax.jit` that keeps the type of a function: editors show its signature, and type checkers hold callers to it."""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

import jax

Function = TypeVar("Function", bound=Callable)


def jitted(*static_argnames: str) -> Callable[[Function], Function]:
    """Decorator that compiles a function, with the arguments of these names static."""
    return cast("Callable[[Function], Function]", functools.partial(jax.jit, static_argnames=static_argnames))
