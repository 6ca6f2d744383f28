"""A class axis over eight devices, of one process and of two: the same numbers, and no logits sent around.

The number of devices is fixed when JAX starts, so `many_devices.py` makes all checks, in processes of its own.
"""

import os
import pathlib
import socket
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).with_name("many_devices.py")
ROOT = PROGRAM.parents[1]


def start(devices, *arguments):
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    command = [sys.executable, "-W", "error", str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def assert_passes(*processes):
    outputs = []
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(outputs)


def test_eight_devices_of_one_process(tmp_path):
    assert_passes(start(1, "one", tmp_path / "one.npz"))
    assert_passes(start(8, "eight", tmp_path / "one.npz"))


def test_two_processes():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert_passes(*(start(4, "half", port, rank) for rank in range(2)))
