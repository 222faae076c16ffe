"""Writes down which cluster Drain3 puts each line of LogHub's samples into: what `hdfs-vigil templates` is held against.

Usage: drain3_clusters.py DATA OUT
DATA holds SYSTEM/SYSTEM_2k.log for each system of tests/data/drain3/settings.json; OUT gets SYSTEM.txt: one number a line of the log,
clusters numbered from 1 in the order of their first line. To make the golden files anew:

    python3 -m pip install -r tests/python/requirements.txt
    python3 tests/python/drain3_clusters.py ../shared/data/loghub_2k tests/data/drain3

Exits with 77 when a package is missing.
"""

import importlib.metadata
import json
import pathlib
import re
import sys

try:
    from drain3.drain import Drain
except ImportError as error:
    print(f"{error}; pip install -r tests/python/requirements.txt")
    sys.exit(77)

SETTINGS = pathlib.Path(__file__).parent.parent / "data" / "drain3" / "settings.json"


def main(data, out):
    settings = json.loads(SETTINGS.read_text())
    installed = importlib.metadata.version("drain3")
    if installed != settings["drain3"]:
        sys.exit(f"drain3 is {installed}, must be {settings['drain3']}: pip install -r tests/python/requirements.txt")
    for system, setting in settings["systems"].items():
        log = pathlib.Path(data) / system / f"{system}_2k.log"
        numbers = clusters(log.read_text().splitlines(), setting)
        (pathlib.Path(out) / f"{system}.txt").write_text("".join(f"{number}\n" for number in numbers))
        print(f"{system}: {len(numbers)} lines, {max(numbers)} clusters")


def clusters(lines, setting):
    """The number of each line's cluster; they are counted up as they are made, so that they are in the order of their first line."""
    drain = Drain(depth=setting["depth"], sim_th=setting["similarity"], max_children=100)
    header = re.compile(header_pattern(setting["header_format"]))
    masks = [re.compile(mask) for mask in setting["masks"]]
    numbers = []
    for line in lines:
        content = header.match(line.strip())["Content"]
        for mask in masks:
            content = mask.sub("<*>", content)
        cluster, _ = drain.add_log_message(content)
        numbers.append(cluster.cluster_id)
    return numbers


def header_pattern(header_format):
    """LogHub's notation as a regular expression: fields in angle brackets, and white space of any length."""
    pattern = ""
    for between, field in re.findall(r"([^<]*)(?:<(\w+)>|$)", header_format):
        pattern += re.sub(" +", r"\\s+", between)
        pattern += f"(?P<{field}>.*?)" if field else ""
    return f"^{pattern}$"


if __name__ == "__main__":
    main(*sys.argv[1:])
