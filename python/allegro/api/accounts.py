"""Users, their passwords, and API tokens. Served by the web page's program, which alone keeps them."""

from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.accounts.roles import Role
from allegro.accounts.tokens import LONGEST_DAYS, Token
from allegro.accounts.users import User
from allegro.api.asker import USER_HEADER, header
from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.words import utc, utc_or_none


class Accounts(Protocol):
    """What can be done. All methods raise AllegroError, and may be called from several threads.

    `by`: the user who asks, empty for root on the device.
    """

    def users(self) -> list[User]:
        """By name."""

    def add_user(self, name: str, role: str, password: str) -> None:
        """A new one, who chooses another password at the first login."""

    def change_user(self, name: str, role: str | None, password: str | None, by: str) -> None:
        """A role, a password for the next login (which ends what is open), or both: all or nothing."""

    async def change_password(self, name: str, old: str, new: str, address: str) -> None:
        """One's own; `address`: of who asks, for whom wrong passwords count."""

    def delete_user(self, name: str, by: str) -> None:
        """Ends all that the user has open, too."""

    def tokens(self) -> list[Token]:
        """By name."""

    def add_token(self, name: str, role: str, days: int | None) -> tuple[Token, str]:
        """A new one, and its text, which is not kept."""

    def delete_token(self, token_id: str) -> Token:
        """It lets nobody in any more."""


class UserAnswer(BaseModel):
    """A user."""

    name: str
    role: Role
    must_change: bool = Field(description="Is asked for a new password at the next login")

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        """The user as the API shows it: without the password."""
        return cls(name=user.name, role=user.role, must_change=user.must_change)


class TokenAnswer(BaseModel):
    """An API token, without its secret part."""

    id: str = Field(description="Names it in this API")
    name: str
    role: Role
    created_time: str
    ends_time: str | None = Field(description="From then on it lets nobody in; null: never")
    used_time: str | None = Field(description="Its last use; null if it was not used")

    @classmethod
    def of(cls, token: Token) -> "TokenAnswer":
        """The token as the API shows it."""
        return cls(
            id=token.id,
            name=token.name,
            role=token.role,
            created_time=utc(round(token.created_s * 1e9)),
            ends_time=_time(token.ends_s),
            used_time=_time(token.used_s),
        )


class NewTokenAnswer(TokenAnswer):
    """A token that was just made."""

    token: str = Field(description="To be sent as `Authorization: Bearer …`; shown this once")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Body):
    """A user to be."""

    name: str = Field(max_length=32)
    role: Role
    password: str = Field(
        max_length=256,
        description="For the first login, which asks for another one",
        json_schema_extra={"secret": True},
    )


class UserChange(_Body):
    """What is to be another one; what is left out stays."""

    role: Role | None = None
    password: str | None = Field(
        default=None,
        max_length=256,
        description="For the next login only",
        json_schema_extra={"secret": True},
    )


class OwnPassword(_Body):
    """One's own password."""

    old: str = Field(max_length=256, json_schema_extra={"secret": True})
    new: str = Field(max_length=256, json_schema_extra={"secret": True})


class NewToken(_Body):
    """A token to be."""

    name: str = Field(max_length=32)
    role: Role
    days: int | None = Field(
        default=None, ge=1, le=LONGEST_DAYS, description="It ends after so many; without it never"
    )


Name = Annotated[str, Path(description="Name of a user")]


def router(accounts: Callable[[], Accounts]) -> APIRouter:
    """Everything below /users, /password and /tokens."""
    routes = noun("accounts")

    @routes.get("/users", dependencies=[requires("admin")])
    def users() -> list[UserAnswer]:
        """All users, by name."""
        return [UserAnswer.of(user) for user in accounts().users()]

    @routes.post("/users", dependencies=[requires("admin")], status_code=201)
    def add_user(user: NewUser, request: Request) -> list[UserAnswer]:
        """Adds a user, who chooses another password at the first login."""
        accounts().add_user(user.name, user.role, user.password)
        say(request, f"Added {user.name} ({user.role})")
        return users()

    @routes.patch("/users/{name}", dependencies=[requires("admin")])
    def change_user(name: Name, change: UserChange, request: Request) -> list[UserAnswer]:
        """Gives a user another role, or a new password if the old one is lost, which ends what is open."""
        accounts().change_user(name, change.role, change.password, _by(request))
        if change.password is not None:
            role = "" if change.role is None else f", and the role {change.role}"
            say(request, f"Set a new password for {name}{role}")
        elif change.role is not None:
            say(request, f"Gave {name} the role {change.role}")
        return users()

    @routes.delete("/users/{name}", dependencies=[requires("admin")], status_code=204)
    def delete_user(name: Name, request: Request) -> None:
        """Deletes a user; nobody can delete himself."""
        accounts().delete_user(name, _by(request))
        say(request, f"Deleted {name}")

    @routes.put("/password", dependencies=[requires("viewer")], status_code=204)
    async def own_password(password: OwnPassword, request: Request) -> None:
        """Changes the password of the user who asks; a token has none."""
        address = request.client.host if request.client else ""
        await accounts().change_password(_by(request), password.old, password.new, address)
        say(request, "Changed the own password")

    @routes.get("/tokens", dependencies=[requires("admin")])
    def tokens() -> list[TokenAnswer]:
        """All API tokens, by name."""
        return [TokenAnswer.of(token) for token in accounts().tokens()]

    @routes.post("/tokens", dependencies=[requires("admin")], status_code=201)
    def add_token(token: NewToken, request: Request) -> NewTokenAnswer:
        """Makes a token. What a program has to send is in this answer only."""
        made, text = accounts().add_token(token.name, token.role, token.days)
        say(request, f"Made the token {made.name} ({made.role})")
        return NewTokenAnswer(**TokenAnswer.of(made).model_dump(), token=text)

    @routes.delete("/tokens/{token_id}", dependencies=[requires("admin")], status_code=204)
    def delete_token(token_id: str, request: Request) -> None:
        """Deletes a token: it lets nobody in any more, at once."""
        token = accounts().delete_token(token_id)
        say(request, f"Deleted the token {token.name}")

    return routes


def _by(request: Request) -> str:
    return header(request.scope, USER_HEADER) or ""


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else utc_or_none(round(seconds * 1e9))
