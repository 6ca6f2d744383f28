"""Train a digit classifier wholly in bfloat16, with the usual cross entropy and with that of jaxact.

The data are the 1,797 images of digits shipped with scikit-learn, the network is a small Haiku
perceptron, and everything is bfloat16: images, parameters, activations, loss, gradients and the
state of Adam. The same starts and batches are trained with three losses:

* `jax.nn.log_softmax` in bfloat16. Once the network is surer than about 99.8 % of an image, its
  loss is exactly 0, and so is the slope in the logit of the label. The other logits are still
  pushed down, but nothing pushes the label's up: over the classes the gradient no longer sums to
  0. Adam, which enlarges small gradients, follows it: all logits drift downwards together, to
  where bfloat16 is coarse, and the loss, which other images still have, rises again.
* The same with the logits cast to float32 for the loss, the usual remedy. Here it is as good as
  the third, though for three images in four the slope in the label's logit ends up exactly 0 too.
* `jaxact.softmax_cross_entropy_with_integer_labels` in bfloat16. No loss and no slope is 0, the
  training loss keeps falling, and the logits stay where they are.

What this does not show is better predictions by a surer network: test accuracy settles long before,
and what there is to see of it is the harm done by the drift. Nor does every optimiser follow the
lost half of a tiny gradient: with plain gradient descent the three train nearly alike.

Run `python examples/digits_bfloat16.py` (needs jaxact, dm-haiku, optax, scikit-learn, matplotlib,
tqdm). It prints a table, writes `digits_bfloat16.png`, and fails if jaxact's loss does not end
below the usual one from every start. `--quick` is a trial run of few steps, without that check.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxact

CLASSES, HIDDEN, TEST_IMAGES, BATCH_SIZE, LEARNING_RATE = 10, 128, 360, 128, 3e-3

Array = NDArray[Any]
Loss = Callable[[jax.Array, jax.Array], jax.Array]


class Data(NamedTuple):
    """Images `[images, pixels]` in bfloat16, and which digit each of them shows."""

    images: jax.Array
    labels: jax.Array
    test_images: jax.Array
    test_labels: jax.Array


class Measures(NamedTuple):
    """What the training images tell about the networks `[starts]` after some step."""

    true_loss: Array
    own_loss: Array
    gradient_norm: Array
    zero_loss: Array
    zero_gradient: Array
    mean_logit: Array
    test_accuracy: Array


def usual_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=-1)[:, 0]


def usual_loss_in_float32(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return usual_loss(logits.astype(jnp.float32), labels).astype(logits.dtype)


USUAL, REMEDY, OURS = "jax.nn, bfloat16", "jax.nn, cast to float32", "jaxact, bfloat16"
LOSSES: dict[str, Loss] = {
    USUAL: usual_loss,
    OURS: jaxact.softmax_cross_entropy_with_integer_labels,
    REMEDY: usual_loss_in_float32,
}
STYLES = {USUAL: ("#D55E00", "-"), OURS: ("#0072B2", "-"), REMEDY: ("#111111", ":")}
PANELS = {
    "true_loss": ("Training loss, in float64 from the logits", "mean cross entropy", "log"),
    "gradient_norm": ("Gradient as trained", "norm of the gradient of the mean loss", "log"),
    "zero_gradient": (
        "Signal lost: loss has a slope of exactly 0 in the label's logit",
        "share of training images",
        "linear",
    ),
    "mean_logit": ("What it leads to: logits drift, nothing pushes up", "mean logit", "linear"),
}

# Without this XLA keeps some results of a compiled program in float32, others not, as it happens to
# fuse them. Every operation is to be rounded to bfloat16, as without jit; the outcome is the same.
ROUND_ALL = {"xla_allow_excess_precision": False}
# In bfloat16 the usual decay of squared gradients, 0.999, is 1: nothing would ever be forgotten.
# And a step much smaller than the spacing of bfloat16, 0.0005 at 0.1, would leave weights as they are.
optimizer = optax.adam(LEARNING_RATE, b2=0.95)


@hk.without_apply_rng
@hk.transform
def network(images: jax.Array) -> jax.Array:
    """Logits of the digits; Haiku makes parameters of the dtype of the images."""
    return hk.nets.MLP([HIDDEN, CLASSES])(images)


def load_data(seed: int) -> Data:
    digits: Any = load_digits()
    order = np.random.default_rng(seed).permutation(digits.target.size)
    images = jnp.asarray(digits.data[order] / 16, jnp.bfloat16)
    labels = jnp.asarray(digits.target[order], jnp.int32)
    known = labels.size - TEST_IMAGES
    return Data(images[:known], labels[:known], images[known:], labels[known:])


def mean_loss(parameters: Any, loss: Loss, images: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.mean(loss(network.apply(parameters, images), labels))


def start_networks(data: Data, starts: int, seed: int) -> tuple[Any, Any]:
    # The default generator would take longer to compile than all the rest.
    keys = jax.random.split(jax.random.key(seed, impl="rbg"), starts)
    parameters = jax.jit(jax.vmap(network.init, (0, None)))(keys, data.images[:1])
    state = jax.vmap(optimizer.init)(parameters)
    numbers = [leaf for leaf in jax.tree.leaves((parameters, state)) if leaf.dtype != jnp.int32]
    if not all(leaf.dtype == jnp.bfloat16 for leaf in numbers):
        raise TypeError("parameters and state of the optimiser must all be bfloat16")
    return parameters, state


def make_train_steps(loss: Loss, data: Data) -> Callable[..., Any]:
    """Training of all networks on some minibatches `[steps, rows]`, one after the other."""

    def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
        parameters, state = carry
        gradients = jax.grad(mean_loss)(parameters, loss, data.images[rows], data.labels[rows])
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(parameters, updates), state), None

    def steps(carry: Any, batches: jax.Array) -> Any:
        return jax.lax.scan(step, carry, batches)[0]

    return jax.jit(jax.vmap(steps, in_axes=(0, None)), compiler_options=ROUND_ALL)


def make_probe(loss: Loss, data: Data) -> Callable[..., Any]:
    """Logits, losses and both their gradients for all training images; guesses for the others."""

    def probe(parameters: Any) -> Any:
        logits, pull_back = jax.vjp(lambda p: network.apply(p, data.images), parameters)
        losses, pull_back_losses = jax.vjp(lambda logits: loss(logits, data.labels), logits)
        (slopes,) = pull_back_losses(jnp.ones_like(losses))
        (gradient,) = pull_back(slopes / data.labels.size)
        guesses = jnp.argmax(network.apply(parameters, data.test_images), axis=-1)
        return logits, losses, slopes, optax.tree.norm(gradient), guesses

    return jax.jit(jax.vmap(probe), compiler_options=ROUND_ALL)


def exact_losses(logits: Array, labels: Array) -> Array:
    """Cross entropy in float64, by the sum over all classes but the label's."""
    others = np.where(np.arange(CLASSES) == labels[:, None], -np.inf, logits)
    return np.logaddexp(0, np.logaddexp.reduce(others, axis=-1) - pick(logits, labels))


