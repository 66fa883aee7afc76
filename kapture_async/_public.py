"""Every public name of this package; the sync client's are in :mod:`.sync`.

It is loaded when the first of them is used.
"""

from .client import KaptureClient as KaptureClient
from .customers.models import Contact as Contact
from .customers.models import Customer as Customer
from .customers.models import CustomerContact as CustomerContact
from .customers.models import CustomerFields as CustomerFields
from .customers.models import CustomerRow as CustomerRow
from .customers.models import Enquiry as Enquiry
from .customers.models import NewCustomer as NewCustomer
from .customers.models import SavedCustomer as SavedCustomer
from .customers.resource import Customers as Customers
from .errors import *  # noqa: F403
from .events import *  # noqa: F403
from .faqs import FaqCategory as FaqCategory
from .faqs import FaqContent as FaqContent
from .faqs import Faqs as Faqs
from .orders import NewOrder as NewOrder
from .orders import OrderRow as OrderRow
from .orders import Orders as Orders
from .orders import SavedOrder as SavedOrder
from .tickets.models import AddedTicket as AddedTicket
from .tickets.models import NewTicket as NewTicket
from .tickets.models import Ticket as Ticket
from .tickets.models import TicketDetail as TicketDetail
from .tickets.models import TicketLookup as TicketLookup
from .tickets.models import TicketRow as TicketRow
from .tickets.models import TicketUpdate as TicketUpdate
from .tickets.models import UpdatedTicket as UpdatedTicket
from .tickets.resource import Tickets as Tickets
from .types import *  # noqa: F403
from .webhooks import StatusCallback as StatusCallback
from .webhooks import parse_callback as parse_callback
