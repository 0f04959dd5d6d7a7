"""Settings: `Settings` says where things are (environment, `.env`), the other models how a night works (the run form).

Every field is titled, described and bounded, because Prefect draws the run form from them.
"""

from __future__ import annotations

from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tenarai.address import normalise_address
from tenarai.errors import SettingsError
from tenarai.locale import _

DEFAULT_HOME = ".tenarai"
DEFAULT_SOURCE = f"folder:{DEFAULT_HOME}/sample"
DEFAULT_STORE = f"{DEFAULT_HOME}/store"
SAMPLE_STORE = f"{DEFAULT_HOME}/sample-store"


class Settings(BaseSettings):
    """Where things are; read from `TENARAI_…` variables and `.env`. No secret is ever a flow parameter."""

    model_config = SettingsConfigDict(
        env_prefix="TENARAI_", env_file=".env", env_file_encoding="utf-8-sig", extra="ignore", frozen=True
    )

    source: str = Field(DEFAULT_SOURCE, description="`folder:<path>` or `drive:<folder id>`.")
    store: str = Field(
        DEFAULT_STORE,
        min_length=1,
        description="A local path, or an `s3://`/`gs://` address. The sample has a store of its own.",
    )
    catalogue: str = Field("", description="SQLAlchemy address of the catalogue; empty: SQLite inside the store.")
    language: Literal["en", "ja"] = Field("en", description="Language of reports and messages.")
    timezone: str = Field("", description="Whose clock reports go by, such as Asia/Tokyo; empty: this machine's.")
    nightly_at: str = Field(
        "",
        pattern=r"^(([01]?\d|2[0-3]):[0-5]\d)?$",
        description="When `tenarai up` and `tenarai deploy` first schedule the night, such as 02:00; empty: 02:00.",
    )
    drive_api_root: str = Field(
        "https://www.googleapis.com/",
        description="Root of the Drive API; `drive/v3/` and `upload/drive/v3/` are appended. For proxies and tests.",
    )
    drive_credentials: SecretStr = Field(
        SecretStr(""),
        description="Path of a service-account or authorised-user JSON file, `block:<name>` of a Prefect Secret block "
        "with its content, or the JSON itself. Empty: Google's application default credentials.",
    )
    drive_quota_per_minute: int = Field(
        300_000,
        ge=1000,
        description="Google's quota units a minute that all threads together may use; Google allows 325,000 a user.",
    )
    drive_threads: int = Field(8, ge=1, le=64, description="Parallel downloads from Drive.")
    drive_first_wait: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Longest wait before a failed Drive request is sent again, in seconds; doubles up to 64.",
    )
    drive_full_walk_days: float = Field(
        7.0,
        ge=0,
        description="Days after which Drive is listed in full though its changes feed says nothing; 0: always.",
    )
    drive_reports: str = Field(
        "auto",
        description="Where reports go on Drive: `auto`, the source's reports/ folder if the account may write there; a "
        "folder's id; `own`, a folder that Tenarai makes; `off`.",
    )
    drive_reports_kept: int = Field(14, ge=1, le=1000, description="Reports kept on Drive; older ones are trashed.")
    reports_url: str = Field(
        "",
        description="Where a browser finds the store's reports/, for links in notices and in the Prefect UI; "
        "`tenarai up` sets it to its own pages.",
    )
    practice_sheet: Literal["a4", "letter", "none"] = Field(
        "a4", description="Paper of the practice sheet that comes with each report; none: no sheet."
    )
    tensorboard: str = Field("", description="Folder for TensorBoard's logs of each training; empty: none.")
    mlflow: str = Field("", description="MLflow's tracking address, such as `sqlite:///mlflow.db`; empty: none.")
    new_label_images: int = Field(
        5, ge=1, description="Images that a new label needs before a collection with a champion is trained on it."
    )
    max_image_bytes: int = Field(40_000_000, ge=1_000, description="Larger files are rejected, in bytes.")
    max_image_pixels: int = Field(
        120_000_000, ge=1_000, description="Pictures of more pixels are rejected before decoding."
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_the_sample_apart(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What a model learned from the sample is not to read anybody's own images."""
        is_sample = given.get("source", DEFAULT_SOURCE) == DEFAULT_SOURCE
        return {"store": SAMPLE_STORE, **given} if is_sample else given

    @field_validator("source")
    @classmethod
    def _write_one_way(cls, source: str) -> str:
        """The catalogue knows a source by its address, however a person wrote it."""
        return normalise_address(source)

    @field_validator("timezone")
    @classmethod
    def _find_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                _("the time zone {name!r} is unknown", name=name),
                expected=_("a name such as Asia/Tokyo or Europe/Berlin"),
                fix=_("change TENARAI_TIMEZONE, or leave it out for this machine's time zone"),
            ) from error
        return name


def read_settings(**given: str | None) -> Settings:
    """Read the settings from the environment and `.env`.

    Args:
        given: What a person gave on the command line or in the run form; empty values are left out.

    Raises:
        SettingsError: A value is invalid, or `.env` has a line that is no setting.
    """
    _check_env_file(Path(str(Settings.model_config["env_file"])))
    try:
        return Settings(**{name: value for name, value in given.items() if value})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "TENARAI_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            _("the setting {name} is invalid", name=name),
            expected=first["msg"],
            received=repr(first["input"]),
            fix=_("change {name}", name=name),
        ) from error


