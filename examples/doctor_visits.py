"""Predict the number of doctor visits: Poisson and negative binomial networks against GLMs.

The data are 20,190 person-years of the RAND Health Insurance Experiment, shipped with
statsmodels: how often a person saw a doctor, and nine facts about insurance plan and health. A
small Flax network whose output passes through `jaxact.softplus` predicts the mean count, trained
with `jaxact.poisson_nll` and then with `jaxact.negative_binomial_nll`. What it shows:

* `softplus_inverse` starts the network, before any training, exactly at the mean count;
* `log_softplus` hands the losses a log rate that stays finite however small the rate is;
* counts this spread out (variance seven times the mean) need the negative binomial, whose
  dispersion is trained along with the network.

Households are dealt into six folds, and statsmodels' regressions (GLMs) of the same likelihoods
predict each fold from the other five. So do five networks, averaged: each is trained on four of
these folds, and the fifth picks its epoch.

Run `python examples/doctor_visits.py` (needs jaxact, flax, optax, statsmodels, matplotlib and
tqdm). It prints the comparison, writes `doctor_visits.png`, and fails if a network scores worse
than the GLM of its likelihood. `--quick` is a trial run without that last check.
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import statsmodels.api as sm
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

import jaxact

POISSON, NEGATIVE_BINOMIAL = LIKELIHOODS = ("Poisson", "Negative binomial")
STYLES = {POISSON: ("#0072B2", "s"), NEGATIVE_BINOMIAL: ("#D55E00", "o")}
FOLDS, BATCH_SIZE, LEARNING_RATE, AVERAGING_RATE = 6, 256, 2e-3, 0.005
DISEASE_COLUMN = 5

Array = NDArray[Any]
State = tuple[Any, Any, optax.OptState]


class Data(NamedTuple):
    """One row a person-year, and masks of the rows that train and validate each network."""

    features: Array
    counts: Array
    household: Array
    fold: Array
    training: Array
    validation: Array


class Forecast(NamedTuple):
    """Predicted count distributions; a dispersion of zero means Poisson."""

    mean: Array
    dispersion: Array

    def distribution(self) -> Any:
        if not self.dispersion.any():
            return stats.poisson(self.mean)
        return stats.nbinom(1 / self.dispersion, 1 / (1 + self.dispersion * self.mean))

    def nll(self, counts: Array) -> Array:
        return -self.distribution().logpmf(counts)


class Result(NamedTuple):
    """Forecasts for all rows when held out; mean NLL in training and validation by epoch."""

    glm: Forecast
    network: Forecast
    curves: Array


class CountNetwork(nn.Module):
    """A small perceptron; the softplus of its first result is the mean count."""

    knots: tuple[float, ...]
    start_mean: Any = 1.0

    @nn.compact
    def __call__(self, features: Any) -> tuple[jax.Array, jax.Array]:
        # Visits jump between neighbouring values of the disease index, which a small network
        # cannot follow from one input: it also gets the share passed of each quantile range.
        knots = jnp.asarray(self.knots)
        passed = (features[:, DISEASE_COLUMN, None] - knots[:-1]) / jnp.diff(knots)
        hidden = jnp.concatenate([features, 2 * jnp.clip(passed, 0, 1)], axis=1)
        for width in (32, 16):
            hidden = nn.relu(nn.Dense(width)(hidden))
        start = nn.initializers.constant(jaxact.softplus_inverse(jnp.asarray(self.start_mean)))
        output = nn.Dense(1, kernel_init=nn.initializers.zeros, bias_init=start)(hidden)[:, 0]
        one = nn.initializers.constant(jaxact.softplus_inverse(jnp.asarray(1.0)))
        return output, jaxact.softplus(self.param("raw_dispersion", one, ()))


def load_data(seed: int) -> Data:
    table: Any = sm.datasets.randhie.load_pandas().data
    # A person fills three or five rows and a family shares its plan, so a split by rows would
    # test on people seen in training. Rows of one household stand together: split by those.
    plan = table[["lncoins", "idp", "lpi", "fmde"]]
    household = (plan != plan.shift()).any(axis=1).cumsum().to_numpy() - 1
    fold = (np.random.default_rng(seed).permutation(household.max() + 1) % FOLDS)[household]
    features = table.drop(columns="mdvis").to_numpy(np.float32)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    counts = table["mdvis"].to_numpy(np.float32)
    test, validation = np.array([*itertools.permutations(range(FOLDS), 2)]).T[:, :, None]
    training = (fold != test) & (fold != validation)
    return Data(features, counts, household, fold, training, fold == validation)


def make_train_step(
    network: CountNetwork, likelihood: str, optimizer: optax.GradientTransformation
) -> Callable[..., tuple[State, jax.Array]]:
    """A step of all networks on one minibatch, each using only its own training rows."""

    def mean_loss(parameters: Any, features: Any, counts: Any, training: Any) -> jax.Array:
        output, dispersion = network.apply(parameters, features)
        log_mean = jaxact.log_softplus(output)
        if likelihood == POISSON:
            return jnp.mean(jaxact.poisson_nll(log_mean, counts), where=training)
        # The normalising terms depend on the dispersion, so training it needs the full loss.
        losses = jaxact.negative_binomial_nll(log_mean, counts, dispersion=dispersion, full=True)
        return jnp.mean(losses, where=training)

    def step(state: State, features: Any, counts: Any, training: Any) -> tuple[State, jax.Array]:
        parameters, averaged, optimizer_state = state
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, features, counts, training)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        averaged = optax.incremental_update(parameters, averaged, AVERAGING_RATE)
        return (parameters, averaged, optimizer_state), loss

    return jax.jit(jax.vmap(step, in_axes=(0, None, None, 0)))


def predict(network: CountNetwork, likelihood: str, parameters: Any, features: Array) -> Forecast:
    """Each network's forecasts for the same rows of features."""
    output, dispersion = jax.vmap(network.apply, in_axes=(0, None))(parameters, features)
    mean = np.asarray(jaxact.softplus(output), np.float64)
    return Forecast(mean, np.asarray(dispersion, np.float64)[:, None] * (likelihood != POISSON))