def pick(values: Array, labels: Array) -> Array:
    """The entry of the label of each image."""
    return np.take_along_axis(values, labels[None, :, None], axis=-1)[..., 0]


def measure(results: Any, data: Data) -> Measures:
    logits, losses, slopes, norm, guesses = (np.asarray(x).astype(np.float64) for x in results)
    labels = np.asarray(data.labels)
    return Measures(
        true_loss=exact_losses(logits, labels).mean(axis=-1),
        own_loss=losses.mean(axis=-1),
        gradient_norm=norm,
        zero_loss=np.mean(losses == 0, axis=-1),
        zero_gradient=np.mean(pick(slopes, labels) == 0, axis=-1),
        mean_logit=logits.mean(axis=(-1, -2)),
        test_accuracy=np.mean(guesses == np.asarray(data.test_labels), axis=-1),
    )


def train(name: str, data: Data, checkpoints: Array, carry: Any, seed: int) -> Measures:
    """The measures `[checkpoints, starts]` of networks trained from the same starts and batches."""
    train_steps, probe = make_train_steps(LOSSES[name], data), make_probe(LOSSES[name], data)
    random, history = np.random.default_rng(seed), []
    with tqdm(total=checkpoints[-1], desc=name, unit="step") as progress:
        for steps in np.diff(checkpoints, prepend=0):
            if steps:
                order = [random.permutation(data.labels.size)[:BATCH_SIZE] for _ in range(steps)]
                carry = train_steps(carry, np.array(order))
            history.append(measure(probe(carry[0]), data))
            progress.update(steps)
            progress.set_postfix(loss=f"{np.median(history[-1].true_loss):.1e}")
    return Measures(*map(np.array, zip(*history, strict=True)))