def _check_env_file(file: Path) -> None:
    """Raise an error for lines that dotenv would skip, and for names that are almost a setting's."""
    if not file.is_file():
        return
    known = [f"TENARAI_{name.upper()}" for name in Settings.model_fields]
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            _("{file} cannot be read", file=file), received=str(error), fix=_("save it as text in UTF-8")
        ) from error
    for binding in parse_stream(StringIO(text)):
        line, name = binding.original.line, (binding.key or "").upper()
        if binding.error:
            raise SettingsError(
                _("line {line} of {file} cannot be read", line=line, file=file),
                expected="TENARAI_SOURCE=folder:/home/me/handwriting",
                received=binding.original.string.strip(),
                fix=_("correct the line; check its quotes"),
            )
        if name not in known and (close := get_close_matches(name, known, 1, 0.85)):
            raise SettingsError(
                _("line {line} of {file} sets {name}, which is no setting", line=line, file=file, name=name),
                fix=_("write {name}", name=close[0]),
            )


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingSettings(_Form):
    """How the challenger is trained."""

    recipe: Literal["auto", "transfer", "cnn", "mlp"] = Field(
        "auto",
        title="Recipe",
        description="auto: cross-validation picks; transfer: fine-tune the base model; cnn, mlp: from scratch.",
    )
    max_epochs: int = Field(
        60,
        ge=1,
        le=1000,
        title="Epochs at most",
        description="EarlyStopping usually ends sooner. transfer gets a tenth of it more for each label beyond ten.",
    )
    patience: int = Field(8, ge=1, le=100, title="Patience", description="Epochs without improvement before stopping.")
    folds: int = Field(
        5, ge=2, le=10, title="Folds", description="Folds of the cross-validation that finds the epochs."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Same images, same seed, same model.")
    device: Literal["auto", "gpu", "cpu"] = Field(
        "auto", title="Device", description="gpu refuses to start where no GPU is visible."
    )
    error_when_sure: float = Field(
        0.02,
        ge=0.005,
        le=0.2,
        title="Wrong among the sure",
        description="At most this share of the predictions that are called sure is wrong, with 95 % confidence. 0.01 "
        "needs 299 predictions without an error, 0.02 needs 149.",
    )


class GateSettings(_Form):
    """When a challenger becomes champion."""

    alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        title="Risk of a wrong promotion",
        description="Chance that any promotion as better, in the whole life of the collection, is wrong; 0 to 1.",
    )
    when_unsure: Literal["keep", "grown", "promote"] = Field(
        "grown",
        title="When there is no proof",
        description="keep: the champion stays. grown: a challenger takes over that learned from a quarter more images "
        "and is at most 2 % worse (95 % sure), or from twice as many and is behind by at most one image. promote: any "
        "challenger that is ahead takes over.",
    )
    protect_regression_set: bool = Field(
        True,
        title="Protect the regression set",
        description="Keep the champion if the challenger misreads a regression image that the champion reads with even "
        "odds or better.",
    )


class EvaluationSettings(_Form):
    """What the models are examined on."""

    test_share: float = Field(
        0.2, ge=0.05, le=0.5, title="Share held out", description="Part of the labelled images never trained on."
    )


class StudySettings(_Form):
    """What a study tries."""

    parts: tuple[Literal["article", "epochs", "samples", "switches"], ...] = Field(
        ("article", "epochs", "samples", "switches"),
        title="Parts",
        description="article: its network on one image a label; epochs: how many are enough; samples: what more "
        "images are worth; switches: what normaliser and augmentation are worth.",
    )
    epochs: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        (5, 40), min_length=1, title="Epochs", description="Fixed numbers of epochs to compare."
    )
    recipes: tuple[Literal["mlp", "cnn", "transfer"], ...] = Field(
        ("mlp", "cnn", "transfer"), min_length=1, title="Recipes", description="What is trained."
    )
    seeds: int = Field(
        5, ge=1, le=50, title="Seeds", description="How often everything is repeated, each time on another draw."
    )
    per_label: int = Field(
        0,
        ge=0,
        le=1000,
        title="Images a label",
        description="Train on so many images a label and hold out the others; 0: train on four fifths.",
    )
