"""The pictures of the report, in light and in dark, of a real run: `make sweep`, then this file with its folder."""

import pathlib
import sys
import tempfile

from playwright.sync_api import sync_playwright

from analysis.report import write_report

HERE = pathlib.Path(__file__).parent
SIZE = {"width": 1240, "height": 900}


def main() -> None:
    """Write `report-light.png` and `report-dark.png`."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = write_report(pathlib.Path(sys.argv[1]), pathlib.Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            page.goto(path.as_uri())
            page.wait_for_selector("main:not([aria-busy])", timeout=60_000)
            box = page.locator("#space").bounding_box()  # from the top down to the first picture
            clip = {"x": 0, "y": 0, "width": SIZE["width"], "height": box["y"] + box["height"] + 24}
            page.screenshot(path=HERE / f"report-{scheme}.png", full_page=True, clip=clip)
        browser.close()


if __name__ == "__main__":
    main()
