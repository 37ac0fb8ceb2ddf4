-- Plain usage events of a stretch of the log: their columns out of the bytes as they came.
-- lines: one per record, with its offset, receipt time (microseconds) and producer; a plain event's is led by '='.
-- What is made of it here is what the contract makes of it (contract/plain_usage.py, contract/canonical.py).
WITH events AS (
    SELECT
        queue_offset,
        received_at,
        producer,
        substr(line, 2, length(line) - 2) AS payload,
        from_json(substr(line, 2), '{
            "source": "VARCHAR", "id": "VARCHAR", "schema_version": "BIGINT", "occurred_at": "VARCHAR",
            "emitted_at": "VARCHAR", "customer_id": "VARCHAR", "project_id": "VARCHAR", "user_id": "VARCHAR",
            "unit": "VARCHAR", "quantity": "VARCHAR", "dimensions": "MAP(VARCHAR, VARCHAR)",
            "correlation_id": "VARCHAR", "session_id": "VARCHAR", "parent_id": "VARCHAR", "step": "VARCHAR",
            "billable": "BOOLEAN", "reason_code": "VARCHAR"
        }') AS event
    FROM lines
    WHERE starts_with(line, '=')
),

canonical AS (
    SELECT
        queue_offset,
        received_at,
        producer,
        payload,
        event,
        epoch_us(CAST(event.occurred_at AS TIMESTAMP)) AS occurred_at,
        epoch_us(CAST(event.emitted_at AS TIMESTAMP)) AS emitted_at,
        coalesce(event.billable, true) AS billable,
        -- Plain text without leading or trailing zeros: 007.50 is 7.5.
        regexp_replace(
            ltrim(
                CASE
                    WHEN contains(event.quantity, '.') THEN rtrim(rtrim(event.quantity, '0'), '.')
                    ELSE event.quantity
                END,
                '0'
            ),
            '^(\.|$)',
            '0\1'
        ) AS quantity,
        '{' || coalesce(
            array_to_string(
                list_transform(
                    list_sort(map_entries(event.dimensions)),
                    lambda pair: '"' || pair.key || '":"' || pair.value || '"'
                ),
                ','
            ),
            ''
        ) || '}' AS dimensions
    FROM events
),

plain AS (
    SELECT
        queue_offset,
        received_at,
        producer,
        payload,
        event,
        occurred_at,
        emitted_at,
        billable,
        quantity,
        dimensions,
        -- The canonical form: keys in order, without what is null or has its default.
        left(
            sha256(
                CASE WHEN billable THEN '{' ELSE '{"billable":false,' END
                || '"correlation_id":"' || event.correlation_id
                || '","customer_id":"' || event.customer_id
                || CASE WHEN dimensions = '{}' THEN '"' ELSE '","dimensions":' || dimensions END
                || ',"id":"' || event.id
                || '","occurred_at":' || occurred_at
                || coalesce(',"parent_id":"' || event.parent_id || '"', '')
                || ',"project_id":"' || event.project_id
                || '","quantity":"' || quantity
                || coalesce('","reason_code":"' || event.reason_code, '')
                || coalesce('","session_id":"' || event.session_id, '')
                || '","source":"' || event.source
                || coalesce('","step":"' || event.step, '')
                || '","type":"usage","unit":"' || event.unit
                || coalesce('","user_id":"' || event.user_id, '')
                || '"}'
            ),
            32
        ) AS payload_digest,
        CAST(CAST('0x' || left(md5(event.source || chr(0) || event.id), 16) AS UBIGINT) AS HUGEINT) AS key_bits
    FROM canonical
)

SELECT
    queue_offset,
    received_at,
    producer,
    'usage' AS kind,
    event.source,
    event.id,
    event.schema_version,
    unhex(payload_digest) AS payload_digest,
    -- The first 64 bits as a signed integer.
    CAST(
        key_bits - CASE WHEN key_bits >= 9223372036854775808 THEN 18446744073709551616 ELSE 0 END AS BIGINT
    ) AS key_hash,
    occurred_at,
    emitted_at,
    event.customer_id,
    event.project_id,
    event.user_id,
    event.unit,
    CAST(quantity AS DECIMAL(38, 9)) AS quantity,
    dimensions,
    event.correlation_id,
    event.session_id,
    event.parent_id,
    event.step,
    billable,
    event.reason_code,
    encode(payload) AS payload
FROM plain
