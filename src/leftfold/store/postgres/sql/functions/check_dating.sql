-- Raises an error if the role of the caller may not set the time of events.
CREATE OR REPLACE FUNCTION "leftfold_log".check_dating() RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    IF NOT may_date_events() THEN
        RAISE EXCEPTION 'the role % may not say when events happened', CASE
            WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')
        END
            USING DETAIL = '(have its owner GRANT EXECUTE ON FUNCTION "leftfold_log".may_date_events TO this role)',
                ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
