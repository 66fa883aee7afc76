"""Public names of both packages that are neither errors nor events."""

from .journal.reader import ReadJournal as ReadJournal
from .journal.records import Contradiction as Contradiction
from .lazy import say_home as _say_home
from .outcome import Accepted as Accepted
from .outcome import NotSent as NotSent
from .outcome import Outcome as Outcome
from .outcome import Rejected as Rejected
from .outcome import Unknown as Unknown
from .phase import Attempt as Attempt
from .phase import Effect as Effect
from .phase import Phase as Phase
from .pull.arrow import ArrowStream as ArrowStream
from .pull.pages import Pages as Pages
from .push.counts import PushCounts as PushCounts
from .push.counts import PushReport as PushReport
from .push.push import Push as Push
from .push.rows import Row as Row
from .push.rows import Source as Source
from .received import ReceivedResponse as ReceivedResponse
from .reconcile.doctor import Diagnosis as Diagnosis
from .reconcile.doctor import Guarantee as Guarantee
from .reconcile.results import ListCheck as ListCheck
from .reconcile.results import Reconciliation as Reconciliation
from .reconcile.results import Resolved as Resolved
from .reconcile.results import RowCheck as RowCheck
from .reconcile.results import Verification as Verification
from .secret import Secret as Secret
from .transport.failures import interrupted_by as interrupted_by
from .transport.retry import RetryPolicy as RetryPolicy
from .transport.settings import Timeout as Timeout

_say_home(__name__, "kapture_async")
