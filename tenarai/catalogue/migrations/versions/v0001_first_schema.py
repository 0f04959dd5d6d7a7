"""The schema of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("about", _text("name", key=True), _text("value"), if_not_exists=True)
    op.create_table(
        "images",
        _text("source", key=True),
        _text("file_id", key=True),
        sa.Column("path", sa.Text, nullable=False),
        _text("role"),
        sa.Column("label", sa.String),
        _text("sha256"),
        sa.Column("size", sa.BigInteger, nullable=False),
        _text("modified"),
        _text("state"),
        sa.Column("reason", sa.Text, nullable=False),
        _text("first_run"),
        _text("last_run"),
        _text("owner"),
        _text("stamp"),
        if_not_exists=True,
    )
    op.create_index("images_by_state", "images", ["source", "state", "role"], if_not_exists=True)
    op.create_index("images_by_sha256", "images", ["sha256"], if_not_exists=True)
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _text("source"),
        _text("run"),
        _text("kind"),
        _text("file_id"),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("label", sa.String),
        sa.Column("old_path", sa.Text),
        sa.Column("old_label", sa.String),
        _text("sha256"),
        if_not_exists=True,
    )
    op.create_index("events_by_run", "events", ["source", "run"], if_not_exists=True)
    op.create_table(
        "sources", _text("source", key=True), sa.Column("state", sa.Text, nullable=False), if_not_exists=True
    )
    op.create_table(
        "digits",
        sa.Column("normaliser", sa.Integer, primary_key=True),
        _text("sha256", key=True),
        sa.Column("pixels", sa.LargeBinary, nullable=False),
        sa.Column("phash", sa.LargeBinary, nullable=False),
        _text("group"),
        sa.Column("reason", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "readings",
        _text("model", key=True),
        _text("sha256", key=True),
        _text("label"),
        sa.Column("confidence", sa.Float(53), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "nights",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String, nullable=False, unique=True),
        _text("source"),
        sa.Column("record", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_nights_source", "nights", ["source"], if_not_exists=True)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=key, nullable=False)
