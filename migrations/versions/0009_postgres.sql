-- Both logs are appended to by columns, an array each, instead of one JSON text that is written, read and read again: a
-- third to two fifths of an append's time. The functions of the same names that take JSON stay for the processes of the
-- version before, which may run on meanwhile.

-- Append events: lock the head first, then judge the items that have a key or an expected version, by statements that
-- see what the last holder of the lock committed, then insert what was not refused and move the head.
-- Answers with the head before in `at_position` of a row for item 0, and with a row for each item (from 1) that was not
-- simply taken: `verdict` is repeated, key-reused, wrong-expected-version or atomic-refused; a repeated twin of this
-- batch points to its first in `twin_of`; `at_position` is that of the repeated event, or the subject's current version.
CREATE FUNCTION append_events(
    ids uuid[], types text[], sources text[], subjects text[], times timestamptz[], routes text[], lanes smallint[],
    data text[], keys text[], body_digests text[], expected_versions bigint[], not_befores timestamptz[],
    schema_versions integer[], causes uuid[], depths smallint[], attributes text[], atomic boolean
)
RETURNS TABLE (item integer, verdict text, event_id uuid, at_position bigint, twin_of integer)
LANGUAGE plpgsql
-- Plans are kept for the life of a connection, also those made while the tables were empty.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    head bigint;
    size integer := cardinality(ids);
    verdicts text[] := array_fill(NULL::text, ARRAY[size]);
    found_ids uuid[] := array_fill(NULL::uuid, ARRAY[size]);
    positions bigint[] := array_fill(NULL::bigint, ARRAY[size]);
    twins integer[] := array_fill(NULL::integer, ARRAY[size]);
    found_row record;
    version bigint;
    taken bigint := 0;
