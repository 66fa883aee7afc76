"""The statements by which rows are looked up and batches are written, each for many rows."""

from __future__ import annotations

from ..reference import DIGEST

ANOTHER_RUN = "another run has begun"
"""What writing a batch fails with then."""

_KNOWN = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind, f.attempt, f.ticket_id, f.status, f.error,
    f.words, (SELECT max(g.attempt) FROM facts AS g WHERE g.row = r.row), r.repeat_of, r.former,
    r.line, r.changed, r.traits
FROM {source}
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
{where}
"""
_AT = "json_extract(value, '$[{}]')".format
WITH_KEYS = _KNOWN.format(
    source="json_each(?) AS w CROSS JOIN rows AS r ON r.key = w.value",
    where="WHERE r.repeat_of IS NULL",
)
WITH_CONTENTS = _KNOWN.format(
    source="json_each(?1) AS w CROSS JOIN rows AS r ON r.key IS NULL "
    f"AND r.digest = substr(?2, 1 + {DIGEST} * w.key, {DIGEST}) AND r.occurrence = w.value",
    where="",
)
WITH_NUMBERS = _KNOWN.format(
    source="json_each(?) AS w CROSS JOIN rows AS r ON r.row = w.value", where=""
)
WITH_KEY_AND_CONTENT = _KNOWN.format(
    source="rows AS r",
    where="WHERE r.key IS NOT NULL AND r.digest = ? AND r.occurrence >= 0 ORDER BY r.row",
)
REPEATS_OF = _KNOWN.format(source="rows AS r", where="WHERE r.repeat_of = ? ORDER BY r.row")
WITH_SPELLING = _KNOWN.format(
    source="temp.spellings AS s CROSS JOIN rows AS r ON r.row = s.row",
    where="WHERE s.folded = ? ORDER BY r.row",
)

# Indexes that are not made before they are needed: of the contents, a new row has a page to
# itself, and costs a third less without it. The other is for journals whose rows came with keys
# and then without.
BY_CONTENT = (
    "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_content ON rows (digest, occurrence) "
    "WHERE key IS NULL"
)
BY_KEYED_CONTENT = (
    "CREATE INDEX IF NOT EXISTS rows_by_keyed_content ON rows (digest) WHERE key IS NOT NULL"
)

_PAYLOAD = f"substr(NEW.contents, {_AT(1)}, {_AT(2)})"
WRITE = (
    "CREATE TEMP VIEW IF NOT EXISTS new_batch AS SELECT NULL AS run, NULL AS at, NULL AS fact, "
    "NULL AS rows, NULL AS contents, NULL AS accepted, NULL AS facts, NULL AS revised, "
    "NULL AS payloads, NULL AS forgotten",
    f"""
    CREATE TEMP TRIGGER IF NOT EXISTS write_batch INSTEAD OF INSERT ON new_batch BEGIN
        SELECT RAISE(ABORT, '{ANOTHER_RUN}') WHERE NEW.run IS NOT (SELECT max(run) FROM runs);
        INSERT INTO rows (row, key, line, digest, occurrence, planned, traits, repeat_of)
            SELECT {_AT(0)}, {_AT(3)}, {_AT(4)},
                substr(NEW.contents, {_AT(1)} - {DIGEST}, {DIGEST}), coalesce({_AT(6)}, 0),
                NEW.at, {_AT(5)}, {_AT(7)}
            FROM json_each(NEW.rows);
        INSERT INTO payloads (row, payload)
            SELECT {_AT(0)}, {_PAYLOAD} FROM json_each(NEW.rows) WHERE {_AT(2)} > 0;
        INSERT INTO facts (row, fact, kind, attempt, at)
            SELECT {_AT(0)}, 0, 'intent', 1, NEW.at FROM json_each(NEW.rows)
            WHERE {_AT(8)} IS NULL;
        INSERT INTO facts (row, fact, kind, attempt, at, ticket_id)
            SELECT {_AT(0)}, NEW.fact + key, 'accepted', {_AT(1)}, NEW.at, {_AT(2)}
            FROM json_each(NEW.accepted);
        INSERT INTO unaccepted (row, kind)
            SELECT {_AT(0)}, 'intent' FROM json_each(NEW.rows) WHERE {_AT(8)} IS NULL;
        DELETE FROM payloads WHERE row IN (SELECT {_AT(0)} FROM json_each(NEW.accepted));
        DELETE FROM unaccepted WHERE row IN (SELECT {_AT(0)} FROM json_each(NEW.accepted));
        INSERT INTO facts
            (row, fact, kind, attempt, at, phase, status, ticket_id, error, words, evidence)
            SELECT {_AT(0)}, NEW.fact + json_array_length(NEW.accepted) + key, {_AT(1)}, {_AT(2)},
                coalesce({_AT(3)}, NEW.at), {_AT(4)}, {_AT(5)}, {_AT(6)}, {_AT(7)}, {_AT(8)},
                {_AT(9)}
            FROM json_each(NEW.facts);
        INSERT OR REPLACE INTO unaccepted (row, kind)
            SELECT {_AT(0)}, {_AT(1)} FROM json_each(NEW.facts) ORDER BY key;
        DELETE FROM unaccepted
            WHERE kind = 'accepted' AND row IN (SELECT {_AT(0)} FROM json_each(NEW.facts));
        UPDATE job SET events =
            NEW.fact - 1 + json_array_length(NEW.accepted) + json_array_length(NEW.facts);
        INSERT INTO rows
            SELECT r.row, r.key, substr(NEW.contents, {_AT(1)}, {DIGEST}), {_AT(4)}, {_AT(5)},
                r.planned, {_AT(6)}, {_AT(7)},
                CASE WHEN {_AT(3)} > 0 THEN substr(NEW.contents, {_AT(2)}, {_AT(3)}) END, {_AT(8)}
            FROM json_each(NEW.revised) AS v CROSS JOIN rows AS r
                ON r.row = json_extract(v.value, '$[0]')
            WHERE true
            ON CONFLICT (row) DO UPDATE SET digest = excluded.digest,
                occurrence = excluded.occurrence, line = excluded.line, traits = excluded.traits,
                repeat_of = excluded.repeat_of, former = excluded.former,
                changed = excluded.changed;
        DELETE FROM payloads WHERE row IN (SELECT value FROM json_each(NEW.forgotten));
        INSERT OR REPLACE INTO payloads (row, payload)
            SELECT {_AT(0)}, {_PAYLOAD} FROM json_each(NEW.payloads);
    END
    """,  # noqa: S608 - of constants
)
