-- A completion stores whether a context declares calls.

-- As before, with `calls` (absent in a completion by a worker of the version before: false).
CREATE OR REPLACE FUNCTION complete_claim(claim_id bigint, claim_fence bigint, contexts json, requeues json, held_at bigint)
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
    IF held_at IS NOT NULL THEN
        UPDATE subscriptions s SET held = held_at WHERE s.name = gone.subscription;
    END IF;
    IF added > 0 THEN
        UPDATE heads h SET position = h.position + added WHERE h.log = 'task_contexts'
        RETURNING h.position - added INTO STRICT base;
        INSERT INTO task_contexts (position, event_position, pipeline, generation, status, context, digest,
                                   fingerprint, recorded_at, emits, calls, failure)
        SELECT base + c.ordinal, c.event_position, c.pipeline, c.generation, c.status, c.context, c.digest,
               c.fingerprint, t.now, c.emits, coalesce(c.calls, false), c.failure
        FROM json_to_recordset(contexts) AS c (
            ordinal integer, event_position bigint, pipeline text, generation integer, status text, context text,
            digest text, fingerprint text, emits boolean, calls boolean, failure text
        ), (SELECT clock_timestamp() AS now) t;
    END IF;
    RETURN true;
END $$;
