"""Activations and losses for JAX, with values and derivatives right to the last bits."""

from jaxact._counts import negative_binomial_nll, poisson_nll
from jaxact._cross_entropy import (
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from jaxact._linear_cross_entropy import linear_softmax_cross_entropy
from jaxact._logistic import log1mexp, log_sigmoid, log_softplus, logit, sigmoid, softplus, softplus_inverse, tanh
from jaxact._piecewise import hard_tanh, leaky_relu, relu
from jaxact._softmax import log_softmax, logsumexp, softmax

__version__ = "0.1.0"

__all__ = (
    # logistic
    "sigmoid",
    "log_sigmoid",
    "logit",
    "tanh",
    "softplus",
    "softplus_inverse",
    "log_softplus",
    "log1mexp",
    # piecewise
    "relu",
    "leaky_relu",
    "hard_tanh",
    # softmax
    "softmax",
    "log_softmax",
    "logsumexp",
    # cross entropy
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "sigmoid_binary_cross_entropy",
    "linear_softmax_cross_entropy",
    # counts
    "poisson_nll",
    "negative_binomial_nll",
)
