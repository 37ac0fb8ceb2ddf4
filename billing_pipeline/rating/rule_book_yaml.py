"""Rule books as YAML: one file per version, checked as a whole, every fault with path, line and field."""

from pathlib import Path

from billing_pipeline.errors import DocumentError, DocumentFault
from billing_pipeline.rating.book_sections.close_policy import compare_dedup_window, read_close_policy
from billing_pipeline.rating.book_sections.coupons import read_coupon
from billing_pipeline.rating.book_sections.meters import read_meter
from billing_pipeline.rating.book_sections.plans import read_add_on, read_plan
from billing_pipeline.rating.charge_models.price_table import PriceTable, read_price_table
from billing_pipeline.rating.content_hash import content_hash
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.document_file import read_document
from billing_pipeline.rating.rule_book import ClosePolicy, Plan, RuleBook, RuleBooks

BOOKS_MOST = 1000
UNIT_CHARACTERS_MOST = 64
_REQUIRED = ("version", "effective_from", "units", "meters", "plans")
_OPTIONAL = ("description", "price_tables", "add_ons", "coupons", "close_policy")


def load_rule_books(folder: Path) -> RuleBooks:
    """All rule books of a folder (`*.yaml`), ordered by `effective_from`.

    Raises:
        DocumentError: as `read_folder`.
    """
    return RuleBooks(tuple(book for _, book in read_folder(folder)))


def read_folder(folder: Path) -> list[tuple[Field, RuleBook]]:
    """All rule books of a folder with their documents, ordered by `effective_from`.

    Raises:
        DocumentError: lists the faults of all files, also versions or starts that two files share, and plans
            and add-ons that change their currency between versions.
    """
    faults: list[DocumentFault] = []
    read: list[tuple[Field, RuleBook]] = []
    paths = sorted(folder.glob("*.yaml"))
    if not 1 <= len(paths) <= BOOKS_MOST:
        raise DocumentError(
            [
                DocumentFault(
                    str(folder), 1, "folder", f"has {len(paths)} *.yaml files; give 1 to {BOOKS_MOST}"
                )
            ]
        )
    for path in paths:
        try:
            root = read_document(path)
            read.append((root, read_rule_book(root)))
        except DocumentError as error:
            faults += error.faults
    read.sort(key=lambda pair: pair[1].effective_from)
    for number, (root, book) in enumerate(read):
        for _, earlier in read[:number]:
            _compare(root, book, earlier)
        compare_dedup_window(root, book, [earlier for _, earlier in read[:number]])
        faults += root.faults
    if faults:
        raise DocumentError(faults)
    return read


def load_rule_book(path: Path) -> RuleBook:
    """One rule book.

    Raises:
        DocumentError: lists every fault of the file.
    """
    return read_rule_book(read_document(path))


def read_rule_book(root: Field) -> RuleBook:
    """The rule book that a document holds.

    Raises:
        DocumentError: lists every fault of the document.
    """
    keys = root.mapping(required=_REQUIRED, optional=_OPTIONAL)
    units = frozenset(
        item.text(most=UNIT_CHARACTERS_MOST) for item in keys["units"].items(least=1, most=1000)
    )
    meters = {name: read_meter(name, field, units) for name, field in keys["meters"].named().items()}
    tables: dict[str, PriceTable] = {}
    if "price_tables" in keys:
        tables = {name: read_price_table(field) for name, field in keys["price_tables"].named().items()}
    plans = {name: read_plan(name, field, meters, tables) for name, field in keys["plans"].named().items()}
    add_ons: dict[str, Plan] = {}
    if "add_ons" in keys:
        fields = keys["add_ons"].named()
        add_ons = {name: read_add_on(name, field, meters, tables, plans) for name, field in fields.items()}
    charge_names = {name for plan in (*plans.values(), *add_ons.values()) for name in plan.charge_names}
    coupons = {}
    if "coupons" in keys:
        fields = keys["coupons"].named()
        coupons = {name: read_coupon(name, field, charge_names) for name, field in fields.items()}
    policy = read_close_policy(keys["close_policy"]) if "close_policy" in keys else ClosePolicy()
    if "description" in keys:
        keys["description"].text(most=2000)
    version, effective_from = keys["version"].name_text(), keys["effective_from"].instant()
    root.raise_faults()
    assert root.node is not None  # noqa: S101 - for the type checker; without a node there is a fault
    return RuleBook(
        version=version,
        effective_from=effective_from,
        content_hash=content_hash(root.node),
        units=units,
        meters=meters,
        plans=plans,
        add_ons=add_ons,
        coupons=coupons,
        price_tables=tables,
        close_policy=policy,
    )


def _compare(root: Field, book: RuleBook, earlier: RuleBook) -> None:
    """Note what this version may not have in common, or must keep, with an earlier one."""
    keys = root.mapping(required=_REQUIRED, optional=_OPTIONAL)
    if book.version == earlier.version:
        keys["version"].fault(f"{book.version!r} is another file's version too; each version has one file")
    if book.effective_from == earlier.effective_from:
        keys["effective_from"].fault(
            f"version {earlier.version!r} starts at the same instant; move one of the two"
        )
    add_ons = keys["add_ons"].named() if "add_ons" in keys else {}
    fields = {**keys["plans"].named(), **add_ons}  # no name is in both
    before = {**earlier.plans, **earlier.add_ons}
    for name, plan in {**book.plans, **book.add_ons}.items():
        if name not in before:
            continue
        if (name in book.plans) != (name in earlier.plans):
            kind = "a plan" if name in earlier.plans else "an add-on"
            fields[name].fault(f"is {kind} in version {earlier.version!r}; give the new one another name")
        elif plan.currency != before[name].currency:
            fields[name].fault(
                f"is in {plan.currency}, but in {before[name].currency} in version {earlier.version!r};"
                " it keeps its currency, give the new one another name"
            )
