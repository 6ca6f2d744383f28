"""Predict the number of doctor visits: Poisson and negative binomial networks against GLMs.

The data are 20,190 person-years of the RAND Health Insurance Experiment, shipped with
statsmodels: how often each person saw a doctor, and nine facts about insurance plan and health.
A small Flax network whose output passes through `jaxact.softplus` predicts the mean count. It is
trained with `jaxact.poisson_nll` and then with `jaxact.negative_binomial_nll`, and compared on
unseen households with statsmodels' regressions of the same two likelihoods. What it shows:

* `softplus_inverse` starts the network, before any training, exactly at the mean count;
* `log_softplus` hands the losses a log rate that stays finite however small the rate is;
* counts this spread out (variance seven times the mean) need the negative binomial, whose
  dispersion is trained along with the network.

Run `python examples/doctor_visits.py` (needs jaxact, flax, optax, statsmodels, matplotlib and
tqdm). It prints the comparison, writes `doctor_visits.png`, and fails if a network scores worse
than the regression of the same likelihood. `--quick` is a trial run without that last check.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxact
import numpy as np
import optax
import statsmodels.api as sm
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import special, stats
from tqdm import tqdm

POISSON, NEGATIVE_BINOMIAL = LIKELIHOODS = ("Poisson", "Negative binomial")
MEMBERS, BATCH_SIZE, LEARNING_RATE, AVERAGING_DECAY = 5, 256, 2e-3, 0.995
COLOURS = {POISSON: "#0072B2", NEGATIVE_BINOMIAL: "#D55E00"}
GREY = "#555555"

Array = NDArray[Any]
Parameters = dict[str, Any]
State = tuple[Parameters, Parameters, optax.OptState]


class Data(NamedTuple):
    """Standardised features and counts; `fold` is the ensemble member a row is kept from."""

    features: Array
    counts: Array
    fold: Array
    test_features: Array
    test_counts: Array
    test_household: Array


class Forecast(NamedTuple):
    """A predicted count distribution for each row; a dispersion of zero means Poisson."""

    mean: Array
    dispersion: float

    def distribution(self) -> Any:
        if self.dispersion == 0:
            return stats.poisson(self.mean)
        return stats.nbinom(1 / self.dispersion, 1 / (1 + self.dispersion * self.mean))

    def nll(self, counts: Array) -> Array:
        return -self.distribution().logpmf(counts)


class Result(NamedTuple):
    """Forecasts for the test rows; `curves` holds training and validation NLL by epoch."""

    network: Forecast
    glm: Forecast
    curves: Array
    glm_validation: float


class RateNetwork(nn.Module):
    """A small perceptron; the softplus of its output is the expected count."""

    start_mean: float

    @nn.compact
    def __call__(self, features: Any) -> jax.Array:
        start = nn.initializers.constant(jaxact.softplus_inverse(jnp.asarray(self.start_mean)))
        hidden = nn.relu(nn.Dense(32)(features))
        hidden = nn.relu(nn.Dense(16)(hidden))
        return nn.Dense(1, kernel_init=nn.initializers.zeros, bias_init=start)(hidden)[:, 0]


def load_data(seed: int) -> Data:
    table = sm.datasets.randhie.load_pandas().data
    # A person fills three or five rows and a family shares its plan, so a split by rows would
    # test on people seen in training. Rows of one household stand together: split by those.
    plan = table[["lncoins", "idp", "lpi", "fmde"]]
    household = (plan != plan.shift()).any(axis=1).cumsum().to_numpy() - 1
    households = household.max() + 1
    random = np.random.default_rng(seed)
    test = (random.permutation(households) < 0.2 * households)[household]
    fold = (random.permutation(households) % MEMBERS)[household]
    features = table.drop(columns="mdvis").to_numpy(np.float32)
    features = (features - features[~test].mean(axis=0)) / features[~test].std(axis=0)
    counts = table["mdvis"].to_numpy(np.float32)
    train = (features[~test], counts[~test], fold[~test])
    return Data(*train, features[test], counts[test], household[test])


def network_output(network: RateNetwork, parameters: Parameters, features: Any) -> jax.Array:
    return jnp.asarray(network.apply(parameters["network"], features))


def row_losses(
    network: RateNetwork, likelihood: str, parameters: Parameters, features: Any, counts: Any
) -> jax.Array:
    log_mean = jaxact.log_softplus(network_output(network, parameters, features))
    if likelihood == POISSON:
        return jaxact.poisson_nll(log_mean, counts)
    dispersion = jaxact.softplus(parameters["dispersion"])
    # The normalising terms depend on the dispersion, so training it needs the full loss.
    return jaxact.negative_binomial_nll(log_mean, counts, dispersion=dispersion, full=True)


def make_train_step(
    network: RateNetwork, likelihood: str, optimizer: optax.GradientTransformation
) -> Callable[[State, Array, Array], tuple[State, jax.Array]]:
    def mean_loss(parameters: Parameters, features: Any, counts: Any) -> jax.Array:
        return row_losses(network, likelihood, parameters, features, counts).mean()

    def member_step(state: State, features: Any, counts: Any) -> tuple[State, jax.Array]:
        parameters, averaged, optimizer_state = state
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, features, counts)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        new: Any = optax.apply_updates(parameters, updates)
        averaged: Any = optax.incremental_update(new, averaged, 1 - AVERAGING_DECAY)
        return (new, averaged, optimizer_state), loss

    return jax.jit(jax.vmap(member_step))


def predict(network: RateNetwork, parameters: Parameters, features: Array) -> Forecast:
    """The average of the members' means and dispersions."""
    outputs = jax.vmap(partial(network_output, network, features=features))(parameters)
    mean = np.asarray(jaxact.softplus(outputs), np.float64).mean(axis=0)
    if "dispersion" not in parameters:
        return Forecast(mean, 0.0)
    return Forecast(mean, float(jaxact.softplus(parameters["dispersion"]).mean()))


