"""Which rounding should I use in training? Every reading and kernel, for integer labels and for integer weights.

Values are rounded in training by each kernel read as a surrogate, softly and ever harder (annealed by a schedule of
optax, in one compiled program), or at random; straight through; not at all, but with a penalty for not being integers;
or not at all. What is judged, on data not trained on, is always rounded hard. Two tasks:

* Integer labels: doctor visits in a year (the data of `doctor_visits.py`), predicted as whole numbers by a small Flax
  network. The loss is the error of the prediction, absolute or squared.
* Integer weights: digits (the images shipped with scikit-learn), read by a small Flax network whose weights and hidden
  units have 2, 3 or 4 bits and step sizes that are learned. Straight through, this is `fake_quantize`; no rounding in
  training means steps that suit the trained network best.

What to choose, as measured here:

* For integer labels do not round in training: round at the end, or anneal softly, which does the same. With the
  absolute error, straight-through, surrogate and stochastic rounding, with any kernel, are clearly worse, by 1.5 to
  1.9 %: a rounded prediction that is right is pulled no more, and twice as many as without end up within 0.1 of a half,
  where rounding is a toss-up. With the squared error all differences are within noise.
* For weights of 2 or 3 bits round in training, straight through or with a surrogate: at 2 bits the network misreads
  4.6 % of the images straight through, 12 % rounded afterwards. Soft annealing is not clearly behind. Stochastic
  rounding is, though at 2 bits still clearly better than rounding afterwards; the penalty lies between. At 4 bits at
  most some half a percentage point is left to gain, on the edge of noise.
* The kernel matters less than how it is read. Most differences are what chance would make them; but for stochastic
  rounding to 2 bits the long-tailed FastSigmoid and Arctan came out ahead of Box in all runs made, with other lengths.

The settings are the same for all and hardly tuned; three times the weight of the penalty did harm to the visits. Folds
share most of their training rows, so the standard errors are a guide, not a proof.

Run `python examples/which_rounding.py` (needs jaxact, flax, optax, scikit-learn, statsmodels, scipy, matplotlib, tqdm).
It prints the comparison, writes `which_rounding.png`, and fails if rounding straight through at 2 bits is not better
than rounding afterwards. `--quick` is a trial run of fewer steps, readings and bits, without that check.
"""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import doctor_visits
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from doctor_visits import FOLDS, CountNetwork
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxact

BATCH_SIZE, LEARNING_RATE, PENALTY_WEIGHT, HIDDEN, CLASSES = 256, 3e-3, 0.1, 32, 10
# Rounding of sharpness 1/4 is next to none; of sharpness 8 it is next to hard.
SHARPNESS = 0.25, 8.0

Array = NDArray[Any]
Scores = dict[str, dict[str, Array]]


class Moment(NamedTuple):
    """What readings may use that changes from step to step: all of it traced, so that nothing is compiled again."""

    key: jax.Array
    sharpness: Any
    penalty_weight: Any


