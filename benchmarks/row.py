"""The form of a row: a function, what people use instead of it, what it should be, and what it is measured on."""

import dataclasses
import functools
import importlib
import math
import operator
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from cases import CASES
from contract import Case

# The first word of a peer's label, and the module that it stands for; others are written with jax alone.
LIBRARIES = {
    "optax": "optax",
    "TFP": "tensorflow_probability.substrates.jax",
    "softjax": "softjax",
    "distrax": "distrax",
    "numpyro": "numpyro.distributions",
    "codex": "codex.ops",
}
CACHE_SIZED, MEMORY_SIZED = 2**14, 2**24
SMALL = 2**18  # for trial runs
OURS = "jaxact"


@functools.cache
def library(name: str):
    """The module of one of the libraries, or None where it is not installed."""
    try:
        return importlib.import_module(LIBRARIES[name])
    except ImportError:
        return None


def from_library(name: str, path: str) -> Callable:
    """The function `path` of the library, looked up when it is called, as the library may be absent."""
    find = operator.attrgetter(path)

    def function(*arguments):
        return find(library(name))(*arguments)

    return function


def absent() -> list[str]:
    return [name for name in LIBRARIES if library(name) is None]


def is_present(label: str) -> bool:
    name = label.split(maxsplit=1)[0]
    return name not in LIBRARIES or library(name) is not None


def no_more(_x: jax.Array) -> tuple[jax.Array, ...]:
    return ()


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A function of an array, of numbers one by one or of rows of logits, and perhaps of further arrays.

    Attributes:
      name: the public function, and what tells rows of one function apart.
      family: the heading it stands under.
      ours: jaxact's function.
      peers: other functions that should have the same value and derivatives, by label.
      alternatives: functions for the same purpose but by another formula, compared in time and memory only.
      more: the further arguments, made from the first.
      truth: for rows of logits, value and derivatives in the logit of the label, as formulas of that logit less the
        logarithm of the sum of the others' exponentials.
      case: for functions of numbers, the row of the contract that holds formulas and points.
      shapes: the shapes of the first argument that time is taken at.
      compiled_shapes: further ones, too large to run often, whose memory is measured.
      interval: where its numbers are drawn from.
      argnums: the arguments that are differentiated.
    """

    name: str
    family: str
    ours: Callable
    peers: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    alternatives: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    more: Callable = no_more
    truth: tuple[Callable, Callable, Callable] | None = None
    case: Case | None = None
    shapes: tuple[tuple[int, ...], ...] = ((CACHE_SIZED,), (MEMORY_SIZED,))
    compiled_shapes: tuple[tuple[int, ...], ...] = ()
    interval: tuple[float, float] = (-4.0, 4.0)
    argnums: tuple[int, ...] = (0,)

    @property
    def exact(self) -> dict[str, Callable]:
        """Ours and the peers at hand, those that should agree."""
        return {OURS: self.ours} | {label: fun for label, fun in self.peers.items() if is_present(label)}

    @property
    def all(self) -> dict[str, Callable]:
        return self.exact | {label: fun for label, fun in self.alternatives.items() if is_present(label)}

    def label(self, x: jax.Array) -> jax.Array:
        """The class `[rows, 1]` whose logit derivatives are taken in."""
        return labels_of(x)[:, None]

    def arguments(self, shape: tuple[int, ...]) -> tuple[jax.Array, ...]:
        x = jnp.asarray(np.random.default_rng(0).uniform(*self.interval, shape).astype(np.float32))
        return x, *self.more(x)

    def specified(self, shape: tuple[int, ...], dtype: str = "float32") -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes and dtypes of the arguments, and no arrays."""

        def arguments():
            x = jnp.zeros(shape, dtype)
            return x, *self.more(x)

        return jax.eval_shape(arguments)

    def sizes(self, quick: bool) -> list[tuple[int, ...]]:
        """The shapes, for a trial run only those whose arguments are all small."""
        return [s for s in self.shapes if not quick or all(math.prod(a.shape) <= SMALL for a in self.specified(s))]

    def value_and_gradient(self, fun: Callable) -> Callable:
        """`(cotangent, *arguments)` to the value and the gradient in every argument that is differentiated."""

        def both(cotangent, *arguments):
            value, backward = jax.vjp(self.in_differentiated(fun, arguments), *(arguments[i] for i in self.argnums))
            return value, backward(cotangent)

        return both

    def in_differentiated(self, fun: Callable, arguments: tuple) -> Callable:
        """`fun` as a function of the arguments that are differentiated, with the others as they are."""

        def partial(*varied):
            replaced = dict(zip(self.argnums, varied, strict=True))
            return fun(*(replaced.get(i, argument) for i, argument in enumerate(arguments)))

        return partial


def case_of(name: str, argument: str) -> Case:
    (case,) = [case for case in CASES if case.name == f"{name}-{argument}"]
    return case


def elementwise(name: str, family: str, ours: Callable, peers: Mapping[str, Callable], **fields) -> Row:
    """A row of a function of numbers, with its case, and numbers drawn from where the case has its points."""
    case = case_of(name, fields.pop("argument", "x"))
    low, high = case.points
    interval = max(low, case.domain[0], -20.0), min(high, case.domain[1], 20.0)
    return Row(name + fields.pop("note", ""), family, ours, peers, case=case, **{"interval": interval} | fields)


def labels_of(logits: jax.Array) -> jax.Array:
    """A class for every row: 5, which may be far above the others, and any."""
    i = jnp.arange(logits.shape[0], dtype=jnp.int32)
    return jnp.where(i % 2 == 0, 5, i) % logits.shape[-1]
