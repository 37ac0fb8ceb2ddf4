"""Products: what meters and lines of plans can be named after. Prices are not known here."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.invoicing.simulator.metadata import merged

_EDITABLE = ("active", "description", "name", "unit_label")


def create_product(call: Call) -> dict[str, Any]:
    """A new product, under an id of the caller's where one is given.

    Raises:
        ApiError: there is one of this id.
    """
    parameters = call.parameters
    if "id" in parameters and call.transaction.get("product", parameters["id"]) is not None:
        raise ApiError("Product already exists.", code="resource_already_exists", param="id")
    return call.transaction.insert(
        "product",
        "prod",
        {
            **({"id": parameters["id"]} if "id" in parameters else {}),
            "active": parameters.get("active", True),
            "created": call.now,
            "description": parameters.get("description"),
            "livemode": False,
            "metadata": merged({}, parameters.get("metadata")),
            "name": parameters["name"],
            "type": "service",
            "unit_label": parameters.get("unit_label"),
            "updated": call.now,
        },
    )


def retrieve_product(call: Call) -> dict[str, Any]:
    """The product.

    Raises:
        ApiError: there is none of this id.
    """
    product = call.transaction.get("product", call.object_id)
    if product is None:
        raise no_such("product", call.object_id, "id")
    return product


def update_product(call: Call) -> dict[str, Any]:
    """Change what is given."""
    product = retrieve_product(call)
    given = {name: call.parameters[name] or None for name in _EDITABLE if name in call.parameters}
    if "active" in given:
        given["active"] = call.parameters["active"]
    product.update(
        given, metadata=merged(product["metadata"], call.parameters.get("metadata")), updated=call.now
    )
    call.transaction.put(product)
    return product


def delete_product(call: Call) -> dict[str, Any]:
    """Delete the product: none has prices here, so each one may be."""
    product = retrieve_product(call)
    call.transaction.delete(product["id"])
    return {"id": product["id"], "object": "product", "deleted": True}


def list_products(call: Call) -> dict[str, Any]:
    """Products, newest first."""
    parameters = call.parameters
    products = (
        product
        for product in call.transaction.scan("product", newest_first=True)
        if parameters.get("active") in {None, product["active"]}
        and ("ids" not in parameters or product["id"] in parameters["ids"])
        and created_within(product, parameters.get("created"))
    )
    return page(products, parameters, "/v1/products")


ENDPOINTS = (
    endpoint(
        "POST",
        "/v1/products",
        "ProductCreateParams",
        "active description id metadata name unit_label",
        create_product,
    ),
    endpoint(
        "GET",
        "/v1/products",
        "ProductListParams",
        "active created ending_before ids limit starting_after",
        list_products,
    ),
    endpoint("GET", "/v1/products/{id}", "ProductRetrieveParams", "", retrieve_product),
    endpoint(
        "POST",
        "/v1/products/{id}",
        "ProductUpdateParams",
        "active description metadata name unit_label",
        update_product,
    ),
    endpoint("DELETE", "/v1/products/{id}", "ProductDeleteParams", "", delete_product),
)
