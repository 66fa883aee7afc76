"""The tables of journals in PostgreSQL, and how they are made and checked.

The tables are those of a journal in a file, each with the number of the job in front: a schema
holds as many jobs as are wanted. An event of a row decides by the highest number, as there. One
that came too late to decide anything is kept under a number below zero: see :mod:`.late`.
"""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from attrs import evolve
from psycopg import sql
from psycopg.sql import Composed

from ...errors import JournalError
from ..address import JOB, Address
from ..records import Job, trouble
from ..reference import DIGEST
from .connection import RUN_IS_OVER

VERSION = 2
"""Of the tables. Another number is refused: a journal is for one push, not for years."""
IDLE = 10_000
"""Milliseconds that a transaction may wait for its process."""
_OLDEST_SERVER = 120000
_LOCK = 0x6B6A726E
"""The first half of the advisory lock under which tables are made; the other names the schema."""

_TABLES = """
CREATE TABLE {s}.journal_version (version integer NOT NULL);
CREATE SEQUENCE {s}.events;
CREATE TABLE {s}.job (
    job integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    job_id text NOT NULL, service text NOT NULL, operation text NOT NULL, target text NOT NULL,
    place text NOT NULL, keys text, shape text, payloads boolean NOT NULL, source text,
    made double precision NOT NULL, restored double precision, next_row bigint NOT NULL DEFAULT 1,
    reconciler bigint
);
CREATE TABLE {s}.runs (
    run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job integer NOT NULL,
    began double precision NOT NULL, ended double precision, pid integer NOT NULL,
    host text NOT NULL, longest_call double precision, lease_until double precision NOT NULL,
    over boolean NOT NULL DEFAULT false, batch bigint NOT NULL DEFAULT 0, lost bigint[],
    late bigint[]
);
CREATE INDEX runs_under_way ON {s}.runs (job) WHERE ended IS NULL AND NOT over;
CREATE TABLE {s}.rows (
    job integer NOT NULL, row bigint NOT NULL, key text COLLATE "C", digest bytea NOT NULL,
    occurrence integer NOT NULL, line bigint, planned double precision NOT NULL,
    traits bigint NOT NULL DEFAULT 0, repeat_of bigint, former bytea,
    changed integer NOT NULL DEFAULT 0, PRIMARY KEY (job, row)
);
CREATE UNIQUE INDEX rows_by_key ON {s}.rows (job, key)
    WHERE key IS NOT NULL AND repeat_of IS NULL;
CREATE UNIQUE INDEX rows_by_content ON {s}.rows (job, digest, occurrence) WHERE key IS NULL;
CREATE INDEX repeats ON {s}.rows (job, repeat_of) WHERE repeat_of IS NOT NULL;
CREATE TABLE {s}.payloads (
    job integer NOT NULL, row bigint NOT NULL, payload bytea NOT NULL, PRIMARY KEY (job, row)
);
CREATE TABLE {s}.facts (
    job integer NOT NULL, row bigint NOT NULL, fact bigint NOT NULL, kind text NOT NULL,
    attempt integer NOT NULL, at double precision NOT NULL, run bigint NOT NULL, phase integer,
    status integer, ticket_id text, error text, words text, evidence text
);
CREATE UNIQUE INDEX facts_of_row ON {s}.facts (job, row, fact DESC) INCLUDE (kind);
CREATE UNIQUE INDEX intents ON {s}.facts (job, row, attempt)
    WHERE kind = 'intent' AND attempt > 1;
CREATE TABLE {s}.unaccepted (
    job integer NOT NULL, row bigint NOT NULL, kind text NOT NULL, PRIMARY KEY (job, row)
);
CREATE TABLE {s}.looks (
    look bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job integer NOT NULL,
    at double precision NOT NULL, evidence text NOT NULL
);
CREATE TABLE {s}.findings (
    finding bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job integer NOT NULL,
    row bigint NOT NULL, kind text NOT NULL, ticket_ids text NOT NULL,
    at double precision NOT NULL, UNIQUE (job, row, kind, ticket_ids)
);
CREATE TABLE {s}.paces (
    target text PRIMARY KEY, version bigint NOT NULL, rate text NOT NULL,
    next_at double precision NOT NULL, paused_until double precision NOT NULL,
    drawn_at double precision NOT NULL
);
CREATE VIEW {s}.last_facts AS
    SELECT * FROM {s}.facts AS f WHERE f.fact = (
        SELECT max(g.fact) FROM {s}.facts AS g WHERE g.job = f.job AND g.row = f.row
    );
"""