def start_members(network: RateNetwork, likelihood: str, data: Data, seed: int) -> Parameters:
    keys = jax.random.split(jax.random.key(seed), MEMBERS)
    initialise = jax.vmap(lambda key: network.init(key, data.features[:1]))
    parameters: Parameters = {"network": initialise(keys)}
    if likelihood == NEGATIVE_BINOMIAL:
        parameters["dispersion"] = jnp.full(MEMBERS, jaxact.softplus_inverse(jnp.asarray(1.0)))
    first, mean = predict(network, parameters, data.features).mean, data.counts.mean()
    if not np.allclose(first, mean, rtol=1e-6, atol=0):
        sys.exit(f"The untrained {likelihood} network predicts {first}, not the mean {mean}.")
    print(f"{likelihood} network: first prediction {first[0]:.5f}, mean count {mean:.5f}")
    return parameters


def shuffled_batches(data: Data, random: np.random.Generator) -> Array:
    """Row numbers for one epoch, shaped (step, member, row); no member sees its own fold."""
    rows = [random.permutation(np.flatnonzero(data.fold != member)) for member in range(MEMBERS)]
    steps = min(map(len, rows)) // BATCH_SIZE
    order = np.stack([own[: steps * BATCH_SIZE] for own in rows])
    return order.reshape(MEMBERS, steps, BATCH_SIZE).swapaxes(0, 1)


def mean_losses(losses: Array, data: Data) -> tuple[float, float]:
    """Mean loss over the rows each member was trained on, and over those kept from it."""
    validation = losses[data.fold, np.arange(data.fold.size)]
    training = (losses.sum(axis=0) - validation) / (MEMBERS - 1)
    return float(training.mean()), float(validation.mean())


def train(
    network: RateNetwork, likelihood: str, data: Data, epochs: int, seed: int
) -> tuple[Parameters, Array]:
    """The parameters of the epoch with the best validation NLL, and the NLL by epoch."""
    random = np.random.default_rng(seed)
    steps = epochs * len(shuffled_batches(data, random))
    optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    best = start_members(network, likelihood, data, seed)
    state: State = (best, best, jax.vmap(optimizer.init)(best))
    step = make_train_step(network, likelihood, optimizer)
    all_losses = jax.jit(jax.vmap(partial(row_losses, network, likelihood), (0, None, None)))
    # The exact log(count!): `full=True` would add Stirling's approximation to the Poisson loss.
    constant = special.gammaln(data.counts + 1.0) if likelihood == POISSON else 0.0
    curves: list[tuple[float, float]] = []
    for _ in (progress := tqdm(range(epochs), desc=likelihood, unit="epoch")):
        for rows in shuffled_batches(data, random):
            state, loss = step(state, data.features[rows], data.counts[rows])
        if not np.isfinite(loss).all():
            sys.exit(f"The {likelihood} loss is no longer finite: {loss}")
        losses = np.asarray(all_losses(state[1], data.features, data.counts)) + constant
        curves.append(mean_losses(losses, data))
        progress.set_postfix_str(f"validation NLL {curves[-1][1]:.4f}")
        if curves[-1][1] == min(validation for _, validation in curves):
            best = state[1]
    return best, np.asarray(curves)


