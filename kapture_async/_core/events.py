"""The events that ``on_event=`` callbacks receive: attempts, pushes, and lookups."""

from .lazy import say_home as _say_home
from .push.events import AnswersDiffer as AnswersDiffer
from .push.events import PushEvent as PushEvent
from .push.events import PushFinished as PushFinished
from .push.events import PushNoticed as PushNoticed
from .push.events import PushObserver as PushObserver
from .push.events import PushPaused as PushPaused
from .push.events import PushStarted as PushStarted
from .push.events import PushStopped as PushStopped
from .push.events import RowDoubted as RowDoubted
from .push.events import RowFinished as RowFinished
from .push.events import RowKnown as RowKnown
from .reconcile.reconcile import LookupFinished as LookupFinished
from .reconcile.reconcile import ReconcileEvent as ReconcileEvent
from .reconcile.reconcile import ReconcileObserver as ReconcileObserver
from .reconcile.reconcile import SettleTimeStarted as SettleTimeStarted
from .reconcile.verify import Checked as Checked
from .reconcile.verify import VerifyEvent as VerifyEvent
from .reconcile.verify import VerifyObserver as VerifyObserver
from .transport.transport import AttemptFinished as AttemptFinished
from .transport.transport import AttemptStarted as AttemptStarted
from .transport.transport import CallFinished as CallFinished
from .transport.transport import Observer as Observer
from .transport.transport import RetryScheduled as RetryScheduled
from .transport.transport import SlotWaiting as SlotWaiting
from .transport.transport import TransportEvent as TransportEvent

_say_home(__name__, "kapture_async")
