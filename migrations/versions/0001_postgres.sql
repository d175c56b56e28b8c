-- What PostgreSQL itself does: it refuses to change the logs, appends events, and completes claims.
-- Each function is called by itself, autocommitted, so that no client's round trip holds the head of a log.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TYPE event_item AS (
    ordinal integer, id uuid, type text, source text, subject text, "time" timestamptz, route text, lane smallint,
    data text, key text, body_digest text, expected_version bigint, not_before timestamptz,
    schema_version integer, cause uuid, depth smallint, attributes text
);

-- Append events: lock the head first, then judge each item by statements of their own, which see what the last
-- holder of the lock committed, then insert what was not refused and move the head.
-- Answers one row an item: `verdict` is taken, repeated, key-reused, wrong-expected-version or atomic-refused;
-- a repeated twin of this batch points to its first in `twin_of`; `at_position` is the event's position, or the
-- subject's current version when the expected one was wrong.
CREATE FUNCTION append_events(items json, atomic boolean)
RETURNS TABLE (item integer, verdict text, event_id uuid, at_position bigint, twin_of integer)
LANGUAGE plpgsql
-- Plans are kept for the life of a connection, also those made while the tables were empty.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    head bigint;
    batch event_item[];
    verdicts text[];
    ids uuid[];
    positions bigint[];
    twins integer[];
    found_row record;
    version bigint;
    taken bigint := 0;
BEGIN
    SELECT h.position INTO STRICT head FROM heads h WHERE h.log = 'events' FOR UPDATE;
    -- Parsed once: the batch is read several times below.
    SELECT array_agg(i ORDER BY i.ordinal) INTO batch FROM json_populate_recordset(NULL::event_item, items) i;
    verdicts := array_fill(NULL::text, ARRAY[cardinality(batch)]);
    ids := array_fill(NULL::uuid, ARRAY[cardinality(batch)]);
    positions := array_fill(NULL::bigint, ARRAY[cardinality(batch)]);
    twins := array_fill(NULL::integer, ARRAY[cardinality(batch)]);

    FOR found_row IN
        SELECT i.ordinal, e.id, e.position, e.body_digest = i.body_digest AS same
        FROM unnest(batch) i JOIN events e ON e.source = i.source AND e.key = i.key
        WHERE i.key IS NOT NULL
    LOOP
        verdicts[found_row.ordinal] := CASE WHEN found_row.same THEN 'repeated' ELSE 'key-reused' END;
        IF found_row.same THEN
            ids[found_row.ordinal] := found_row.id;
            positions[found_row.ordinal] := found_row.position;
        END IF;
    END LOOP;

    FOR found_row IN
        SELECT * FROM (
            SELECT i.ordinal, first_value(i.ordinal) OVER same_key AS first_ordinal,
                   i.body_digest = first_value(i.body_digest) OVER same_key AS same
            FROM unnest(batch) i
            WHERE i.key IS NOT NULL
            WINDOW same_key AS (PARTITION BY i.source, i.key ORDER BY i.ordinal)
        ) w WHERE w.ordinal <> w.first_ordinal
    LOOP
        IF verdicts[found_row.ordinal] IS NULL THEN
            verdicts[found_row.ordinal] := CASE WHEN found_row.same THEN 'repeated' ELSE 'key-reused' END;
            IF found_row.same THEN
                twins[found_row.ordinal] := found_row.first_ordinal;
            END IF;
        END IF;
    END LOOP;

    FOR found_row IN
        SELECT i.ordinal, i.subject, i.expected_version FROM unnest(batch) i
        WHERE i.expected_version IS NOT NULL ORDER BY i.ordinal
    LOOP
        CONTINUE WHEN verdicts[found_row.ordinal] IS NOT NULL;
        -- The last event of the subject: in this batch, among those before it that are taken; else in the log.
        SELECT max(b.ordinal) INTO version FROM unnest(batch) b
        WHERE b.subject = found_row.subject AND b.subject <> '' AND b.ordinal < found_row.ordinal
          AND verdicts[b.ordinal] IS NULL;
        IF version IS NOT NULL THEN
            SELECT head + count(*) INTO version FROM unnest(batch) b
            WHERE b.ordinal <= version AND verdicts[b.ordinal] IS NULL;
        ELSE
            SELECT coalesce(max(e.position), 0) INTO version FROM events e
            WHERE e.subject = found_row.subject AND e.subject <> '';
        END IF;
        IF version <> found_row.expected_version THEN
            verdicts[found_row.ordinal] := 'wrong-expected-version';
            positions[found_row.ordinal] := version;
        END IF;
    END LOOP;

    IF atomic AND ('key-reused' = ANY (verdicts) OR 'wrong-expected-version' = ANY (verdicts)) THEN
        FOR n IN 1 .. cardinality(batch) LOOP
            -- A twin shares the verdict of its first.
            IF verdicts[n] IS NULL OR verdicts[twins[n]] = 'atomic-refused' THEN
                verdicts[n] := 'atomic-refused';
                twins[n] := NULL;
            END IF;
        END LOOP;
    END IF;

    IF array_position(verdicts, NULL) IS NOT NULL THEN
        WITH fresh AS MATERIALIZED (
            SELECT head + row_number() OVER (ORDER BY i.ordinal) AS new_position, i.*,
                   i.route IS NOT NULL AND i.not_before IS NOT NULL AS is_direct
            FROM unnest(batch) i WHERE verdicts[i.ordinal] IS NULL
        ), stored AS (
            INSERT INTO events (position, id, type, source, subject, "time", recorded_at, route, lane, data, key,
                                body_digest, schema_version, cause, depth, attributes, direct)
            SELECT f.new_position, f.id, f.type, f.source, f.subject, coalesce(f."time", t.now), t.now, f.route,
                   f.lane, f.data, f.key, f.body_digest, f.schema_version, f.cause, f.depth, f.attributes, f.is_direct
            FROM fresh f, (SELECT clock_timestamp() AS now) t
            ORDER BY f.new_position
        ), held AS (
            INSERT INTO claims (subscription, first_position, last_position, available_at)
            SELECT f.route, f.new_position, f.new_position, f.not_before FROM fresh f WHERE f.is_direct
        )
        SELECT count(*) INTO taken FROM fresh;
        UPDATE heads h SET position = head + taken WHERE h.log = 'events';
    END IF;

    RETURN QUERY
        SELECT i.ordinal, coalesce(verdicts[i.ordinal], 'taken'), coalesce(ids[i.ordinal], i.id),
               CASE WHEN verdicts[i.ordinal] IS NULL
                    THEN head + row_number() OVER (PARTITION BY verdicts[i.ordinal] IS NULL ORDER BY i.ordinal)
                    ELSE positions[i.ordinal] END,
               twins[i.ordinal]
        FROM unnest(batch) i ORDER BY i.ordinal;