# With half of their mass within 1/4 of the centre at sharpness 1, so that they differ in shape, not in width.
KERNELS: dict[str, Callable[[Any], jaxact.Kernel]] = {
    "Box": lambda sharpness: jaxact.Box(1 / sharpness),
    "Triangle": lambda sharpness: jaxact.Triangle((1 + math.sqrt(0.5)) / sharpness),
    "Sine": lambda sharpness: jaxact.Sine(1.5 / sharpness),
    "Gaussian": lambda sharpness: jaxact.Gaussian(0.25 / stats.norm.ppf(0.75) / sharpness),
    "Logistic": lambda sharpness: jaxact.Logistic(4 * math.log(3) * sharpness),
    "Laplace": lambda sharpness: jaxact.Laplace(0.25 / math.log(2) / sharpness),
    "FastSigmoid": lambda sharpness: jaxact.FastSigmoid(4 * sharpness),
    "Arctan": lambda sharpness: jaxact.Arctan(8 / math.pi * sharpness),
}
READINGS: dict[str, Callable[[jax.Array, Moment, Callable[[Any], jaxact.Kernel]], jax.Array]] = {
    "surrogate": lambda x, _, kernel: jaxact.surrogate_round(x, kernel(1.0)),
    "soft, annealed": lambda x, moment, kernel: jaxact.soft_round(x, kernel(moment.sharpness)),
    "stochastic": lambda x, moment, kernel: jaxact.stochastic_round(moment.key, x, kernel(1.0)),
}
NONE, PENALTY, STRAIGHT = "no rounding", "penalty", "straight-through"
# A box as the kernel of a surrogate is the straight-through rounding itself.
OF_KERNELS = {
    f"{reading}, {kernel}": (reading, kernel)
    for reading in READINGS
    for kernel in KERNELS
    if (reading, kernel) != ("surrogate", "Box")
}
ALL = [NONE, PENALTY, STRAIGHT, *OF_KERNELS]
MAIN = [NONE, PENALTY, STRAIGHT, "surrogate, Logistic", "soft, annealed, Logistic", "stochastic, Box"]
VISITS: tuple[str, ...] = "visits, absolute error", "visits, squared error"
DIGITS: tuple[str, ...] = "digits, 2 bits, % wrong", "digits, 3 bits, % wrong", "digits, 4 bits, % wrong"
STYLES = {
    VISITS[0]: ("#0072B2", "s"),
    VISITS[1]: ("#E69F00", "D"),
    DIGITS[0]: ("#D55E00", "o"),
    DIGITS[1]: ("#0072B2", "s"),
    DIGITS[2]: ("#111111", "^"),
}


class Task(NamedTuple):
    """Rows of data, the fold that each of them belongs to, and untrained networks `[networks]`, several a fold."""

    inputs: Array
    labels: Array
    fold: Array
    start: Any
    # Losses of some rows by variables, inputs, labels, name of the reading and moment.
    losses: Callable[..., jax.Array]
    # Errors `[networks, rows]` with hard rounding, by trained variables and name of the reading.
    errors: Callable[[Any, str], Array]


def rounded(name: str, x: jax.Array, moment: Moment) -> jax.Array:
    """What training works with in place of `x`."""
    if name in (NONE, PENALTY):
        return x
    if name == STRAIGHT:
        return jaxact.round_ste(x)
    reading, kernel = OF_KERNELS[name]
    return READINGS[reading](x, moment, KERNELS[kernel])


def train(task: Task, name: str, epochs: int, seed: int) -> Any:
    """Networks, each trained on all the rows but those of its own fold."""
    random, size = np.random.default_rng(seed), task.labels.size
    orders = [random.permutation(size)[: size // BATCH_SIZE * BATCH_SIZE] for _ in range(epochs)]
    batches = jnp.asarray(np.reshape(orders, (-1, BATCH_SIZE)))
    steps, (first, last) = len(batches), SHARPNESS
    sharpness = optax.exponential_decay(first, steps, last / first)
    penalty_weight = optax.linear_schedule(0, PENALTY_WEIGHT, steps)
    # As one vector all parameters are sooner compiled.
    optimizer = optax.flatten(optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps)))
    inputs, labels, folds = map(jnp.asarray, task[:3])

    def mean_loss(variables: Any, fold: jax.Array, rows: jax.Array, moment: Moment) -> jax.Array:
        losses = task.losses(variables, inputs[rows], labels[rows], name, moment)
        return jnp.mean(losses, where=folds[rows] != fold)

    def train_one(variables: Any, fold: jax.Array, key: jax.Array) -> Any:
        def step(carry: Any, batch: Any) -> tuple[Any, None]:
            (variables, state), (number, rows) = carry, batch
            moment = Moment(jax.random.fold_in(key, number), sharpness(number), penalty_weight(number))
            gradients = jax.grad(mean_loss)(variables, fold, rows, moment)
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(variables, updates), state), None

        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, (jnp.arange(steps), batches))[0][0]

    networks = jax.tree.leaves(task.start)[0].shape[0]
    return jax.jit(jax.vmap(train_one))(task.start, jnp.arange(networks) % FOLDS, keys_of(seed + 1, networks))


