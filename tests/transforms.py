"""Every transform that `test_transforms.py` puts every public function through, and the table of both in the docs.

    python tests/transforms.py

tries all of it and writes `docs/transforms.md` anew; the tests leave out functions whose code is that of others. A
transform is a function of a function of a row and parameters, of the rows and of the parameters; it returns parts of
what plain calls give.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec as Spec

from calls import CALLS
from ulp import errors

TABLE = pathlib.Path(__file__).parents[1] / "docs" / "transforms.md"
# Two results of which either may be off by 16 ulp of the largest number, as the README says of gradients.
BUDGET = 32
PLATFORMS = ("cpu", "cuda", "tpu")
# What is tested is that a function goes through a transform unchanged; machine code for that need not be fast.
COMPILER_OPTIONS = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}


def weights(out):
    """A cotangent in which no two elements are the same, in size or sign."""
    return jnp.ones_like(out) * jnp.asarray(np.cos(1 + 2 * np.arange(out.size)), out.dtype)


def direction(tree):
    """A tangent likewise."""
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten(
        [
            jnp.asarray(np.cos(0.5 + i + 3 * np.arange(leaf.size)).reshape(leaf.shape), leaf.dtype)
            for i, leaf in enumerate(leaves)
        ]
    )


def total(fun):
    def weighted(row, parameters):
        out = fun(row, parameters)
        return jnp.sum(weights(out) * out)

    return weighted


def value_and_gradient(fun):
    """The value, and the gradient of its weighted sum in the row and in the parameters."""

    def both(row, parameters):
        value, backward = jax.vjp(fun, row, parameters)
        return value, backward(weights(value))

    return both


def stacked(results):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)


def other(parameters):
    return jax.tree.map(lambda leaf: 1.25 * leaf, parameters)


def along(function, row, parameters):
    """The derivative of `function` in the direction of everything."""
    arguments = row, parameters
    return jax.jvp(function, arguments, direction(arguments))[1]


def plain(fun, x, parameters):
    """Value and gradient, row by row, each call on its own: what every transform has to reproduce."""
    both = value_and_gradient(fun)
    return stacked([both(row, parameters) for row in x])


def expected(fun, x, parameters):
    """The other parts, in forward mode where there is a choice."""
    return {
        "other": value_and_gradient(fun)(x[0], other(parameters)),
        "tangent": along(fun, x[0], parameters),
        "second": along(jax.grad(total(fun), (0, 1)), x[0], parameters),
        "third": _along_row(_along_row(_along_row(_of_row(fun, parameters))))(x[0]),
    }


def _of_row(fun, parameters):
    return lambda row: total(fun)(row, parameters)


def _along_row(function):
    return lambda row: jax.jvp(function, (row,), direction((row,)))[1]


# Parts of what is expected


def _rows(parts):
    return parts["rows"]


def _values(parts):
    return parts["rows"][0]


def _first(parts):
    """Value and gradient of the first row."""
    return jax.tree.map(lambda leaf: leaf[0], parts["rows"])


def _gradient(parts):
    return _first(parts)[1]


def _over_parameters(parts):
    return stacked([_first(parts), parts["other"]])


# Batches and control flow


def vmap(fun, x, parameters):
    """Value and gradient."""
    return jax.vmap(value_and_gradient(fun), (0, None))(x, parameters)


def vmap_of_last_axis(fun, x, parameters):
    return jax.vmap(fun, (1, None), 1)(x.T, parameters).T


def nested_vmap(fun, x, parameters):
    batched = jax.vmap(jax.vmap(fun, (0, None)), (0, None))
    return batched(x[:, None], parameters)[:, 0]


def vmap_over_parameters(fun, x, parameters):
    return jax.vmap(value_and_gradient(fun), (None, 0))(x[0], stacked([parameters, other(parameters)]))


def lax_map(fun, x, parameters):
    return jax.lax.map(lambda row: fun(row, parameters), x)


def scan(fun, x, parameters):
    """Value and gradient through the whole loop, and the derivative of the gradient at the first row."""

    def all_rows(x, parameters):
        return jax.lax.scan(lambda carry, row: (carry, fun(row, parameters)), 0, x)[1]

    def gradient(row, parameters):
        value, backward = jax.vjp(all_rows, row[None], parameters)
        of_x, of_parameters = backward(weights(value[0])[None])
        return value[0], (of_x[0], of_parameters)

    value, of_row = gradient(x[0], parameters)
    return value, of_row, along(gradient, x[0], parameters)[1]


def while_loop(fun, x, parameters):
    """Forward mode goes through a loop of unknown length, reverse mode does not, of whatever function."""

    def first_row(row, parameters):
        def body(state):
            return state[0] + 1, fun(row, parameters)

        out = jax.eval_shape(fun, row, parameters)
        return jax.lax.while_loop(lambda state: state[0] < 2, body, (0, jnp.zeros(out.shape, out.dtype)))[1]

    return along(first_row, x[0], parameters)


def checkpoint(**options):
    def run(fun, x, parameters):
        return jax.grad(total(jax.checkpoint(fun, **options)), (0, 1))(x[0], parameters)

    return run


def custom_vmap(fun, x, parameters):
    """Between two functions with a rule of their own."""

    @jax.custom_batching.custom_vmap
    def neighbour(x):
        return x

    @neighbour.def_vmap
    def _rule(axis_size, in_batched, x):
        return x, in_batched[0]

    return jax.vmap(lambda row: neighbour(fun(neighbour(row), parameters)))(x)


def sequential_vmap(fun, x, parameters):
    return jax.vmap(jax.custom_batching.sequential_vmap(lambda row: fun(row, parameters)))(x)


# Derivatives, at the first row


def grad(fun, x, parameters):
    return jax.grad(total(fun), (0, 1))(x[0], parameters)


def jvp(fun, x, parameters):
    return along(fun, x[0], parameters)


def vjp(fun, x, parameters):
    value, backward = jax.vjp(fun, x[0], parameters)
    return backward(weights(value))


def _of_vector(fun, x, parameters):
    """`fun` as a function of one vector, that vector, and the way back."""
    vector, unravel = ravel_pytree((x[0], parameters))
    return lambda vector: fun(*unravel(vector)), vector, unravel


def jacobian(mode):
    def run(fun, x, parameters):
        function, vector, unravel = _of_vector(fun, x, parameters)
        matrix = mode(function)(vector)
        return unravel(weights(matrix[:, 0]) @ matrix)

    return run


def hessian(fun, x, parameters):
    function, vector, unravel = _of_vector(total(fun), x, parameters)
    return unravel(jax.hessian(function)(vector) @ ravel_pytree(direction((x[0], parameters)))[0])


def third_derivative(fun, x, parameters):
    """In reverse over forward over forward, where what is expected is in forward mode alone."""
    gradient = jax.grad(_along_row(_along_row(_of_row(fun, parameters))))(x[0])
    return jnp.vdot(direction((x[0],))[0], gradient)


def linearize(fun, x, parameters):
    arguments = x[0], parameters
    return jax.linearize(fun, *arguments)[1](*direction(arguments))


def linear_transpose(fun, x, parameters):
    arguments = x[0], parameters
    value, tangent_map = jax.linearize(fun, *arguments)
    return jax.linear_transpose(tangent_map, *arguments)(weights(value))


# Compilation and devices


def shard_map(fun, x, parameters):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
    specs = {"in_specs": (Spec("rows"), Spec()), "out_specs": Spec("rows")}
    return jax.shard_map(functools.partial(vmap, fun), mesh=mesh, **specs)(x, parameters)


def exported(fun, x, parameters):
    """Value, gradient, and both batched: what is exported to other platforms."""
    return value_and_gradient(fun)(x[0], parameters), vmap(fun, x, parameters)


GROUPS = {
    "Batches and control flow": {
        "`vmap`, axis 0": (vmap, _rows),
        "axis 1": (vmap_of_last_axis, _values),
        "`vmap` of `vmap`": (nested_vmap, _values),
        "`vmap` over parameters": (vmap_over_parameters, _over_parameters),
        "`lax.scan`": (scan, lambda parts: (*_first(parts), parts["second"])),
        "`lax.map`": (lax_map, _values),
        "`while_loop` body": (while_loop, lambda parts: parts["tangent"]),
        "beside `custom_vmap`": (custom_vmap, _values),
        "in `sequential_vmap`": (sequential_vmap, _values),
    },
    "Derivatives": {
        "`grad`": (grad, _gradient),
        "`jvp`": (jvp, lambda parts: parts["tangent"]),
        "`vjp`": (vjp, _gradient),
        "`jacfwd`": (jacobian(jax.jacfwd), _gradient),
        "`jacrev`": (jacobian(jax.jacrev), _gradient),
        "`hessian`": (hessian, lambda parts: parts["second"]),
        "third": (third_derivative, lambda parts: parts["third"]),
        "`linearize`": (linearize, lambda parts: parts["tangent"]),
        "`linear_transpose`": (linear_transpose, _gradient),
    },
    "Compilation and devices": {
        "`checkpoint`": (checkpoint(), _gradient),
        **{
            f"`{policy}`": (checkpoint(policy=getattr(jax.checkpoint_policies, policy), prevent_cse=False), _gradient)
            for policy in ("everything_saveable", "nothing_saveable", "dots_with_no_batch_dims_saveable")
        },
        "`shard_map`": (shard_map, _rows),
        "`export`": (None, lambda parts: (_first(parts), parts["rows"])),
        "ahead of time": (None, _rows),
        "`jit`": (None, _rows),
        "donated": (None, _rows),
    },
}
TRANSFORMS = {name: transform for group in GROUPS.values() for name, transform in group.items()}


def limits(call):
    """The transforms that a call does not go through, and why."""
    if jax.tree.leaves(call.parameters):
        return {}
    return {"`vmap` over parameters": "it has no parameters"}


def results(call, dtype):
    """What is expected of the call, and what the transforms make of it, by name.

    Value and gradient are expected to be those of an ordinary call under `jit`, which is given its data's buffer. All
    else is in one program, compiled ahead of time, but for the one that is exported.
    """
    fun, left_out = call.fun, limits(call)
    compiled = functools.partial(jax.jit, compiler_options=COMPILER_OPTIONS)

    def everything(x, parameters):
        runs = {name: run for name, (run, _) in TRANSFORMS.items() if run and name not in left_out}
        found = {name: run(fun, x, parameters) for name, run in runs.items()}
        return expected(fun, x, parameters), {**found, "ahead of time": plain(fun, x, parameters)}

    shapes = jax.eval_shape(lambda: call.arguments(dtype))
    parts, found = jax.jit(everything).lower(*shapes).compile(COMPILER_OPTIONS)(*call.arguments(dtype))

    sent = export.export(jax.jit(functools.partial(exported, fun)), platforms=PLATFORMS)(*shapes).serialize()
    found["`export`"] = compiled(export.deserialize(sent).call)(*call.arguments(dtype))

    x, parameters = call.arguments(dtype)
    rows = compiled(functools.partial(plain, fun), donate_argnums=0)(x, parameters)
    assert x.is_deleted()
    return {"rows": rows, **parts}, {**found, "`jit`": rows, "donated": rows}


def assert_transforms(call):
    """Each of the transforms gives what plain calls give."""
    parts, found = results(call, np.float32)
    assert {*found, *limits(call)} == {*TRANSFORMS}
    for name, result in found.items():
        want = TRANSFORMS[name][1](parts)
        assert jax.tree.structure(result) == jax.tree.structure(want), name
        # What contracts a tensor of second or third derivatives may cancel, as no rule promises otherwise.
        contracted = parts["second"] if name in ("`hessian`", "third") else ()
        terms = max((np.max(np.abs(leaf), initial=0) for leaf in jax.tree.leaves(contracted)), default=0)
        for got, truth in zip(jax.tree.leaves(result), jax.tree.leaves(want), strict=True):
            _assert_close(name, got, np.asarray(truth), terms)


def _assert_close(name, got, truth, terms):
    """In ulp of the largest number of the array, or of what is added up to it."""
    assert got.shape == truth.shape, name
    assert got.dtype == truth.dtype, name
    assert np.all(np.isfinite(truth)), name
    truth = truth.astype(np.longdouble)
    worst = errors(got, truth, got.dtype, np.max(np.abs(truth), initial=terms)).max(initial=0)
    assert worst <= BUDGET, f"{name}: {worst:.1f} ulp"


def table():
    """The page of the docs."""
    lines = [HEADING]
    reasons = list(dict.fromkeys(reason for call in CALLS for reason in limits(call).values()))
    for group, transforms in GROUPS.items():
        lines += [f"## {group}", "", f"| function | {' | '.join(transforms)} |", "|---" * (len(transforms) + 1) + "|"]
        for call in CALLS:
            left_out = limits(call)
            cells = [f"({reasons.index(left_out[name]) + 1})" if name in left_out else "✓" for name in transforms]
            lines.append(f"| `{call.name}` | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"({number}) Left out: {reason}." for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines) + "\n" + ENDING


HEADING = """# Transforms