def print_table(measures: dict[str, Measures], data: Data, checkpoints: Array) -> None:
    starts = measures[OURS].true_loss.shape[1]
    print(f"\n{data.labels.size:,} training images, all in bfloat16; medians of {starts} starts")
    print("The true loss is that of the bfloat16 logits, worked out in float64.")
    for name, table in measures.items():
        print(f"\n{name:24} mean loss          gradient    exactly 0 for    mean      test")
        print("    step       true    as trained    norm     loss   slope*    logit  accuracy")
        for row in np.linspace(0, checkpoints.size - 1, min(6, checkpoints.size)).astype(int):
            true, own, norm, zero, slope, logit, accuracy = (np.median(x[row]) for x in table)
            print(f"{checkpoints[row]:8,}{true:12.2e}{own:12.2e}{norm:10.1e}", end="")
            print(f"{zero:9.1%}{slope:9.1%}{logit:9.1f}{accuracy:10.2%}")
    print("\n* slope of the loss of an image in the logit of its label")


def draw(axes: Axes, curves: dict[str, Array], checkpoints: Array) -> None:
    """A thin line for every start, and their median."""
    for name, values in curves.items():
        colour, line = STYLES[name]
        axes.plot(checkpoints, values, line, color=colour, lw=1, alpha=0.4)
        axes.plot(checkpoints, np.median(values, axis=1), line, color=colour, lw=2.5, label=name)


def save_picture(measures: dict[str, Measures], checkpoints: Array, path: Path) -> None:
    figure = Figure(figsize=(13, 10), layout="constrained")
    panels = figure.subplots(2, 2, gridspec_kw={"hspace": 0.08, "wspace": 0.06})
    for axes, (measure_name, (title, label, scale)) in zip(panels.flat, PANELS.items(), strict=True):
        curves = {name: getattr(table, measure_name) for name, table in measures.items()}
        draw(axes, curves, checkpoints)
        axes.set(title=title, xlabel="step", ylabel=label, yscale=scale)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    panels[1, 0].set_ylim(-0.03, 1.03)
    panels[1, 0].yaxis.set_major_formatter("{x:.0%}")
    figure.savefig(path, dpi=120)
    print(f"\nPicture saved as {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Cross entropy in bfloat16, with and without loss.")
    parser.add_argument("--steps", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--starts", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="split, starts, batches; default: 0")
    parser.add_argument("--output", type=Path, default="digits_bfloat16.png", help="picture file")
    parser.add_argument("--quick", action="store_true", help="300 steps, 2 starts, no check")
    options = parser.parse_args()
    if min(options.steps, options.starts) < 1:
        parser.error("--steps and --starts must be at least 1")
    if not options.output.resolve().parent.is_dir():
        parser.error(f"the folder of --output {options.output} does not exist")
    steps, starts = (300, 2) if options.quick else (options.steps, options.starts)
    checkpoints = np.unique(np.linspace(0, steps, 4 if options.quick else 41).astype(int))
    data = load_data(options.seed)
    networks = start_networks(data, starts, options.seed)
    measures = {name: train(name, data, checkpoints, networks, options.seed) for name in LOSSES}
    print_table(measures, data, checkpoints)
    save_picture(measures, checkpoints, options.output)
    last = {name: table.true_loss[-1] for name, table in measures.items()}
    if not options.quick and not np.all(last[OURS] < last[USUAL]):
        sys.exit("From some start the loss of jaxact has not ended up the lower one.")


if __name__ == "__main__":
    main()
