"""A person at the Prefect UI: Debian's Chromium, in the hands of Playwright."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.prefect_api import PATIENCE_SECONDS, Api, wait_for

CHROMIUM = Path("/usr/bin/chromium")
VIEWPORT = {"width": 1100, "height": 960}
"""High enough that a run's artifacts are in view: the UI draws only what is."""
_GLANCE_MILLISECONDS = 3000
_PAUSE_MILLISECONDS = 30_000
_OF_BYTES = re.compile(r"([\d.]+) of ([\d.]+) MB")


class Person:
    """Somebody who sees only what the pages show; the API is asked for the addresses of pages alone."""

    def __init__(self, page: Page, ui: str, api: Api, pictures: Path) -> None:
        self.page, self._ui, self._api, self._pictures = page, ui, api, pictures
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        pictures.mkdir(parents=True, exist_ok=True)

    def fill_form(self, name: str, *models: str) -> None:
        """Open the form of a deployment, and fill in models where it asks for them."""
        deployment = self._api.get(f"/deployments/name/{name}/{name}")["id"]
        self.go(f"/deployments/deployment/{deployment}/run")
        self.page.get_by_text("Parameters", exact=True).wait_for()
        for number, model in enumerate(models):
            self.page.get_by_role("button", name="Add item").first.click()
            self.page.locator("textarea").nth(number).fill(model)

    def submit(self) -> str:
        """Submit the form, and return the run that has come of it."""
        return str(wait_for(self._press_submit)["id"])

    def watch(self, run: str) -> None:
        """Look at what a run shows."""
        self.go(f"/runs/flow-run/{run}")
        self.page.get_by_text("Artifacts", exact=True).click()

    def sees(self, *texts: str) -> None:
        """Wait until the page shows every text."""
        for text in texts:
            self.page.get_by_text(text).first.wait_for()

    def megabytes(self, run: str) -> float | None:
        """Return how many megabytes the run's page says have arrived."""
        self.watch(run)
        with suppress(PlaywrightTimeout):  # there is none yet
            self.page.get_by_text(_OF_BYTES).first.wait_for(timeout=_GLANCE_MILLISECONDS)
        found = _OF_BYTES.search(self.page.locator("body").inner_text())
        return float(found[1]) if found else None

    def cancel(self, run: str) -> None:
        """Cancel a run by its button, and say yes."""
        self.go(f"/runs/flow-run/{run}")
        self.page.get_by_role("button", name="Cancel", exact=True).click()
        self.page.get_by_role("button", name="Confirm").click()

    def answer(self, run: str, choice: str) -> None:
        """Answer what a run that is paused asks in its form: another choice than nobody."""
        self.go(f"/runs/flow-run/{run}")
        self.page.get_by_role("button", name="Resume", exact=True).click()
        form = self.page.get_by_role("dialog")
        form.get_by_role("button", name="nobody", exact=True).press("ArrowDown")
        self.page.locator(".p-select-option", has_text=choice).click()
        form.get_by_role("button", name=choice, exact=True).wait_for()
        self.take_picture("approval")
        form.get_by_role("button", name="Submit").click()

    def read(self, key: str) -> None:
        """Open the latest artifact of a key."""
        self.go(f"/artifacts/key/{key}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()

    def go(self, path: str) -> None:
        self.page.goto(self._ui + path)

    def take_picture(self, name: str) -> None:
        self.page.screenshot(path=self._pictures / f"{name}.png", animations="disabled")

    def _press_submit(self) -> dict[str, Any] | None:
        # A click is lost while the page comes to life, and a busy SQLite refuses now and then: a person presses again.
        with suppress(PlaywrightTimeout):
            with self.page.expect_response(re.compile("/create_flow_run$"), timeout=_PAUSE_MILLISECONDS) as answered:
                self.page.get_by_role("button", name="Submit").click()
            return answered.value.json() if answered.value.ok else None
        return None
