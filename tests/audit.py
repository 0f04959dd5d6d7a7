"""Known holes in the packages of requirements.lock, by pip-audit; skipped where its index cannot be reached."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def main() -> int:
    command = [sys.executable, "-m", "uv", "tool", "run", "--quiet", "pip-audit", "--disable-pip", "--require-hashes"]
    command += ["-r", str(PROJECT / "requirements.lock"), "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(
            "audit skipped, pip-audit or its index cannot be reached:", (done.stderr.strip().splitlines() or ["?"])[-1]
        )
        return 0
    holes = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    print(f"{len(packages)} packages, {len(holes)} known holes, {len(skipped)} unknown to the index")
    return int(bool(holes))


if __name__ == "__main__":
    sys.exit(main())
