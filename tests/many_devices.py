"""The program of `test_many_devices.py`: the class axis over eight devices, against one.

    python tests/many_devices.py one FILE           # a process of one device, which writes its numbers to the file
    python tests/many_devices.py eight FILE         # one of eight, against an undivided program and against the file
    python tests/many_devices.py half PORT RANK     # four devices of each of two processes, which meet at that port

XLA_FLAGS must ask for that many devices.
"""

import functools
import math
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as Spec

import jaxact
from calls import CALLS
from transforms import COMPILER_OPTIONS
from ulp import errors

ROWS, CLASSES, FEATURES = 128, 1024, 32
CLASS_AXIS = Spec(None, "model")
RNG = np.random.default_rng(0)


def data(classes):
    """Logits, soft labels, the labels' one-hot vectors, and the labels: some on every device."""
    logits = (3 * RNG.normal(size=(ROWS, classes)) + 1).astype(np.float32)
    soft_labels = np.exp(-logits) / np.exp(-logits).sum(axis=1, keepdims=True)
    labels = np.arange(ROWS, dtype=np.int32) * (classes // ROWS + 3) % classes
    sure = classes * 2 // 3
    logits[::2, sure] += 40  # and right about it in the first row
    labels[0] = sure
    return logits, soft_labels, np.eye(classes, dtype=np.float32)[labels], labels


DATA = data(CLASSES)
LOGITS, SOFT_LABELS, AT_LABEL, LABELS = DATA
HIDDEN = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
KERNEL = RNG.normal(size=(FEATURES, CLASSES)).astype(np.float32)
# Parts of a number that is no power of two.
OTHER_DATA = data(1000)
# Parts of two classes: the same within a process, but one of one device cuts such rows in another way.
SHORT_DATA = data(16)


def results(logits, soft_labels, at_label, labels, axis_name=()):
    """Value, jvp and vjp of every function, in the direction of the label, where nothing cancels."""
    integer, soft = jaxact.softmax_cross_entropy_with_integer_labels, jaxact.softmax_cross_entropy
    options = {"axis_name": axis_name}
    functions = {
        "softmax": functools.partial(jaxact.softmax, **options),
        "log_softmax": functools.partial(jaxact.log_softmax, **options),
        "logsumexp": functools.partial(jaxact.logsumexp, **options),
        "soft labels": lambda x: soft(x, soft_labels, **options),
        "integer labels": lambda x: integer(x, labels, **options),
        "all options": lambda x: integer(x, labels, label_smoothing=0.125, z_loss=0.01, ignore_label=-1, **options),
    }
    found = {}
    for name, function in functions.items():
        value, tangent = jax.jvp(function, (logits,), (at_label,))
        gradient = jax.vjp(function, logits)[1](at_label if value.ndim == 2 else jnp.ones_like(value))[0]
        found[name] = {"value": value, "alone": function(logits), "jvp": tangent, "vjp": gradient}
    return found


def assert_equal(got, expected, scales=None):
    """Within 2 ulp: of the largest number of the row, or of the `scales`, where terms cancel that are larger.

    Where nothing cancels, within 12 of the number itself.
    """
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(expected)]
    arrays = [jax.tree.map(np.asarray, tree) for tree in (expected, scales or expected)]
    for name, truth, scale, result in zip(paths, *map(jax.tree.leaves, arrays), jax.tree.leaves(got), strict=True):
        wide = truth.astype(np.longdouble)
        largest = np.max(np.abs(scale), axis=-1, keepdims=True) if scale.ndim == 2 else np.abs(scale)
        error = errors(result, wide, jnp.dtype(jnp.float32), largest.astype(np.longdouble)).max()
        assert error <= 2, f"{name}: {error}"
        if not any(part in name for part in ("soft labels", "all options", "linear")):
            own = errors(result, wide, jnp.dtype(jnp.float32)).max()
            assert own <= 12, f"{name}: {own}"


def scales_of(expected, soft_labels, at_label):
    """As `expected`, with the terms that gradients of soft labels are differences of: `p * sum(y)` and `y`."""
    terms = expected["softmax"]["value"] + soft_labels
    at_label = np.sum(terms * at_label, axis=1)
    return {**expected, "soft labels": {**expected["soft labels"], "vjp": terms, "jvp": at_label}}


def collectives(compiled):
    """The sizes of what goes between devices, by kind of collective."""
    found = re.findall(r"= (.*?) (all-[a-z]+|reduce-scatter|collective-[a-z]+)(?:-start)?\(", compiled.as_text())
    return {
        (kind, math.prod(int(size) for size in shape.split(",") if size))
        for shapes, kind in found
        for shape in re.findall(r"[a-z]+[0-9]+\[([0-9,]*)\]", shapes)
    }


