"""All rows of the contract."""

import cases_counts
import cases_cross_entropy
import cases_logistic
import cases_piecewise
import cases_quantize
import cases_rounding

CASES = (
    *cases_logistic.CASES,
    *cases_piecewise.CASES,
    *cases_counts.CASES,
    *cases_cross_entropy.CASES,
    *cases_rounding.CASES,
    *cases_quantize.CASES,
)