# A batch of a run is written once: its number is, in the same commit. Who lost the connection in
# the middle of a commit gives the same batch again; if it had landed, or is just landing, that
# changes nothing, and the same rows are lost.
_FUNCTIONS = """
-- Rows whose last event is not "accepted", and its kind: most rows of a large journal are accepted,
-- and what asks for the others reads nothing else. An event with a negative number decides nothing.
CREATE FUNCTION {s}.keep_unaccepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {s}.unaccepted AS u (job, row, kind)
        SELECT l.job, l.row, l.kind FROM (
            SELECT DISTINCT ON (job, row) job, row, kind FROM added WHERE fact >= 0
            ORDER BY job, row, fact DESC
        ) AS l WHERE l.kind <> 'accepted'
        ON CONFLICT (job, row) DO UPDATE SET kind = excluded.kind;
    DELETE FROM {s}.unaccepted AS u USING (
            SELECT DISTINCT ON (job, row) job, row, kind FROM added WHERE fact >= 0
            ORDER BY job, row, fact DESC
        ) AS l WHERE u.job = l.job AND u.row = l.row AND l.kind = 'accepted';
    RETURN NULL;
END $$;
CREATE TRIGGER keep_unaccepted AFTER INSERT ON {s}.facts REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.keep_unaccepted();

CREATE FUNCTION {s}.begin_batch(job_ integer, run_ bigint, number_ bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    -- A process that is stopped in a transaction must not hold others up.
    PERFORM set_config('idle_in_transaction_session_timeout', '{idle}', true);
    UPDATE {s}.runs AS r SET batch = number_, lost = NULL, late = NULL
        WHERE run = run_ AND batch = number_ - 1 AND NOT over AND ended IS NULL;
    IF FOUND THEN RETURN true; END IF;
    PERFORM 1 FROM {s}.runs WHERE run = run_ AND batch = number_;
    IF FOUND THEN RETURN false; END IF;
    RAISE EXCEPTION 'the run is over' USING ERRCODE = '{over}';
END $$;

CREATE FUNCTION {s}.write_batch(
    job_ integer, run_ bigint, at_ double precision, said jsonb, contents bytea
) RETURNS TABLE (lost bigint[], late bigint[])
LANGUAGE plpgsql AS $$
DECLARE
    number_ bigint; new_ jsonb := said->'rows'; events_ jsonb := said->'events';
    accepted_ jsonb := said->'accepted'; touched bigint[];
BEGIN
    lost := '{{}}'; late := '{{}}';
    -- What was decided about a known row holds only if nothing was said of it since.
    IF said ? 'seen' THEN
        SELECT array_agg((v->>0)::bigint ORDER BY (v->>0)::bigint)
            INTO touched FROM jsonb_array_elements(said->'seen') AS v;
        PERFORM 1 FROM {s}.rows AS r WHERE r.job = job_ AND r.row = ANY (touched)
            ORDER BY r.row FOR UPDATE;
        SELECT coalesce(array_agg((v->>0)::bigint), '{{}}') INTO lost
            FROM jsonb_array_elements(said->'seen') AS v
            WHERE (v->>1)::bigint IS DISTINCT FROM (
                SELECT max(f.fact) FROM {s}.facts AS f
                WHERE f.job = job_ AND f.row = (v->>0)::bigint
            );
    END IF;
    IF new_ IS NOT NULL THEN
        INSERT INTO {s}.rows (job, row, key, digest, occurrence, line, planned, traits, repeat_of)
            SELECT job_, (v->>0)::bigint, v->>3,
                substr(contents, (v->>1)::integer - {digest}, {digest}), (v->>6)::integer,
                (v->>4)::bigint, at_, (v->>5)::bigint, (v->>7)::bigint
            FROM jsonb_array_elements(new_) AS v
            ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS number_ = ROW_COUNT;
        IF number_ < jsonb_array_length(new_) THEN
            -- Row numbers are this run's own: what stands there now is what was inserted here.
            lost := lost || ARRAY(
                SELECT (v->>0)::bigint FROM jsonb_array_elements(new_) AS v
                WHERE NOT EXISTS (
                    SELECT 1 FROM {s}.rows AS r
                    WHERE r.job = job_ AND r.row = (v->>0)::bigint
                )
            );
        END IF;
        INSERT INTO {s}.payloads (job, row, payload)
            SELECT job_, (v->>0)::bigint,
                substr(contents, (v->>1)::integer, (v->>2)::integer)
            FROM jsonb_array_elements(new_) AS v
            WHERE (v->>2)::integer > 0 AND (v->>0)::bigint <> ALL (lost);
        INSERT INTO {s}.facts (job, row, fact, kind, attempt, at, run)
            SELECT job_, (v->>0)::bigint, 0, 'intent', 1, at_, run_
            FROM jsonb_array_elements(new_) AS v
            WHERE v->8 = 'true' AND (v->>0)::bigint <> ALL (lost);
    END IF;
    -- A further attempt may have begun after an earlier one was taken for lost.
    IF said ? 'again' THEN
        SELECT array_agg(v::bigint ORDER BY v::bigint) INTO touched
            FROM jsonb_array_elements_text(said->'again') AS v;
        PERFORM 1 FROM {s}.rows AS r WHERE r.job = job_ AND r.row = ANY (touched)
            ORDER BY r.row FOR UPDATE;
        late := ARRAY(
            SELECT w.row FROM unnest(touched) AS w(row) WHERE EXISTS (
                SELECT 1 FROM {s}.facts AS f
                WHERE f.job = job_ AND f.row = w.row AND f.fact < 0
            )
        );
    END IF;
    IF accepted_ IS NOT NULL THEN
        INSERT INTO {s}.facts (job, row, fact, kind, attempt, at, run, ticket_id)
            SELECT job_, (v->>0)::bigint, nextval('{s}.events'), 'accepted', (v->>1)::integer, at_,
                run_, v->>2
            FROM jsonb_array_elements(accepted_) AS v WHERE (v->>0)::bigint <> ALL (late);
        DELETE FROM {s}.payloads AS p USING jsonb_array_elements(accepted_) AS v
            WHERE p.job = job_ AND p.row = (v->>0)::bigint;
    END IF;
    IF events_ IS NOT NULL THEN
        INSERT INTO {s}.facts
            (job, row, fact, kind, attempt, at, run, phase, status, ticket_id, error, words,
             evidence)
            SELECT job_, (v->>0)::bigint, nextval('{s}.events'), v->>1, (v->>2)::integer,
                coalesce((v->>3)::double precision, at_), run_, (v->>4)::integer,
                (v->>5)::integer, v->>6, v->>7, v->>8, v->>9
            FROM (SELECT v FROM jsonb_array_elements(events_) WITH ORDINALITY AS e(v, n)
                ORDER BY n) AS e
            WHERE (v->>0)::bigint <> ALL (lost) AND (v->>0)::bigint <> ALL (late);
    END IF;
    IF said ? 'revised' THEN
        UPDATE {s}.rows AS r SET digest = substr(contents, (v->>1)::integer, {digest}),
                former = CASE WHEN (v->>3)::integer > 0
                    THEN substr(contents, (v->>2)::integer, (v->>3)::integer) END,
                occurrence = (v->>4)::integer, line = (v->>5)::bigint, traits = (v->>6)::bigint,
                repeat_of = (v->>7)::bigint, changed = (v->>8)::integer
            FROM jsonb_array_elements(said->'revised') AS v
            WHERE r.job = job_ AND r.row = (v->>0)::bigint AND r.row <> ALL (lost);
    END IF;
    IF said ? 'forgotten' THEN
        DELETE FROM {s}.payloads AS p USING jsonb_array_elements_text(said->'forgotten') AS v
            WHERE p.job = job_ AND p.row = v::bigint AND p.row <> ALL (lost);
        INSERT INTO {s}.payloads (job, row, payload)
            SELECT job_, (v->>0)::bigint, substr(contents, (v->>1)::integer, (v->>2)::integer)
            FROM jsonb_array_elements(said->'payloads') AS v
            WHERE (v->>0)::bigint <> ALL (lost)
            ON CONFLICT (job, row) DO UPDATE SET payload = excluded.payload;
    END IF;
    IF said ? 'findings' THEN
        INSERT INTO {s}.findings (job, row, kind, ticket_ids, at)
            SELECT job_, (v->>0)::bigint, v->>1, v->>2, (v->>3)::double precision
            FROM jsonb_array_elements(said->'findings') AS v ON CONFLICT DO NOTHING;
    END IF;
    IF said ? 'looks' THEN
        INSERT INTO {s}.looks (job, at, evidence)
            SELECT job_, (v->>0)::double precision, v->>1
            FROM jsonb_array_elements(said->'looks') AS v;
    END IF;
    RETURN NEXT;
END $$;

CREATE FUNCTION {s}.commit_batch(
    job_ integer, run_ bigint, number_ bigint, at_ double precision, said jsonb, contents bytea
) RETURNS TABLE (lost bigint[], late bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    IF {s}.begin_batch(job_, run_, number_) THEN
        SELECT w.lost, w.late INTO lost, late
            FROM {s}.write_batch(job_, run_, at_, said, contents) AS w;
        IF lost <> '{{}}' OR late <> '{{}}' THEN
            UPDATE {s}.runs AS r SET lost = commit_batch.lost, late = commit_batch.late
                WHERE r.run = run_;
        END IF;
    ELSE
        SELECT coalesce(r.lost, '{{}}'), coalesce(r.late, '{{}}') INTO lost, late
            FROM {s}.runs AS r WHERE r.run = run_;
    END IF;
    RETURN NEXT;
END $$;

-- The pace need not be durable; who was faster has another version.
CREATE FUNCTION {s}.put_pace(
    target_ text, version_ bigint, rate_ text, next_ double precision, paused_ double precision,
    drawn_ double precision
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    IF version_ = 0 THEN
        INSERT INTO {s}.paces VALUES (target_, 1, rate_, next_, paused_, drawn_)
            ON CONFLICT DO NOTHING;
    ELSE
        UPDATE {s}.paces SET version = version + 1, rate = rate_, next_at = next_,
                paused_until = paused_, drawn_at = drawn_
            WHERE target = target_ AND version = version_;
    END IF;
    RETURN FOUND;
END $$;

-- Runs whose lease is over stay so, and what they had under way is in doubt from now on.
CREATE FUNCTION {s}.end_leases(job_ integer, at_ double precision, words_ text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    dead bigint[]; number_ bigint := 0;
BEGIN
    WITH ended AS (
        UPDATE {s}.runs SET over = true
            WHERE job = job_ AND ended IS NULL AND NOT over
                AND lease_until < extract(epoch FROM clock_timestamp())
            RETURNING run
    ) SELECT array_agg(run) INTO dead FROM ended;
    IF dead IS NOT NULL THEN
        INSERT INTO {s}.facts (job, row, fact, kind, attempt, at, run, words)
            SELECT job_, i.row, nextval('{s}.events'), 'unknown', i.attempt, at_, i.run, words_
            FROM {s}.facts AS i
            WHERE i.job = job_ AND i.kind = 'intent' AND i.run = ANY (dead) AND i.fact = (
                SELECT max(g.fact) FROM {s}.facts AS g WHERE g.job = job_ AND g.row = i.row
            );
        GET DIAGNOSTICS number_ = ROW_COUNT;
    END IF;
    RETURN number_;
END $$;

-- A run that ends by itself leaves in doubt what it never heard of.
CREATE FUNCTION {s}.end_run(
    job_ integer, run_ bigint, at_ double precision, rows_ bigint[], words_ text
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {s}.runs SET ended = at_ WHERE run = run_ AND NOT over AND ended IS NULL;
    IF FOUND THEN
        INSERT INTO {s}.facts (job, row, fact, kind, attempt, at, run, words)
            SELECT job_, i.row, nextval('{s}.events'), 'unknown', i.attempt, at_, i.run, words_
            FROM {s}.facts AS i
            WHERE i.job = job_ AND i.row = ANY (rows_) AND i.kind = 'intent' AND i.run = run_
                AND i.fact = (
                    SELECT max(g.fact) FROM {s}.facts AS g WHERE g.job = job_ AND g.row = i.row
                );
    END IF;
END $$;
"""


