"""Fits every polynomial of `jaxact/_coefficients.py` with mpmath and writes that file.

Run `python tests/fit_polynomials.py` after changing a row; a test fails while the file and this script disagree.

Each row names a function that is analytic over its interval, so that a polynomial converges to it geometrically, and
the number of coefficients that brings the fit well below half a unit in the last place of each compute dtype. The fit
is least squares on Chebyshev nodes, which is within a small factor of the best. Coefficients are rounded to the dtype
one at a time, lowest power first, and the rest are fitted again after each: what one rounding spoils, the next mends.
"""

import pathlib

import mpmath
import numpy as np

TARGET = pathlib.Path(__file__).parents[1] / "jaxact" / "_coefficients.py"
DTYPES = ("float32", "float64")
PRECISION_BITS = 400

with mpmath.workprec(PRECISION_BITS):
    LN2 = mpmath.log(2)
    LOG_E_MINUS_1 = mpmath.log(mpmath.e - 1)
    HALF_PI = mpmath.pi / 2

HEADER = '''"""Coefficients of the polynomials and split constants, one entry a compute dtype.

Written by `tests/fit_polynomials.py`, which says what each approximates; do not edit by hand.
"""
'''


def rounded(number, bits):
    """`number` rounded to `bits` significant bits, exact as an mpmath number."""
    with mpmath.workprec(bits):
        return +number


def significand_bits(dtype):
    return np.finfo(dtype).nmant + 1


def log1p_tail(u, dtype):
    """`(log1p(u) - u) / u**2`."""
    return (mpmath.log1p(u) - u) / u**2


def log1m_tail(u, dtype):
    """`(-log1p(-u) - u) / u**2`."""
    return (-mpmath.log1p(-u) - u) / u**2


def atanh_tail(w2, dtype):
    """`(atanh(w) - w) / w**3` as a function of `w**2`."""
    w = mpmath.sqrt(w2)
    return (mpmath.atanh(w) - w) / w**3


def one_minus_exp_tail(y, dtype):
    """`(1 - exp(-y) - y) / y**2`."""
    return (-mpmath.expm1(-y) - y) / y**2


def log_mean_log1p(e, dtype):
    """`log(log1p(e) / e) / e`."""
    return mpmath.log(mpmath.log1p(e) / e) / e


def log_softplus_slope(d, dtype):
    """`log(softplus(r + d)) / d` about its root `r = log(e - 1)`."""
    return mpmath.log(mpmath.log1p(mpmath.exp(LOG_E_MINUS_1 + d))) / d


def log_softplus_bend(d, dtype):
    """Minus the second derivative of `log(softplus(x))` at `x = d + 0.8`."""
    e = mpmath.exp(-d - mpmath.mpf("0.8"))
    softplus = mpmath.log1p(1 / e)
    return (1 / softplus - e) / (softplus * (1 + e) ** 2)


def log_tail(u, dtype):
    """`(log1p(u/c) - u/c) / u**2` for `c`, ln 2 rounded to `dtype`."""
    c = rounded(LN2, significand_bits(dtype))
    return (mpmath.log1p(u / c) - u / c) / u**2


def log_expm1_ratio_tail(w, dtype):
    """Remainder over `(w - c)**2` of `log(expm1(w) / w)` after its tangent at `c`, ln 2 rounded to `dtype`."""
    c = rounded(LN2, significand_bits(dtype))

    def log_ratio(v):
        return mpmath.log(mpmath.expm1(v) / v)

    slope = 1 / -mpmath.expm1(-c) - 1 / c
    return (log_ratio(w) - log_ratio(c) - (w - c) * slope) / (w - c) ** 2


def sin_pi_ratio(t2, dtype):
    """`sin(pi * t) / t` as a function of `t**2`."""
    t = mpmath.sqrt(t2)
    return mpmath.sinpi(t) / t


def cos_pi(t2, dtype):
    """`cos(pi * t)` as a function of `t**2`."""
    return mpmath.cospi(mpmath.sqrt(t2))


def sin_pi_squared_ratio(t2, dtype):
    """`(sin(pi * t) / t)**2` as a function of `t**2`."""
    return sin_pi_ratio(t2, dtype) ** 2


def atan_ratio(t2, dtype):
    """`atan(t) / (pi * t)` as a function of `t**2`."""
    t = mpmath.sqrt(t2)
    return mpmath.atan(t) / (mpmath.pi * t)


def asin_ratio(t2, dtype):
    """`asin(t) / (pi * t)` as a function of `t**2`."""
    t = mpmath.sqrt(t2)
    return mpmath.asin(t) / (mpmath.pi * t)


def gaussian_tail_ratio(t, dtype):
    """`(1 + z) * tail(z) / exp(-z**2 / 2)` of the normal distribution, as a function of `t = (z - 4) / (z + 4)`."""
    z = 4 * (1 + t) / (1 - t)
    return (1 + z) * mpmath.erfc(z / mpmath.sqrt(2)) / 2 * mpmath.exp(z**2 / 2)


