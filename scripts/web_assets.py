"""Make what the web page needs besides its own files: `make web-assets`, into build/web.

vendor/  files of others, by the lock file of python/allegro/web/assets (npm verifies them by their hashes)
manual/  docs/manual as HTML: a part for each page, and all in one file; docs/images
dev/     axe-core, for tests only; it does not go onto the device
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = REPOSITORY / "python/allegro/web/assets"
MANUAL = REPOSITORY / "docs/manual"
IMAGES = REPOSITORY / "docs/images"
STYLE = REPOSITORY / "python/allegro/web/static/allegro.css"
SOURCES = (Path(__file__), PACKAGES, MANUAL, IMAGES, STYLE)
"""Everything that decides what is made."""
ONE_FILE = "allegro-manual.html"

VENDOR = (
    "htmx.org/dist/htmx.min.js",
    "htmx.org/LICENSE",
    "uplot/dist/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css",
    "uplot/LICENSE",
)
DEVELOPMENT = ("axe-core/axe.min.js",)


class AssetError(Exception):
    """What went wrong, with a remedy."""


@dataclass(frozen=True)
class Part:
    """A page of the manual; `name` is that of its file."""

    name: str
    title: str
    html: str


def main() -> int:
    """Make everything; returns the exit code."""
    parser = argparse.ArgumentParser(prog="web_assets", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build/web", help="folder to make")
    options = parser.parse_args()
    try:
        make(options.output)
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make(target: Path, *, for_device: bool = False) -> None:
    """Make the folder anew. `for_device`: without what only tests need."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    fetch(target / "vendor", None if for_device else target / "dev")
    render(MANUAL, IMAGES, target / "manual")


def fetch(vendor: Path, development: Path | None) -> None:
    """Install the locked packages aside and take the few files of them that are used."""
    with tempfile.TemporaryDirectory(prefix="allegro-web-assets-") as folder:
        work = Path(folder)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(PACKAGES / name, work / name)
        command = ["npm", "ci", "--ignore-scripts", *([] if development else ["--omit=dev"])]
        try:
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise AssetError("npm is missing.\nRemedy: scripts/install-host-packages") from None
        if done.returncode:
            raise AssetError(
                f"npm could not get the files of the web page:\n{done.stderr.strip()}\n"
                "Remedy: is the npm registry reachable from here (network, proxy)? Then start again."
            )
        _take(work / "node_modules", VENDOR, vendor)
        if development:
            _take(work / "node_modules", DEVELOPMENT, development)


def _take(modules: Path, files: tuple[str, ...], target: Path) -> None:
    target.mkdir()
    for file in files:
        package, _, rest = file.partition("/")
        name = f"{package}.LICENSE" if rest == "LICENSE" else Path(rest).name
        shutil.copyfile(modules / file, target / name)


def render(source: Path, images: Path, target: Path) -> None:
    """Render the manual: the README as its front, then the pages in the order in which that names them."""
    target.mkdir()
    shutil.copytree(images, target / "images")
    front = part(source / "README.md")
    parts = [part(path) for path in in_order(source)]
    (target / "front.html").write_text(front.html, "utf-8")
    for each in parts:
        (target / f"{each.name}.html").write_text(each.html, "utf-8")
    contents = [{"name": each.name, "title": each.title} for each in parts]
    (target / "contents.json").write_text(json.dumps(contents, indent=1) + "\n", "utf-8")
    (target / ONE_FILE).write_text(one_file(front, parts, images), "utf-8")


def in_order(source: Path) -> list[Path]:
    """The pages of the manual without its README, which is the list of them."""
    named = re.findall(r"\]\(([\w-]+)\.md\)", (source / "README.md").read_text("utf-8"))
    paths = {path.stem: path for path in sorted(source.glob("*.md")) if path.stem != "README"}
    return [paths.pop(name) for name in dict.fromkeys(named) if name in paths] + list(paths.values())


def part(path: Path) -> Part:
    """One page; its first heading is its title and leaves the text, because the web page shows it above."""
    text = path.read_text("utf-8")
    found = re.match(r"# (.+)\n", text)
    if not found:
        raise AssetError(f"{path} does not begin with a heading (# Title).")
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text[found.end() :])
    # Markdown has no tables without a head; an empty one says nothing.
    rendered = re.sub(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>\s*", "", rendered)
    rendered = rendered.replace("<th></th>", "<td></td>")
    # Pages of the manual are named by their file on the device, too.
    rendered = re.sub(r'href="([\w-]+)\.md(#[\w-]*)?"', r'href="/manual/\1\2"', rendered)
    rendered = rendered.replace('src="../images/', 'src="/manual/images/')
    return Part(path.stem, found[1].strip(), re.sub(r"<h([23])>(.*?)</h\1>", _with_id, rendered))


def _with_id(heading: re.Match[str]) -> str:
    """A heading that can be linked to, by the name that is usual for Markdown files."""
    level, text = heading.groups()
    words = re.sub(r"<[^>]*>|[^\w\s-]", "", text.lower()).split()
    return f'<h{level} id="{"-".join(words)}">{text}</h{level}>'


def one_file(front: Part, parts: list[Part], images: Path) -> str:
    """The whole manual as one file that needs nothing else."""

    def within(found: re.Match[str]) -> str:
        data = base64.b64encode((images / found[1]).read_bytes()).decode()
        return f'src="data:image/webp;base64,{data}"'

    body = "".join(_article(each) for each in (front, *parts))
    body = re.sub(r'src="/manual/images/([\w-]+\.webp)"', within, body)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Allegro manual</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE.read_text('utf-8')}</style></head><body><main>{body}</main></body></html>\n"
    )


def _article(each: Part) -> str:
    text = each.html.replace(' id="', f' id="{each.name}-')
    text = re.sub(r'href="/manual/([\w-]+)#([\w-]+)"', r'href="#\1-\2"', text)
    text = re.sub(r'href="/manual/([\w-]+)"', r'href="#\1"', text)
    return f'<article class="card prose" id="{each.name}"><h1>{html.escape(each.title)}</h1>{text}</article>'


if __name__ == "__main__":
    sys.exit(main())