def keys_of(seed: int, networks: int) -> jax.Array:
    # The default generator would take longer to compile and to run than what uses it.
    return jax.random.split(jax.random.key(seed, impl="rbg"), networks)


# Labels that are integers


def visits_task(seed: int, starts: int, rows: int | None, power: int) -> Task:
    """Doctor visits in a year as a whole number, that number judged by its absolute or its squared error."""
    data = doctor_visits.load_data(seed, rows)
    means = jnp.asarray([data.counts[data.fold != fold].mean() for fold in range(FOLDS)] * starts)

    def start(key: jax.Array, mean: jax.Array) -> Any:
        return CountNetwork(mean).init(key, data.inputs[:1])

    def predict(variables: Any, inputs: Any) -> jax.Array:
        return jaxact.softplus(CountNetwork().apply(variables, inputs)[0])

    def losses(variables: Any, inputs: jax.Array, counts: jax.Array, name: str, moment: Moment) -> jax.Array:
        prediction = predict(variables, inputs)
        error = jnp.abs(rounded(name, prediction, moment) - counts) ** power
        return error + moment.penalty_weight * jaxact.integer_penalty(prediction) if name == PENALTY else error

    predict_all = jax.jit(jax.vmap(predict, (0, None)))

    def errors(variables: Any, _name: str) -> Array:
        return np.abs(np.rint(predict_all(variables, data.inputs)) - data.counts) ** power

    variables = jax.jit(jax.vmap(start))(keys_of(seed, means.size), means)
    return Task(data.inputs, data.counts, data.fold, variables, losses, errors)


# Weights and hidden units that are integers

Quantizer = Callable[[jax.Array, jax.Array, bool], jax.Array]


def limits(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


class DigitNetwork(nn.Module):
    """A perceptron of which `quantize` replaces the weights and hidden units, each array by a step of its own."""

    bits: int

    @nn.compact
    def __call__(self, images: jax.Array, quantize: Quantizer) -> jax.Array:
        hidden = jaxact.relu(self.layer("first", images, HIDDEN, quantize))
        hidden = quantize(hidden, self.step("hidden", hidden, signed=False), False)
        return self.layer("last", hidden, CLASSES, quantize)

    def layer(self, name: str, x: jax.Array, features: int, quantize: Quantizer) -> jax.Array:
        weights = self.param(f"{name}_weights", nn.initializers.he_normal(), (x.shape[-1], features))
        weights = quantize(weights, self.step(name, weights, signed=True), True)
        return x @ weights + self.param(f"{name}_biases", nn.initializers.zeros, (features,))

    def step(self, name: str, x: jax.Array, signed: bool) -> jax.Array:
        """A step kept as its logarithm, which starts where the squared error of quantising is least."""

        def best() -> jax.Array:
            steps = jnp.max(jnp.abs(x)) * jnp.linspace(0.02, 1.0, 50) / limits(self.bits, signed)[1]
            quantize = jax.vmap(lambda step: jaxact.fake_quantize(x, step, bits=self.bits, signed=signed))
            squares = jnp.square(quantize(steps) - x)
            return jnp.log(steps[jnp.argmin(jnp.mean(squares, axis=range(1, squares.ndim)))])

        return jnp.exp(self.variable("log_steps", name, best).value)


def digits_task(seed: int, starts: int, bits: int) -> Task:
    """Which digit an image shows, by a network whose weights and hidden units have a few bits."""
    digits: Any = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)
    fold = np.random.default_rng(seed).permutation(labels.size) % FOLDS
    network = DigitNetwork(bits)

    def as_it_is(x: jax.Array, _step: jax.Array, _signed: bool) -> jax.Array:
        return x

    def quantized(x: jax.Array, step: jax.Array, signed: bool) -> jax.Array:
        return jaxact.fake_quantize(x, step, bits=bits, signed=signed)

    def losses(variables: Any, images: jax.Array, labels: jax.Array, name: str, moment: Moment) -> jax.Array:
        keys, penalties = iter(jax.random.split(moment.key, 3)), []

        def quantize(x: jax.Array, step: jax.Array, signed: bool) -> jax.Array:
            low, high = limits(bits, signed)
            level = jaxact.hard_tanh(x / step, min_value=low, max_value=high)
            penalties.append(jnp.mean(jaxact.integer_penalty(level)))
            return step * rounded(name, level, moment._replace(key=next(keys)))

        # Straight through, the scaled and clipped rounding is `fake_quantize`: learned step size quantisation.
        quantizer = {NONE: as_it_is, STRAIGHT: quantized}.get(name, quantize)
        logits = network.apply(variables, images, quantizer)
        losses = jaxact.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), labels)
        return losses + moment.penalty_weight * sum(penalties) if name == PENALTY else losses

    predict = jax.jit(jax.vmap(lambda variables: network.apply(variables, images, quantized)))
    refit = jax.jit(jax.vmap(lambda trained: network.apply(trained, images, as_it_is, mutable=["log_steps"])[1]))

    def errors(variables: Any, name: str) -> Array:
        if name == NONE:
            trained = {"params": variables["params"]}
            variables = {**trained, **refit(trained)}
        return 100.0 * (np.argmax(predict(variables), axis=-1) != labels)

    start = jax.jit(jax.vmap(lambda key: network.init(key, images, as_it_is)))(keys_of(seed, starts * FOLDS))
    return Task(images, labels, fold, start, losses, errors)


