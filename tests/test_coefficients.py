"""The generated coefficients are those that the script makes."""

import fit_polynomials
import pytest


@pytest.mark.slow
def test_the_file_is_what_the_script_writes():
    assert fit_polynomials.TARGET.read_text() == fit_polynomials.module_source()