def fit_glm(likelihood: str, features: Array, counts: Array, new_features: Array) -> Forecast:
    design = sm.add_constant(features.astype(np.float64), has_constant="add")
    new_design = sm.add_constant(new_features.astype(np.float64), has_constant="add")
    poisson = sm.GLM(counts, design, family=sm.families.Poisson()).fit()
    if likelihood == POISSON:
        return Forecast(poisson.predict(new_design), 0.0)
    # From its own start the maximum likelihood search can stop before it has converged.
    start = np.append(poisson.params, 1.0)
    model = sm.NegativeBinomial(counts, design).fit(start_params=start, maxiter=500, disp=False)
    return Forecast(model.predict(new_design), float(model.params[-1]))


def compare(likelihood: str, data: Data, epochs: int, seed: int) -> Result:
    network = RateNetwork(start_mean=float(data.counts.mean()))
    parameters, curves = train(network, likelihood, data, epochs, seed)
    losses = np.zeros(data.fold.size)
    for member in range(MEMBERS):
        own = data.fold == member
        glm = fit_glm(likelihood, data.features[~own], data.counts[~own], data.features[own])
        losses[own] = glm.nll(data.counts[own])
    glm = fit_glm(likelihood, data.features, data.counts, data.test_features)
    forecast = predict(network, parameters, data.test_features)
    return Result(forecast, glm, curves, float(losses.mean()))


def print_scores(results: dict[str, Result], data: Data) -> None:
    counts = data.test_counts.astype(np.float64)
    dispersion = results[NEGATIVE_BINOMIAL].glm.dispersion
    families = (sm.families.Poisson(), sm.families.NegativeBinomial(alpha=dispersion))
    households = np.unique(data.test_household).size
    print(f"\n{counts.size:,} held-out person-years of {households} households, lower is better:\n")
    print(f"{'':26}{'mean NLL':>10}{'Poisson':>12}{'neg. binomial':>16}{'':>13}")
    print(f"{'':26}{'':10}{'deviance':>12}{'deviance':>16}{'dispersion':>13}")
    for likelihood, result in results.items():
        for kind, forecast in (("GLM", result.glm), ("network", result.network)):
            scores = [family.deviance(counts, forecast.mean) / counts.size for family in families]
            print(f"{likelihood + ' ' + kind:26}{forecast.nll(counts).mean():10.4f}", end="")
            print(f"{scores[0]:12.4f}{scores[1]:16.4f}{forecast.dispersion:13.3f}")
    print(f"\nBoth deviances judge the means alone, the second at dispersion {dispersion:.3f}.")


def find_losers(results: dict[str, Result], data: Data) -> list[str]:
    """Print how far each network is ahead of its GLM; name the likelihoods where it is behind."""
    losers = []
    for likelihood, result in results.items():
        gain = result.glm.nll(data.test_counts) - result.network.nll(data.test_counts)
        # Rows of a household are alike, so the standard error counts households, not rows.
        sums = np.bincount(data.test_household, gain - gain.mean())
        error = np.sqrt(np.sum(sums**2)) / gain.size
        print(f"{likelihood} network ahead by {gain.mean():+.4f} nats (standard error {error:.4f})")
        losers += [likelihood] if gain.mean() < 0 else []
    return losers


def print_integers(results: dict[str, Result], counts: Array) -> None:
    poisson, binomial = (results[likelihood].network for likelihood in LIKELIHOODS)
    guesses = {
        "Poisson mean, rounded": np.rint(poisson.mean),
        "Poisson mode": np.floor(poisson.mean),
        "Negative binomial mean, rounded": np.rint(binomial.mean),
        "Negative binomial median": binomial.distribution().median(),
        "Negative binomial mode": np.floor(binomial.mean * max(0.0, 1 - binomial.dispersion)),
    }
    print(f"\n{'Whole-number prediction':34}{'exactly right':>14}{'mean absolute error':>21}")
    for name, guess in guesses.items():
        print(f"{name:34}{np.mean(guess == counts):14.1%}{np.abs(guess - counts).mean():21.3f}")
    # Evenly spaced in the predicted mean, so that not only typical people are shown.
    order = np.argsort(binomial.mean, kind="stable")
    print("\nNegative binomial network, from the lowest to the highest predicted mean")
    print(f"{'mean':>10}{'rounded':>10}{'median':>10}{'mode':>10}{'observed':>12}")
    _, _, rounded, median, mode = guesses.values()
    for i in order[np.linspace(0, order.size - 1, 8).astype(int)]:
        print(f"{binomial.mean[i]:10.2f}{rounded[i]:10.0f}{median[i]:10.0f}", end="")
        print(f"{mode[i]:10.0f}{counts[i]:12.0f}")


