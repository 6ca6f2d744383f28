"""Marks that several tests share."""

import pytest


def most_slow(names, quick):
    """Parameters of which those not in `quick` are left out where only compatibility is checked."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]
