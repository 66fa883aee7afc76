"""The support client as README.md shows it. Checked by mypy and pyright, never run."""

from support_async import Priority, Secret, SupportClient


async def main() -> None:
    async with SupportClient(
        "https://support.example.com/api/v1", apikey="...", access_token="..."
    ) as client:
        for category in await client.categories.list():
            print(category.category_id, category.title)
        await client.tickets.create(
            subject="Printer on fire", comment="Since noon.", category=3,
            priority=Priority.HIGH, attachment="photo.jpg",
        )  # fmt: skip
        async for row in client.tickets.iter(status="1"):
            ticket = await client.tickets.get(row.ticket_id)
            await client.tickets.reply(row.ticket_id, "We are on our way.")
            for file in ticket.attachments:
                await client.attachments.download(file.attachment_id, "downloads/")


async def with_a_provider(username: str, password: str) -> None:
    async def provider() -> Secret:
        return (await client.login(username, password)).access

    client = SupportClient(
        "https://support.example.com/api/v1", apikey="...", token_provider=provider
    )
    async with client:
        await client.tickets.close("101")