def assert_only_rows_are_sent(compiled, size=ROWS):
    sent = collectives(compiled)
    assert sent
    assert all(kind == "all-reduce" and elements <= size for kind, elements in sent), sent


def put(mesh, *arrays_and_specs):
    return [jax.device_put(array, NamedSharding(mesh, spec)) for array, spec in arrays_and_specs]


def check_plain_jit(mesh, arrays, *expected):
    divided = put(mesh, *zip(arrays, (CLASS_AXIS, CLASS_AXIS, CLASS_AXIS, Spec()), strict=True))
    compiled = jax.jit(results).lower(*divided).compile()
    assert_only_rows_are_sent(compiled)
    got = compiled(*divided)
    for each in expected:
        assert_equal(got, each, scales_of(each, *arrays[1:3]))


def check_divided_rows(mesh):
    """Nothing is sent when rows are divided, but the indices of the labels."""
    x, y = put(mesh, (LOGITS, Spec("model")), (LABELS, Spec("model")))

    def run(x, y):
        value, backward = jax.vjp(lambda x: jaxact.softmax_cross_entropy_with_integer_labels(x, y), x)
        return {"integer labels": (value, backward(jnp.ones_like(value))[0])}

    compiled = jax.jit(run).lower(x, y).compile()
    assert all(elements <= 2 * ROWS for _, elements in collectives(compiled))
    assert_equal(compiled(x, y), jax.jit(run)(LOGITS, LABELS))


def check_shard_map(mesh, expected):
    divided = (CLASS_AXIS, CLASS_AXIS, CLASS_AXIS, Spec())
    specs = {
        name: {"value": spec, "alone": spec, "jvp": spec, "vjp": CLASS_AXIS}
        for name in expected
        for spec in [CLASS_AXIS if name in ("softmax", "log_softmax") else Spec()]
    }
    inside = jax.shard_map(functools.partial(results, axis_name="model"), mesh=mesh, in_specs=divided, out_specs=specs)
    compiled = jax.jit(inside).lower(*DATA).compile()
    assert_only_rows_are_sent(compiled)
    assert_equal(compiled(*DATA), expected, scales_of(expected, SOFT_LABELS, AT_LABEL))


def check_a_loss_differentiated_inside(mesh):
    """A sum over devices counts once with checks of what varies over them, and once a device without: as documented."""

    def run(check):
        def inside(x, y):
            return jax.grad(lambda x: jnp.sum(integer(x, y, axis_name="model")))(x)

        integer = jaxact.softmax_cross_entropy_with_integer_labels
        specs = {"in_specs": (CLASS_AXIS, Spec()), "out_specs": CLASS_AXIS, "check_vma": check}
        return {"integer labels": jax.jit(jax.shard_map(inside, mesh=mesh, **specs))(LOGITS, LABELS)}

    assert_equal(run(False), jax.tree.map(lambda gradient: 8 * gradient, run(True)))


def check_elementwise(mesh):
    """Every elementwise function, in value, jvp and vjp: nothing is sent, and results lie where the data lie."""
    calls = [call for call in CALLS if call.elementwise]

    def everything(data):
        return {call.name: _value_tangent_and_gradient(call, data[call.name]) for call in calls}

    placed = NamedSharding(mesh, Spec("model"))
    data = {call.name: jax.device_put(np.resize(np.float32(call.data), (ROWS, 4)), placed) for call in calls}
    compiled = jax.jit(everything).lower(data).compile(COMPILER_OPTIONS)
    assert not collectives(compiled)
    for path, out in jax.tree_util.tree_leaves_with_path(compiled(data)):
        assert out.sharding.is_equivalent_to(placed, 2), jax.tree_util.keystr(path)


def _value_tangent_and_gradient(call, x):
    def fun(x):
        _, parameters = call.arguments(x.dtype)
        return call.fun(
            x, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, x.shape) if leaf.ndim else leaf, parameters)
        )

    value, tangent = jax.jvp(fun, (x,), (x,))
    return value, tangent, jax.vjp(fun, x)[1](value)[0]


def linear_results(hidden, kernel, labels):
    loss = functools.partial(jaxact.linear_softmax_cross_entropy, chunk_size=8, label_smoothing=0.125, z_loss=0.01)
    return {"linear": jax.value_and_grad(lambda *layer: loss(*layer, labels), (0, 1))(hidden, kernel)}


