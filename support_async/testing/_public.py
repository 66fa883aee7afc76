"""Every public name of this package; loaded when the first of them is used."""

from kapture_async._core.testing.fault_actions import bomb as bomb
from kapture_async._core.testing.faults import BEHIND as BEHIND
from kapture_async._core.testing.faults import KINDS as KINDS
from kapture_async._core.testing.faults import LIES as LIES
from kapture_async._core.testing.faults import WEATHER as WEATHER
from kapture_async._core.testing.faults import Fault as Fault
from kapture_async._core.testing.faults import FaultKind as FaultKind
from kapture_async._core.testing.faults import FaultPlan as FaultPlan
from kapture_async._core.testing.http import EmulatorReply as EmulatorReply
from kapture_async._core.testing.http import EmulatorRequest as EmulatorRequest
from kapture_async._core.testing.ledger import Ledger as Ledger
from kapture_async._core.testing.ledger import LedgerEntry as LedgerEntry
from kapture_async._core.testing.lists import Lists as Lists
from kapture_async._core.testing.runner import EmulatorProcess as EmulatorProcess

from .emulator import SupportEmulator as SupportEmulator
from .emulator import serve as serve
from .store import EmulatedAttachment as EmulatedAttachment
from .store import EmulatedConversation as EmulatedConversation
from .store import EmulatedTicket as EmulatedTicket
