"""Predict the number of doctor visits: Poisson and negative binomial networks against GLMs.

The data (RAND Health Insurance Experiment, shipped with statsmodels) say how often a person saw a
doctor in each of 20,190 person-years, and nine facts about insurance plan and health. A small
Flax network predicts the mean count, first with `jaxact.poisson_nll` as its loss and then with
`jaxact.negative_binomial_nll`. What it shows:

* the mean is `softplus` of the output: positive, and the losses get its log from `log_softplus`;
* `softplus_inverse` starts the network, before any training, exactly at the mean count;
* counts this spread out (variance seven times the mean) need the negative binomial, whose
  dispersion is trained along with the network.

Much of the networks' lead is their piecewise linear encoding of the disease index: a GLM that is
given the same twelve inputs, instead of the nine facts as they come, nearly catches up.

Households are dealt into six folds, and each fold is predicted from the other five: by a GLM of
statsmodels, and by the average of five networks trained on four folds, the fifth picking the epoch.

Run `python examples/doctor_visits.py` (needs jaxact, flax, optax, statsmodels, matplotlib, tqdm).
It prints the comparison, writes `doctor_visits.png`, and fails if a network scores worse than the
GLM of its likelihood. `--quick` is a trial run on fewer rows, without that last check.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
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

POISSON, NEGATIVE_BINOMIAL = "Poisson", "Negative binomial"
STYLES = {POISSON: ("#0072B2", "s"), NEGATIVE_BINOMIAL: ("#D55E00", "o")}
FOLDS, BATCH_SIZE, LEARNING_RATE, COVARIATES = 6, 256, 2e-3, 9

Array = NDArray[Any]
Forecasts = dict[str, "Forecast"]


class Data(NamedTuple):
    """One row a person-year; the masks hold the training and validation rows of each network."""

    inputs: Array
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


class CountNetwork(nn.Module):
    """A small perceptron; the softplus of its first result is the mean count."""

    start_mean: Any = 1.0

    @nn.compact
    def __call__(self, inputs: Any) -> tuple[jax.Array, jax.Array]:
        hidden = nn.relu(nn.Dense(64)(inputs))
        start = nn.initializers.constant(jaxact.softplus_inverse(jnp.asarray(self.start_mean)))
        output = nn.Dense(1, kernel_init=nn.initializers.zeros, bias_init=start)(hidden)[:, 0]
        one = nn.initializers.constant(jaxact.softplus_inverse(jnp.asarray(1.0)))
        return output, jaxact.softplus(self.param("raw_dispersion", one, ()))


def load_data(seed: int, rows: int | None) -> Data:
    table: Any = sm.datasets.randhie.load_pandas()["data"][:rows]
    # A person fills three or five rows and a family shares its plan, so a split by rows would
    # test on people seen in training. Rows of one household stand together: split by those.
    plan = table[["lncoins", "idp", "lpi", "fmde"]]
    household = (plan != plan.shift()).any(axis=1).cumsum().to_numpy() - 1
    fold = (np.random.default_rng(seed).permutation(household.max() + 1) % FOLDS)[household]
    # Visits jump between neighbouring values of the disease index, which a small network cannot
    # follow from one input: it also gets how much of each quantile range has been passed.
    disease = table[["disea"]].to_numpy()
    knots = np.unique(np.quantile(disease, np.linspace(0, 1, 13)))
    passed = np.clip((disease - knots[:-1]) / np.diff(knots), 0, 1)
    inputs: Any = stats.zscore(np.column_stack([table.drop(columns="mdvis"), passed]))
    counts = table["mdvis"].to_numpy(np.float32)
    # A network for each pair of different folds, one to test and one to pick the epoch on.
    test, kept = np.argwhere(~np.eye(FOLDS, dtype=bool)).T[:, :, None]
    masks = (fold != test) & (fold != kept), fold == kept
    return Data(inputs.astype(np.float32), counts, household, fold, *masks)


def make_train_step(name: str, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """A step of all networks on one minibatch, each using only its own training rows."""

    def mean_loss(parameters: Any, inputs: Any, counts: Any, training: Any) -> jax.Array:
        output, dispersion = CountNetwork().apply(parameters, inputs)
        log_mean = jaxact.log_softplus(output)
        if name == POISSON:
            return jnp.mean(jaxact.poisson_nll(log_mean, counts), where=training)
        losses = jaxact.negative_binomial_nll(log_mean, counts, dispersion=jnp.asarray(dispersion))
        return jnp.mean(losses, where=training)

    def step(parameters: Any, optimizer_state: Any, *batch: Any) -> tuple[Any, Any, jax.Array]:
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, *batch)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
        return optax.apply_updates(parameters, updates), optimizer_state, loss

    return jax.jit(jax.vmap(step, in_axes=(0, 0, None, None, 0)))


def predict(name: str, parameters: Any, inputs: Array) -> Forecast:
    output, dispersion = jax.vmap(CountNetwork().apply, (0, None))(parameters, inputs)
    mean = np.asarray(jaxact.softplus(output), np.float64)
    return Forecast(mean, np.asarray(dispersion, np.float64)[:, None] * (name != POISSON))


def start_networks(name: str, data: Data, seed: int) -> Any:
    means = np.array([data.counts[rows].mean() for rows in data.training])
    start = jax.vmap(lambda key, mean: CountNetwork(mean).init(key, data.inputs[:1]))
    parameters = jax.jit(start)(jax.random.split(jax.random.key(seed), means.size), means)
    first = predict(name, parameters, data.inputs).mean
    np.testing.assert_allclose(first, np.broadcast_to(means[:, None], first.shape), rtol=1e-6)
    print(f"{name}: untrained network predicts {first[0, 0]:.5f}, the mean count is {means[0]:.5f}")
    return parameters


def train(name: str, data: Data, epochs: int, seed: int) -> tuple[Forecast, Array]:
    """The forecast of each row when held out, and training and validation NLL by epoch."""
    size, batches = data.counts.size, data.counts.size // BATCH_SIZE
    optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, epochs * batches))
    parameters = start_networks(name, data, seed)
    step, state = make_train_step(name, optimizer), jax.vmap(optimizer.init)(parameters)
    random, history, by_test_fold = np.random.default_rng(seed), [], (FOLDS, FOLDS - 1, -1)
    # Epoch 0 only scores the untrained networks.
    for epoch in (progress := tqdm(range(epochs + 1), desc=name, unit="epoch")):
        order = random.permutation(size)[: min(epoch, 1) * batches * BATCH_SIZE]
        for rows in order.reshape(-1, BATCH_SIZE):
            batch = data.inputs[rows], data.counts[rows], data.training[:, rows]
            parameters, state, loss = step(parameters, state, *batch)
            progress.set_postfix(loss=f"{loss.mean():.3f}", refresh=False)
        forecast = predict(name, parameters, data.inputs)
        losses = forecast.nll(data.counts)
        kept = np.where(data.validation, losses, np.nan).reshape(by_test_fold)
        averages = (part.reshape(by_test_fold).mean(axis=1) for part in forecast)
        history.append((*averages, losses[data.training].mean(), np.nanmean(kept, axis=(1, 2))))
    mean, dispersion, training, validation = map(np.array, zip(*history, strict=True))
    best = validation.argmin(axis=0)[data.fold]
    chosen = Forecast(mean[best, data.fold, np.arange(size)], dispersion[best, data.fold, 0])
    return chosen, np.column_stack([training, validation.mean(axis=1)])


def fit_glm(name: str, data: Data) -> Forecast:
    design = sm.add_constant(data.inputs[:, :COVARIATES].astype(np.float64))
    mean, dispersion = np.zeros((2, data.counts.size))
    for test in (data.fold == fold for fold in range(FOLDS)):
        counts, known = data.counts[~test], design[~test]
        model = sm.GLM(counts, known, family=sm.families.Poisson()).fit()
        if name == NEGATIVE_BINOMIAL:
            # From its own start the maximum likelihood search can stop before it has converged.
            start, model = np.append(model.params, 1.0), sm.NegativeBinomial(counts, known)
            model = model.fit(start_params=start, maxiter=500, disp=False)
            dispersion[test] = model.params[-1]
        mean[test] = model.predict(design[test])
    return Forecast(mean, dispersion)


def print_scores(forecasts: Forecasts, data: Data) -> list[str]:
    """Print the comparison; return the likelihoods whose network is behind its GLM."""
    counts, behind = data.counts.astype(np.float64), []
    shared = forecasts[f"{NEGATIVE_BINOMIAL} GLM"].dispersion.mean()
    families = (sm.families.Poisson(), sm.families.NegativeBinomial(alpha=shared))
    print(f"\n{counts.size:,} person-years of {data.household.max() + 1:,} households, held out")
    print(f"{'(lower is better)':27}mean NLL    Poisson dev.    neg. bin. dev.    dispersion")
    for name, forecast in forecasts.items():
        scores = [family.deviance(counts, forecast.mean) / counts.size for family in families]
        print(f"{name:26}{forecast.nll(counts).mean():9.4f}{scores[0]:16.4f}", end="")
        print(f"{scores[1]:18.4f}{forecast.dispersion.mean():14.3f}")
    print(f"Mean deviances judge the predicted means, the second at dispersion {shared:.3f}.\n")
    for name in STYLES:
        gain = forecasts[f"{name} GLM"].nll(counts) - forecasts[f"{name} network"].nll(counts)
        # Rows of a household are alike, so the standard error counts households, not rows.
        error = np.linalg.norm(np.bincount(data.household, gain - gain.mean())) / gain.size
        print(f"{name} network ahead of its GLM by {gain.mean():.4f} (standard error {error:.4f})")
        behind += [] if gain.mean() >= 0 else [name]
    return behind


def print_integers(forecasts: Forecasts, counts: Array) -> None:
    poisson, binomial = (forecasts[f"{name} network"] for name in STYLES)
    guesses = {
        "Poisson mean, rounded": np.rint(poisson.mean),
        "Negative binomial mean, rounded": np.rint(binomial.mean),
        "Negative binomial median": binomial.distribution().median(),
        "Negative binomial mode": np.floor(binomial.mean * np.maximum(0, 1 - binomial.dispersion)),
    }
    print(f"\n{'Whole-number prediction':34}exactly right    mean absolute error")
    for name, guess in guesses.items():
        print(f"{name:34}{np.mean(guess == counts):13.1%}{np.abs(guess - counts).mean():23.3f}")
    print("\nNegative binomial network for people from the lowest to the highest predicted mean:")
    print("    mean   rounded    median      mode  observed")
    columns = (*list(guesses.values())[1:], counts)
    for row in np.argsort(binomial.mean)[np.linspace(0, counts.size - 1, 8).astype(int)]:
        print(f"{binomial.mean[row]:8.2f}", *(f"{column[row]:9.0f}" for column in columns))


def draw_training(axes: Axes, name: str, curves: Array, glm: float) -> None:
    epochs, (training, validation) = np.arange(len(curves)), curves.T
    axes.plot(epochs, validation, color=STYLES[name][0], lw=2.5, label="one network, validation")
    axes.plot(epochs, training, "--", color=STYLES[name][0], label="one network, training")
    axes.axhline(glm, color="#555555", ls=":", lw=2, label="GLM, held out")
    verdict = "passes" if validation.min() < glm else "stays behind"
    axes.set_title(f"{name} loss: the network {verdict} the GLM")
    axes.set(xlabel="epoch (at 0, the mean for everyone)", ylabel="mean negative log-likelihood")


def draw_counts(axes: Axes, forecasts: Forecasts, counts: Array) -> None:
    observed = np.bincount(np.minimum(counts, 20).astype(int), minlength=21)
    axes.bar(range(21), observed, color="#CFCFCF", label="observed")
    title = f"Years without a visit: observed {observed[0] / counts.size:.0%}"
    for name, (colour, marker) in STYLES.items():
        distribution = forecasts[f"{name} network"].distribution()
        expected = [*(distribution.pmf(i).sum() for i in range(20)), distribution.sf(19).sum()]
        axes.plot(expected, marker=marker, color=colour, label=f"{name} network")
        title += f", {name} {expected[0] / counts.size:.0%}"
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    axes.set(ylim=(0, None), yticks=[0, 100, 500, *range(1000, int(max(observed)), 1000)])
    axes.set_xticks(range(0, 21, 2), [*map(str, range(0, 20, 2)), "20+"])
    axes.set(xlabel="doctor visits in a year", ylabel="person-years (square-root scale)")
    axes.set_title(title)


def draw_calibration(axes: Axes, forecasts: Forecasts, counts: Array) -> None:
    axes.axline((0, 0), slope=1, color="#555555", ls=":", lw=2, label="perfect calibration")
    for name, (colour, marker) in STYLES.items():
        mean = forecasts[f"{name} network"].mean
        tenths = np.array_split(np.argsort(mean), 10)
        predicted, seen = np.array([(mean[rows].mean(), counts[rows].mean()) for rows in tenths]).T
        axes.plot(predicted, seen, marker, color=colour, label=f"{name} network")
    axes.set(xlabel="mean predicted visits", ylabel="mean observed visits", xlim=0, ylim=0)
    axes.set_title("Calibration: each point is a tenth of the person-years")


def save_picture(forecasts: Forecasts, curves: Any, counts: Array, path: Path) -> None:
    figure = Figure(figsize=(13, 10), layout="constrained")
    panels = figure.subplots(2, 2, gridspec_kw={"hspace": 0.08, "wspace": 0.06})
    for axes, name in zip(panels[0], STYLES, strict=True):
        draw_training(axes, name, curves[name], forecasts[f"{name} GLM"].nll(counts).mean())
    draw_counts(panels[1, 0], forecasts, counts)
    draw_calibration(panels[1, 1], forecasts, counts)
    for axes in panels.flat:
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, bbox_inches="tight", pad_inches=0.2)
    print(f"\nPicture saved as {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict doctor visits with count losses.")
    parser.add_argument("--epochs", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="folds and start; default: %(default)s")
    parser.add_argument("--output", type=Path, default="doctor_visits.png", help="picture file")
    parser.add_argument("--quick", action="store_true", help="4,000 rows, 2 epochs, no check")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if not options.output.resolve().parent.is_dir():
        parser.error(f"the folder of --output {options.output} does not exist")
    rows, epochs = (4_000, 2) if options.quick else (None, options.epochs)
    data, forecasts, curves = load_data(options.seed, rows), {}, {}
    for name in STYLES:
        forecasts[f"{name} GLM"] = fit_glm(name, data)
        forecasts[f"{name} network"], curves[name] = train(name, data, epochs, options.seed)
    behind = print_scores(forecasts, data)
    print_integers(forecasts, data.counts)
    save_picture(forecasts, curves, data.counts, options.output)
    if behind and not options.quick:
        sys.exit(f"Behind the GLM of the same likelihood when held out: {', '.join(behind)}.")


if __name__ == "__main__":
    main()
