"""What Alembic runs: the revisions, on the connection and in the transaction that it was handed."""

from alembic import context

from tenarai.catalogue.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # on SQLite, too: the transaction was begun by hand
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
