"""Activations, losses and trainable rounding for JAX, with values and derivatives right to the last bits."""

from jaxact._counts import negative_binomial_nll, poisson_nll
from jaxact._cross_entropy import (
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from jaxact._discrete import argmax_ste, bernoulli_ste, gumbel_softmax, reinmax
from jaxact._kernel import Kernel
from jaxact._kernels import Arctan, Box, FastSigmoid, Gaussian, Laplace, Logistic, Sine, Triangle
from jaxact._linear_cross_entropy import linear_softmax_cross_entropy
from jaxact._logistic import log1mexp, log_sigmoid, log_softplus, logit, sigmoid, softplus, softplus_inverse, tanh
from jaxact._piecewise import hard_tanh, leaky_relu, relu
from jaxact._quantize import fake_quantize, finite_scalar_quantize, integer_penalty
from jaxact._rounding import (
    approx_round,
    approx_round_sin,
    ceil_ste,
    floor_ste,
    heaviside_ste,
    round_ste,
    sign_ste,
    soft_round_conditional_mean,
    soft_round_inverse,
    ternary_ste,
    trunc_ste,
)
from jaxact._soft_staircases import soft_ceil, soft_floor, soft_heaviside, soft_round, soft_sign, soft_ternary
from jaxact._softmax import log_softmax, logsumexp, softmax
from jaxact._stochastic_staircases import (
    stochastic_ceil,
    stochastic_floor,
    stochastic_heaviside,
    stochastic_round,
    stochastic_sign,
    stochastic_ternary,
)
from jaxact._surrogate import straight_through, surrogate
from jaxact._surrogate_staircases import (
    surrogate_ceil,
    surrogate_floor,
    surrogate_heaviside,
    surrogate_round,
    surrogate_sign,
    surrogate_ternary,
)

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
    # surrogate gradients
    "surrogate",
    "straight_through",
    # kernels
    "Kernel",
    "Box",
    "Triangle",
    "Sine",
    "Logistic",
    "Arctan",
    "FastSigmoid",
    "Gaussian",
    "Laplace",
    # soft staircases
    "soft_round",
    "soft_floor",
    "soft_ceil",
    "soft_sign",
    "soft_heaviside",
    "soft_ternary",
    "soft_round_inverse",
    "soft_round_conditional_mean",
    # surrogate staircases
    "surrogate_round",
    "surrogate_floor",
    "surrogate_ceil",
    "surrogate_sign",
    "surrogate_heaviside",
    "surrogate_ternary",
    # stochastic staircases
    "stochastic_round",
    "stochastic_floor",
    "stochastic_ceil",
    "stochastic_sign",
    "stochastic_heaviside",
    "stochastic_ternary",
    # straight-through and smooth rounding
    "round_ste",
    "floor_ste",
    "ceil_ste",
    "trunc_ste",
    "sign_ste",
    "heaviside_ste",
    "ternary_ste",
    "approx_round",
    "approx_round_sin",
    # quantising
    "fake_quantize",
    "finite_scalar_quantize",
    "integer_penalty",
    # discrete samples
    "gumbel_softmax",
    "argmax_ste",
    "bernoulli_ste",
    "reinmax",
)