def composed(address: Address, text: str, **more: Any) -> Composed:
    """A statement with the names of the schema in place of ``{s}``."""
    schema = sql.Identifier(address.schema)
    values = {name: sql.SQL(str(value)) for name, value in more.items()}  # pyright: ignore[reportArgumentType]
    return sql.SQL(text).format(s=schema, **values)  # pyright: ignore[reportArgumentType]


def prepare(connection: psycopg.Connection[Any], address: Address, *, create: bool) -> None:
    """See that the tables are there, and of this version; make them if need be.

    Raises:
        JournalError: they are not there and are not to be made, are of another version, or the
            schema is another program's.
    """
    text = address.text
    if connection.info.server_version < _OLDEST_SERVER:
        raise trouble(text, "the server is older than PostgreSQL 12", "Use a newer one.")
    if connection.info.parameter_status("server_encoding") != "UTF8":
        raise trouble(text, "the database's encoding is not UTF8", "Use a database that is in it.")
    found = _version(connection, address)
    if found is None and create:
        _make(connection, address)
        found = _version(connection, address)
    if found is None:
        raise _nothing_there(address)
    if found != VERSION:
        other, step = (
            ("newer", "Use that version, or a newer one.")
            if found > VERSION
            else ("older", "Finish the push with that version, or name another --journal-schema.")
        )
        raise trouble(
            text,
            f"{_an(other)} version of this package made its tables (tables {found}; this one "
            f"knows {VERSION})",
            step,
        )


