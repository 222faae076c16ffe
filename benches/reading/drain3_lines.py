"""Prints how many lines a second Drain3 takes through its usual door, the TemplateMiner, with block ids and addresses masked.

Usage: drain3_lines.py LOG

The log is read once to fill the tree, and measured the second time, the best of three. Exits with 77 when Drain3 is missing.
"""

import pathlib
import re
import sys
import time

try:
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig
except ImportError as error:
    print(f"{error}; pip install -r tests/python/requirements.txt")
    sys.exit(77)

MASKS = [r"blk_-?\d+(_\d+)?", r"/?(\d+\.){3}\d+(:\d+)?"]


def main(path):
    lines = pathlib.Path(path).read_text(errors="replace").splitlines()
    config = TemplateMinerConfig()
    config.drain_depth, config.drain_sim_th, config.drain_max_children = 4, 0.5, 100
    config.masking_instructions = [MaskingInstruction(mask, "*") for mask in MASKS]
    miner = TemplateMiner(config=config)
    read(miner, lines)
    rounds = []
    for _ in range(3):
        begin = time.perf_counter()
        read(miner, lines)
        rounds.append(time.perf_counter() - begin)
    print(f"{len(lines) / min(rounds):.0f}")


def read(miner, lines):
    for line in lines:
        miner.add_log_message(line.partition(": ")[2])


main(*sys.argv[1:])
