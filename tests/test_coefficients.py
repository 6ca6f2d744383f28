"""The generated coefficients are those that the script makes."""

import pytest

import fit_polynomials


@pytest.mark.slow
def test_the_file_is_what_the_script_writes():
    assert fit_polynomials.TARGET.read_text() == fit_polynomials.module_source()