def _an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _version(connection: psycopg.Connection[Any], address: Address) -> int | None:
    found = connection.execute(
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = 'journal_version'",
        [address.schema],
    ).fetchone()
    if found is None:
        return None
    statement = composed(address, "SELECT version FROM {s}.journal_version")
    versions = [version for (version,) in connection.execute(statement)]
    return versions[0] if len(versions) == 1 else 0


def are_there(connection: psycopg.Connection[Any], address: Address) -> bool:
    """Whether the tables of a journal are there, of whatever version."""
    return _version(connection, address) is not None


def _make(connection: psycopg.Connection[Any], address: Address) -> None:
    with connection.transaction():
        # For this transaction: a pooler may give the session to somebody else afterwards.
        connection.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, address.schema]
        )
        if _version(connection, address) is not None:
            return
        taken = connection.execute(
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s",
            [address.schema],
        ).fetchone()
        if taken and taken[0]:
            raise trouble(
                address.text,
                f"the schema {address.schema!r} holds tables that are not of a journal",
                "Name another with --journal-schema (in the URL: ?journal_schema=NAME).",
            )
        connection.execute(composed(address, "CREATE SCHEMA IF NOT EXISTS {s}"))
        connection.execute(composed(address, _TABLES))
        connection.execute(_functions(address))
        connection.execute(
            composed(address, "INSERT INTO {s}.journal_version VALUES ({version})", version=VERSION)
        )


