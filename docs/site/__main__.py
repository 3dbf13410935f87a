"""Builds the site into ``out/site``. Ends with 1 when a page warns, or would fetch something from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from docs.site.pages import ROOT
from docs.site.stage import HERE, lay_out

SOURCES = ROOT / "out" / "docs"
SITE = ROOT / "out" / "site"
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")


def main() -> int:
    """Lay out, build, look at what came out."""
    lay_out(SOURCES)
    shutil.rmtree(SITE, ignore_errors=True)
    options = ["-q", "-W", "--keep-going", "-E", "-j", "auto", "-d", str(ROOT / "out" / "doctrees"), "-c", str(HERE)]
    build = [sys.executable, "-m", "sphinx", *options, "-b", "html", str(SOURCES), str(SITE)]
    if subprocess.run(build, check=False).returncode != 0:
        return 1
    pages = sorted(SITE.rglob("*.html"))
    fetched = {f"{page.relative_to(SITE)}: {url}" for page in pages for url in FETCHED.findall(page.read_text())}
    for line in sorted(fetched):
        print(f"fetched from elsewhere: {line}", file=sys.stderr)
    print(f"{len(pages)} pages; open {(SITE / 'index.html').relative_to(ROOT)}")
    return 1 if fetched or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
