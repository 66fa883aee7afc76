"""The texts that are the vendor's own, as SERVICE.md, section 3, prints them; the rest is DRF's."""

from __future__ import annotations

TOO_BIG = "File is too big. Max filesize: 2MiB."
TOO_MANY_OPEN = "Currenly Open Ticket Limit Exceed."

TICKET_MISSING = "Ticket id is required and this may not be blank."
TICKET_INVALID = "Ticket id is not valid"
NOT_OWNER = "You are not the owner of the requested ticket"
NOT_OWNER_OF_CONVERSATION = "You are not the owner of the requested ticket."
NOT_OWNER_OF_STATUS = "You Can't open or close this Ticket"

STATUS_MISSING = "Status id is required and this may not be blank."
ALREADY_CLOSED = "Ticket is already closed"
ALREADY_PROCESSING = "Ticket is already processing"
ALREADY_OPEN = "Ticket is already open"

CATEGORY_NOT_NUMERIC = "Catogory id is not valid numeric"
STATUS_NOT_NUMERIC = "Status id is not valid numeric"
