"""Customers, orders and FAQs as README.md shows them. Checked by mypy and pyright, never run."""

from __future__ import annotations

from kapture_async import KaptureClient, NewCustomer, NewOrder


async def main() -> None:
    client = KaptureClient("mytenant", token="...", credentials={"orders": ("user", "password")})
    added = await client.customers.add(
        customer_name="Example", phone="0000000000", extra={"city": "Pune"}
    )
    print(added.customer_id)
    await client.customers.update("191121684", email_id="user@example.com")
    customer = await client.customers.get(phone="0000000000")
    print(customer.name, customer.created_at, customer.contacts)
    async for row in client.customers.pull("2024-05-01", "2024-05-02", cm_id=1000298):
        print(row.customer_id, row.raw)
    order = NewOrder(
        customer=NewCustomer(customer_name="Example", phone="0000000000"),
        order_info={"order_status": "new"},
    )
    await client.orders.add(order)
    async for content in client.faqs.contents("5247"):
        print(content.title, content.detail)