def start_networks(network: CountNetwork, likelihood: str, data: Data, seed: int) -> Any:
    means = np.array([data.counts[rows].mean() for rows in data.training])
    keys = jax.random.split(jax.random.key(seed), means.size)
    start = jax.vmap(lambda key, mean: network.clone(start_mean=mean).init(key, data.features))
    parameters = start(keys, means)
    first = predict(network, likelihood, parameters, data.features).mean
    if not np.allclose(first, means[:, None], rtol=1e-6, atol=0):
        sys.exit(f"The untrained networks predict {first[:, 0]}, not the mean counts {means}.")
    print(f"{likelihood}: before training, {first[0, 0]:.4f} visits for all; mean {means[0]:.4f}")
    return parameters


def score_epoch(forecast: Forecast, data: Data) -> tuple[Array, ...]:
    """Average forecast for each test fold, training NLL, and validation NLL by test fold."""
    by_test_fold = (FOLDS, FOLDS - 1, -1)
    losses = forecast.nll(data.counts)
    averages = (part.reshape(by_test_fold).mean(axis=1) for part in forecast)
    kept_back = data.validation.reshape(by_test_fold)
    validation = np.mean(losses.reshape(by_test_fold), axis=(1, 2), where=kept_back)
    return *averages, np.asarray(losses[data.training].mean()), validation


