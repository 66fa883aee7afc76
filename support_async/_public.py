"""Every public name of this package; the sync client's are in :mod:`.sync`.

It is loaded when the first of them is used.
"""

from kapture_async._core.secret import Secret as Secret

from .attachments import Attachments as Attachments
from .categories import Categories as Categories
from .categories import Category as Category
from .client import SupportClient as SupportClient
from .client import Tokens as Tokens
from .errors import *  # noqa: F403
from .events import *  # noqa: F403
from .tags import Tag as Tag
from .tags import Tags as Tags
from .tickets.models import Conversation as Conversation
from .tickets.models import CreatedTicket as CreatedTicket
from .tickets.models import NewTicket as NewTicket
from .tickets.models import Priority as Priority
from .tickets.models import Status as Status
from .tickets.models import TicketAttachment as TicketAttachment
from .tickets.models import TicketDetail as TicketDetail
from .tickets.models import TicketRow as TicketRow
from .tickets.resource import Tickets as Tickets
from .types import *  # noqa: F403
