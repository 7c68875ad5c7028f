"""The two roles of a log in PostgreSQL, and the role that owns it."""

from leftfold.errors import RoleTaken
from leftfold.store.postgres.batch import texts
from leftfold.store.postgres.driver import connect, named_errors, run, run_script
from leftfold.store.postgres.schema import SCHEMA, functions_of, script

# Roles belong to the whole server. If a role has rights in another database, or on another log of this database (as
# after a schema was renamed), roles that were granted it there would also get rights on this log.
SELECT_ELSEWHERE = """
    SELECT role.rolname, 'the database ' || datname
    FROM pg_catalog.pg_shdepend
    JOIN pg_catalog.pg_database ON pg_database.oid = dbid
    JOIN pg_catalog.pg_roles AS role ON role.oid = refobjid
    WHERE refclassid = 'pg_catalog.pg_authid'::regclass
        AND deptype = 'a'
        AND datname <> pg_catalog.current_database()
        AND role.rolname = ANY (%s)
    UNION
    SELECT role.rolname, 'the log ' || nspname || ' of this database'
    FROM (
        SELECT pronamespace, proacl FROM pg_catalog.pg_proc WHERE proname IN ('append', 'append_few')
        UNION ALL
        SELECT relnamespace, relacl FROM pg_catalog.pg_class WHERE relname IN ('event', 'events')
    ) AS part (namespace, rights)
    JOIN pg_catalog.pg_namespace AS log ON log.oid = part.namespace
    CROSS JOIN pg_catalog.aclexplode(part.rights)
    JOIN pg_catalog.pg_roles AS role ON role.oid = grantee
    WHERE nspname <> %s AND role.rolname = ANY (%s)
    ORDER BY 1, 2"""


def create_roles(url: str, log: str, writer: str, reader: str) -> None:
    """Make the roles of a log, with exactly the rights that they need."""
    with named_errors(f"log {log!r}"), connect(url, session=False) as connection:
        names = texts([writer, reader])
        for role, elsewhere in run(connection, SELECT_ELSEWHERE, [names, log, names]):
            raise RoleTaken(role, elsewhere)
        text = script(["rights/roles", "rights/snapshot"], SCHEMA)
        text = text.replace(f"{SCHEMA}_writer", writer).replace(f"{SCHEMA}_reader", reader)
        run_script(connection, text.replace(SCHEMA, log))


def risk_of_owner(url: str, log: str) -> str | None:
    """Return what is risky about the owner of a log, because its functions use the rights of the owner."""
    with named_errors(f"log {log!r}"), connect(url, session=False) as connection:
        found = functions_of(connection, log, "")
    risks = {"is a superuser": found.owner_is_superuser, "may log in": found.owner_may_log_in}
    wrong = [risk for risk, is_so in risks.items() if is_so]
    return f"the role {found.owner}, which owns the log, {' and '.join(wrong)}" if wrong else None