def train(likelihood: str, data: Data, epochs: int, seed: int) -> tuple[Forecast, Array]:
    knots = np.unique(np.quantile(data.features[:, DISEASE_COLUMN], np.linspace(0, 1, 13)))
    network, size = CountNetwork(tuple(knots.tolist())), data.counts.size
    batches = size // BATCH_SIZE
    optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, epochs * batches))
    parameters = start_networks(network, likelihood, data, seed)
    state: State = (parameters, parameters, jax.vmap(optimizer.init)(parameters))
    step = make_train_step(network, likelihood, optimizer)
    random, history = np.random.default_rng(seed), []
    for _ in (progress := tqdm(range(epochs), desc=likelihood, unit="epoch")):
        for rows in random.permutation(size)[: batches * BATCH_SIZE].reshape(batches, -1):
            masks = data.training[:, rows]
            state, loss = step(state, data.features[rows], data.counts[rows], masks)
        history.append(score_epoch(predict(network, likelihood, state[1], data.features), data))
        progress.set_postfix_str(f"validation NLL {history[-1][-1].mean():.4f}")
    mean, dispersion, training, validation = map(np.array, zip(*history, strict=True))
    best = validation.argmin(axis=0)[data.fold]
    forecast = Forecast(mean[best, data.fold, np.arange(size)], dispersion[best, data.fold, 0])
    return forecast, np.column_stack([training, validation.mean(axis=1)])


def fit_glm(likelihood: str, data: Data) -> Forecast:
    design = sm.add_constant(data.features.astype(np.float64))
    mean, dispersion = np.zeros((2, data.counts.size))
    for test in (data.fold == fold for fold in range(FOLDS)):
        counts, known = data.counts[~test], design[~test]
        model = sm.GLM(counts, known, family=sm.families.Poisson()).fit()
        if likelihood == NEGATIVE_BINOMIAL:
            # From its own start the maximum likelihood search can stop before it has converged.
            start = np.append(model.params, 1.0)
            model = sm.NegativeBinomial(counts, known).fit(start_params=start, maxiter=500, disp=0)
            dispersion[test] = model.params[-1]
        mean[test] = model.predict(design[test])
    return Forecast(mean, dispersion)


def print_scores(results: dict[str, Result], data: Data) -> list[str]:
    """Print the comparison; return the likelihoods whose network is behind its GLM."""
    counts, behind = data.counts.astype(np.float64), []
    shared = results[NEGATIVE_BINOMIAL].glm.dispersion.mean()
    families = (sm.families.Poisson(), sm.families.NegativeBinomial(alpha=shared))
    print(f"\n{counts.size:,} person-years of {data.household.max() + 1:,} households, held out")
    print(f"{'(lower is better)':27}mean NLL    Poisson dev.    neg. bin. dev.    dispersion")
    for likelihood, (glm, network, _) in results.items():
        for name, forecast in ((f"{likelihood} GLM", glm), (f"{likelihood} network", network)):
            scores = [family.deviance(counts, forecast.mean) / counts.size for family in families]
            print(f"{name:26}{forecast.nll(counts).mean():9.4f}{scores[0]:16.4f}", end="")
            print(f"{scores[1]:18.4f}{forecast.dispersion.mean():14.3f}")
        gain = glm.nll(counts) - network.nll(counts)
        # Rows of a household are alike, so the standard error counts households, not rows.
        error = np.linalg.norm(np.bincount(data.household, gain - gain.mean())) / gain.size
        print(f"{'':4}NLL lower by {gain.mean():.4f} (standard error {error:.4f})")
        behind += [likelihood] if gain.mean() < 0 else []
    print(f"Mean deviances judge the predicted means, the second at dispersion {shared:.3f}.")
    return behind


def print_integers(results: dict[str, Result], counts: Array) -> None:
    poisson, binomial = (results[likelihood].network for likelihood in LIKELIHOODS)
    guesses = {
        "Poisson mean, rounded": np.rint(poisson.mean),
        "Poisson mode": np.floor(poisson.mean),
        "Negative binomial mean, rounded": np.rint(binomial.mean),
        "Negative binomial median": binomial.distribution().median(),
        "Negative binomial mode": np.floor(binomial.mean * np.maximum(0, 1 - binomial.dispersion)),
    }
    print(f"\n{'Whole-number prediction':34}exactly right    mean absolute error")
    for name, guess in guesses.items():
        print(f"{name:34}{np.mean(guess == counts):13.1%}{np.abs(guess - counts).mean():23.3f}")
    print("\nNegative binomial network for people from the lowest to the highest predicted mean:")
    print("    mean   rounded    median      mode  observed")
    order = np.argsort(binomial.mean, kind="stable")
    columns = (*list(guesses.values())[2:], counts)
    for person in order[np.linspace(0, order.size - 1, 8).astype(int)]:
        integers = "".join(f"{column[person]:10.0f}" for column in columns)
        print(f"{binomial.mean[person]:8.2f}{integers}")