# What comes of it


def held_out(errors: Array, fold: Array) -> Array:
    """The mean error on each fold of the networks that have not seen it."""
    return np.array([errors[number::FOLDS, fold == number].mean() for number in range(FOLDS)])


def mean_and_error(scores: Array) -> tuple[float, float]:
    return scores.mean(), scores.std(ddof=1) / math.sqrt(FOLDS)


def verdict(difference: Array) -> str:
    """Which way scores differ, if they do so clearly, on a level of 1 % of Student's t."""
    mean, error = mean_and_error(difference)
    if abs(mean) <= stats.t.ppf(0.995, FOLDS - 1) * error:
        return " "
    return "-" if mean < 0 else "+"


def print_table(scores: Scores) -> None:
    print(f"\nError on the fold left out, mean of {FOLDS} folds ± its standard error; in brackets the difference")
    print("from no rounding in training, fold by fold; + clearly worse than that, - clearly better (Student's t, 1 %).")
    for columns in (VISITS, DIGITS):
        shown = [column for column in columns if column in scores]
        print(f"\n{'':28}" + "".join(f"{column:<38}" for column in shown).rstrip())
        for name in (name for name in ALL if any(name in scores[column] for column in shown)):
            print(f"{name:28}" + "".join(cell(scores[column], name) for column in shown).rstrip())


def cell(column: dict[str, Array], name: str) -> str:
    if name not in column:
        return " " * 38
    mean, error = mean_and_error(column[name])
    difference = column[name] - column[NONE]
    change, uncertainty = mean_and_error(difference)
    return f"{mean:7.3f} ± {error:5.3f} ({change:+7.3f} ± {uncertainty:5.3f}) {verdict(difference):4}"


def print_conclusion(scores: Scores) -> None:
    groups = {"-": "clearly below no rounding", "+": "clearly above no rounding"}
    for column, by_name in scores.items():
        best = min(MAIN, key=lambda name: by_name[name].mean())
        level = [name for name in MAIN if name != best and verdict(by_name[name] - by_name[best]) != "+"]
        print(f"\n{column}: lowest with {best}\n  not clearly above that: {'; '.join(level) or 'nothing'}")
        for sign, words in groups.items():
            names = [name for name in MAIN[1:] if verdict(by_name[name] - by_name[NONE]) == sign]
            if names:
                print(f"  {words}: {'; '.join(names)}")
        for reading in READINGS:
            family = [name for name in by_name if name.startswith(reading)]
            if len(family) > 1:
                low, *_, high = sorted(family, key=lambda name: by_name[name].mean())
                change, uncertainty = mean_and_error(by_name[high] - by_name[low])
                print(f"  {len(family)} kernels, {reading}: {OF_KERNELS[low][1]} the lowest,", end=" ")
                print(f"{OF_KERNELS[high][1]} the highest, by {change:.3f} ± {uncertainty:.3f}")