A tick says that the function goes through the transform and gives what plain calls give, row by row. The page is
written by the program that tries all of it, `tests/transforms.py`; the tests try a part at every change. Derivatives
are those in the data and in every parameter, those of a kernel included; the third is in the data.

Value and gradient: `vmap` over axis 0 and over parameters, `lax.scan` (through the loop, and its second derivative),
`shard_map`, `export`, `jit`, donated data, ahead of time. Value: `vmap` over another axis, nested, `lax.map`, beside
`custom_vmap`, in `sequential_vmap`. Value in forward mode: the body of a `while_loop`. Gradient: each policy of
`checkpoint`.
"""

ENDING = """
Reverse mode does not go through a `while_loop`, whatever its body is. The exported
program holds value, gradient and batched gradient, for `cpu`, `cuda` and `tpu`; it is serialised, read back and called,
on the platform at hand. Kernels may be arguments of it: the process that reads it imports the classes. Sizes may be
symbols, those of `jax.export.symbolic_shape`, but on JAX 0.7 not for gradients of surrogates.

## Checks of values

Dtypes and shapes are checked while a function is traced. Values are not known then: one that is out of range gives the
documented NaN. `jax.experimental.checkify` makes an error of it, also under `jit`, where it is asked to:

```python
import jax
import jax.numpy as jnp
from jax.experimental import checkify

import jaxact


def loss(y):
    checkify.check(jnp.all(y > 0), "y must be positive, got {smallest}", smallest=jnp.min(y))
    return jaxact.softplus_inverse(y).sum()


checked = jax.jit(checkify.checkify(jax.value_and_grad(loss)))
error, _ = checked(jnp.array([1.0, 0.5]))
error.throw()  # nothing: all is well
error, _ = checked(jnp.array([1.0, -0.5]))
print(error.get())  # y must be positive, got -0.5
```

With `errors=checkify.float_checks` every operation is checked for NaN. These functions make none on the way to a
result that is a number, so what is found is a fault of the data or of the code around them. The same holds for
`jax_debug_nans`, and, where no infinity is the right result, for `jax_debug_infs`.
"""


if __name__ == "__main__":
    for tried in CALLS:
        print(tried.name, flush=True)
        assert_transforms(tried)
    TABLE.write_text(table())