def _functions(address: Address) -> Composed:
    # nextval takes the sequence's name as a text.
    schema = sql.Identifier(address.schema)
    plain = _FUNCTIONS.replace("nextval('{s}.events')", "nextval({events})")
    return sql.SQL(plain).format(
        s=schema,
        over=sql.SQL(RUN_IS_OVER),
        digest=sql.SQL(str(DIGEST)),  # pyright: ignore[reportArgumentType]
        idle=sql.SQL(str(IDLE)),  # pyright: ignore[reportArgumentType]
        events=sql.Literal(f"{schema.as_string(None)}.events"),
    )


def _nothing_there(address: Address) -> JournalError:
    return trouble(
        address.text,
        f"there is no journal (no tables in the schema {address.schema!r})",
        "Name the database and the --journal-schema that the push used.",
    )


_FIND = """
SELECT job, service, operation, target, place, keys, shape, payloads, source, job_id
FROM {s}.job WHERE name = %s
"""
_MAKE = """
INSERT INTO {s}.job (name, made, service, operation, target, place, keys, shape, payloads, source,
    job_id)
VALUES (%s, extract(epoch FROM clock_timestamp()), %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (name) DO NOTHING
"""


def find_job(connection: psycopg.Connection[Any], address: Address) -> tuple[int, Job] | None:
    """The number and the description of the job that is named; of the only one, if none is.

    Raises:
        JournalError: none is named, and there are several.
    """
    names: list[str] = []
    name = address.job
    if name is None:
        statement = composed(address, "SELECT name FROM {s}.job ORDER BY job LIMIT 20")
        names = [found for (found,) in connection.execute(statement)]
        name = JOB if JOB in names or len(names) != 1 else names[0]
    found = connection.execute(composed(address, _FIND), [name]).fetchone()
    if found is None:
        if names:
            raise trouble(
                address.text,
                f"it holds several jobs: {', '.join(names)}",
                "Name one with --job NAME (in the URL: ?job=NAME).",
            )
        return None
    number, service, operation, target, place, keys, shape, payloads, source, job_id = found
    return number, Job(
        service=service,
        operation=operation,
        target=target,
        place=place,
        keys=keys,
        shape=shape,
        payloads=payloads,
        source=source,
        job_id=job_id,
    )


def no_job(connection: psycopg.Connection[Any], address: Address) -> JournalError:
    """That there is no such job, and which there are."""
    statement = composed(address, "SELECT name FROM {s}.job ORDER BY job LIMIT 20")
    names = [found for (found,) in connection.execute(statement)]
    there = f"; there are: {', '.join(names)}" if names else ""
    return trouble(
        address.text,
        f"there is no job {address.job or JOB!r} in the schema {address.schema!r}{there}",
        "Name the job that was pushed with --job NAME (in the URL: ?job=NAME).",
    )


def make_job(connection: psycopg.Connection[Any], address: Address, job: Job) -> None:
    """Make a job, unless another process just has."""
    job = evolve(job, job_id=secrets.token_hex(16))
    connection.execute(
        composed(address, _MAKE),
        [
            address.job or JOB,
            job.service,
            job.operation,
            job.target,
            job.place,
            job.keys,
            job.shape,
            job.payloads,
            job.source,
            job.job_id,
        ],
    )
