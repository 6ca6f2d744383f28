"""Accuracy, speed and memory of jaxact beside what people use instead: one table of rows, one command each.

The truth, the points and the way errors are counted are those of the tests, whose folder is found here.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))
