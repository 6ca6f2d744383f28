"""Opens every page of the built site in a headless Chromium and checks it as a reader without a network would see it.

Formulas are rendered, pictures load, links lead to pages and places that exist, and nothing is asked of anyone else:
every request is answered from the folder of the site, or counted as a fault. Run it with

    python docs/check_site.py docs/_build [--screenshots FOLDER]

It needs `playwright` (in the extra `docs`) and a Chromium, such as Debian's package `chromium`.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

SITE = "http://site.invalid/"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
LOOK = """async () => {
    await Promise.all([...document.images].map(async image => {
        image.loading = "eager";
        await image.decode().catch(() => null);
    }));
    await (window.MathJax?.startup?.promise ?? document.fonts.ready);
    await document.fonts.ready;
    return {
        pictures: document.images.length,
        broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.src),
        formulas: document.querySelectorAll("span.math, div.math").length,
        rendered: document.querySelectorAll(":is(span.math, div.math) mjx-container").length,
        faults: [...document.querySelectorAll("mjx-merror")].map(formula => formula.textContent),
        fonts: [...document.fonts].some(font => font.family.startsWith("MJX") && font.status === "loaded"),
        links: [...document.links].map(link => link.href),
        places: [...document.querySelectorAll("[id]")].map(element => element.id),
    };
}"""
PHOTOGRAPHED = "index", "gallery", "api/index", "api/logistic", "api/kernels", "guides/*", "_modules/jaxact/_logistic"
SIZES = {"wide": (1400, 900), "narrow": (400, 800)}


def answer(route: Route, folder: Path, faults: list[str]) -> None:
    """Answers a request from the folder of the site, as its server would."""
    url = route.request.url
    file = folder / unquote(urlsplit(url).path).lstrip("/")
    if url.startswith(SITE) and file.is_file():
        route.fulfill(path=file)
    else:
        faults.append(f"asked for {url}, which is not in the site")
        route.abort()


def look(page: Page, address: str, faults: list[str]) -> dict:
    """Opens a page; returns what it holds, and notes what is wrong with it by itself."""
    page.goto(SITE + address)
    found = page.evaluate(LOOK)
    faults += [f"{address}: picture {source} does not load" for source in found["broken"]]
    faults += [f"{address}: formula with an error, {text}" for text in found["faults"]]
    if found["rendered"] != found["formulas"]:
        faults.append(f"{address}: {found['rendered']} of {found['formulas']} formulas are rendered")
    if found["formulas"] and not found["fonts"]:
        faults.append(f"{address}: no font for formulas is loaded")
    return found


def check_links(pages: dict[str, dict], folder: Path, faults: list[str]) -> None:
    """Every link within the site must lead to a file, and to a place in it that exists."""
    for address, found in pages.items():
        for link in sorted(set(found["links"])):
            target, place = urldefrag(link)
            if not target.startswith(SITE):
                continue
            path = unquote(urlsplit(target).path).lstrip("/")
            if not (folder / path).is_file():
                faults.append(f"{address}: dead link to {path}")
            elif place and path in pages and unquote(place) not in pages[path]["places"]:
                faults.append(f"{address}: {path} has no place {place}")


def take_screenshots(context: BrowserContext, addresses: Iterable[str], folder: Path) -> None:
    """Takes one of each page, wide and narrow, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for address in addresses:
                page.goto(SITE + address)
                page.evaluate(LOOK)
                name = address.removesuffix(".html").replace("/", "-")
                page.screenshot(path=folder / f"{name}-{size}-{theme}.png", full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks the built site in a headless Chromium.")
    parser.add_argument("site", type=Path, help="folder of the built site")
    parser.add_argument("--screenshots", type=Path, help="folder to take screenshots into")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("No Chromium is installed; Debian's package is called chromium.")

    faults: list[str] = []
    addresses = sorted(str(file.relative_to(options.site)) for file in options.site.rglob("*.html"))
    addresses = [address for address in addresses if not address.startswith("_static/")]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(profile, executable_path=chromium, args=FLAGS)
        context.route("**/*", lambda route: answer(route, options.site, faults))
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        pages = {address: look(page, address, faults) for address in addresses}
        if options.screenshots:
            chosen = [name for name in addresses if any(fnmatch(name, f"{kind}.html") for kind in PHOTOGRAPHED)]
            take_screenshots(context, chosen, options.screenshots)
        context.close()
    check_links(pages, options.site, faults)

    counted = {name: sum(found[name] for found in pages.values()) for name in ("pictures", "formulas")}
    links = sum(len(set(found["links"])) for found in pages.values())
    print(f"{len(pages)} pages, {counted['formulas']} formulas, {counted['pictures']} pictures, {links} links")
    if not all(counted.values()):
        faults.append("the site shows no picture or no formula at all")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
