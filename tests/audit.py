"""Known holes in the packages of requirements.lock, by pip-audit; skipped, and said so, where no index can be reached.

A mirror may have the packages and not what PyPI knows of them: then each is unknown, and nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
INDEXES = ("pypi", "osv")  # both tell the same advisories; the second is asked where the first knows nothing


def ask(index: str) -> tuple[list[dict[str, Any]], str]:
    """What an index says of each package, and why it says nothing of any."""
    command = [sys.executable, "-m", "uv", "tool", "run", "--quiet", "pip-audit", "--disable-pip", "--require-hashes"]
    command += ["-r", str(PROJECT / "requirements.lock"), "-s", index, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["no answer"])[-1]
    if all("skip_reason" in package for package in packages):
        return [], f"it knows none of the {len(packages)} packages"
    return packages, ""


def report(packages: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """What was found, for people, and whether there is a hole."""
    holes = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    lines = [
        f"{package['name']} {package['version']}: {hole['id']}, "
        f"fixed in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for package, hole in holes
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    told = f": {', '.join(unknown)}" if unknown else ""
    lines.append(f"{len(packages)} packages, {len(holes)} known holes, {len(unknown)} unknown to the index{told}")
    return "\n".join(lines), bool(holes)


def main() -> int:
    reasons = []
    for index in INDEXES:
        packages, reason = ask(index)
        if packages:
            text, found = report(packages)
            print(text)
            return int(found)
        reasons.append(f"{index}: {reason}")
    print("audit skipped, nothing was audited:", "; ".join(reasons))
    return 0


if __name__ == "__main__":
    sys.exit(main())