def draw_training(axes: Axes, likelihood: str, result: Result, counts: Array) -> None:
    colour, glm = STYLES[likelihood][0], result.glm.nll(counts).mean()
    training, validation = result.curves.T
    epochs = np.arange(1, len(training) + 1)
    axes.plot(epochs, validation, color=colour, lw=2.5, label="network, validation")
    axes.plot(epochs, training, "--", color=colour, label="network, training")
    axes.axhline(glm, color="#555555", ls=":", lw=2, label="GLM, held out")
    verdict = "passes" if validation.min() < glm else "stays behind"
    axes.set_title(f"{likelihood} loss: the network {verdict} the GLM")
    axes.set(xlabel="epoch", ylabel="mean negative log-likelihood")


def draw_counts(axes: Axes, results: dict[str, Result], counts: Array) -> None:
    """Observed and expected numbers of rows by count; the last bar holds the whole tail."""
    observed = np.bincount(np.minimum(counts, 20).astype(int), minlength=21)
    axes.bar(range(21), observed, color="#CFCFCF", label="observed")
    zeros = [f"{observed[0] / counts.size:.0%} observed"]
    for likelihood, (colour, marker) in STYLES.items():
        distribution = results[likelihood].network.distribution()
        expected = [distribution.pmf(value).sum() for value in range(20)]
        expected.append(distribution.sf(19).sum())
        axes.plot(expected, marker=marker, color=colour, label=f"{likelihood} network")
        zeros.append(f"{expected[0] / counts.size:.0%} {likelihood}")
    axes.set_yscale("function", functions=(np.sqrt, np.square))
    axes.set_xticks(range(0, 21, 2), [*map(str, range(0, 20, 2)), "20+"])
    axes.set(xlabel="doctor visits in a year", ylabel="person-years (square-root scale)")
    axes.set_title(f"No visit: {', '.join(zeros)}")


def draw_calibration(axes: Axes, results: dict[str, Result], counts: Array) -> None:
    """Mean observed count in each tenth of the rows, ordered by predicted mean."""
    axes.axline((0, 0), slope=1, color="#555555", ls=":", lw=2, label="perfect calibration")
    for likelihood, (colour, marker) in STYLES.items():
        mean = results[likelihood].network.mean
        tenths = np.array_split(np.argsort(mean), 10)
        points = np.array([(mean[tenth].mean(), counts[tenth].mean()) for tenth in tenths])
        axes.plot(*points.T, marker, color=colour, label=f"{likelihood} network")
    axes.set(xlabel="mean predicted visits", ylabel="mean observed visits")
    axes.set_title("Calibration: each point is a tenth of the person-years")


def save_picture(results: dict[str, Result], counts: Array, path: str) -> None:
    figure = Figure(figsize=(13, 10), layout="constrained")
    panels = figure.subplots(2, 2)
    for axes, likelihood in zip(panels[0], LIKELIHOODS, strict=True):
        draw_training(axes, likelihood, results[likelihood], counts)
    draw_counts(panels[1, 0], results, counts)
    draw_calibration(panels[1, 1], results, counts)
    for axes in panels.flat:
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"\nPicture saved as {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict doctor visits with count losses.")
    parser.add_argument("--epochs", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="folds and start; default: %(default)s")
    parser.add_argument("--output", default="doctor_visits.png", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="2 epochs, and a GLM may win")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    data, epochs, results = load_data(options.seed), 2 if options.quick else options.epochs, {}
    for likelihood in LIKELIHOODS:
        forecast, curves = train(likelihood, data, epochs, options.seed)
        results[likelihood] = Result(fit_glm(likelihood, data), forecast, curves)
    behind = print_scores(results, data)
    print_integers(results, data.counts)
    save_picture(results, data.counts, options.output)
    if behind and not options.quick:
        sys.exit(f"Behind the GLM of the same likelihood on held-out data: {', '.join(behind)}.")


if __name__ == "__main__":
    main()
