"""Movements of credit: each is one row of the journal, whose columns add up to 0, and moves the account by as much.

Of a customer who needs credit nothing is spent that is not there, but for what an action has used above its hold: that
is the overdraft. A customer who needs none owes what `available` lies below 0.
"""

from billing_pipeline.errors import GuardRequestError
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.rows import Account, Grant
from billing_pipeline.guardrails.nano import LARGEST_BALANCE

FOR_EVER = LARGEST_BALANCE


def move(
    book: Book,
    account: Account,
    kind: str,
    reference: str,
    at_us: int,
    *,
    issued: int = 0,
    available: int = 0,
    held: int = 0,
    spent: int = 0,
    overdraft: int = 0,
    expired: int = 0,
) -> None:
    """Write a movement and move the account by it; its six amounts add up to 0."""
    assert issued + available + held + spent + overdraft + expired == 0, kind  # noqa: S101 - a fault of ours
    account.issued += issued
    account.available += available
    account.held += held
    account.spent += spent
    account.overdraft += overdraft
    account.expired += expired
    book.touch_account(account)
    book.changes.journal.append(
        (
            account.customer_id,
            account.currency,
            kind,
            reference,
            issued,
            available,
            held,
            spent,
            overdraft,
            expired,
            at_us,
        )
    )


def check_room(account: Account, amount: int) -> None:
    """Refuse what 64 bits could not hold any more.

    Raises:
        GuardRequestError: the account would be too large.
    """
    largest = max(account.spent, account.held, abs(account.available), -account.issued, account.expired)
    if largest + amount > LARGEST_BALANCE // 2:
        raise GuardRequestError(
            "amount", amount, f"is too much for the account of {account.customer_id} in {account.currency}"
        )


def settle_spending(
    book: Book,
    account: Account,
    kind: str,
    reference: str,
    at_us: int,
    *,
    held: int,
    spent: int,
    needs_credit: bool,
) -> int:
    """Spend out of what was held, and above it out of what is available; the rest of the hold is available again.

    Returns:
        The overdraft: what no credit was there for.
    """
    over = spent - held
    drawn = over
    if over > 0 and needs_credit:
        drawn = min(over, max(account.available, 0))
    overdraft = over - drawn if over > 0 else 0
    move(
        book,
        account,
        kind,
        reference,
        at_us,
        held=-held,
        spent=spent,
        available=-drawn,
        overdraft=-overdraft,
    )
    burn(book, account, spent, at_us)
    sweep_grants(book, account, at_us)
    return overdraft


def burn(book: Book, account: Account, amount: int, at_us: int) -> None:
    """Take what was spent from the grants: those that have ended first, then by priority, expiry and creation."""
    grants = book.grants(account.customer_id, account.currency)
    if not grants:
        return
    for grant in sorted(grants, key=lambda each: (not each.has_ended(at_us), *_order(each))):
        taken = min(amount, grant.remaining)
        grant.remaining -= taken
        amount -= taken
        book.touch_grant(grant)
        if not grant.remaining:
            grants.remove(grant)
        if not amount:
            return


def give_back(book: Book, account: Account, amount: int, *, kind: str, reference: str, at_us: int) -> None:
    """Take back what was spent: first what no credit was there for, then to the grants that were burned last."""
    filled = min(amount, -account.overdraft)
    unfunded = _unfunded(book, account)
    move(book, account, kind, reference, at_us, spent=-amount, overdraft=filled, available=amount - filled)
    rest = max(amount - unfunded, 0)
    if rest:
        grants = book.grants(account.customer_id, account.currency)
        for grant in sorted(book.all_grants(account.customer_id, account.currency), key=_order, reverse=True):
            returned = min(rest, grant.burned)
            if returned:
                grant.remaining += returned
                rest -= returned
                book.touch_grant(grant)
                if grant not in grants:
                    grants.append(grant)
    sweep_grants(book, account, at_us)


def sweep_grants(book: Book, account: Account, at_us: int) -> None:
    """Let grants that have ended lose what is left of them, as far as no open hold counts on it."""
    grants = book.grants(account.customer_id, account.currency)
    for grant in [each for each in grants if each.has_ended(at_us)]:
        lost = min(grant.remaining, max(account.available, 0))
        if lost:
            grant.remaining -= lost
            grant.lost += lost
            book.touch_grant(grant)
            move(book, account, "grant_expiry", grant.grant_id, at_us, available=-lost, expired=lost)
        if not grant.remaining:
            grants.remove(grant)


def add_grant(book: Book, account: Account, grant: Grant) -> None:
    """Credit that may be spent from now on; it pays for what was spent without credit first."""
    filled = min(grant.amount, -account.overdraft)
    used = min(grant.amount, _unfunded(book, account))
    move(
        book,
        account,
        "grant",
        grant.grant_id,
        grant.created_at,
        issued=-grant.amount,
        overdraft=filled,
        available=grant.amount - filled,
    )
    grant.remaining = grant.amount - used
    book.touch_grant(grant)
    opened = book.grants(account.customer_id, account.currency)
    book.all_grants(account.customer_id, account.currency).append(grant)
    if grant.remaining:
        opened.append(grant)


def void_grant(book: Book, account: Account, grant_id: str, at_us: int) -> bool:
    """Take back what is left of a grant, as far as no open hold counts on it; False where there is nothing to do."""
    grant = book.grant(account.customer_id, account.currency, grant_id)
    if grant is None or grant.voided_at is not None:
        return False
    taken = min(grant.remaining, max(account.available, 0))
    grant.remaining -= taken
    grant.lost += taken
    grant.voided_at = at_us
    book.touch_grant(grant)
    if taken:
        move(book, account, "void", grant_id, at_us, issued=taken, available=-taken)
    grants = book.grants(account.customer_id, account.currency)
    if not grant.remaining and grant in grants:
        grants.remove(grant)
    return True


def _unfunded(book: Book, account: Account) -> int:
    """What was spent and no grant has paid."""
    left = sum(grant.remaining for grant in book.grants(account.customer_id, account.currency))
    return max(left - (account.available + account.held + account.overdraft), 0)


def _order(grant: Grant) -> tuple[int, int, int, str]:
    expires_at = FOR_EVER if grant.expires_at is None else grant.expires_at
    return (grant.priority, expires_at, grant.created_at, grant.grant_id)
