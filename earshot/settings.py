"""One frozen object, built at the edges, passed down. Environment `EARSHOT_…` first, then `earshot.toml`, then the default.

Secrets come from the environment or from a file of their own (`secrets_dir`, one file per secret), never from `earshot.toml`.
"""

from __future__ import annotations

import os
import secrets as random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from earshot.errors import ConfigurationError


class SourceSettings(BaseModel):
    """One `[[sources]]` entry. Its secrets are read from `EARSHOT_SECRET_<NAME>_<SECRET>` (upper case, "-" as "_")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="what we call it; unique")
    network: str = Field(description="which network it reads, see docs/networks.md")
    query: str = Field("", description="what to look for, in the network's own search words; for feeds the address")
    wanted: str = Field(
        "", description="what to look for, in our own query language, on any network; `query` then narrows it, or is the address of a feed"
    )
    every: float = Field(60.0, gt=0, description="seconds between polls while it brings something")
    slowest: float = Field(
        300.0, gt=0, description="seconds between polls at most: in between, a source is polled as often as one new mention is expected"
    )
    urgent: bool = Field(False, description="poll at `every` even while it brings nothing")
    stream: bool = Field(
        False, description="hear posts as they are made, too, where the network has a stream: Mastodon, Reddit, X; polls go on beside it"
    )
    url: str = Field("", description="another address of the network's API, such as a server of your own")
    account: str = Field("", description="our own handle there; its posts never come back as mentions")
    replies: bool = Field(False, description="may we answer there")
    first_look: float = Field(
        24.0, gt=0, le=720, description="hours that a new source reads back, where its network can be asked for a time"
    )
    monthly_reads: int | None = Field(
        None,
        ge=0,
        description="posts that may be read in a calendar month (UTC), sweeps included; a day takes a quarter of what is left at most",
    )
    sweep_share: float = Field(
        0.2, ge=0, le=1, description="part of monthly_reads that is set aside for sweeps, where the network counts those"
    )
    sweep_hours: float = Field(
        24.0,
        ge=0,
        description="hours between two looks at whether a post still stands, 0: never; "
        "what is deleted on the network must soon go here too: at most 24 for X, 48 for Reddit",
    )
    sweep_days: float = Field(30.0, gt=0, le=3650, description="days after which a post is looked after no more")
    price_per_thousand: float | None = Field(
        None, ge=0, description="what the network charges you for a thousand posts read; for `earshot sources`"
    )
    allow_private: bool = Field(False, description="let the source reach private and loopback addresses (a server in your own house)")


class Settings(BaseSettings):
    """Everything that can be set. Each field has a type, a default and a sentence; `earshot settings` prints them."""

    model_config = SettingsConfigDict(env_prefix="EARSHOT_", frozen=True, extra="forbid", env_nested_delimiter=None)

    database_url: str = Field("sqlite:///earshot.db", description="SQLite file by default; PostgreSQL as postgresql+psycopg://…")
    brand: Path | None = Field(
        None, description="TOML file with the brand's names, catalogue and topics; without it only the general questions are asked"
    )
    policy: Path | None = Field(
        None, description="TOML file with the routing rules a new database starts from; without it the policy that ships"
    )
    accurate_model: Path | None = Field(
        None, description="folder with an encoder that reads again what the fast model is least certain of; needs the extra accurate"
    )
    accurate_share: float = Field(0.2, ge=0, le=1, description="share of each batch that the accurate model reads")
    learn_nightly: bool = Field(True, description="learn each night, at about 03:20 UTC, from what people taught")
    host: str = Field("127.0.0.1", description="address that the web server listens on")
    port: int = Field(8000, ge=0, le=65535, description="port that the web server listens on; 0 takes a free one")
    public_url: str = Field("", description="the address people type, when it differs from host and port (behind a proxy)")
    secret_key: SecretStr = Field(SecretStr(""), description="signs short-lived links; made anew at each start where it is empty")
    metrics_token: SecretStr = Field(SecretStr(""), description="opens /metrics to a scraper that has no account; empty: to nobody")
    session_hours: float = Field(12.0, gt=0, description="hours after which a silent sign-in ends")
    sign_in_tries: int = Field(10, ge=1, description="wrong passwords per address and account in fifteen minutes before we answer 429")
    batch: int = Field(2_000, ge=1, le=10_000, description="mentions understood and written in one transaction")
    lease_seconds: float = Field(120.0, gt=0, description="a worker that is silent for so long loses what it had claimed")
    offer_minutes: float = Field(20.0, gt=0, description="minutes that a super-user has to take an offer")
    undo_seconds: float = Field(10.0, ge=0, description="seconds in which an approved answer can be taken back before it leaves")
    reply_spacing: float = Field(30.0, ge=0, description="seconds between two replies of one account on a network")
    busy_seconds: float = Field(30.0, gt=0, description="seconds that we wait for a locked database before we say so")
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")
    sources: tuple[SourceSettings, ...] = Field((), description="the networks to read, as [[sources]] entries of earshot.toml")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings calls it by name
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, Path(os.environ.get("EARSHOT_CONFIG", "earshot.toml")))
        return init_settings, env_settings, file_secret_settings, toml


def load_settings(**given: Any) -> Settings:
    """Read environment and `earshot.toml` (or the file that `EARSHOT_CONFIG` names); `given` wins over both.

    Raises `ConfigurationError` with one line per wrong setting.
    """
    try:
        settings = Settings(**given)
    except ValidationError as err:
        lines = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in err.errors(include_input=False))
        raise ConfigurationError(f"settings: {lines}. `earshot settings` explains each one") from err
    names = [source.name for source in settings.sources]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"settings: two sources of one name in {', '.join(names)}; give each its own name")
    if not settings.secret_key.get_secret_value():
        settings = settings.model_copy(update={"secret_key": SecretStr(random.token_urlsafe(32))})
    return settings


def secret(source: str, name: str, *, environ: Mapping[str, str] | None = None) -> SecretStr:
    """The secret `name` of a source, from `EARSHOT_SECRET_<SOURCE>_<NAME>` or the file that `…_FILE` names.

    Raises `ConfigurationError` naming the variable when there is none.
    """
    environ = os.environ if environ is None else environ
    variable = f"EARSHOT_SECRET_{source}_{name}".upper().replace("-", "_")
    if variable in environ:
        return SecretStr(environ[variable])
    if path := environ.get(f"{variable}_FILE"):
        try:
            return SecretStr(Path(path).read_text(encoding="utf-8").strip())
        except OSError as err:
            raise ConfigurationError(f"{variable}_FILE names {path}, which cannot be read: {err.strerror}") from err
    raise ConfigurationError(f"source {source!r} needs {name}: set {variable}, or {variable}_FILE to a file that holds it")