BEGIN
    SELECT h.position INTO STRICT head FROM heads h WHERE h.log = 'events' FOR UPDATE;

    IF array_remove(keys, NULL) <> '{}' THEN
        FOR found_row IN
            SELECT i.ordinal, e.id, e.position, e.body_digest = i.body_digest AS same
            FROM unnest(sources, keys, body_digests) WITH ORDINALITY AS i (source, key, body_digest, ordinal)
            JOIN events e ON e.source = i.source AND e.key = i.key
            WHERE i.key IS NOT NULL
        LOOP
            verdicts[found_row.ordinal] := CASE WHEN found_row.same THEN 'repeated' ELSE 'key-reused' END;
            IF found_row.same THEN
                found_ids[found_row.ordinal] := found_row.id;
                positions[found_row.ordinal] := found_row.position;
            END IF;
        END LOOP;

        FOR found_row IN
            SELECT * FROM (
                SELECT i.ordinal, first_value(i.ordinal) OVER same_key AS first_ordinal,
                       i.body_digest = first_value(i.body_digest) OVER same_key AS same
                FROM unnest(sources, keys, body_digests) WITH ORDINALITY AS i (source, key, body_digest, ordinal)
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
    END IF;

    IF array_remove(expected_versions, NULL) <> '{}' THEN
        FOR found_row IN
            SELECT i.ordinal, i.subject, i.expected_version
            FROM unnest(subjects, expected_versions) WITH ORDINALITY AS i (subject, expected_version, ordinal)
            WHERE i.expected_version IS NOT NULL ORDER BY i.ordinal
        LOOP
            CONTINUE WHEN verdicts[found_row.ordinal] IS NOT NULL;
            -- The last event of the subject: in this batch, among those before it that are taken; else in the log.
            SELECT max(b.ordinal) INTO version FROM unnest(subjects) WITH ORDINALITY AS b (subject, ordinal)
            WHERE b.subject = found_row.subject AND b.subject <> '' AND b.ordinal < found_row.ordinal
              AND verdicts[b.ordinal] IS NULL;
            IF version IS NOT NULL THEN
                SELECT head + count(*) INTO version FROM generate_series(1, version) AS b (ordinal)
                WHERE verdicts[b.ordinal] IS NULL;
            ELSE
                SELECT coalesce(max(e.position), 0) INTO version FROM events e
                WHERE e.subject = found_row.subject AND e.subject <> '';
            END IF;
            IF version <> found_row.expected_version THEN
                verdicts[found_row.ordinal] := 'wrong-expected-version';
                positions[found_row.ordinal] := version;
            END IF;
        END LOOP;
    END IF;

    IF atomic AND ('key-reused' = ANY (verdicts) OR 'wrong-expected-version' = ANY (verdicts)) THEN
        FOR n IN 1 .. size LOOP
            -- A twin shares the verdict of its first.
            IF verdicts[n] IS NULL OR verdicts[twins[n]] = 'atomic-refused' THEN
                verdicts[n] := 'atomic-refused';
                twins[n] := NULL;
            END IF;
        END LOOP;
    END IF;

    INSERT INTO events (position, id, type, source, subject, "time", recorded_at, route, lane, data, key,
                        body_digest, schema_version, cause, depth, attributes, direct)
    SELECT head + row_number() OVER (ORDER BY i.ordinal), i.id, i.type, i.source, i.subject, coalesce(i."time", t.now),
           t.now, i.route, i.lane, i.data, i.key, i.body_digest, i.schema_version, i.cause, i.depth, i.attributes,
           i.route IS NOT NULL AND i.not_before IS NOT NULL
    FROM unnest(ids, types, sources, subjects, times, routes, lanes, data, keys, body_digests, not_befores,
                schema_versions, causes, depths, attributes)
         WITH ORDINALITY AS i (id, type, source, subject, "time", route, lane, data, key, body_digest, not_before,
                               schema_version, cause, depth, attributes, ordinal),
         (SELECT clock_timestamp() AS now) t
    WHERE verdicts[i.ordinal] IS NULL;
    GET DIAGNOSTICS taken = ROW_COUNT;

    IF array_remove(not_befores, NULL) <> '{}' THEN
        INSERT INTO claims (subscription, first_position, last_position, available_at)
        SELECT f.route, f.position, f.position, f.not_before
        FROM (
            SELECT head + row_number() OVER (ORDER BY i.ordinal) AS position, i.route, i.not_before
            FROM unnest(routes, not_befores) WITH ORDINALITY AS i (route, not_before, ordinal)
            WHERE verdicts[i.ordinal] IS NULL
        ) f
        WHERE f.route IS NOT NULL AND f.not_before IS NOT NULL;
    END IF;

    IF taken > 0 THEN
        UPDATE heads h SET position = head + taken WHERE h.log = 'events';
    END IF;

    RETURN QUERY
        SELECT 0, 'taken', NULL::uuid, head, NULL::integer
        UNION ALL
        SELECT i.ordinal::integer, i.verdict, i.id, i.position, i.twin
        FROM unnest(verdicts, found_ids, positions, twins) WITH ORDINALITY AS i (verdict, id, position, twin, ordinal)
        WHERE i.verdict IS NOT NULL;
END $$;

-- Complete a claim: the fenced delete first (no row: nothing else happens), then what goes back and what holds the
-- lane, then the contexts at the next positions of their log, whose head is locked last and for the shortest time.
CREATE FUNCTION complete_claim(
    claim_id bigint, claim_fence bigint, requeues json, held_at bigint,
    event_positions bigint[], pipelines text[], generations integer[], statuses text[], contexts text[], digests text[],
    fingerprints text[], emits boolean[], failures text[], calls boolean[]
)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    gone claims%ROWTYPE;
    base bigint;
    added integer := cardinality(contexts);
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
    IF held_at IS NOT NULL THEN
        UPDATE subscriptions s SET held = held_at WHERE s.name = gone.subscription;
    END IF;
    IF added > 0 THEN
        UPDATE heads h SET position = h.position + added WHERE h.log = 'task_contexts'
        RETURNING h.position - added INTO STRICT base;
        INSERT INTO task_contexts (position, event_position, pipeline, generation, status, context, digest,
                                   fingerprint, recorded_at, emits, failure, calls)
        SELECT base + c.ordinal, c.event_position, c.pipeline, c.generation, c.status, c.context, c.digest,
               c.fingerprint, t.now, c.emits, c.failure, c.calls
        FROM unnest(event_positions, pipelines, generations, statuses, contexts, digests, fingerprints, emits,
                    failures, calls)
             WITH ORDINALITY AS c (event_position, pipeline, generation, status, context, digest, fingerprint, emits,
                                   failure, calls, ordinal),
             (SELECT clock_timestamp() AS now) t;
    END IF;
    RETURN true;
END $$;
