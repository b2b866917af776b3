"""A section of the settings as a form on a page.

The models are loaded by the first form: they take longer than the rest of the web page, which starts without.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from allegro.api.client import ApiError
from allegro.web import forms
from allegro.web.forms import Form
from allegro.web.site import Action, Handler, Visit

if TYPE_CHECKING:
    from pydantic import BaseModel

Show = Callable[[Visit, Form, int], Awaitable[Response]]


@dataclass(frozen=True)
class Section:
    """`name` in the settings; `leave_out`: what the page shows in another way; `finish`: what it adds."""

    name: str
    leave_out: tuple[str, ...] = ()
    finish: Callable[[Form], Form] = lambda form: form

    @property
    def model(self) -> "type[BaseModel]":
        """The section's model: it decides about the form."""
        from allegro.settings.model import Settings

        return type(getattr(Settings(), self.name))

    def form(self, values: dict[str, Any]) -> Form:
        """The form with these values."""
        return self.finish(forms.form(self.model, self.name, values, leave_out=self.leave_out))

    async def present(self, visit: Visit) -> Form:
        """The form with the values in force."""
        return self.form((await visit.api.get("/settings"))[self.name])

    def saver(self, show: Show, saved: str = "Saved.") -> Handler:
        """Answers the form: saves it and goes back to the page, or shows it again with the mistake."""

        async def save(visit: Visit) -> Response:
            typed = forms.patch(self.model, self.name, visit.data, leave_out=self.leave_out)
            try:
                answer = await visit.api.patch("/settings", {self.name: typed})
            except ApiError as error:
                if error.status != 422:
                    raise
                return await show(visit, forms.with_error(self.form(typed), error), 422)
            return visit.done(saved, warnings=answer["warnings"])

        return save

    def actions(self, path: str, show: Show, saved: str = "Saved.") -> tuple[Action, Action]:
        """GET and POST of a page whose main thing is this form."""

        async def look(visit: Visit) -> Response:
            return await show(visit, await self.present(visit), 200)

        return Action("GET", path, look), Action("POST", path, self.saver(show, saved), role="admin")
