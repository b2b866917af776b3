"""A section of the settings as a form on a page.

The models are loaded by the first form: they take longer than the rest of the web page, which starts without.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from starlette.responses import Response

from allegro.api.client import ApiError
from allegro.errors import AllegroError, InvalidInput, Outdated
from allegro.settings.patches import differing, digest, merged
from allegro.web import arranging, forms
from allegro.web.forms import Form, Values
from allegro.web.site import Action, Handler, Visit

if TYPE_CHECKING:
    from pydantic import BaseModel

_BOTH = AllegroError(
    "Somebody else has changed these settings since you opened this page, so nothing is saved yet.",
    remedy="Your own changes stand below with those of others: look at both, then save again.",
)

SURE = "sure"
"""What the button sends that answers a question."""

MOVES_AFTER_S = 2
"""Seconds: time enough for the answer to arrive."""

Ask = Callable[[Visit, Values, Values], Awaitable[str]]
Show = Callable[[Visit, Form, int], Awaitable[Response]]
Moved = Callable[[Visit, Values], Awaitable[Response]]
"""What is answered instead of the page, from the answer of the API."""


async def _no_question(_visit: Visit, _seen: Values, _wanted: Values) -> str:
    return ""


@dataclass(frozen=True)
class Section:
    """`name` in the settings; `leave_out` (or all but `only`): what the page shows in another way; `finish`:
    what it adds.

    `warnings`: what is to be said of values that are saved; `templates`: rows that a button adds to a table;
    `ask`: the question, if any, that comes before a change, of the values seen and those wanted. They are as
    they were typed: nobody has checked them yet; `moves`: whether a change may end the connection by which it
    is asked for.
    """

    name: str
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    finish: Callable[[Form], Form] = lambda form: form
    warnings: Callable[[Values], Sequence[str]] = lambda _values: ()
    templates: Mapping[str, arranging.Rows] = field(default_factory=dict)
    ask: Ask = _no_question
    moves: Callable[[Values], bool] = lambda _changes: False

    @property
    def model(self) -> "type[BaseModel]":
        """The section's model: it decides about the form."""
        from allegro.settings.model import Settings

        return type(getattr(Settings(), self.name))

    def _left_out(self) -> Sequence[str]:
        others = [name for name in self.model.model_fields if self.only and name not in self.only]
        return [*self.leave_out, *others]

    def form(self, values: Values, seen: Values) -> Form:
        """The form with these values; `seen` are those in force of which its user knows."""
        made = forms.form(self.model, self.name, values, leave_out=self._left_out())
        return replace(self.finish(made), seen=json.dumps(seen))

    async def present(self, visit: Visit) -> Form:
        """The form with the values in force."""
        values = await self._in_force(visit)
        return self.form(values, values)

    def saver(self, show: Show, saved: str = "Saved.", moved: Moved | None = None) -> Handler:
        """Answers the form: saves what was changed in it and goes back to the page, or shows it again.

        Again with the mistake, or with what somebody else has changed since the form was made. With `moved`,
        what `moves` is put into effect only after the answer, which is that one.
        """

        async def save(visit: Visit) -> Response:
            wanted = visit.typed(arranging.FIELD)
            data = arranging.arranged(visit.data, wanted, self.templates) if wanted else visit.data
            typed = forms.patch(self.model, self.name, data, leave_out=self._left_out())
            seen = _values(visit.typed("seen"))
            if wanted:
                return await show(visit, replace(self.form(typed, seen or typed), unsaved=True), 200)
            changes = typed if seen is None else differing(typed, seen)
            tag = "" if seen is None else digest(seen)
            if not visit.typed(SURE):
                before = await self._in_force(visit) if seen is None else seen
                if question := await self.ask(visit, before, merged(before, changes)):
                    return await show(visit, replace(self.form(typed, before), question=question), 200)
            moves = moved is not None and self.moves(changes)
            path = f"/settings/{self.name}" + (f"?apply_after_s={MOVES_AFTER_S}" if moves else "")
            try:
                answer = await visit.api.patch(path, changes, if_match=tag)
            except ApiError as error:
                if error.status == Outdated.status and seen is not None:
                    present = await self._in_force(visit)
                    both = self.form(merged(present, changes), present)
                    again = forms.with_error(forms.with_changes(both, seen, present), _BOTH)
                    return await show(visit, again, error.status)
                if error.status != InvalidInput.status:
                    raise
                return await show(visit, forms.with_error(self.form(typed, seen or typed), error), 422)
            if moves and moved is not None and answer["confirm_within_s"] is not None:
                return await moved(visit, answer)
            said = self.warnings(answer["settings"][self.name])
            return visit.done(saved, warnings=[*answer["warnings"], *said])

        return save

    async def _in_force(self, visit: Visit) -> Values:
        values: Values = await visit.api.get(f"/settings/{self.name}")
        return values

    def actions(self, path: str, show: Show, saved: str = "Saved.") -> tuple[Action, Action]:
        """GET and POST of a page whose main thing is this form."""

        async def look(visit: Visit) -> Response:
            return await show(visit, await self.present(visit), 200)

        return Action("GET", path, look), Action("POST", path, self.saver(show, saved), role="admin")


def _values(text: str) -> Values | None:
    """The values that came back with the form; None if it has none, as one that a program fills in."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
