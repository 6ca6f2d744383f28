"""Bad input: for every argument of every function a table of wrong values, each with its error and its message.

What is wrong follows from the name of an argument, as one name means the same everywhere. A function with an argument
of a new name has no row here, and fails.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

X = np.ones((2, 3), np.float32)
KEY = jax.random.key(0)
KERNELS = ("Box", "Triangle", "Sine", "Logistic", "Arctan", "FastSigmoid", "Gaussian", "Laplace")
COMBINATORS = ("surrogate", "straight_through", "Kernel")
FUNCTIONS = tuple(name for name in jaxact.__all__ if name not in (*KERNELS, *COMBINATORS))

# What a function is given for its required arguments; the shape of X is that of most.
GIVEN = {
    **dict.fromkeys(("x", "y", "p", "u", "logits", "log_rate", "log_mean", "counts"), X),
    "kernel": jaxact.Logistic(),
    "key": KEY,
    "labels": X,
    "hidden": X,
    "scale": 1.0,
    "dispersion": 1.0,
    "levels": (2, 3, 4),
}
GIVEN_TO = {
    "softmax_cross_entropy_with_integer_labels": {"labels": np.zeros(2, np.int32)},
    "linear_softmax_cross_entropy": {"labels": np.zeros(2, np.int32), "kernel": np.ones((3, 4), np.float32)},
}

# Each table: what is wrong, the error, and what its message says besides the function and the argument.

NO_ARRAY = (
    (None, TypeError, "must be an array or a number, got NoneType"),
    ([1.0, 2.0, 3.0], TypeError, "must be an array or a number, got list"),
    ({"a": 1.0}, TypeError, "must be an array or a number, got dict"),
)
# JAX itself refuses what no array is made of, naming function and argument too.
NO_JAX_TYPE = (
    ("1.0", TypeError, None),
    (float, TypeError, None),
)
DATA = (
    *NO_ARRAY,
    *NO_JAX_TYPE,
    (np.ones((2, 3), np.int32), TypeError, "must be floating, got int32"),
    (np.ones((2, 3), np.uint8), TypeError, "must be floating, got uint8"),
    (np.ones((2, 3), bool), TypeError, "must be floating, got bool"),
    (np.ones((2, 3), np.complex64), TypeError, "must be floating, got complex64"),
    (1, TypeError, "must be floating, got int64"),
    (True, TypeError, "must be floating, got bool"),
    (KEY, TypeError, "must be floating, got key<fry>"),
)
REAL = (
    *NO_ARRAY,
    *NO_JAX_TYPE,
    (1j, TypeError, "must be floating or integer, got complex128"),
    (True, TypeError, "must be floating or integer, got bool"),
    (np.ones((2, 3), bool), TypeError, "must be floating or integer, got bool"),
)
OPTION = (
    *REAL,
    (np.ones(2, np.float32), ValueError, "must broadcast to shape (2, 3), got (2,)"),
    (np.ones((1, 2, 3), np.float32), ValueError, "must broadcast to shape (2, 3), got (1, 2, 3)"),
)
PER_ROW = (
    *REAL,
    (np.ones((2, 3), np.float32), ValueError, "must broadcast to shape (2, 1), got (2, 3)"),
)
PER_LABEL = (
    *(row for row in REAL if row[0] is not None),
    (np.ones((2, 3), np.float32), ValueError, "must broadcast to shape (2,), got (2, 3)"),
)
OF_DATA_SHAPE = (
    *REAL,
    (np.ones(3, np.float32), ValueError, "shapes must be equal, got"),
    (1.0, ValueError, "shapes must be equal, got"),
)
NOT_HASHED = (
    ([0], TypeError, "must be hashable, as it is static, got list [0]"),
    (np.zeros(1, int), TypeError, "must be hashable, as it is static, got ndarray [0]"),
    (jnp.array(0, jnp.int32), TypeError, "must be hashable, as it is static, got ArrayImpl 0"),
)
FLAG = (
    *NOT_HASHED,
    (1, TypeError, "must be True or False, got 1"),
    (None, TypeError, "must be True or False, got None"),
    ("yes", TypeError, "must be True or False, got 'yes'"),
)
AXIS = (
    (2, ValueError, "got 2"),
    (-3, ValueError, "got -3"),
    (1.0, ValueError, "must be an integer, one of those of shape (2, 3), got 1.0"),
    (None, ValueError, "must be an integer, one of those of shape (2, 3), got None"),
    (True, ValueError, "must be an integer, one of those of shape (2, 3), got True"),
    ("0", ValueError, "must be an integer, one of those of shape (2, 3), got '0'"),
    ((0, 1), ValueError, "must be an integer, one of those of shape (2, 3), got (0, 1)"),
    *NOT_HASHED,
)
AXES = (
    (2, ValueError, "must name different axes of shape (2, 3), got 2"),
    (-3, ValueError, "must name different axes of shape (2, 3), got -3"),
    ((0, 0), ValueError, "must name different axes of shape (2, 3), got (0, 0)"),
    ((0, -2), ValueError, "must name different axes of shape (2, 3), got (0, -2)"),
    ((), ValueError, "must name different axes of shape (2, 3), got ()"),
    (1.0, TypeError, "must be an integer or a tuple of integers, got 1.0"),
    (None, TypeError, "must be an integer or a tuple of integers, got None"),
    (True, TypeError, "must be an integer or a tuple of integers, got True"),
    ((0, None), TypeError, "must be an integer or a tuple of integers, got (0, None)"),
    *NOT_HASHED,
)
MASK = (
    *(row for row in NO_ARRAY if row[0] is not None),
    *NO_JAX_TYPE,
    (X, TypeError, "must be boolean, got float32"),
    (1, TypeError, "must be boolean, got int64"),
    (np.ones((2, 2), bool), ValueError, "must broadcast to shape (2, 3), got (2, 2)"),
)
KEYS = (
    *NO_ARRAY,
    *NO_JAX_TYPE,
    (0, TypeError, "must be a key of jax.random, got int64"),
    (X, TypeError, "must be a key of jax.random, got float32"),
    (jax.random.split(KEY, 3), ValueError, "must be one key of jax.random, got shape (3,)"),
    (np.zeros((3, 2), np.uint32), ValueError, "must be one key of jax.random, got shape (3, 2)"),
    (np.zeros(3, np.uint32), ValueError, "must be one key of jax.random, got shape (3,)"),
)
KERNEL = (
    (None, TypeError, "must be a jaxact.Kernel, got NoneType"),
    (1.0, TypeError, "must be a jaxact.Kernel, got an array or a number"),
    (X, TypeError, "must be a jaxact.Kernel, got an array or a number"),
    ({"width": 1.0}, TypeError, "must be a jaxact.Kernel, got dict"),
    (jaxact.Box, TypeError, None),
    ("Box", TypeError, None),
    (jaxact.Sine(np.ones(2, np.float32)), ValueError, "parameter Sine.width must broadcast to shape (2, 3), got (2,)"),
    (jaxact.Sine(np.ones(3, bool)), TypeError, "parameter Sine.width must be floating or integer, got bool"),
    (jaxact.Sine(np.ones(3, complex)), TypeError, "parameter Sine.width must be floating or integer, got complex128"),
)
INTEGER = (
    *(row for row in NO_ARRAY if row[0] is not None),
    *NO_JAX_TYPE,
    (1.0, TypeError, "must be integer, got float64"),
    (X[0], TypeError, "must be integer, got float32"),
    (True, TypeError, "must be integer, got bool"),
)
SCALAR = (
    *(row for row in REAL if row[0] is not None),
    (np.ones(2, np.float32), ValueError, "must have shape (), got (2,)"),
)
WRONG = {
    **dict.fromkeys(("x", "y", "p", "u", "logits", "log_rate", "log_mean", "hidden"), DATA),
    **dict.fromkeys(("beta", "negative_slope", "min_value", "max_value", "steepness", "threshold"), OPTION),
    **dict.fromkeys(("at_zero", "gain", "scale", "zero_point", "dispersion"), OPTION),
    "width": (
        *OPTION,
        (0.0, ValueError, "must be in (0, 1], got 0.0"),
        (1.5, ValueError, "must be in (0, 1], got 1.5"),
        (np.nan, ValueError, "must be in (0, 1], got nan"),
    ),
    "temperature": PER_ROW,
    "label_smoothing": PER_LABEL,
    "z_loss": PER_LABEL,
    "counts": OF_DATA_SHAPE,
    "labels": OF_DATA_SHAPE,
    **dict.fromkeys(("log_input", "full", "hard", "signed", "narrow", "keepdims"), FLAG),
    "axis": AXIS,
    "axis_name": (
        *NOT_HASHED,
        ("rows", NameError, "must name axes of a mesh, inside `jax.shard_map`, got 'rows'"),
        (("rows", "columns"), NameError, "must name axes of a mesh, inside `jax.shard_map`, got ('rows', 'columns')"),
        (None, NameError, "must name axes of a mesh, inside `jax.shard_map`, got None"),
        (0, NameError, "must name axes of a mesh, inside `jax.shard_map`, got 0"),
    ),
    "where": MASK,
    "key": KEYS,
    "kernel": KERNEL,
    "ignore_label": (*INTEGER, (np.zeros(2, int), ValueError, "must have shape (), got (2,)")),
    "bits": (
        *NOT_HASHED,
        (0, ValueError, "must be from 1 to 24, got 0"),
        (25, ValueError, "must be from 1 to 24, got 25"),
        (8.0, TypeError, "must be an integer, got 8.0"),
        (True, TypeError, "must be an integer, got True"),
        (None, TypeError, "must be an integer, got None"),
    ),
    "levels": (
        (8, TypeError, "must be a tuple of integers, got int"),
        (None, TypeError, "must be a tuple of integers, got NoneType"),
        (np.array([2, 3, 4]), TypeError, "must be a tuple of integers, got ndarray"),
        ((2, 3), ValueError, "must be one for each channel of shape (2, 3), got 2"),
        ((), ValueError, "must be one for each channel of shape (2, 3), got 0"),
        ((2, 3, 1), ValueError, "must be from 2 to 16777216, got 1"),
        ((2, 3, 4.0), TypeError, "must be an integer, got 4.0"),
        ((2, 3, True), TypeError, "must be an integer, got True"),
    ),
}
WRONG_FOR = {
    **{(name, "axis"): AXES for name in ("softmax", "log_softmax", "logsumexp", "softmax_cross_entropy")},
    ("softmax_cross_entropy_with_integer_labels", "labels"): (
        *INTEGER,
        (None, TypeError, "must be an array or a number, got NoneType"),
        (np.zeros(3, int), ValueError, "must have shape (2,), got (3,)"),
        (np.zeros((2, 3), int), ValueError, "must have shape (2,), got (2, 3)"),
        (0, ValueError, "must have shape (2,), got ()"),
    ),
    ("linear_softmax_cross_entropy", "labels"): (
        *INTEGER,
        (np.zeros(3, int), ValueError, "must have shape (2,), got (3,)"),
        (np.zeros((2, 3), int), ValueError, "must have shape (2,), got (2, 3)"),
    ),
    ("linear_softmax_cross_entropy", "hidden"): tuple(row for row in DATA if not isinstance(row[0], int)),
    ("linear_softmax_cross_entropy", "kernel"): (
        *NO_ARRAY,
        *NO_JAX_TYPE,
        (np.ones((3, 4), np.float16), TypeError, "must be float32, got float16"),
        (np.ones((3, 4), int), TypeError, "must be float32, got int64"),
        (np.ones(3, np.float32), ValueError, "must have shape (None, None), got (3,)"),
    ),
    ("linear_softmax_cross_entropy", "bias"): (
        *(row for row in NO_ARRAY if row[0] is not None),
        *NO_JAX_TYPE,
        (np.ones(4, np.float64), TypeError, "must be float32, got float64"),
        (np.ones(3, np.float32), ValueError, "must have shape (4,), got (3,)"),
        (np.ones((2, 4), np.float32), ValueError, "must have shape (4,), got (2, 4)"),
    ),
    ("linear_softmax_cross_entropy", "label_smoothing"): SCALAR,
    ("linear_softmax_cross_entropy", "z_loss"): SCALAR,
    ("linear_softmax_cross_entropy", "reduction"): (
        *NOT_HASHED,
        ("average", ValueError, "must be one of mean, sum, none, got 'average'"),
        (None, ValueError, "must be one of mean, sum, none, got None"),
        (1, ValueError, "must be one of mean, sum, none, got 1"),
    ),
    ("linear_softmax_cross_entropy", "chunk_size"): (
        *NOT_HASHED,
        (0, ValueError, "must be positive, got 0"),
        (-1, ValueError, "must be positive, got -1"),
        (2.0, TypeError, "must be an integer, got 2.0"),
        (True, TypeError, "must be an integer, got True"),
        ("2", TypeError, "must be an integer, got '2'"),
    ),
}


def call_with(name, argument, value):
    function = getattr(jaxact, name)
    given = {**GIVEN, **GIVEN_TO.get(name, {})}
    positional, options = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == argument or parameter.default is parameter.empty:
            chosen = value if parameter.name == argument else given[parameter.name]
            if parameter.kind == parameter.POSITIONAL_ONLY:
                positional.append(chosen)
            else:
                options[parameter.name] = chosen
    return function(*positional, **options)


def complaint(call, names, kind, message):
    """What is wrong with the error of the call: nothing if it is of its kind and names what it should.

    A message is that of this library; None stands for one of JAX, which has the names.
    """
    expected = (f"jaxact.{names[0]}: ", *names[1:], message) if message else names
    try:
        call()
    except (TypeError, ValueError, NameError) as error:
        got = str(error)
        if type(error) is kind and all(part in got for part in expected) and got.count("jaxact.") <= 2:
            return None
        return f"{type(error).__name__}: {got[:200]}\n    instead of {kind.__name__}: {expected}"
    return f"no error\n    instead of {kind.__name__}: {expected}"


def wrong_values(name, argument):
    return WRONG_FOR[name, argument] if (name, argument) in WRONG_FOR else WRONG[argument]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_wrong_argument_is_named(name):
    found = []
    for argument in inspect.signature(getattr(jaxact, name)).parameters:
        assert wrong_values(name, argument)
        for value, kind, message in wrong_values(name, argument):
            call = functools.partial(call_with, name, argument, value)
            text = complaint(call, (name, argument), kind, message)
            if text:
                found.append(f"{name}({argument}={value!r}): {text}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", KERNELS)
def test_every_wrong_argument_of_a_kernel_is_named(name):
    found = []
    for method in ("cdf", "pdf", "quantile"):
        function = getattr(getattr(jaxact, name)(), method)
        (argument,) = inspect.signature(function).parameters
        for value, kind, message in DATA:
            names = (method, argument) if message is None else (f"{name}.{method}", argument)
            found.append(complaint(functools.partial(function, value), names, kind, message))
    (parameter,) = inspect.signature(getattr(jaxact, name)).parameters
    for value, kind, message in (
        *NO_ARRAY,
        ("1.0", TypeError, "must be an array or a number, got str"),
        (True, TypeError, "must be an array or a number, got bool"),
        (1j, TypeError, "must be an array or a number, got complex"),
        (0, ValueError, "must be positive, got 0"),
        (-1.0, ValueError, "must be positive, got -1.0"),
        (np.nan, ValueError, "must be positive, got nan"),
    ):
        found.append(complaint(functools.partial(getattr(jaxact, name), value), (name, parameter), kind, message))
    assert not any(found), "\n".join(filter(None, found))


def test_a_kernel_that_lacks_a_method_says_which():
    class Nothing(jaxact.Kernel):
        pass

    for method in ("cdf", "pdf", "quantile"):
        with pytest.raises(
            NotImplementedError, match=f"jaxact.Kernel: Nothing must define {method}, got a call with float"
        ):
            getattr(Nothing(), method)(0.5)


def test_a_traced_option_that_must_be_static_is_named():
    with pytest.raises(TypeError, match=r"jaxact\.softmax: axis must be hashable, as it is static, got .*Tracer"):
        jax.jit(lambda axis: jaxact.softmax(X, axis=axis))(0)


def test_functions_with_static_options_are_still_those_of_jax():
    """They can be lowered, traced and evaluated by shape, as all others can."""
    for name in ("softplus", "softmax"):
        function = getattr(jaxact, name)
        assert function.lower(X).compile()(X).shape == X.shape
        assert function.trace(X).jaxpr.out_avals[0].shape == X.shape
        assert function.eval_shape(X).shape == X.shape


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: jaxact.surrogate(1.0, jnp.sin), TypeError, "surrogate: hard must be a function, got float"),
        (lambda: jaxact.surrogate(jnp.sin, "sin"), TypeError, "surrogate: soft must be a function, got str"),
        (lambda: jaxact.straight_through(None), TypeError, "straight_through: fun must be a function, got NoneType"),
        (lambda: jaxact.softplus(X, 2.0), TypeError, "softplus"),
        (lambda: jaxact.softplus(x=X), TypeError, "'x'"),
        (lambda: jaxact.softplus(X, steepness=2.0), TypeError, "'steepness'"),
        (jaxact.softplus, TypeError, "'x'"),
        (lambda: jaxact.negative_binomial_nll(X, X), TypeError, "'dispersion'"),
        (lambda: jaxact.finite_scalar_quantize(X), TypeError, "'levels'"),
        (lambda: jaxact.Box(1.0, 2.0), TypeError, "Box"),
        (lambda: jaxact.Box(wide=1.0), TypeError, "'wide'"),
    ],
)
def test_wrong_calls(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