def draw(axes: Axes, values: dict[str, Array], offset: float, label: str) -> None:
    colour, marker = STYLES[label]
    rows = [ALL.index(name) + offset for name in values]
    means, errors = np.transpose([mean_and_error(scores) for scores in values.values()])
    axes.errorbar(means, rows, xerr=errors, fmt=marker, color=colour, ms=6, lw=1.5, capsize=2, label=label)


def save_picture(scores: Scores, path: Path) -> None:
    figure = Figure(figsize=(13, 10), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for columns, axes in zip((VISITS, DIGITS), (left, right), strict=True):
        shown = [column for column in columns if column in scores]
        for column, offset in zip(shown, np.linspace(-0.2, 0.2, len(shown)), strict=True):
            values, none = scores[column], scores[column][NONE]
            if axes is left:
                values = {name: 100 * (x - none) / none.mean() for name, x in values.items()}
            draw(axes, values, offset, column)
        for row in (2.5, 9.5, 17.5):
            axes.axhline(row, color="#CFCFCF", lw=1)
        axes.grid(axis="x", color="#E5E5E5")
        axes.legend(loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    left.axvline(0, color="#555555", ls=":", lw=2)
    left.set(
        xlabel="change of the error against no rounding in training, %", title="Doctor visits: the labels are integers"
    )
    right.set(xlabel="images misread, %", title="Digits: the weights are integers", xlim=0)
    left.set_yticks(range(len(ALL)), ALL)
    left.set_ylim(len(ALL) - 0.4, -0.6)
    figure.suptitle(f"Lower is better. Error on the fold left out, mean of {FOLDS} folds and its standard error")
    figure.savefig(path, dpi=120)
    print(f"\nPicture saved as {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare roundings in training, for integer labels and weights.")
    parser.add_argument("--visits-epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--digits-epochs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--starts", type=int, default=2, help="networks a fold; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="folds, starts, batches; default: 0")
    parser.add_argument("--output", type=Path, default="which_rounding.png", help="picture file")
    parser.add_argument("--quick", action="store_true", help="one kernel a reading, fewer rows and steps, no check")
    options = parser.parse_args()
    if min(options.visits_epochs, options.digits_epochs, options.starts) < 1:
        parser.error("--visits-epochs, --digits-epochs and --starts must be at least 1")
    if not options.output.resolve().parent.is_dir():
        parser.error(f"the folder of --output {options.output} does not exist")
    seed, quick = options.seed, options.quick
    visits, digits, starts = (1, 5, 1) if quick else (options.visits_epochs, options.digits_epochs, options.starts)
    rows = 4_000 if quick else None
    plan: dict[str, tuple[Callable[[], Task], int, list[str]]] = {
        VISITS[0]: (lambda: visits_task(seed, starts, rows, power=1), visits, ALL),
        VISITS[1]: (lambda: visits_task(seed, starts, rows, power=2), visits, MAIN),
        DIGITS[0]: (lambda: digits_task(seed, starts, bits=2), digits, ALL),
        DIGITS[1]: (lambda: digits_task(seed, starts, bits=3), digits, MAIN),
        DIGITS[2]: (lambda: digits_task(seed, starts, bits=4), digits, MAIN),
    }
    scores: Scores = {}
    for column in (VISITS[0], DIGITS[0]) if quick else plan:
        make_task, epochs, names = plan[column]
        task, scores[column] = make_task(), {}
        for name in (progress := tqdm(MAIN if quick else names, desc=column, unit="reading")):
            progress.set_postfix_str(name)
            errors = task.errors(train(task, name, epochs, seed), name)
            scores[column][name] = held_out(errors, task.fold)
    print_table(scores)
    print_conclusion(scores)
    save_picture(scores, options.output)
    two_bits = scores[DIGITS[0]]
    if not quick and two_bits[STRAIGHT].mean() >= two_bits[NONE].mean():
        sys.exit("At 2 bits straight-through rounding has not beaten rounding after training.")


if __name__ == "__main__":
    main()
