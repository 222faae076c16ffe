"""Checks a model file with ONNX's own checker, runs it with Python's ONNX Runtime, and compares the scores.

Usage: check_model.py MODEL SCORES
SCORES is a JSON list of {"tokens": [...], "score": x, "distance": x, "token_error": [...]}.
Exits with 0 and prints how many windows agree, with 1 when one does not, with 77 when a package is missing.
"""

import json
import sys

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"{error}; pip install -r tests/python/requirements.txt")
    sys.exit(77)


def main(model_path, scores_path):
    onnx.checker.check_model(onnx.load(model_path), full_check=True)
    with open(scores_path) as file:
        expected = json.load(file)
    compare(expected, run(model_path, [window["tokens"] for window in expected]))
    print(f"{len(expected)} windows agree")


def run(model_path, windows):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
    lengths = numpy.array([len(window) for window in windows], dtype=numpy.int64)
    event_ids = numpy.zeros((len(windows), lengths.max()), dtype=numpy.int64)
    for row, window in zip(event_ids, windows):
        row[: len(window)] = window
    names = ["score", "distance", "token_error"]
    return dict(zip(names, session.run(names, {"event_ids": event_ids, "lengths": lengths})))


def compare(expected, actual):
    for row, window in enumerate(expected):
        steps = len(window["tokens"])
        assert_close(row, "score", actual["score"][row], window["score"])
        assert_close(row, "distance", actual["distance"][row], window["distance"])
        assert_close(row, "token_error", actual["token_error"][row][:steps], window["token_error"])
        assert_close(row, "padding", actual["token_error"][row][steps:], 0.0)


def assert_close(row, what, actual, expected):
    if not numpy.allclose(actual, expected, rtol=0, atol=1e-5):
        sys.exit(f"window {row}: {what} is {actual}, must be {expected}")


if __name__ == "__main__":
    main(*sys.argv[1:])
