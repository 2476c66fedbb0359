"""The machine's speed in float32, as GFLOP/s of a product of two 2048 x 2048 matrices with NumPy's BLAS.

python -m peers.peak            prints {"gflops": ..., "blas": "openblas 0.3.30, SkylakeX, 2 threads"}
"""

import json
import time

import numpy as np

SIZE, RUNS = 2048, 12


def main() -> None:
    a, b = np.random.default_rng(0).random((2, SIZE, SIZE), dtype=np.float32)
    out = np.empty_like(a)
    np.matmul(a, b, out=out)
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"gflops": 2e-9 * SIZE**3 / min(seconds), "blas": blas()}))


def blas() -> str:
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return "not known: threadpoolctl is not installed"
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return "; ".join(
        f"{lib['internal_api']} {lib['version']}, {lib.get('architecture')}, {lib['num_threads']} threads"
        for lib in libraries
    )


if __name__ == "__main__":
    main()
