"""Units, their people and their customers, made anew for each scenario; and what a unit shows of its conversations."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from features.backend import Answer, Backend, Member
from features.expectations import Mismatch, becomes
from features.timing import TargetTime
from gate.errors import Inconclusive
from harness.evolution.client import EvolutionControl

__all__ = ["Customer", "Numbers", "StoredMessage", "Tenant", "Tenants", "digits_in", "leaves"]

CONNECT_S = 30.0
PAIRING_S = 1.0
APPEARS_S = 10.0
_TEXT_FIELDS = ("content", "text", "body", "message")


class Numbers:
    """Telephone numbers of São Paulo (the ninth digit stays) that no other worker and hardly any other run uses."""

    def __init__(self, worker: int) -> None:
        self._prefix = f"55119{worker % 10}{secrets.randbelow(10_000):04d}"
        self._next = secrets.randbelow(100)
        self._lock = threading.Lock()

    def take(self) -> str:
        """13 digits. Numbers that end in 0000 are not on WhatsApp, and are not given out."""
        with self._lock:
            self._next += 1
            # 7919 shares no factor with 1000: each number of the block comes once before any comes twice.
            last = (self._next * 7_919) % 1_000
        return f"{self._prefix}{last:03d}" if last else self.take()


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Somebody who writes to a unit, or whom it writes to."""

    phone: str
    name: str

    @property
    def masked(self) -> str:
        return f"****{self.phone[-4:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as the backend shows it."""

    id: str
    text: str
    sender: str
    status: str


@dataclass(slots=True, kw_only=True)
class Tenant:
    """A unit with one person of its own, who is signed in."""

    id: str
    name: str
    slug: str
    member: Member
    phone: str
    time: TargetTime = field(repr=False)
    settle: Callable[[], None] = field(repr=False)

    @property
    def instance(self) -> str:
        """The name its instance must have at the provider."""
        return f"unit_{self.id}"

    @property
    def whatsapp(self) -> str:
        return f"/units/{self.id}/whatsapp"

    def connect(self) -> Answer:
        return self.member.post(f"{self.whatsapp}/connect", {"provider": "evolution", "credentials": {}}, waits=True)

    def status(self) -> Answer:
        return self.member.get(f"{self.whatsapp}/status").expect(200)

    def contact(self, customer: Customer) -> str | int:
        """The id of a new contact, in the backend's own form."""
        made = self.member.post("/contacts", {"phone": customer.phone, "name": customer.name}).expect(200, 201)
        made.identifier("id")
        identity: str | int = made.value("id")
        return identity

    def conversations_with(self, phone: str) -> list[dict[str, Any]]:
        """The conversations in which this number appears. Its contact is looked up where a conversation names it by id alone."""
        conversations = self.member.every("/conversations")
        found = [entry for entry in conversations if phone in digits_in(entry)]
        if found or not conversations:
            return found
        contacts = {str(entry.get("id")) for entry in self.member.every("/contacts") if phone in digits_in(entry)}
        return [entry for entry in conversations if str(entry.get("contactId")) in contacts]

    def messages_in(self, conversation: dict[str, Any]) -> list[StoredMessage]:
        return [_message(entry) for entry in self.member.every(f"/conversations/{conversation['id']}/messages")]

    def messages_with(self, phone: str) -> list[StoredMessage]:
        """Every message exchanged with a number, over all its conversations."""
        return [message for conversation in self.conversations_with(phone) for message in self.messages_in(conversation)]

    def await_messages(self, phone: str, *, at_least: int, within_s: float = APPEARS_S) -> list[StoredMessage]:
        """The messages exchanged with a number as soon as there are so many. Raises Mismatch when they do not come."""
        self.settle()
        return becomes(
            self.time.pace,
            lambda: self.messages_with(phone),
            lambda messages: len(messages) >= at_least,
            within_s=within_s,
            what=f"messages with ****{phone[-4:]} shown to the unit",
            expected=f"at least {at_least}",
        )


class Tenants:
    """Makes units. `admin` is the super_admin that may."""

    def __init__(
        self, *, backend: Backend, admin: Member, time: TargetTime, numbers: Numbers, control: EvolutionControl | None
    ) -> None:
        self._backend = backend
        self._admin = admin
        self._time = time
        self._numbers = numbers
        self._control = control

    def customer(self) -> Customer:
        return Customer(phone=self._numbers.take(), name=f"Customer {secrets.token_hex(3)}")

    def create(self) -> Tenant:
        """A unit that has never connected WhatsApp, with a unit_admin of its own."""
        tag = secrets.token_hex(6)
        name, email, password = f"Unit {tag}", f"manager-{tag}@unit-{tag}.example", secrets.token_urlsafe(18)
        unit = self._admin.post("/admin/units", {"name": name, "slug": f"unit-{tag}"}).expect(201)
        unit_id = unit.identifier("id")
        person = {
            "name": f"Manager {tag}",
            "email": email,
            "password": password,
            "role": "unit_admin",
            "unitId": unit.value("id"),
        }
        self._admin.post("/admin/users", person).expect(201)
        return Tenant(
            id=unit_id,
            name=name,
            slug=f"unit-{tag}",
            member=self._backend.member(email, password),
            phone=self._numbers.take(),
            time=self._time,
            settle=self._settle,
        )

    def create_connected(self) -> Tenant:
        """A unit whose WhatsApp is connected. Raises Inconclusive when nobody is there to scan."""
        tenant = self.create()
        tenant.connect().expect(201)
        self.scan(tenant)
        return tenant

    def _settle(self) -> None:
        """Returns when the provider has no delivery under way: what it delivered has been answered."""
        if self._control is not None:
            self._control.quiesce()

    def scan(self, tenant: Tenant) -> None:
        """A person scans the QR code; returns when the unit shows that it is connected."""
        if self._control is None:
            raise Inconclusive("a QR code had to be scanned and the target has no fake provider that scans by itself")
        self._control.scan(tenant.instance, phone=tenant.phone, profile_name=tenant.name)
        if self._time.movable:
            self._time.let_pass(PAIRING_S)
        self._settle()
        becomes(
            self._time.pace,
            lambda: str(tenant.status().value("status")),
            lambda status: status == "connected",
            within_s=CONNECT_S,
            what="status of the unit after its QR code was scanned",
            expected="connected",
        )


def leaves(value: Any) -> Iterator[str]:
    """Every value in a JSON document that is not itself a list or an object, as text."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield str(value)


def digits_in(entry: Any) -> set[str]:
    """The digits of every value in a JSON document: a phone however it is punctuated."""
    return {"".join(filter(str.isdigit, leaf)) for leaf in leaves(entry)}


def _message(entry: dict[str, Any]) -> StoredMessage:
    # A picture without words may have none.
    text = next((entry[name] or "" for name in _TEXT_FIELDS if isinstance(entry.get(name, 0), str | None)), None)
    if text is None:
        raise Mismatch(
            "a message in a conversation", expected=f"its text under one of {', '.join(_TEXT_FIELDS)}", seen=sorted(entry)
        )
    return StoredMessage(
        id=str(entry.get("id", "")), text=text, sender=str(entry.get("sender", "")), status=str(entry.get("status", ""))
    )