# name, function, interval, number of coefficients in float32 and float64
POLYNOMIALS = (
    ("LOG1P", log1p_tail, (0, 1), (10, 22)),
    ("LOG1P_AROUND_0", log1p_tail, (-0.25, 0.5), (9, 20)),
    ("LOG1M", log1m_tail, (0, 0.5), (9, 21)),
    ("LOG1M_SMALL", log1m_tail, (0, 0.16), (4, 11)),
    ("ONE_MINUS_EXP", one_minus_exp_tail, (0, LN2), (6, 12)),
    ("LOG_MEAN_LOG1P", log_mean_log1p, (0, 1), (9, 20)),
    ("LOG_SOFTPLUS", log_softplus_slope, (-LOG_E_MINUS_1, 1.6 - LOG_E_MINUS_1), (8, 17)),
    ("LOG_SOFTPLUS_BEND", log_softplus_bend, (-0.8, 0.8), (9, 20)),
    ("ATANH", atanh_tail, (0, 1 / 9), (5, 10)),
    ("LOG_AROUND_LN2", log_tail, (0.47 - LN2, 0.94 - LN2), (9, 20)),
    ("LOG_EXPM1_RATIO", log_expm1_ratio_tail, (0, 1.875), (5, 12)),
    ("SIN_PI", sin_pi_ratio, (0, 0.0625), (4, 8)),
    ("COS_PI", cos_pi, (0, 0.0625), (5, 8)),
    ("SIN_PI_SQUARED", sin_pi_squared_ratio, (0, 0.0625), (5, 9)),
    ("ATAN", atan_ratio, (0, 1), (10, 23)),
    ("ASIN", asin_ratio, (0, 0.25), (7, 16)),
    ("GAUSSIAN_TAIL", gaussian_tail_ratio, (-1, 0.82), (11, 25)),
)

# name, number, significant bits of the leading part: None means those of the dtype
SPLIT_CONSTANTS = (
    ("LN2", LN2, (None, None)),
    ("LN2_SHORT", LN2, (12, 40)),  # short enough that its product with any exponent is exact
    ("LOG_E_MINUS_1", LOG_E_MINUS_1, (None, None)),
    ("HALF_PI", HALF_PI, (12, 26)),  # so short that its product with half a number is exact
)


def fit(function, interval, terms, dtype):
    """Coefficients of `function` over `interval`, lowest power first, each exactly a number of `dtype`."""
    bits = significand_bits(dtype)
    with mpmath.workprec(PRECISION_BITS):
        low, high = map(mpmath.mpf, interval)
        angles = [mpmath.pi * (2 * i + 1) / (8 * terms) for i in range(4 * terms)]
        nodes = [(low + high) / 2 + (high - low) / 2 * mpmath.cos(angle) for angle in angles]
        remainder = [function(node, dtype) for node in nodes]
        coefficients = []
        for power in range(terms):
            powers = mpmath.matrix([[node**k for k in range(power, terms)] for node in nodes])
            coefficient = rounded(mpmath.lu_solve(powers, mpmath.matrix(remainder))[0], bits)
            remainder = [value - coefficient * node**power for value, node in zip(remainder, nodes, strict=True)]
            coefficients.append(float(coefficient))
    return tuple(coefficients)


def split(number, leading_bits, dtype):
    """`number` as a leading part and the rest, each exactly a number of `dtype`."""
    bits = significand_bits(dtype)
    with mpmath.workprec(PRECISION_BITS):
        leading = rounded(number, leading_bits or bits)
        return float(leading), float(rounded(number - leading, bits))


def table_source(name, table):
    lines = [f"\n{name} = {{"]
    for dtype, numbers in table.items():
        lines += [f'    "{dtype}": (', *(f"        {number!r}," for number in numbers), "    ),"]
    return "\n".join([*lines, "}", ""])


def gauss_legendre(points):
    """Nodes and weights of the quadrature on [0, 1], as numbers of float64."""
    with mpmath.workprec(PRECISION_BITS):
        pairs = []
        for i in range(points):
            guess = mpmath.cos(mpmath.pi * (i + mpmath.mpf(3) / 4) / (points + mpmath.mpf(1) / 2))
            bracket = guess - mpmath.mpf(1) / 100, guess + mpmath.mpf(1) / 100
            root = mpmath.findroot(lambda x: mpmath.legendre(points, x), bracket, solver="illinois")
            slope = points * mpmath.legendre(points - 1, root) / (1 - root**2)
            pairs.append((float((1 - root) / 2), float(1 / ((1 - root**2) * slope**2))))
    return [f"    ({node!r}, {weight!r}),\n" for node, weight in pairs]


def module_source():
    entries = [
        (name, {dtype: fit(function, interval, n, dtype) for n, dtype in zip(terms, DTYPES, strict=True)})
        for name, function, interval, terms in POLYNOMIALS
    ] + [
        (name, {dtype: split(number, n, dtype) for n, dtype in zip(bits, DTYPES, strict=True)})
        for name, number, bits in SPLIT_CONSTANTS
    ]
    quadrature = ["\nGAUSS_LEGENDRE = (\n", *gauss_legendre(12), ")\n", "\nGAUSS_LEGENDRE_SHORT = {\n"]
    for dtype, points in zip(DTYPES, (5, 10), strict=True):
        quadrature += [f'    "{dtype}": (\n', *(f"    {line}" for line in gauss_legendre(points)), "    ),\n"]
    quadrature.append("}\n")
    return HEADER + "".join([*map(table_source, *zip(*entries, strict=True)), *quadrature])


if __name__ == "__main__":
    TARGET.write_text(module_source())
