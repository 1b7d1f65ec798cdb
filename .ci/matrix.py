"""Run the tests with the oldest and the newest Python and torch that can be had, each in an environment of its own.

`make matrix ARGS="tests/statistics"` passes anything on to pytest; `ONLY=3.13` keeps one Python. What cannot be had is skipped
with a sentence. Where torch is only offered with packages for graphics cards, several gigabytes, it is skipped unless LARGE=1.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-matrix"
OLDEST, NEWEST = "oldest", "newest"


def supported_pythons() -> list[str]:
    """Return the versions of Python that pyproject.toml names, the oldest first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    return sorted(set(found), key=lambda version: int(version.partition(".")[2]))


def oldest_torch() -> str:
    """Return the oldest version of torch that pyproject.toml allows."""
    return re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]


def find_python(version: str) -> str | None:
    """Return an interpreter of a version: one on the path, one of pyenv, or one that uv knows; None where there is none."""
    places = [f"python{version}", *map(str, sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")))]
    for place in places:
        answer = subprocess.run(
            ["sh", "-c", f'"{place}" -c "import sys; print(sys.executable)"'], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            return answer.stdout.strip()
    answer = subprocess.run(["sh", "-c", f"uv python find {version}"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def prepare(version: str, torch: str) -> tuple[Path | None, str]:
    """Make an environment, and return its interpreter; or None and a sentence that says why there is none."""
    python = find_python(version)
    if python is None:
        return None, f"Python {version} is not installed here"
    folder = ENVIRONMENTS / f"python{version}-{torch}-torch"
    place = folder / "bin" / "python"
    if not place.is_file():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        # an old pip cannot look at a release without downloading it
        subprocess.run([str(place), "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
    others = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("torch==")
    ]
    (folder / "constraints.txt").write_text("\n".join(others) + "\n", encoding="utf-8")
    asked = f"torch=={oldest_torch()}.*" if torch == OLDEST else "torch"
    pip = [str(place), "-m", "pip", "install", "--quiet", "--no-compile", "-c", str(folder / "constraints.txt")]
    looked = subprocess.run([*pip, "--dry-run", "--report", "-", asked], capture_output=True, text=True, check=False)
    if looked.returncode:
        return None, f"{asked} cannot be had for Python {version}: {looked.stderr.strip().splitlines()[-1]}"
    names = {one["metadata"]["name"].lower() for one in json.loads(looked.stdout)["install"]}
    if any(name.startswith(("nvidia-", "cuda-")) for name in names) and not os.environ.get("LARGE"):
        return None, f"{asked} for Python {version} comes with packages for graphics cards, several gigabytes; LARGE=1 takes them"
    done = subprocess.run([*pip, asked, "-e", f"{ROOT}[test,docs]"], check=False)
    return (place, "") if done.returncode == 0 else (None, f"the packages of Python {version} could not be installed")


def main(words: list[str]) -> int:
    """Run the tests in every combination, print one line for each, and return 1 if a test failed anywhere."""
    pythons = supported_pythons()
    lines, failed = [], False
    for version, torch in ((pythons[0], OLDEST), (pythons[-1], NEWEST)):
        if os.environ.get("ONLY", version) != version:
            continue
        place, reason = prepare(version, torch)
        if place is None:
            lines.append(f"Python {version}, {torch} torch: not run, since {reason}.")
            continue
        said = "import platform, torch; print(f'Python {platform.python_version()}, torch {torch.__version__}')"
        name = subprocess.run([str(place), "-c", said], capture_output=True, text=True, check=True).stdout.strip()
        print(f"== {name}", flush=True)
        outcome = subprocess.run([str(place), "-m", "pytest", "-q", *words], cwd=ROOT, check=False)
        failed |= outcome.returncode != 0
        lines.append(f"{name}: {'passed' if outcome.returncode == 0 else 'FAILED'}.")
    print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
