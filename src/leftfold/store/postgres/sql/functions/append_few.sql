-- Appends a few events of one request that has no keys and no times. Most callers that wait for each answer send such
-- requests, and this takes half the time of `append`, because it searches no arrays. If a condition does not hold, it
-- writes nothing and `head` is null; `append` then says which events match.
CREATE OR REPLACE FUNCTION "leftfold_log".append_few(
    durable boolean,
    clock bigint,
    event_type text[],
    event_version integer[],
    event_tags text[],
    event_data bytea[],
    event_metadata bytea[],
    item_after bigint[],
    item_types text[],
    item_tags text[],
    OUT head bigint                 -- before these events
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, "leftfold_log", pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    tip bigint;
    moment bigint;
    type_id integer;
    event_tag text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append under isolation level %', current_setting('transaction_isolation')
            USING HINT = 'call it under READ COMMITTED: it has to see what was committed before it had the lock',
                ERRCODE = 'invalid_transaction_state';
    END IF;
    -- As in `append`.
    IF set_config('idle_in_transaction_session_timeout', '10s', true) IS NULL
        OR current_setting('lock_timeout') = '0' AND set_config('lock_timeout', '10s', true) IS NULL
        OR current_setting('statement_timeout') = '0' AND set_config('statement_timeout', '60s', true) IS NULL
        OR coalesce(current_setting('transaction_timeout', true), '') = '0'  -- which 15 does not know
            AND set_config('transaction_timeout', '60s', true) IS NULL
        OR durable = (current_setting('synchronous_commit') = 'off')
            AND set_config('synchronous_commit', CASE WHEN durable THEN 'on' ELSE 'off' END, true) IS NULL
    THEN
        RAISE EXCEPTION 'the settings of an append could not be made';
    END IF;
    LOCK TABLE "leftfold_log"."append_lock_LOG_ID" IN SHARE UPDATE EXCLUSIVE MODE;
    IF clock IS NOT NULL THEN
        PERFORM check_dating();
    END IF;
    SELECT event.position, event.time INTO tip, moment FROM event ORDER BY event.position DESC LIMIT 1;
    tip := coalesce(tip, 0);
    moment := greatest(moment, coalesce(clock, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint));

    FOR item IN 1..cardinality(item_after) LOOP
        CONTINUE WHEN item_after[item] >= tip;
        IF item_tags[item] = '' OR strpos(item_tags[item], E'\n') > 0 THEN
            IF EXISTS (SELECT FROM matching(item_types[item], item_tags[item], item_after[item], 1)) THEN
                RETURN;
            END IF;
        ELSIF EXISTS (
            SELECT
            FROM tag
            WHERE tag.tag = item_tags[item]
                AND tag.position > item_after[item]
                AND (
                    item_types[item] = ''
                    OR EXISTS (
                        SELECT
                        FROM type
                        WHERE type.id = tag.type AND type.name = ANY (string_to_array(item_types[item], E'\n'))
                    )
                )
        ) THEN
            RETURN;
        END IF;
    END LOOP;

    head := tip;
    FOR place IN 1..cardinality(event_type) LOOP
        tip := tip + 1;
        SELECT type.id INTO type_id FROM type WHERE type.name = event_type[place];
        IF type_id IS NULL THEN
            INSERT INTO type (name) VALUES (event_type[place]) RETURNING type.id INTO type_id;
        END IF;
        INSERT INTO event (position, time, type, version, tags, data, metadata)
        VALUES (
            tip, moment, type_id, event_version[place], event_tags[place], event_data[place], event_metadata[place]
        );
        FOREACH event_tag IN ARRAY string_to_array(event_tags[place], E'\n') LOOP
            INSERT INTO tag (tag, position, type) VALUES (event_tag, tip, type_id);
        END LOOP;
    END LOOP;

    IF NOT pg_try_advisory_xact_lock(hashtextextended('leftfold_log', 2))
        AND pg_notify('leftfold_log', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;
