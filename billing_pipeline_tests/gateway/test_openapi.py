"""The OpenAPI document says what the gateway does: requests made from it are answered as it says."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from billing_pipeline.gateway.openapi import openapi_document
from billing_pipeline_tests.gateway.served import Served

EXAMPLES = 40


def test_the_documents_own_schemas_are_schemas() -> None:
    for schema in openapi_document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_in_the_document(door: Any) -> None:
    # The console is for people: its pages are no interface.
    served = {route.path for route in door.client.app.routes if not route.path.startswith("/console")}
    assert served == set(door.client.get("/openapi.json").json()["paths"])


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_requests_made_from_the_document_are_answered_as_it_says(served: Served, data: st.DataObject) -> None:
    """On every route: status, headers, content type and body."""
    api = schemathesis.openapi.from_dict(openapi_document())
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == sum(map(len, openapi_document()["paths"].values()))
    operation = data.draw(st.sampled_from(operations))
    case = data.draw(operation.as_strategy())
    case.call_and_validate(
        base_url=served.url,
        headers={"authorization": f"Bearer {served.key}"},
        excluded_checks=[
            positive_data_acceptance,  # the 0th of a month fits the schema, and is no time
            ignored_auth,  # the key is in every request here; that it is needed is tested in test_refused_requests
        ],
    )
