-- The records of a stretch of the log, as rows of raw_usage_events.
-- records: the parsed lines; batches: where each batch starts; days: the receipt days they can fall into.
SELECT
    d.day AS receipt_day,
    b.first_offset + r.batch_index AS queue_offset,
    make_timestamptz(coalesce(r.received_at, b.received_at)) AS received_at,
    b.producer,
    r.kind,
    r.source,
    r.id,
    r.schema_version,
    unhex(r.payload_digest) AS payload_digest,
    r.key_hash,
    make_timestamptz(r.occurred_at) AS occurred_at,
    make_timestamptz(r.emitted_at) AS emitted_at,
    r.customer_id,
    r.project_id,
    r.user_id,
    r.unit,
    r.quantity,
    r.dimensions,
    r.correlation_id,
    r.session_id,
    r.parent_id,
    r.step,
    r.billable,
    r.reason_code,
    r.allocations,
    r.corrects_source,
    r.corrects_id,
    r.action,
    r.quantity_delta,
    r.replacement,
    r.note,
    r.entity,
    r.entity_id,
    r.change,
    make_timestamptz(r.effective_from) AS effective_from,
    r.details,
    r.fault_code,
    r.fault_field,
    r.fault_value,
    r.fault_message,
    coalesce(encode(r.payload), from_base64(r.payload_base64)) AS payload
FROM records AS r
INNER JOIN batches AS b ON r.batch = b.batch
INNER JOIN days AS d
    ON coalesce(r.received_at, b.received_at) >= d.opens_at
    AND coalesce(r.received_at, b.received_at) < d.closes_at