def check_linear(mesh):
    """Divided over the classes: each chunk's rows and its gradient in `hidden` are sent. Over tokens, in shard_map."""
    expected = jax.jit(linear_results)(HIDDEN, KERNEL, LABELS)
    scales = linear_scales(expected)
    arrays = put(mesh, (HIDDEN, Spec()), (KERNEL, CLASS_AXIS), (LABELS, Spec()))
    compiled = jax.jit(linear_results).lower(*arrays).compile()
    assert_only_rows_are_sent(compiled, 8 * FEATURES)
    assert_equal(compiled(*arrays), expected, scales)

    def inside(hidden, kernel, labels):
        value, gradients = linear_results(hidden, kernel, labels)["linear"]
        return {"linear": (jax.lax.pmean(value, "model"), (gradients[0] / 8, gradients[1] / 8))}

    specs = {"in_specs": (Spec("model"), Spec(), Spec("model"))}
    specs["out_specs"] = {"linear": (Spec(), (Spec("model"), Spec()))}
    assert_equal(jax.jit(jax.shard_map(inside, mesh=mesh, **specs))(HIDDEN, KERNEL, LABELS), expected, scales)


def linear_scales(expected):
    """The sums of the terms' magnitudes, the probabilities times what rounding their logits may do to them.

    A matrix product is added up as its shape, and so the number of devices, wants it. An error of a logit is one of the
    sum of magnitudes that made it, and the relative error of its probability.
    """
    logits = HIDDEN @ KERNEL
    probabilities = np.exp(logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True))
    rounded = probabilities * (1 + np.abs(HIDDEN) @ np.abs(KERNEL))
    terms = (rounded + 0.875 * np.eye(CLASSES, dtype=np.float32)[LABELS] + 0.125 / CLASSES) / ROWS
    return {"linear": (expected["linear"][0], (terms @ np.abs(KERNEL).T, np.abs(HIDDEN).T @ terms))}


def write(path):
    """What one device makes of the data, for a process of more."""
    np.savez(path, *jax.tree.leaves([jax.jit(results)(*arrays) for arrays in (DATA, OTHER_DATA)]))


def check_one_process(path):
    automatic = jax.make_mesh((8,), ("model",), axis_types=(AxisType.Auto,))
    default = jax.make_mesh((8,), ("model",))
    expected, other = (jax.jit(results)(*arrays) for arrays in (DATA, OTHER_DATA))
    with np.load(path) as file:
        of_one = jax.tree.unflatten(jax.tree.structure([expected, other]), list(file.values()))
    check_plain_jit(automatic, DATA, expected, of_one[0])
    check_plain_jit(automatic, OTHER_DATA, other, of_one[1])
    check_plain_jit(automatic, SHORT_DATA, jax.jit(results)(*SHORT_DATA))
    if default.axis_types != automatic.axis_types:
        check_plain_jit(default, DATA, expected, of_one[0])
        check_divided_rows(default)
    check_divided_rows(automatic)
    check_shard_map(automatic, expected)
    check_a_loss_differentiated_inside(automatic)
    check_elementwise(automatic)
    check_linear(automatic)


def check_two_processes(port, rank):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=rank)
    assert (jax.process_count(), jax.local_device_count(), jax.device_count()) == (2, 4, 8)

    def run(logits, labels):
        integer = jaxact.softmax_cross_entropy_with_integer_labels
        value, backward = jax.vjp(lambda x: integer(x, labels), logits)
        return {
            "integer labels": value,
            "integer labels, vjp": backward(jnp.ones_like(value))[0],
            "log_softmax": jaxact.log_softmax(logits),
        }

    here = jax.local_devices()[0]
    expected = jax.jit(run)(jax.device_put(LOGITS, here), jax.device_put(LABELS, here))
    mesh = jax.make_mesh((8,), ("model",), axis_types=(AxisType.Auto,))
    logits, labels = (
        jax.make_array_from_callback(array.shape, NamedSharding(mesh, spec), lambda index, array=array: array[index])
        for array, spec in ((LOGITS, CLASS_AXIS), (LABELS, Spec()))
    )
    compiled = jax.jit(run).lower(logits, labels).compile()
    assert_only_rows_are_sent(compiled)
    got = compiled(logits, labels)
    for name, truth in jax.tree.map(np.asarray, expected).items():
        for shard in got[name].addressable_shards:
            assert_equal({name: shard.data}, {name: truth[shard.index]}, {name: truth[shard.index[:1]]})
    jax.distributed.shutdown()


if __name__ == "__main__":
    match sys.argv[1:]:
        case "one", path:
            write(path)
        case "eight", path:
            check_one_process(path)
        case "half", port, rank:
            check_two_processes(int(port), int(rank))
