"""Put the third-party files that the pages load into ``assets/vendor``: from installed, pinned packages, never committed."""

import shutil
from pathlib import Path

ASSETS = Path(__file__).parent
MODULES = ASSETS.parent / "node_modules"
VENDOR = ASSETS / "vendor"

FILES = {"mathjax/tex-svg-full.js": "mathjax/es5/tex-svg-full.js"}

if __name__ == "__main__":
    for target, source in FILES.items():
        (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULES / source, VENDOR / target)
