"""Rows of the quantising functions.

Their values have jumps, at which a last bit decides. So the points that are searched densely are either no jumps, or
such that every step on the way to them is exact.
"""

import jax.numpy as jnp
import mpmath
import numpy as np

import jaxact
import references as ref
from contract import BETA, INF, NAN, POSITIVE, Budget, Case, constant

PI = 4 * np.arctan(np.longdouble(1))
DATA = 2.90625


def _nearest(m, x):
    return mpmath.nint(x) if m is ref.MP else np.rint(x)


def _sin_pi(m, t):
    """`sin(pi * t)` for `t` in [-1, 1]."""
    t = m.where(abs(t) > 0.5, m.where(t > 0, 1, -1) * (1 - abs(t)), t)
    return mpmath.sinpi(t) if m is ref.MP else np.sin(PI * t)


def _pi(m):
    return mpmath.pi if m is ref.MP else PI


def _from_integer(m, x):
    return x - _nearest(m, x)


def _penalty(m, x):
    return _sin_pi(m, _from_integer(m, x)) ** 2


def _penalty_slope(m, x):
    return _pi(m) * _sin_pi(m, 2 * _from_integer(m, x))


def _penalty_bend(m, x):
    return 2 * _pi(m) ** 2 * _sin_pi(m, 0.5 - abs(2 * _from_integer(m, x)))


def _clipped(m, v, low, high):
    return m.where(v < low, low + 0 * v, m.where(v > high, high + 0 * v, v))


def _quantized(m, x, s):
    return _clipped(m, _nearest(m, x / s), -128, 127) * s


def _quantized_slope(m, x):
    s = m.number(BETA)
    return m.where((x >= -128 * s) & (x <= 127 * s), 1 + 0 * x, 0 * x)


def _quantized_scale_slope(m, s):
    v = DATA / s
    return m.where(v > 127, 127 + 0 * v, _nearest(m, v) - v)


def _constants(m, levels):
    """Half the stretched range, the offset of even numbers of levels, and the shift that makes 0 of 0."""
    half, offset = m.number(levels - 1) * 1001 / 2000, m.number(levels % 2 == 0) / 2
    return half, offset, (m.log1p(offset / half) - m.log1p(-offset / half)) / 2


def _finite_scalar(levels):
    """Value, slope and bend."""
    count, last = levels // 2, (levels - 1) // 2

    def value(m, x):
        half, offset, shift = _constants(m, levels)
        return _clipped(m, _nearest(m, m.tanh(x + shift) * half - offset), -count, last) / count

    def slope(m, x):
        half, _, shift = _constants(m, levels)
        return ref.tanh_slope(m, x + shift) * half / count

    def bend(m, x):
        half, _, shift = _constants(m, levels)
        return ref.tanh_bend(m, x + shift) * half / count

    return value, slope, bend


def _finite_scalar_case(levels):
    value, slope, bend = _finite_scalar(levels)
    return Case(
        "finite_scalar_quantize",
        lambda x: jaxact.finite_scalar_quantize(jnp.expand_dims(x, -1), levels=(levels,))[..., 0],
        (value, slope, bend),
        # The root of the second derivative is at the shift, which is no number of any dtype.
        scale=(None, None, lambda m, x: 2 * slope(m, x)),
        special=(-9.0, 9.0),
        edges=(
            (-INF, (-1, 0, 0)),
            (INF, (((levels - 1) // 2) / (levels // 2), 0, 0)),
        ),
        margin=(2.0**4, 1.0),
        budget=Budget(float32=(3, 6, 12)),  # as that of tanh
        argument=f"{levels}-levels",
    )


CASES = (
    Case(
        "fake_quantize",
        lambda x: jaxact.fake_quantize(x, BETA),
        (lambda m, x: _quantized(m, x, m.number(BETA)), _quantized_slope, constant(0)),
        special=(BETA / 2, BETA, 2.5 * BETA, 3.5 * BETA, -127.5 * BETA, -128 * BETA, 126.5 * BETA, 127 * BETA),
        edges=(
            (-INF, (-128 * BETA, 0, 0)),
            (-0.0, (0, 1, 0)),
            (0.0, (0, 1, 0)),
            (INF, (127 * BETA, 0, 0)),
        ),
        points=(-100.0, 100.0),
    ),
    Case(
        "fake_quantize",
        lambda s: jaxact.fake_quantize(jnp.full(jnp.shape(s), DATA, s.dtype), s),
        (lambda m, s: _quantized(m, DATA + 0 * s, s), _quantized_scale_slope, constant(0)),
        domain=POSITIVE,
        # The residual of rounding is the difference of two numbers; a second derivative it has none.
        scale=(None, lambda m, s: m.where(s * 127 < DATA, 127 + 0 * s, DATA / s), None),
        points=(0.0, 40.0),
        argument="scale",
        varies_data=False,
    ),
    _finite_scalar_case(8),
    _finite_scalar_case(5),
    Case(
        "integer_penalty",
        jaxact.integer_penalty,
        (_penalty, _penalty_slope, _penalty_bend),
        special=(0.25, 0.5, 0.75, 1.0, 1.5, -1e6),
        edges=(
            (-INF, (NAN, NAN, NAN)),
            (INF, (NAN, NAN, NAN)),
        ),
        points=(-10.0, 10.0),
    ),
)
