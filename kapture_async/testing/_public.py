"""Every public name of this package; loaded when the first of them is used."""

from .._core.testing.faults import BEHIND as BEHIND
from .._core.testing.faults import KINDS as KINDS
from .._core.testing.faults import LIES as LIES
from .._core.testing.faults import WEATHER as WEATHER
from .._core.testing.faults import Fault as Fault
from .._core.testing.faults import FaultKind as FaultKind
from .._core.testing.faults import FaultPlan as FaultPlan
from .._core.testing.http import EmulatorReply as EmulatorReply
from .._core.testing.http import EmulatorRequest as EmulatorRequest
from .._core.testing.ledger import Ledger as Ledger
from .._core.testing.ledger import LedgerEntry as LedgerEntry
from .._core.testing.lists import Lists as Lists
from .._core.testing.runner import EmulatorProcess as EmulatorProcess
from .customers import EmulatedCustomer as EmulatedCustomer
from .emulator import KaptureEmulator as KaptureEmulator
from .emulator import serve as serve
from .orders import EmulatedOrder as EmulatedOrder
from .tickets import EmulatedTicket as EmulatedTicket
