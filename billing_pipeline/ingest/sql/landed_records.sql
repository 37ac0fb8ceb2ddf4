-- Records of a stretch of the log that were parsed at the door, out of the JSON that the contract made of them.
-- lines: one per record, with its offset, receipt time (microseconds) and producer.
WITH records AS (
    SELECT
        queue_offset,
        received_at,
        producer,
        from_json(line, '{
            "kind": "VARCHAR", "payload": "VARCHAR", "payload_base64": "VARCHAR", "source": "VARCHAR",
            "id": "VARCHAR", "schema_version": "BIGINT", "payload_digest": "VARCHAR", "key_hash": "BIGINT",
            "occurred_at": "BIGINT", "emitted_at": "BIGINT", "customer_id": "VARCHAR", "project_id": "VARCHAR",
            "user_id": "VARCHAR", "unit": "VARCHAR", "quantity": "VARCHAR", "dimensions": "VARCHAR",
            "correlation_id": "VARCHAR", "session_id": "VARCHAR", "parent_id": "VARCHAR", "step": "VARCHAR",
            "billable": "BOOLEAN", "reason_code": "VARCHAR", "allocations": "VARCHAR",
            "corrects_source": "VARCHAR", "corrects_id": "VARCHAR", "corrects_key_hash": "BIGINT",
            "action": "VARCHAR", "quantity_delta": "VARCHAR", "replacement": "VARCHAR", "note": "VARCHAR",
            "entity": "VARCHAR", "entity_id": "VARCHAR", "change": "VARCHAR", "effective_from": "BIGINT",
            "details": "VARCHAR", "fault_code": "VARCHAR", "fault_field": "VARCHAR", "fault_value": "VARCHAR",
            "fault_message": "VARCHAR", "first_received_at": "BIGINT", "requeued_offset": "BIGINT"
        }') AS record
    FROM lines
    WHERE NOT starts_with(line, '=')
)

SELECT
    queue_offset,
    received_at,
    producer,
    record.kind,
    record.source,
    record.id,
    record.schema_version,
    unhex(record.payload_digest) AS payload_digest,
    record.key_hash,
    record.occurred_at,
    record.emitted_at,
    record.customer_id,
    record.project_id,
    record.user_id,
    record.unit,
    CAST(record.quantity AS DECIMAL(38, 9)) AS quantity,
    record.dimensions,
    record.correlation_id,
    record.session_id,
    record.parent_id,
    record.step,
    record.billable,
    record.reason_code,
    record.allocations,
    record.corrects_source,
    record.corrects_id,
    record.corrects_key_hash,
    record.action,
    CAST(record.quantity_delta AS DECIMAL(38, 9)) AS quantity_delta,
    record.replacement,
    record.note,
    record.entity,
    record.entity_id,
    record.change,
    record.effective_from,
    record.details,
    record.fault_code,
    record.fault_field,
    record.fault_value,
    record.fault_message,
    record.first_received_at,
    record.requeued_offset,
    coalesce(encode(record.payload), from_base64(record.payload_base64)) AS payload
FROM records