def draw_training(axes: Axes, likelihood: str, result: Result) -> None:
    colour, (training, validation) = COLOURS[likelihood], result.curves.T
    epochs, best = np.arange(1, len(training) + 1), validation.argmin()
    axes.axhline(result.glm_validation, color=GREY, ls=":", lw=2, label="GLM, validation")
    axes.plot(epochs, training, "--", color=colour, label="network, training")
    axes.plot(epochs, validation, color=colour, lw=2.2, label="network, validation")
    axes.plot(epochs[best], validation[best], "o", ms=9, color=colour, label="epoch kept")
    verdict = "passes" if validation[best] < result.glm_validation else "stays behind"
    axes.set_title(f"{likelihood} loss: the network {verdict} the GLM")
    axes.set(xlabel="epoch", ylabel="mean negative log-likelihood")
    axes.legend()


def draw_counts(axes: Axes, results: dict[str, Result], counts: Array) -> None:
    """Observed and expected numbers of rows by count; the last bar holds the whole tail."""
    observed = np.bincount(np.minimum(counts, 20).astype(int), minlength=21)
    axes.bar(range(21), observed, color="#CFCFCF", label="observed")
    zeros = {}
    for (likelihood, result), marker in zip(results.items(), "so", strict=True):
        distribution = result.network.distribution()
        expected = [distribution.pmf(value).sum() for value in range(20)]
        expected.append(distribution.sf(19).sum())
        axes.plot(expected, marker=marker, color=COLOURS[likelihood], label=f"{likelihood} network")
        zeros[likelihood] = expected[0] / counts.size
    axes.set_yscale("function", functions=(np.sqrt, np.square))
    axes.set_xticks(range(0, 21, 2), [*map(str, range(0, 20, 2)), "20+"])
    axes.set(xlabel="doctor visits in a year", ylabel="held-out person-years (square-root scale)")
    axes.set_title(
        f"No visit at all: {observed[0] / counts.size:.0%} observed, "
        f"{zeros[POISSON]:.0%} by Poisson, {zeros[NEGATIVE_BINOMIAL]:.0%} by negative binomial"
    )
    axes.legend()


def draw_calibration(axes: Axes, results: dict[str, Result], counts: Array) -> None:
    """Mean observed count in each tenth of the people, ordered by predicted mean."""
    for (likelihood, result), marker in zip(results.items(), "so", strict=True):
        tenths = np.array_split(np.argsort(result.network.mean), 10)
        predicted = [result.network.mean[tenth].mean() for tenth in tenths]
        seen = [counts[tenth].mean() for tenth in tenths]
        axes.plot(predicted, seen, marker, color=COLOURS[likelihood], label=f"{likelihood} network")
    top = axes.dataLim.max.max() * 1.05
    axes.plot([0, top], [0, top], color=GREY, ls=":", lw=2, label="perfect calibration", zorder=0)
    axes.set(xlabel="mean predicted visits", ylabel="mean observed visits")
    axes.set_title("Calibration: each point is a tenth of the held-out person-years")
    axes.legend()


def save_picture(results: dict[str, Result], counts: Array, path: str) -> None:
    figure = Figure(figsize=(13, 10), layout="constrained")
    panels = figure.subplots(2, 2)
    for axes, (likelihood, result) in zip(panels[0], results.items(), strict=True):
        draw_training(axes, likelihood, result)
    draw_counts(panels[1, 0], results, counts)
    draw_calibration(panels[1, 1], results, counts)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"\nPicture saved as {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict doctor visits with count losses.")
    parser.add_argument("--epochs", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="split and start; default: %(default)s")
    parser.add_argument("--output", default="doctor_visits.png", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="2 epochs, and a GLM may win")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    data = load_data(options.seed)
    epochs = 2 if options.quick else options.epochs
    results = {name: compare(name, data, epochs, options.seed) for name in LIKELIHOODS}
    print_scores(results, data)
    losers = find_losers(results, data)
    print_integers(results, data.test_counts)
    save_picture(results, data.test_counts, options.output)
    if losers and not options.quick:
        sys.exit(f"Behind the GLM of the same likelihood on held-out data: {', '.join(losers)}.")


if __name__ == "__main__":
    main()
