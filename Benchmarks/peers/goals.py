"""Compares the reports of gpu.sh with the goals for GPUs, and prints a Markdown table.

    python3 goals.py FOLDER

A goal is a part of the speed of PyTorch in the same run: 80 % for float32 products of 4096, 70 % for
convolutions. Training steps, and products in TF32, are compared without a goal. Exit code 1 where one is missed.
"""
import json
import sys
from pathlib import Path

GOALS = {"gemm-4096x4096x4096": 0.8, "conv-": 0.7}


def goal(case):
    return next((part for name, part in GOALS.items() if case.startswith(name)), None)


def rows(path):
    """(case, our milliseconds, the peer's or None), and the title."""
    report = json.loads(path.read_text(encoding="utf-8"))
    title = report.get("card") or report["processor"]
    times = {(row["name"], row["isPeer"]): row["medianMilliseconds"] for row in report["rows"]}
    return title, [
        (case, time, times.get((case, True))) for (case, is_peer), time in times.items() if not is_peer]


def main():
    folder = Path(sys.argv[1])
    missed = 0
    for state in ("default", "tuned", "tf32"):
        paths = sorted(folder.glob(f"gpu-{state}-*.json"))
        if not paths and state == "tf32":
            continue
        if not paths:
            sys.exit(f"goals: no gpu-{state}-*.json in {folder}")
        print(f"\n{rows(paths[0])[0]}, {state}\n\n| case | ms | PyTorch ms | part of its speed | goal |")
        print("|---|---|---|---|---|")
        for path in paths:
            for case, ours, theirs in rows(path)[1]:
                wanted = goal(case) if state != "tf32" else None
                verdict = "–"
                if theirs and wanted:
                    # Without tuning the goals hold within 15 %.
                    reached = theirs / ours >= wanted * (0.85 if state == "default" else 1)
                    missed += not reached
                    verdict = f"{wanted:.0%} {'reached' if reached else 'MISSED'}"
                part = f"{theirs / ours:.0%}" if theirs else "–"
                print(f"| {case} | {ours:.4g} | {theirs or float('nan'):.4g} | {part} | {verdict} |")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