END $$;

-- Complete a claim: the fenced delete first (no row: nothing else happens), then what goes back, then the contexts
-- at the next positions of their log, whose head is locked last and for the shortest time.
CREATE FUNCTION complete_claim(claim_id bigint, claim_fence bigint, contexts json, requeues json)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    gone claims%ROWTYPE;
    base bigint;
    added integer := json_array_length(contexts);
BEGIN
    DELETE FROM claims c WHERE c.id = claim_id AND c.fence = claim_fence RETURNING c.* INTO gone;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF json_array_length(requeues) > 0 THEN
        INSERT INTO claims (subscription, first_position, last_position, attempt, deaths, available_at)
        SELECT gone.subscription, r.first, r.last, r.attempt, gone.deaths,
               clock_timestamp() + make_interval(secs => r.delay)
        FROM json_to_recordset(requeues) AS r (first bigint, last bigint, attempt integer, delay double precision);
    END IF;
    IF added > 0 THEN
        UPDATE heads h SET position = h.position + added WHERE h.log = 'task_contexts'
        RETURNING h.position - added INTO STRICT base;
        INSERT INTO task_contexts (position, event_position, pipeline, generation, status, context, digest,
                                   fingerprint, recorded_at, emits)
        SELECT base + c.ordinal, c.event_position, c.pipeline, c.generation, c.status, c.context, c.digest,
               c.fingerprint, t.now, c.emits
        FROM json_to_recordset(contexts) AS c (
            ordinal integer, event_position bigint, pipeline text, generation integer, status text, context text,
            digest text, fingerprint text, emits boolean
        ), (SELECT clock_timestamp() AS now) t;
    END IF;
    RETURN true;
END $$;
